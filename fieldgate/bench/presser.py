"""Alarm boxes and whoever waits for their alarms, in one process with one clock.

`python -m fieldgate.bench.presser` takes orders as JSON lines. An alarm's time runs from
just before its PUBLISH at QoS 1 is written to the box's socket until its event has been
read from the gateway's stream of server-sent events. The reference, in the same process:
a PUBLISH at QoS 1 through a broker like the gateway's own until a subscriber has it, and
then 4 KiB written over and fdatasynced on the gateway's disk.
"""

from __future__ import annotations

import os
import random
import re
import select
import socket
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from msgspec import Struct

from fieldgate.bench import wire
from fieldgate.bench.box import BOOT, Link, alarm_packet, receipted, receipts_of
from fieldgate.bench.orders import obey
from fieldgate.bench.parts import Account
from protocols.native import topics
from protocols.native.topics import DEFAULT_PREFIX, Up

GAP_S = (0.01, 0.11)
"""Between two presses, at random: they meet every phase of the gateway's groups."""

LOST_S = 20.0
SYNCED_BYTES, SYNCED_PAGES = 4096, 256


class Orders(Struct, kw_only=True):
    """``meet``: connect all. ``press``: so many alarms, and as many references ``at_rest``."""

    do: str
    gateway: tuple[str, int] = ("", 0)
    http: str = ""
    authorization: str = ""
    boxes: list[tuple[str, str]] = []
    broker: tuple[str, int] = ("", 0)
    subscriber: tuple[str, str] = ("", "")
    folder: str = ""
    count: int = 0
    at_rest: bool = False


class Feed:
    """The gateway's stream of raised alarms."""

    _ID = re.compile(rb'"id":"([^"]+)"')

    def __init__(self, address: str, authorization: str) -> None:
        host, _, port = address.rpartition(":")
        self.socket = socket.create_connection((host, int(port)))
        self.socket.sendall(
            f"GET /api/v1/events/stream?types=alarm.raised HTTP/1.1\r\nHost: {address}\r\n"
            f"Authorization: {authorization}\r\nAccept: text/event-stream\r\n\r\n".encode()
        )
        self._rest = b""
        while b"\n\n" not in self._rest:  # its first comment: it is on
            self._rest += self.socket.recv(65536)

    def read(self) -> list[str]:
        """The ids of the alarms that have come."""
        lines = (self._rest + self.socket.recv(65536)).split(b"\n")
        self._rest = lines.pop()
        return [name.decode() for line in lines for name in self._ID.findall(line)]


class Presser:
    """Carries out orders."""

    def __init__(self) -> None:
        self._rng = random.Random()
        self._boxes: list[Link] = []
        self._seqs: Counter[Link] = Counter()
        self._feed: Feed
        self._sender: Link
        self._receiver: Link
        self._file: int

    def meet(self, orders: Orders) -> dict[str, Any]:
        """Connect to everything."""
        boxes = [Account(*each) for each in orders.boxes]
        self._boxes = [Link(orders.gateway, box, receipts_of(box.user)) for box in boxes]
        self._feed = Feed(orders.http, orders.authorization)
        alarms = topics.up(DEFAULT_PREFIX, "+", Up.ALARM)
        self._receiver = Link(orders.broker, Account(*orders.subscriber), alarms)
        self._sender = Link(orders.broker, boxes[0], receipts_of(boxes[0].user))
        path = Path(orders.folder) / "synced"
        path.write_bytes(bytes(SYNCED_BYTES * SYNCED_PAGES))
        self._file = os.open(path, os.O_WRONLY)
        os.fsync(self._file)
        return {"boxes": len(self._boxes)}

    def press(self, orders: Orders) -> dict[str, Any]:
        """Alarms at random moments, and what it took in ms; lost ones are missing."""
        pressed: dict[str, float] = {}
        fed: dict[str, float] = {}
        told: dict[str, float] = {}
        references: list[float] = []
        poll = self._poll()
        next_s = time.monotonic() + self._gap_s()
        while len(fed) < orders.count or len(told) < orders.count:
            now = time.monotonic()
            idle = len(pressed) == len(fed) == len(told)
            if now >= next_s and len(pressed) < orders.count and (idle or not orders.at_rest):
                if orders.at_rest and len(references) <= len(pressed):
                    references.append(self._refer())
                else:
                    name, at = self._press(len(pressed))
                    pressed[name] = at
                next_s = time.monotonic() + self._gap_s()
            wait_s = next_s - time.monotonic() if len(pressed) < orders.count else 0.1
            for number, _ in poll.poll(max(0.0, wait_s)):
                if number == self._feed.socket.fileno():
                    seen = time.perf_counter()
                    fed.update((name, seen) for name in self._feed.read() if name in pressed)
                else:
                    self._read_receipts(number, told)
            if pressed and time.perf_counter() - max(pressed.values()) > LOST_S:
                break
        return {
            "feed_ms": [1000 * (fed[name] - at) for name, at in pressed.items() if name in fed],
            "receipt_ms": [
                1000 * (told[name] - at) for name, at in pressed.items() if name in told
            ],
            "reference_ms": references,
        }

    def _poll(self) -> select.poll:
        poll = select.poll()
        for each in (self._feed.socket, *(box.socket for box in self._boxes)):
            poll.register(each, select.POLLIN)
        return poll

    def _gap_s(self) -> float:
        return self._rng.uniform(*GAP_S)

    def _press(self, number: int) -> tuple[str, float]:
        """One alarm of the next box: its id, and when it was sent."""
        box = self._boxes[number % len(self._boxes)]
        seq, device = self._next_seq(box), box.account.user
        packet = alarm_packet(device, seq)
        at = time.perf_counter()
        box.socket.sendall(packet)
        return f"{device}:{BOOT}:p:{seq}", at

    def _next_seq(self, link: Link) -> int:
        self._seqs[link] += 1
        return self._seqs[link]

    def _read_receipts(self, number: int, told: dict[str, float]) -> None:
        box = next(box for box in self._boxes if box.socket.fileno() == number)
        seen = time.perf_counter()
        for seq in receipted(box.read()):
            told.setdefault(f"{box.account.user}:{BOOT}:p:{seq}", seen)

    def _refer(self) -> float:
        """The raw round trip and one sync, in ms."""
        seq = self._next_seq(self._sender)
        packet = alarm_packet(self._sender.account.user, seq)
        begun = time.perf_counter()
        self._sender.socket.sendall(packet)
        while not _has_message(self._receiver.read()):
            pass
        page = seq % SYNCED_PAGES
        os.pwrite(self._file, packet.ljust(SYNCED_BYTES, b"."), page * SYNCED_BYTES)
        os.fdatasync(self._file)
        took = time.perf_counter() - begun
        self._sender.read()  # its PUBACK
        return 1000 * took


def _has_message(packets: Sequence[wire.Packet]) -> bool:
    return any(packet.kind == wire.PUBLISH for packet in packets)


if __name__ == "__main__":
    obey(Presser(), Orders)
