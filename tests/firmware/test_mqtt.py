"""Does the firmware's MQTT client keep to the standard, however the bytes come?"""

from __future__ import annotations

import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware_stubs.alarm_box import mqtt

CONNACK = b"\x20\x02\x00\x00"
SUBACK = b"\x90\x03\x00\x01\x01"


class Owner:
    """Writes down what it is told."""

    def __init__(self) -> None:
        self.told: list[Any] = []

    def on_connack(self) -> None:
        self.told.append("connack")

    def on_suback(self) -> None:
        self.told.append("suback")

    def on_puback(self, token: int) -> None:
        self.told.append(("puback", token))

    def on_pong(self) -> None:
        self.told.append("pong")

    def on_message(self, topic: bytes, payload: memoryview) -> None:
        self.told.append((topic, bytes(payload)))


def publish(topic: bytes, payload: bytes, pid: int = 0, flags: int = 0) -> bytes:
    """A PUBLISH as a broker sends it."""
    body = struct.pack(">H", len(topic)) + topic
    if pid:
        flags |= 2
        body += struct.pack(">H", pid)
    body += payload
    size = bytearray()
    rest = len(body)
    while True:
        rest, low = divmod(rest, 128)
        size.append(low | (128 if rest else 0))
        if not rest:
            return bytes([0x30 | flags]) + bytes(size) + body


def feed(client: Any, data: bytes, piece: int = 1 << 20) -> None:
    """Bytes from the broker, in pieces as a socket gives them."""
    at = 0
    while at < len(data):
        room = client.room()
        assert len(room) > 0
        count = min(len(room), piece, len(data) - at)
        room[:count] = data[at : at + count]
        client.took(count, 0)
        at += count


def connected(in_size: int = 2048) -> tuple[Any, Owner]:
    """A client that a broker has let in."""
    owner = Owner()
    client = mqtt.Client(owner, in_size)
    feed(client, CONNACK)
    owner.told.clear()
    return client, owner


def out(client: Any) -> bytes:
    """What is to be sent, taken."""
    data = bytes(client.out[: client.out_end])
    client.sent(len(data))
    return data


def test_connect_as_the_standard_has_it() -> None:
    client = mqtt.Client(Owner())
    client.connect("box-1", "box-1", "secret", 10, "a/b", b"gone")
    assert out(client) == (
        b"\x10\x2b\x00\x04MQTT\x04\xee\x00\x0a\x00\x05box-1\x00\x03a/b\x00\x04gone"
        b"\x00\x05box-1\x00\x06secret"
    )


@pytest.mark.parametrize("piece", [1, 2, 3, 5, 1000])
def test_every_packet_in_every_piece(piece: int) -> None:
    owner = Owner()
    client = mqtt.Client(owner)
    client.publish("t", b"x", 1, False, 0, 42)
    taken = out(client)
    long = bytes(range(256)) * 5
    stream = CONNACK + SUBACK + publish(b"a/b", b"one") + publish(b"c", long, 9)
    stream += b"\x40\x02" + taken[-3:-1] + b"\xd0\x00"
    feed(client, stream, piece)
    assert owner.told == [
        "connack", "suback", (b"a/b", b"one"), (b"c", long), ("puback", 42), "pong",
    ]  # fmt: skip
    assert out(client) == b"\x40\x02\x00\x09"


def test_a_puback_that_nobody_waits_for_harms_nothing() -> None:
    client, owner = connected()
    feed(client, b"\x40\x02\x12\x34" * 2)
    client.publish("t", b"x", 1, False, 0, 7)
    pid = out(client)[-3:-1]
    feed(client, (b"\x40\x02" + pid) * 3)  # the same thrice
    assert owner.told == [("puback", 7)]


def test_pubacks_in_any_order() -> None:
    client, owner = connected()
    pids = []
    for token in range(5):
        assert client.publish("t", b"x", 1, False, 0, token)
        pids.append(out(client)[-3:-1])
    for token in (3, 0, 4, 1, 2):
        feed(client, b"\x40\x02" + pids[token])
    assert owner.told == [("puback", token) for token in (3, 0, 4, 1, 2)]


def test_a_message_repeated_is_acknowledged_again() -> None:
    client, owner = connected()
    feed(client, publish(b"a", b"x", 5) + publish(b"a", b"x", 5, flags=8))
    assert owner.told == [(b"a", b"x")] * 2
    assert out(client) == b"\x40\x02\x00\x05" * 2


@pytest.mark.parametrize("piece", [1, 7, 4096])
@pytest.mark.parametrize("pid", [0, 77])
def test_a_message_too_long_is_passed_over_and_acknowledged(pid: int, piece: int) -> None:
    client, owner = connected(512)
    stream = publish(b"a/b", bytes(60_000), pid) + publish(b"c", b"next")
    feed(client, publish(b"x", b"before") + stream, piece)
    assert owner.told == [(b"x", b"before"), (b"c", b"next")]
    assert out(client) == (b"\x40\x02\x00\x4d" if pid else b"")


def test_no_more_under_way_than_may_be() -> None:
    client, _ = connected()
    while client.publish("t", b"x", 1, False, 0, 0):
        out(client)
    assert client.room_in_flight() == 0
    assert client.publish("t", b"x", 0, False, 0)


