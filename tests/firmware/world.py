"""A board, a broker and a gateway in memory with a clock of their own: the whole box under CPython.

The network may delay, drop, repeat and reorder what the gateway says, cut connections, and keep
half of a packet for later. The power may go at any byte that is written to the flash.
"""

from __future__ import annotations

import random
from typing import Any

import msgpack

from firmware_stubs.alarm_box import hal, lights
from firmware_stubs.alarm_box.main import Device
from tests.firmware.flash import Chip, PowerCut

STEP_MS = 5
PROVISION = (
    b'{"device": "box-1", "password": "p", "brokers": ["first:1", "second:1"], "zone": "till"}'
)
_CLOSED = OSError(104)


class Sock:
    """One TCP connection, seen from the box."""

    def __init__(self, world: World, net: int) -> None:
        self.world, self.net = world, net
        self.to_box = bytearray()
        self.from_box = bytearray()
        self.open = True
        self.accepted = False
        self.will: tuple[str, bytes] | None = None
        self.since = world.now

    def readinto(self, room: Any) -> int | None:
        if not self.open:
            raise _CLOSED
        if self.world.silent[self.net] or not self.to_box:
            return None
        count = min(len(room), len(self.to_box), self.world.rng.choice((1, 3, 50, 5000)))
        room[:count] = self.to_box[:count]
        del self.to_box[:count]
        return count

    def write(self, data: Any) -> int | None:
        if not self.open:
            raise _CLOSED
        if self.world.rng.random() < self.world.short_writes:
            return None
        count = min(len(data), self.world.rng.choice((1, 7, 5000, 5000)))
        self.from_box += data[:count]
        return count

    def close(self) -> None:
        self.open = False
        self.world.gone(self)


class Network:
    def __init__(self, world: World, number: int) -> None:
        self.world, self.number, self.name = world, number, ("eth", "4g")[number]

    def is_up(self) -> bool:
        return self.world.plugged[self.number]

    def dial(self, host: str, port: int) -> Sock:
        sock = Sock(self.world, self.number)
        self.world.socks.append(sock)
        return sock

    def rssi_dbm(self) -> None:
        return None


