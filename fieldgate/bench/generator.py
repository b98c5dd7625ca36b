"""A thousand devices in a process of their own: everything encoded first, then sent on time.

`python -m fieldgate.bench.generator` takes orders as JSON lines and answers each with one.
Every device has a TCP connection of its own and writes one MQTT packet at a time, as a
device would; it reads its PUBACKs and receipts. Packets are encoded before the clock
starts. It never slows down to what the gateway takes: what it could not send on time it says.
"""

from __future__ import annotations

import contextlib
import gc
import select
import socket
import time
from array import array
from collections.abc import Callable, Sequence
from itertools import cycle, islice
from typing import Any

import msgpack
from msgspec import Struct

from fieldgate.bench import wire
from fieldgate.bench.drives import BOOT, backlog, drives, message
from fieldgate.bench.orders import obey
from protocols.native import topics
from protocols.native.topics import DEFAULT_PREFIX, Down, Up

DRIVE_S = 60
TICK_S = 0.001
READ_EVERY_S = 0.1
CONNECT_TIMEOUT_S = 30.0
MAX_AT_ONCE = 500


class Device:
    """One device at one broker: its connection, and what it has been told."""

    def __init__(self, name: str, number: int) -> None:
        self.name = name
        self.number = number
        self.socket = socket.socket()
        self.stream = wire.Stream()
        self.acknowledged = 0
        self.held_to = 0

    def connect(self, host: str, port: int, password: str) -> None:
        """Send what a device sends when it comes online; the answers are read later."""
        self.socket.connect((host, port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        online = msgpack.packb({"online": True, "boot": BOOT, "kind": "vehicle_terminal"})
        presence = topics.up(DEFAULT_PREFIX, self.name, Up.PRESENCE)
        self.socket.sendall(
            wire.connect(self.name, self.name, password)
            + wire.subscribe(f"{DEFAULT_PREFIX}/v1/{self.name}/dn/#", 1)
            + wire.publish(presence, online, qos=1, mid=1, retain=True)
        )

    def read(self) -> None:
        """Take what has come."""
        data = self.socket.recv(65536)
        if not data:
            raise ConnectionError(f"the broker has dropped {self.name}")
        for packet in self.stream.feed(data):
            if packet.kind == wire.PUBACK:
                self.acknowledged += 1
            elif packet.kind == wire.CONNACK and packet.body[1]:
                raise ConnectionError(f"the broker refuses {self.name}: {packet.body[1]}")
            elif packet.kind == wire.PUBLISH:
                self._take(wire.Message.of(packet))

    def _take(self, down: wire.Message) -> None:
        if down.mid:
            self.socket.sendall(wire.puback(down.mid))
        if down.topic.endswith(f"/{Down.RECEIPT}"):
            receipt = msgpack.unpackb(down.payload, strict_map_key=False)
            if receipt["boot"] == BOOT:
                self.held_to = max(self.held_to, receipt["t"])


class Crowd:
    """All devices at one broker."""

    def __init__(self) -> None:
        self.devices: list[Device] = []
        self._poll = select.epoll()
        self._by_number: dict[int, Device] = {}

    def connect(self, host: str, port: int, accounts: Sequence[tuple[str, str]]) -> None:
        """Bring these devices online; return when the broker has acknowledged each."""
        online = {device.name for device in self.devices}
        for name, password in accounts:
            device = Device(name, len(self.devices))
            device.connect(host, port, password)
            self.devices.append(device)
            self._by_number[device.socket.fileno()] = device
            self._poll.register(device.socket, select.EPOLLIN)
            self.read(0)
        self.wait(lambda each: each.name in online or each.acknowledged >= 1, CONNECT_TIMEOUT_S)
        for device in self.devices:
            device.acknowledged = 0

    def read(self, timeout_s: float) -> None:
        """Take what has come at any of them."""
        for number, _ in self._poll.poll(timeout_s, maxevents=max(1, len(self.devices))):
            self._by_number[number].read()

    def wait(self, done: Callable[[Device], bool], timeout_s: float) -> int:
        """Read until ``done`` says so of each device, or the time is over; how many are done."""
        deadline = time.monotonic() + timeout_s
        while True:
            ready = sum(map(done, self.devices))
            if ready == len(self.devices) or time.monotonic() > deadline:
                return ready
            self.read(0.05)

    def close(self) -> None:
        """All go offline, where their broker is still there."""
        for device in self.devices:
            with contextlib.suppress(OSError):
                device.socket.sendall(wire.disconnect())
            device.socket.close()
        self._poll.close()


class Order(Struct, kw_only=True):
    """What to do: connect, load, go, settle, close; speak, say. ``to``: which crowd.

    ``count`` fixes at ``rate`` fixes a second, ``batch`` in a message. ``since_ms``: the time
    of the first, ``every_ms`` from one fix of a device to its next; else fixes are as of when
    they are sent, and those of a batch up to now.
    """

    do: str
    to: str = ""
    host: str = ""
    port: int = 0
    accounts: list[tuple[str, str]] = []
    devices: int = 0
    count: int = 0
    rate: float = 0.0
    qos: int = 0
    batch: int = 1
    since_ms: int | None = None
    every_ms: int = 1000
    timeout_s: float = 0.0
    anew: bool = False
    numbers: list[int] = []


class Generator:
    """Carries out orders."""

    def __init__(self) -> None:
        self._crowds: dict[str, Crowd] = {}
        self._drives: list[list[bytes]] = []
        self._next_seq: list[int] = []
        self._packets: list[bytes] = []
        self._batch = 1
        self._voice: socket.socket
        self._said: array[int]

    def connect(self, order: Order) -> dict[str, Any]:
        """Bring devices online at a broker."""
        crowd = self._crowds.setdefault(order.to, Crowd())
        crowd.connect(order.host, order.port, order.accounts)
        return {"connected": len(crowd.devices)}

    def load(self, order: Order) -> dict[str, Any]:
        """Encode the packets, the devices taking turns."""
        names = [device.name for device in self._crowds[order.to].devices]
        if len(self._drives) < len(names):
            self._drives = drives(len(names), DRIVE_S)
            self._next_seq = [1] * len(names)
        up = [topics.up(DEFAULT_PREFIX, name, Up.POS) for name in names]
        time_of = self._times(order, order.count // len(names))
        self._packets, self._batch = [], order.batch
        for n in range(order.count // order.batch):
            which = n % len(names)
            drive, seq = self._drives[which], self._next_seq[which]
            self._next_seq[which] = seq + order.batch
            fixes = [
                message(drive[each % len(drive)], each, time_of(n, each))
                for each in range(seq, seq + order.batch)
            ]
            payload = fixes[0] if order.batch == 1 else backlog(fixes)
            mid = 1 + n // len(names) % 65535
            self._packets.append(wire.publish(up[which], payload, qos=order.qos, mid=mid))
        gc.freeze()  # so many objects: the collector need not look at them while we send
        return {
            "loaded": len(self._packets),
            "bytes": sum(map(len, self._packets)),
            "payload_bytes": len(self._packets[0]),
        }

    def _times(self, order: Order, own: int) -> Callable[[int, int], int]:
        """The time of a fix by the number of its message and its own; ``own``: each device's."""
        now = now_ms()
        if order.since_ms is None and order.batch == 1:
            # When it will be sent, once all are encoded: soon.
            return lambda n, _: now + int(1000 / order.rate * n)
        # A backlog ends now.
        newest = self._next_seq[0] + own
        since = now - newest * order.every_ms if order.since_ms is None else order.since_ms
        return lambda _, each: since + (each - 1) * order.every_ms

    def go(self, order: Order) -> dict[str, Any]:
        """Send all that is loaded, at that rate; 0 is as fast as the sockets take it."""
        crowd, packets = self._crowds[order.to], self._packets
        for device in crowd.devices:
            device.acknowledged = 0
        ways = islice(cycle([device.socket.sendall for device in crowd.devices]), len(packets))
        outgoing = zip(ways, packets, strict=True)
        per_s = order.rate / self._batch if order.rate else float("inf")
        sent, begun, cpu_s = 0, time.monotonic(), time.process_time()
        read_at, late_s = begun, 0.0
        while sent < len(packets):
            now = time.monotonic()
            due = min(len(packets), int((now - begun) * per_s) + 1) if order.rate else len(packets)
            late_s = max(late_s, now - begun - sent / per_s)
            some = min(due - sent, MAX_AT_ONCE)
            for send, packet in islice(outgoing, some):
                send(packet)
            sent += some
            if now >= read_at:
                crowd.read(0)
                read_at = now + READ_EVERY_S
            if sent == due:
                time.sleep(TICK_S)
        seconds = time.monotonic() - begun
        return {
            "sent": sent,
            "seconds": seconds,
            "late_s": late_s,
            "cpu_s": time.process_time() - cpu_s,
        }

    def settle(self, order: Order) -> dict[str, Any]:
        """Wait until every device has a receipt for all it has sent, or the time is over."""
        crowd = self._crowds[order.to]
        receipted = crowd.wait(
            lambda device: device.held_to >= self._next_seq[device.number] - 1, order.timeout_s
        )
        return {
            "devices": len(crowd.devices),
            "receipted": receipted,
            "acknowledged": sum(device.acknowledged for device in crowd.devices),
        }

    def speak(self, order: Order) -> dict[str, Any]:
        """One connection that speaks for so many devices, where a broker lets it."""
        self._voice = socket.create_connection((order.host, order.port))
        self._voice.sendall(wire.connect("voice"))
        self._voice.recv(4)
        self._said = array("L", bytes(array("L").itemsize * order.count))
        self._drives = drives(100, DRIVE_S)
        return {"devices": len(self._said)}

    def say(self, order: Order) -> dict[str, Any]:
        """One fix of each of these devices, by their numbers, as fast as the socket takes it."""
        packets = []
        for number in order.numbers:
            self._said[number] += 1
            seq, drive = self._said[number], self._drives[number % len(self._drives)]
            fix = message(drive[seq % len(drive)], seq, now_ms())
            topic = topics.up(DEFAULT_PREFIX, f"known-{number:07}", Up.POS)
            packets.append(wire.publish(topic, fix, qos=0))
        self._voice.sendall(b"".join(packets))
        return {"said": len(packets)}

    def close(self, order: Order) -> dict[str, Any]:
        """The devices go offline; those that come next go on counting, or ``anew``."""
        self._crowds.pop(order.to).close()
        if order.anew:
            self._next_seq = [1] * len(self._next_seq)
        return {"closed": order.to}


def now_ms() -> int:
    """Milliseconds since 1970 UTC."""
    return time.time_ns() // 1_000_000


if __name__ == "__main__":
    obey(Generator(), Order)
