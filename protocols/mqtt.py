"""MQTT 5 as one who only listens says and hears it: bytes to packets, and the few it answers with.

The general client of the priority lane is a library's. A city's telemetry comes at tens of
thousands of messages a second, where the cost per message decides (docs/decisions/0008):
``Listener`` takes apart whatever bytes the socket gave, all PUBLISH packets in them in one go.
Clauses are those of the OASIS MQTT 5.0 specification.
"""

from __future__ import annotations

import struct
from typing import NamedTuple, TypeAlias

from protocols.errors import Malformed, TooLarge

Publish: TypeAlias = tuple[bytes, bytes, int]
"""Topic, payload and the packet's first byte (3.3.1): a plain tuple, for there are many."""

CONNACK, PUBLISH, SUBACK, PINGRESP, DISCONNECT = 2, 3, 9, 13, 14
PINGREQ = b"\xc0\x00"
GOODBYE = b"\xe0\x00"
MAX_PACKET_BYTES = 1024 * 1024
"""Longer than any packet that a broker may bring us: its length is a fault (2.1.4)."""

_SESSION_EXPIRY, _SERVER_KEEP_ALIVE, _RECEIVE_MAXIMUM = 0x11, 0x13, 0x21
# How the value of each property of CONNACK is written (2.2.2.2): its bytes, or an "s" a string.
_PROPERTY_SIZES: dict[int, int | str] = {
    _SESSION_EXPIRY: 4, 0x12: "s", _SERVER_KEEP_ALIVE: 2, 0x15: "s", 0x16: "s", 0x1A: "s",
    0x1C: "s", 0x1F: "s", _RECEIVE_MAXIMUM: 2, 0x22: 2, 0x24: 1, 0x25: 1, 0x26: "ss", 0x27: 4,
    0x28: 1, 0x29: 1, 0x2A: 1,
}  # fmt: skip


class Packet(NamedTuple):
    """A packet that is no PUBLISH: its type (2.1.2), and what follows the fixed header."""

    kind: int
    body: bytes


class Connack(NamedTuple):
    """The broker's answer to CONNECT (3.2). ``keepalive_s``: what it demands instead of ours."""

    reason: int
    keepalive_s: int | None


class Heard(NamedTuple):
    """What some bytes held. ``acknowledgements``: the PUBACKs owed for it, to send when it is
    taken."""

    publishes: list[Publish]
    packets: list[Packet]
    acknowledgements: bytes


class Listener:
    """Takes the broker's bytes apart, however they were cut."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> Heard:
        """The whole packets in what has come so far. Raise ProtocolError: the stream is broken."""
        if self._rest:
            data = self._rest + data
        publishes: list[Publish] = []
        packets: list[Packet] = []
        acknowledgements = bytearray()
        at, end = 0, len(data)
        while end - at >= 2:
            head, length = data[at], data[at + 1]
            body = at + 2
            if length & 0x80:
                if body < end and data[body] < 0x80:
                    length, body = length & 0x7F | data[body] << 7, body + 1
                elif (long := _variable_int(data, at + 1)) is not None:
                    length, body = long
                    if length > MAX_PACKET_BYTES:
                        raise TooLarge("bytes of an MQTT packet", MAX_PACKET_BYTES, length)
                else:
                    break
            stop = body + length
            if stop > end:
                break
            if head & 0xF0 == 0x30:
                # Written out for speed: every message of a city passes through these lines.
                topic_from = body + 2
                topic_to = payload_from = topic_from + (data[body] << 8 | data[body + 1])
                if head & 0x06:
                    payload_from += 2
                    acknowledgements += b"\x40\x02" + data[topic_to:payload_from]
                if payload_from >= stop:
                    raise Malformed(f"a PUBLISH of {length} bytes is shorter than it says")
                if properties := data[payload_from]:
                    payload_from = _after_properties(data, payload_from, properties)
                payload_from += 1
                if payload_from > stop:
                    raise Malformed(f"a PUBLISH of {length} bytes is shorter than it says")
                publishes.append((data[topic_from:topic_to], data[payload_from:stop], head))
            else:
                packets.append(Packet(head >> 4, data[body:stop]))
            at = stop
        self._rest = data[at:]
        return Heard(publishes, packets, bytes(acknowledgements))


def qos(head: int) -> int:
    """The quality of service in a PUBLISH's first byte."""
    return head >> 1 & 0x03