class Board:
    """The box's hardware in this world."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.flash = world.chip
        self.networks = (Network(world, 0), Network(world, 1))
        self.settings = PROVISION
        self.closed = 0
        self.edge = 0
        self.battery = 90

    def ticks(self) -> int:
        return self.world.now

    def unix_ms(self) -> int:
        return self.world.unix_ms()

    def inputs(self) -> int:
        return self.closed

    def edges(self) -> int:
        edge, self.edge = self.edge, 0
        return edge

    def battery_pct(self) -> int:
        return self.battery

    def light(self, look: int) -> None:
        self.world.looks.append((self.world.now, lights.LOOKS[look][0]))

    def sound(self, tune: int) -> None:
        self.world.tunes.append((self.world.now, lights.TUNES[tune][0]))

    def random(self, below: int) -> int:
        return self.world.rng.randrange(max(1, below))

    def turn(self, ticks: int) -> None:
        pass

    def say(self, what: str, **about: object) -> None:
        pass

    def events(self, sock: Sock) -> int:
        if not sock.open:
            return 16
        if not self.world.reachable[sock.net]:
            return 0
        return 4

    def secure(self, sock: Sock, settings: Any) -> Sock:
        return sock

    def fault(self, part: str, error: Exception) -> None:
        if isinstance(error, PowerCut):
            raise error
        self.world.faults.append((part, repr(error)))

    def slot_on_trial(self) -> bool:
        return self.world.trial

    def slot_keep(self) -> None:
        self.world.slots.append("kept")

    def restart(self) -> None:
        self.world.restarts += 1


class World:
    """Everything around one box. Probabilities are for each thing that the gateway says."""

    def __init__(self, seed: int = 0, sectors: int = 8, sector_size: int = 1024) -> None:
        self.rng = random.Random(seed)
        self.now = 1000
        self.clock_on = True
        self.chip = Chip(sectors, sector_size)
        self.socks: list[Sock] = []
        self.plugged = [True, True]
        self.reachable = [True, True]
        self.silent = [False, False]  # half open: nothing comes through
        self.broker_up = self.gateway_up = True
        self.pubacks = True
        self.short_writes = 0.0
        self.drops = self.repeats = 0.0
        self.delay_ms = (0, 0)
        self.looks: list[tuple[int, str]] = []
        self.tunes: list[tuple[int, str]] = []
        self.faults: list[tuple[str, str]] = []
        self.restarts = 0
        self.trial = False
        self.slots: list[object] = []
        # The gateway's.
        self.held: dict[int, set[int]] = {}
        self.telemetry: dict[int, set[int]] = {}
        self.alarms: dict[tuple[int, int], dict[str, Any]] = {}
        self.copies: dict[tuple[int, int], list[bytes]] = {}
        self.replies: list[dict[str, Any]] = []
        self.statuses: list[dict[str, Any]] = []
        self.presence: list[dict[str, Any]] = []
        self.later: list[tuple[int, str, bytes]] = []
        self.board = Board(self)
        self.device: Any = Device(self.board)

    @property
    def look(self) -> str:
        """What is shown."""
        return self.looks[-1][1] if self.looks else "dark"

    def unix_ms(self) -> int:
        return 1_800_000_000_000 + self.now if self.clock_on else 0

    # -- time ------------------------------------------------------------------

    def run(self, ms: int) -> None:
        """Let so much time pass."""
        for _ in range(ms // STEP_MS):
            self.step()

    def until(self, is_so: Any, within_ms: int = 60_000) -> int:
        """Let time pass until that is so; how long it took."""
        since = self.now
        while not is_so():
            assert self.now - since < within_ms, (self.looks[-5:], self.faults[-3:])
            self.step()
        return self.now - since

    def step(self) -> None:
        self.now += STEP_MS
        self.device._ticks = self.now
        self.device.box.look(self.now, False)
        self.device.turn(self.now)
        self.broker()

    def press(self, contact: int = hal.PANIC, ms: int = 60) -> None:
        """Close a contact for so long."""
        self.board.closed |= contact
        self.board.edge |= contact
        self.run(ms)
        self.board.closed &= ~contact
        self.run(50)

    def power_cut(self) -> None:
        """Everything but the flash is lost."""
        for sock in self.socks:
            sock.open = False
            self.gone(sock)
        self.chip.budget = None
        self.board = Board(self)
        self.device = Device(self.board)

    # -- the broker ------------------------------------------------------------

    def gone(self, sock: Sock) -> None:
        if sock.will is not None and sock.accepted:
            self.take("presence", sock.will[1])
        sock.will = None

    def broker(self) -> None:
        self.socks = [sock for sock in self.socks if sock.open]
        for sock in self.socks:
            if not self.broker_up:
                sock.open = False
                self.gone(sock)
            elif not self.silent[sock.net]:
                self.serve(sock)
        due = [each for each in self.later if each[0] <= self.now]
        self.later = [each for each in self.later if each[0] > self.now]
        self.rng.shuffle(due)
        for _, channel, payload in due:
            self.deliver(channel, payload)

    def serve(self, sock: Sock) -> None:
        while (packet := _packet(sock.from_box)) is not None:
            first, body = packet
            kind = first & 0xF0
            if kind == 0x10:
                sock.will = _will(body)
                for other in self.socks:
                    if other is not sock and other.accepted:
                        other.open = False
                        self.gone(other)
                sock.accepted = True
                sock.to_box += b"\x20\x02\x00\x00"
            elif kind == 0x30:
                topic, pid, payload = _publish(first, body)
                if pid is not None and self.pubacks:
                    sock.to_box += b"\x40\x02" + pid
                self.take(topic.rpartition("/")[2], payload)
            elif kind == 0x80:
                sock.to_box += b"\x90\x03" + body[:2] + b"\x01"
            elif kind == 0xC0:
                sock.to_box += b"\xd0\x00"
            elif kind == 0xE0:
                sock.will = None
                sock.open = False

    def deliver(self, channel: str, payload: bytes) -> None:
        topic = f"field/v1/box-1/dn/{channel}".encode()
        body = len(topic).to_bytes(2, "big") + topic + b"\x00\x07" + payload
        size, rest = bytearray(), len(body)
        while True:
            rest, low = divmod(rest, 128)
            size.append(low | (128 if rest else 0))
            if not rest:
                break
        for sock in self.socks:
            if sock.accepted and sock.open:
                sock.to_box += b"\x32" + bytes(size) + body

    # -- the gateway -------------------------------------------------------------

    def take(self, channel: str, payload: bytes) -> None:
        if not self.gateway_up:
            return
        keys = msgpack.unpackb(payload)
        if channel == "presence":
            self.presence.append(keys)
            return
        boot, seq = keys["boot"], keys["seq"]
        if channel == "status":
            self.statuses.append(keys)
            self.telemetry.setdefault(boot, set()).add(seq)
            self.receipt(boot)
            return
        self.held.setdefault(boot, set()).add(seq)
        self.copies.setdefault((boot, seq), []).append(payload)
        if channel == "reply":
            if len(self.copies[boot, seq]) == 1:
                self.replies.append(keys)
            self.receipt(boot)
            return
        self.alarms.setdefault((boot, seq), keys)
        self.receipt(boot, [{"seq": seq, "stage": "stored", "t": self.unix_ms()}])

    def upto(self, numbers: set[int]) -> int:
        held = 0
        while held + 1 in numbers:
            held += 1
        return held

    def receipt(self, boot: int, alarms: list[dict[str, Any]] | None = None) -> None:
        """Tell what is held of a boot."""
        keys: dict[str, Any] = {
            "boot": boot,
            "p": self.upto(self.held.get(boot, set())),
            "t": self.upto(self.telemetry.get(boot, set())),
        }
        if alarms:
            keys["alarms"] = alarms
        self.say("receipt", keys)

    def stage(self, key: tuple[int, int], stage: str) -> None:
        """Somebody at the desk has done something."""
        self.receipt(key[0], [{"seq": key[1], "stage": stage, "t": self.unix_ms(), "by": "desk"}])

    def command(self, id_: str, act: str, **args: Any) -> None:
        """Send a command."""
        now = 1_800_000_000_000 + self.now
        self.say("cmd", {"id": id_, "act": act, "t": now, "exp": now + 60_000, "args": args})

    def say(self, channel: str, keys: dict[str, Any]) -> None:
        payload: bytes = msgpack.packb(keys)
        times = 1 + (self.rng.random() < self.repeats)
        for _ in range(times):
            if self.rng.random() >= self.drops:
                self.later.append((self.now + self.rng.randint(*self.delay_ms), channel, payload))

    def raised(self) -> list[dict[str, Any]]:
        """The alarms, without what only adds to one."""
        return [keys for keys in self.alarms.values() if "of" not in keys]


def _packet(data: bytearray) -> tuple[int, bytes] | None:
    size, at, shift = 0, 1, 0
    while True:
        if at >= len(data):
            return None
        byte = data[at]
        at += 1
        size |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            break
    if len(data) < at + size:
        return None
    first, body = data[0], bytes(data[at : at + size])
    del data[: at + size]
    return first, body


def _publish(first: int, body: bytes) -> tuple[str, bytes | None, bytes]:
    size = int.from_bytes(body[:2], "big")
    topic, rest = body[2 : 2 + size].decode(), body[2 + size :]
    if first & 6:
        return topic, rest[:2], rest[2:]
    return topic, None, rest


def _will(body: bytes) -> tuple[str, bytes]:
    rest = body[10:]
    texts = []
    while rest:
        size = int.from_bytes(rest[:2], "big")
        texts.append(rest[2 : 2 + size])
        rest = rest[2 + size :]
    return texts[1].decode(), texts[2]


def ready(world: World) -> World:
    """A world whose box is connected and at rest."""
    world.until(lambda: world.statuses and world.look == "ready")
    world.run(500)
    return world


def looks(world: World, since: int) -> list[str]:
    """What was shown from then on."""
    return [look for at, look in world.looks if at >= since]
