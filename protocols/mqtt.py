"""MQTT 5 as one who mostly listens says and hears it: bytes to packets, and the few it sends.

The general client of the priority lane is a library's. A city's telemetry comes at tens of
thousands of messages a second, where the cost per message decides (docs/decisions/0008):
``Listener`` takes apart whatever bytes the socket gave, all PUBLISH packets in them in one go.
Clauses are those of the OASIS MQTT 5.0 specification.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import NamedTuple, TypeAlias, cast

from protocols.errors import Malformed, TooLarge

Publish: TypeAlias = tuple[int, bytes, bytes, int, bytes]
"""A PUBLISH's first byte (3.3.1), topic, packet identifier (none at QoS 0), the byte where the
length of its properties begins, payload: a plain tuple, for there are many."""

CONNACK, PUBLISH, PUBACK, SUBACK, PINGRESP, DISCONNECT = 2, 3, 4, 9, 13, 14
PINGREQ = b"\xc0\x00"
GOODBYE = b"\xe0\x00"
MAX_PACKET_BYTES = 1024 * 1024
"""Longer than any packet that a broker may bring us: its length is a fault (2.1.4)."""

_FORM_BYTES = 6
_FORMS_KEPT = 4096

_MESSAGE_EXPIRY, _SESSION_EXPIRY, _SERVER_KEEP_ALIVE, _RECEIVE_MAXIMUM = 0x02, 0x11, 0x13, 0x21
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
    """The broker's answer to CONNECT (3.2).

    ``is_resumed``: it has our session. ``keepalive_s``: what it demands instead of ours.
    ``receive_maximum``: so many of our messages may be under way at once.
    """

    reason: int
    is_resumed: bool
    keepalive_s: int | None
    receive_maximum: int


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
        # The first six bytes of a PUBLISH tell its form, and there are few: QoS, length, length
        # of the topic. To look a form up is quicker than to work it out.
        self._forms: dict[bytes, tuple[Callable[[bytes, int], Publish], int]] = {}

    def feed(self, data: bytes) -> Heard:
        """The whole packets in what has come so far. Raise ProtocolError: the stream is broken."""
        if self._rest:
            data = self._rest + data
        publishes: list[Publish] = []
        packets: list[Packet] = []
        acknowledgements = bytearray()
        at, end, forms = 0, len(data), self._forms
        while at < end:
            form = forms.get(data[at : at + _FORM_BYTES])
            if form is None:
                kind, body, stop = _frame(data, at)
                if stop > end:
                    break
                if kind == PUBLISH:
                    self._learn(data, at, body, stop)
                else:
                    packets.append(Packet(kind, data[body:stop]))
                    at = stop
                continue
            unpack, size = form
            stop = at + size
            if stop > end:
                break
            publish = unpack(data, at)
            if publish[2]:
                acknowledgements += b"\x40\x02" + publish[2]
            if publish[3]:
                publish = _without_properties(publish)
            publishes.append(publish)
            at = stop
        self._rest = data[at:]
        return Heard(publishes, packets, bytes(acknowledgements))

    def _learn(self, data: bytes, at: int, body: int, stop: int) -> None:
        """Keep the form of the PUBLISH that starts at ``at``, its variable header at ``body``."""
        before = body + 1 - at
        topic = int.from_bytes(data[body : body + 2])
        number = 2 if data[at] & 0x06 else 0
        payload = stop - at - before - 2 - topic - number
        if payload < 0:
            raise Malformed(f"a PUBLISH of {stop - at} bytes is shorter than it says")
        if len(self._forms) >= _FORMS_KEPT:
            self._forms.clear()
        form = struct.Struct(f"B{before}x{topic}s{number}sB{payload}s")
        unpack = cast("Callable[[bytes, int], Publish]", form.unpack_from)
        self._forms[data[at : at + _FORM_BYTES]] = unpack, form.size


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


def publish(topic: str, payload: bytes, *, number: int, expiry_s: int) -> bytes:
    """PUBLISH (3.3) at QoS 1 under a packet identifier, with a message expiry."""
    body = _text(topic) + struct.pack(">HBBI", number, 5, _MESSAGE_EXPIRY, expiry_s)
    return _packet(0x32, body + payload)


def again(packet: bytes) -> bytes:
    """The same PUBLISH, marked as sent before (3.3.1.1)."""
    return bytes([packet[0] | 0x08]) + packet[1:]


def read_connack(body: bytes) -> Connack:
    """A CONNACK's body; raise Malformed."""
    try:
        reason = body[1]
        found = _variable_int(body, 2)
        if found is None:
            raise Malformed("a CONNACK ends within its properties")
        length, at = found
        keepalive_s, receive_maximum, stop = None, 65535, at + length
        while at < stop:
            size = _PROPERTY_SIZES[body[at]]
            if body[at] == _SERVER_KEEP_ALIVE:
                (keepalive_s,) = struct.unpack_from(">H", body, at + 1)
            elif body[at] == _RECEIVE_MAXIMUM:
                (receive_maximum,) = struct.unpack_from(">H", body, at + 1)
            at += 1
            if isinstance(size, int):
                at += size
                continue
            for _ in size:
                at += 2 + struct.unpack_from(">H", body, at)[0]
    except (IndexError, KeyError, struct.error) as error:
        raise Malformed(f"a CONNACK that cannot be read: {body.hex()}") from error
    return Connack(reason, bool(body[0] & 0x01), keepalive_s, receive_maximum)


def read_suback(body: bytes) -> list[int]:
    """The reason codes of a SUBACK (3.9.3), one a filter: the QoS granted, 0x80 and up refused."""
    found = _variable_int(body, 2)
    if found is None:
        raise Malformed("a SUBACK ends within its properties")
    length, at = found
    return list(body[at + length :])


def _frame(data: bytes, at: int) -> tuple[int, int, int]:
    """A packet's type, where its variable header starts, and where it ends; beyond the data if
    not even that is there yet."""
    found = _variable_int(data, at + 1)
    if found is None:
        return 0, len(data), len(data) + 1
    length, body = found
    if length > MAX_PACKET_BYTES:
        raise TooLarge("bytes of an MQTT packet", MAX_PACKET_BYTES, length)
    return data[at] >> 4, body, body + length


def _without_properties(publish: Publish) -> Publish:
    """The PUBLISH with nothing but its payload where its properties and its payload stood."""
    head, topic, number, first, rest = publish
    length, after = _variable_int(bytes([first]) + rest, 0) or (0, len(rest) + 2)
    if after + length > len(rest) + 1:
        raise Malformed("a PUBLISH ends within its properties")
    return head, topic, number, 0, rest[after - 1 + length :]


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