def is_retained(head: int) -> bool:
    """Whether a PUBLISH was delivered as retained, by its first byte."""
    return bool(head & 0x01)


def connect(
    client_id: str,
    user: str | None,
    password: str | None,
    *,
    keepalive_s: int,
    session_s: int,
    receive_maximum: int,
) -> bytes:
    """CONNECT (3.1), going on with the session that the broker may have."""
    flags = (0x80 if user is not None else 0) | (0x40 if password is not None else 0)
    properties = struct.pack(">BIBH", _SESSION_EXPIRY, session_s, _RECEIVE_MAXIMUM, receive_maximum)
    body = _text("MQTT") + struct.pack(">BBH", 5, flags, keepalive_s)
    body += bytes([len(properties)]) + properties + _text(client_id)
    body += b"".join(_text(each) for each in (user, password) if each is not None)
    return _packet(0x10, body)


def subscribe(number: int, filters: list[tuple[str, int]]) -> bytes:
    """SUBSCRIBE (3.8) under a packet identifier: topic filters with the QoS wanted."""
    body = struct.pack(">HB", number, 0)
    return _packet(0x82, body + b"".join(_text(each) + bytes([qos]) for each, qos in filters))


def read_connack(body: bytes) -> Connack:
    """A CONNACK's body; raise Malformed."""
    try:
        reason = body[1]
        found = _variable_int(body, 2)
        if found is None:
            raise Malformed("a CONNACK ends within its properties")
        length, at = found
        keepalive_s, stop = None, at + length
        while at < stop:
            size = _PROPERTY_SIZES[body[at]]
            if body[at] == _SERVER_KEEP_ALIVE:
                (keepalive_s,) = struct.unpack_from(">H", body, at + 1)
            at += 1
            if isinstance(size, int):
                at += size
                continue
            for _ in size:
                at += 2 + struct.unpack_from(">H", body, at)[0]
    except (IndexError, KeyError, struct.error) as error:
        raise Malformed(f"a CONNACK that cannot be read: {body.hex()}") from error
    return Connack(reason, keepalive_s)


def read_suback(body: bytes) -> list[int]:
    """The reason codes of a SUBACK (3.9.3), one a filter: the QoS granted, 0x80 and up refused."""
    found = _variable_int(body, 2)
    if found is None:
        raise Malformed("a SUBACK ends within its properties")
    length, at = found
    return list(body[at + length :])


def _after_properties(data: bytes, at: int, first: int) -> int:
    """The position of the last byte of the properties whose length stands at ``at``."""
    if first < 0x80:
        return at + first
    found = _variable_int(data, at)
    if found is None:
        raise Malformed("a PUBLISH ends within its properties")
    length, after = found
    return after + length - 1


def _variable_int(data: bytes, at: int) -> tuple[int, int] | None:
    """A variable byte integer (1.5.5) and where it ends; None where the bytes end first."""
    value = 0
    for shift in (0, 7, 14, 21):
        if at >= len(data):
            return None
        value |= (data[at] & 0x7F) << shift
        at += 1
        if data[at - 1] < 0x80:
            return value, at
    raise Malformed("a length of more than four bytes")


def _packet(head: int, body: bytes) -> bytes:
    length, rest = bytearray(), len(body)
    while True:
        rest, low = rest >> 7, rest & 0x7F
        length.append(low | 0x80 if rest else low)
        if not rest:
            return bytes([head]) + bytes(length) + body


def _text(text: str) -> bytes:
    encoded = text.encode()
    return struct.pack(">H", len(encoded)) + encoded
