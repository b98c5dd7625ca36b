"""An alarm box that presses and keeps at it, across lost connections, until it has its receipt."""

from __future__ import annotations

import contextlib
import select
import socket
import time
from collections.abc import Iterator

import msgpack

from fieldgate.bench import wire
from fieldgate.bench.parts import Account, PartFailed
from protocols.native import topics
from protocols.native.topics import DEFAULT_PREFIX, Down, Up

BOOT = 1
RETRY_S, RESEND_S, GIVE_UP_S = 0.02, 2.0, 60.0


class Link:
    """A box's connection to a broker. It reads what comes and acknowledges it."""

    def __init__(self, at: tuple[str, int], account: Account, topic: str) -> None:
        self.account = account
        self._stream = wire.Stream()
        self.socket = socket.create_connection(at, 5)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        user, password = account
        self.socket.sendall(wire.connect(user, user, password) + wire.subscribe(topic, 1))
        try:
            while not any(packet.kind == wire.SUBACK for packet in self.read()):
                pass
        except OSError:
            self.socket.close()
            raise

    def read(self) -> list[wire.Packet]:
        """What has come."""
        data = self.socket.recv(65536)
        if not data:
            raise ConnectionError(f"the broker has dropped {self.account.user}")
        packets = list(self._stream.feed(data))
        for packet in packets:
            if packet.kind == wire.PUBLISH:
                self.socket.sendall(wire.puback(wire.Message.of(packet).mid))
        return packets


def alarm_packet(device: str, seq: int) -> bytes:
    """A press of the box's button."""
    place = {"lat": 24.5108, "lon": 117.6471, "fix": 3, "acc": 3.1}
    now_ms = time.time_ns() // 1_000_000
    alarm = {"boot": BOOT, "seq": seq, "t": now_ms, "kind": "panic", "pos": place}
    topic = topics.up(DEFAULT_PREFIX, device, Up.ALARM)
    return wire.publish(topic, msgpack.packb(alarm), qos=1, mid=1 + seq % 65535)


def receipted(packets: list[wire.Packet]) -> Iterator[int]:
    """The numbers of the alarms whose stage these packets tell."""
    for packet in packets:
        if packet.kind == wire.PUBLISH:
            receipt = msgpack.unpackb(wire.Message.of(packet).payload, strict_map_key=False)
            yield from (stage["seq"] for stage in receipt.get("alarms", ()))


def receipts_of(device: str) -> str:
    """The topic that it is told on."""
    return topics.down(DEFAULT_PREFIX, device, Down.RECEIPT)


class AlarmBox:
    """One box; its numbers go on from press to press."""

    def __init__(self, account: Account) -> None:
        self._account = account
        self._seq = 0

    def press_until_receipted(self, at: tuple[str, int]) -> None:
        """One new alarm; return when its receipt is here."""
        self._seq += 1
        give_up = time.monotonic() + GIVE_UP_S
        while time.monotonic() < give_up:
            with contextlib.suppress(OSError):
                link = Link(at, self._account, receipts_of(self._account.user))
                with contextlib.closing(link.socket):
                    if self._told(link):
                        return
            time.sleep(RETRY_S)  # the broker is not there yet
        raise PartFailed(f"the alarm has no receipt within {GIVE_UP_S:g} s")

    def _told(self, link: Link) -> bool:
        """Whether the receipt has come before it is time to send again."""
        link.socket.sendall(alarm_packet(self._account.user, self._seq))
        until = time.monotonic() + RESEND_S
        while (left_s := until - time.monotonic()) > 0:
            if select.select([link.socket], [], [], left_s)[0] and self._seq in receipted(
                link.read()
            ):
                return True
        return False
