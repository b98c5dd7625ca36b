"""MQTT 3.1.1 packets as bytes: as much of it as a device on a raw socket needs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

CONNACK, PUBLISH, PUBACK, SUBACK = 2, 3, 4, 9
KEEPALIVE_S = 3600


class Packet(NamedTuple):
    """A packet that came: its kind, the low bits of its first byte, what follows the length."""

    kind: int
    flags: int
    body: bytes


def connect(client_id: str, user: str = "", password: str = "") -> bytes:
    """A clean session under this name; without a user it is anonymous."""
    flags = 0b1100_0010 if user else 0b0000_0010  # user name, password; clean session
    head = _text("MQTT") + bytes([4, flags]) + KEEPALIVE_S.to_bytes(2) + _text(client_id)
    return _packet(0x10, head + (_text(user) + _text(password) if user else b""))


def subscribe(topic: str, qos: int) -> bytes:
    """Under packet identifier 1."""
    return _packet(0x82, b"\x00\x01" + _text(topic) + bytes([qos]))


def publish(topic: str, payload: bytes, *, qos: int, mid: int = 0, retain: bool = False) -> bytes:
    """A message; ``mid`` is its packet identifier at QoS 1."""
    number = mid.to_bytes(2) if qos else b""
    return _packet(0x30 | qos << 1 | retain, _text(topic) + number + payload)


def puback(mid: int) -> bytes:
    """The message of that packet identifier is ours."""
    return b"\x40\x02" + mid.to_bytes(2)


def disconnect() -> bytes:
    """Leave in good order: no will is sent."""
    return b"\xe0\x00"


class Message(NamedTuple):
    """A PUBLISH taken apart; ``mid`` is 0 at QoS 0."""

    topic: str
    mid: int
    payload: bytes

    @classmethod
    def of(cls, packet: Packet) -> Message:
        """The message in a PUBLISH."""
        end = 2 + int.from_bytes(packet.body[:2])
        topic = packet.body[2:end].decode()
        if packet.flags & 0b0110 == 0:
            return cls(topic, 0, packet.body[end:])
        return cls(topic, int.from_bytes(packet.body[end : end + 2]), packet.body[end + 2 :])


class Stream:
    """Bytes as they come, cut into packets."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> Iterator[Packet]:
        """The packets that are whole now."""
        rest = self._rest + data
        at = 0
        while (head := _length(rest, at + 1)) is not None:
            start, length = head
            if len(rest) < start + length:
                break
            yield Packet(rest[at] >> 4, rest[at] & 15, rest[start : start + length])
            at = start + length
        self._rest = rest[at:]


def _length(data: bytes, at: int) -> tuple[int, int] | None:
    """Where the body begins and how long it is; None while that has not come."""
    length = 0
    for n in range(4):
        if at + n >= len(data):
            return None
        length |= (data[at + n] & 0x7F) << 7 * n
        if data[at + n] < 0x80:
            return at + n + 1, length
    raise ValueError("a remaining length of more than four bytes")


def _packet(first: int, body: bytes) -> bytes:
    length, size = bytearray(), len(body)
    while True:
        size, digit = size >> 7, size & 0x7F
        length.append(digit | (0x80 if size else 0))
        if not size:
            return bytes([first]) + bytes(length) + body


def _text(text: str) -> bytes:
    data = text.encode()
    return len(data).to_bytes(2) + data