def test_packet_ids_are_never_zero_and_never_in_use() -> None:
    client, owner = connected()
    client.publish("t", b"x", 1, False, 0, 99)
    kept = out(client)[-3:-1]
    for _ in range(70_000):
        assert client.publish("t", b"x", 1, False, 0, 1)
        pid = out(client)[-3:-1]
        assert pid not in (kept, b"\0\0")
        feed(client, b"\x40\x02" + pid)
    assert ("puback", 99) not in owner.told


def test_a_broker_that_never_acknowledges_is_noticed() -> None:
    client, _ = connected()
    client.restart(0)
    feed(client, CONNACK)
    client.publish("t", b"x", 1, False, 1000, 1)
    assert not client.is_ignored(1000 + mqtt.PUBACK_TIMEOUT_MS)
    assert client.is_ignored(1001 + mqtt.PUBACK_TIMEOUT_MS)


def test_one_lost_puback_is_waited_for_no_more() -> None:
    client, _ = connected()
    client.publish("t", b"x", 1, False, 1000, 1)
    out(client)
    client.publish("t", b"x", 1, False, 2000, 2)
    pid = out(client)[-3:-1]
    client.room()[:4] = b"\x40\x02" + pid
    client.took(4, 2001)
    assert not client.is_ignored(1001 + mqtt.PUBACK_TIMEOUT_MS)
    assert client.room_in_flight() == mqtt.MAX_IN_FLIGHT


def test_a_new_connection_begins_anew() -> None:
    client, owner = connected(512)
    feed(client, publish(b"a", bytes(1000))[:300])
    client.publish("t", b"x", 1, False, 0, 1)
    client.restart(0)
    assert out(client) == b""
    feed(client, CONNACK + publish(b"b", b"new"))
    assert owner.told == ["connack", (b"b", b"new")]
    assert client.room_in_flight() == mqtt.MAX_IN_FLIGHT


BROKEN = {
    "something before CONNACK": (False, publish(b"a", b"x")),
    "PINGRESP before CONNACK": (False, b"\xd0\x00"),
    "refused": (False, b"\x20\x02\x00\x05"),
    "CONNACK of a wrong size": (False, b"\x20\x03\x00\x00\x00"),
    "CONNACK twice": (True, CONNACK),
    "a length of five bytes": (True, b"\x30\xff\xff\xff\xff\x01"),
    "a length of five bytes first": (False, b"\x20\x80\x80\x80\x80\x01"),
    "QoS 2": (True, b"\x34\x06\x00\x01a\x00\x01x"),
    "QoS 3": (True, b"\x36\x06\x00\x01a\x00\x01x"),
    "packet id 0": (True, b"\x32\x06\x00\x01a\x00\x00x"),
    "a topic longer than its packet": (True, b"\x30\x03\x00\xffa"),
    "a packet id behind the end": (True, b"\x32\x03\x00\x01a"),
    "an empty PUBLISH": (True, b"\x30\x00"),
    "PUBACK of one byte": (True, b"\x40\x01\x00"),
    "a subscription refused": (True, b"\x90\x03\x00\x01\x80"),
    "a client's packet": (True, b"\xc0\x00"),
    "a reserved kind": (True, b"\x00\x00"),
    "a long packet that is no PUBLISH": (True, b"\x40\xff\xff\x7f" + bytes(3000)),
    "a long PUBLISH with a long topic": (True, b"\x30\xff\xff\x7f\x7f\xff" + bytes(3000)),
    "HTTP": (False, b"HTTP/1.1 400 Bad Request\r\n\r\n"),
}


@pytest.mark.parametrize(("is_connected", "stream"), BROKEN.values(), ids=BROKEN)
@pytest.mark.parametrize("piece", [1, 1000])
def test_what_a_broker_may_not_say(is_connected: bool, stream: bytes, piece: int) -> None:
    client = mqtt.Client(Owner())
    if is_connected:
        feed(client, CONNACK)
    with pytest.raises(mqtt.Broken):
        feed(client, stream, piece)


@given(st.lists(st.binary(min_size=1, max_size=80), max_size=30), st.booleans())
def test_noise_is_read_or_breaks_the_connection(pieces: list[bytes], is_connected: bool) -> None:
    client = mqtt.Client(Owner(), 256)
    try:
        if is_connected:
            feed(client, CONNACK)
        for piece in pieces:
            feed(client, piece)
    except mqtt.Broken:
        pass


@given(st.data())
def test_any_stream_in_any_pieces_says_the_same(data: st.DataObject) -> None:
    packets = data.draw(
        st.lists(
            st.builds(
                publish,
                st.sampled_from([b"a", b"field/v1/box/dn/cmd"]),
                st.binary(max_size=400),
                st.integers(0, 65535),
            )
            | st.sampled_from([SUBACK, b"\xd0\x00", b"\x40\x02\x00\x05"]),
            max_size=12,
        )
    )
    stream = b"".join(packets)
    (whole, whole_told), (cut, cut_told) = connected(256), connected(256)
    feed(whole, stream)
    at = 0
    while at < len(stream):
        size = data.draw(st.integers(1, 60))
        feed(cut, stream[at : at + size])
        at += size
    assert cut_told.told == whole_told.told
    assert out(cut) == out(whole)
