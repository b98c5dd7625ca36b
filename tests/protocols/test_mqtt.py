"""The listening half of MQTT 5: packets whole and in pieces, and bytes that are none."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols import mqtt
from protocols.errors import Malformed, ProtocolError, TooLarge

TOPIC = b"field/v1/car-1/up/pos"
QOS0 = bytes([0x30, 2 + 21 + 1 + 3]) + b"\x00\x15" + TOPIC + b"\x00" + b"abc"
QOS1 = bytes([0x32, 2 + 21 + 2 + 1 + 3]) + b"\x00\x15" + TOPIC + b"\x01\x02" + b"\x00" + b"def"
# A message expiry of 60 s among the properties (3.3.2.3.3), and retained.
WITH_PROPERTIES = (
    bytes([0x31, 2 + 21 + 1 + 5 + 1]) + b"\x00\x15" + TOPIC + b"\x05\x02\x00\x00\x00\x3c" + b"g"
)
LONG = bytes([0x30, 0xC8, 0x01]) + b"\x00\x15" + TOPIC + b"\x00" + b"x" * (200 - 24)
STREAM = QOS0 + b"\xd0\x00" + QOS1 + WITH_PROPERTIES + LONG


def test_publishes_come_out_with_what_is_to_be_acknowledged() -> None:
    heard = mqtt.Listener().feed(STREAM)
    assert heard.publishes == [
        (0x30, TOPIC, b"", 0, b"abc"),
        (0x32, TOPIC, b"\x01\x02", 0, b"def"),
        (0x31, TOPIC, b"", 0, b"g"),
        (0x30, TOPIC, b"", 0, b"x" * 176),
    ]
    assert heard.packets == [mqtt.Packet(mqtt.PINGRESP, b"")]
    assert heard.acknowledgements == b"\x40\x02\x01\x02"
    assert [mqtt.qos(head) for head, *_ in heard.publishes] == [0, 1, 0, 0]
    assert [mqtt.is_retained(head) for head, *_ in heard.publishes] == [False, False, True, False]


@given(st.lists(st.integers(0, len(STREAM)), max_size=20))
def test_however_the_bytes_are_cut_the_packets_are_the_same(cuts: list[int]) -> None:
    listener, publishes, packets, owed = mqtt.Listener(), [], [], b""
    edges = [0, *sorted(cuts), len(STREAM)]
    for since, to in pairwise(edges):
        heard = listener.feed(STREAM[since:to])
        publishes += heard.publishes
        packets += heard.packets
        owed += heard.acknowledgements
    assert (publishes, packets, owed) == tuple(mqtt.Listener().feed(STREAM))


def test_byte_by_byte_a_message_comes_out_with_its_last_byte() -> None:
    listener = mqtt.Listener()
    assert all(not listener.feed(bytes([byte])).publishes for byte in LONG[:-1])
    assert listener.feed(LONG[-1:]).publishes == [(0x30, TOPIC, b"", 0, b"x" * 176)]


@pytest.mark.parametrize(
    ("stream", "error"),
    [
        (b"\x30\xff\xff\xff\xff\x01", Malformed),
        (b"\x30\xff\xff\xff\x7f", TooLarge),
        (b"\x30\x02\x00\x15", Malformed),
        (b"\x32\x05\x00\x01a\x00\x01", Malformed),
        (b"\x30\x05\x00\x01a\x09x", Malformed),
        (b"\x30\x00\x30\x00", Malformed),
    ],
)
def test_a_broken_stream_is_an_error(stream: bytes, error: type[ProtocolError]) -> None:
    with pytest.raises(error):
        mqtt.Listener().feed(stream)


@given(st.binary(max_size=300))
def test_arbitrary_bytes_are_packets_or_an_error(data: bytes) -> None:
    listener = mqtt.Listener()
    try:
        heard = listener.feed(data)
    except ProtocolError:
        return
    for reader in (mqtt.read_connack, mqtt.read_suback):
        for packet in heard.packets:
            try:
                reader(packet.body)
            except ProtocolError:
                continue


def test_connect_is_as_the_specification_has_it() -> None:
    packet = mqtt.connect("id", "user", "secret", keepalive_s=5, session_s=60, receive_maximum=100)
    assert packet == (
        b"\x10\x25\x00\x04MQTT\x05\xc0\x00\x05"  # protocol, flags, keepalive
        b"\x08\x11\x00\x00\x00\x3c\x21\x00\x64"  # session expiry 60 s, receive maximum 100
        b"\x00\x02id\x00\x04user\x00\x06secret"
    )
    anonymous = mqtt.connect("id", None, None, keepalive_s=5, session_s=60, receive_maximum=100)
    assert anonymous[9:10] == b"\x00"


def test_subscribe_names_each_filter_with_its_qos() -> None:
    packet = mqtt.subscribe(1, [("a/#", 1), ("b", 0)])
    assert packet == b"\x82\x0d\x00\x01\x00\x00\x03a/#\x01\x00\x01b\x00"


def test_a_publish_of_ours_is_as_the_specification_has_it() -> None:
    packet = mqtt.publish("a/b", b"xyz", number=258, expiry_s=60)
    assert packet == b"\x32\x10\x00\x03a/b\x01\x02\x05\x02\x00\x00\x00\x3cxyz"
    assert mqtt.again(packet) == b"\x3a" + packet[1:]
    assert mqtt.Listener().feed(packet).publishes == [(0x32, b"a/b", b"\x01\x02", 0, b"xyz")]


def test_the_broker_may_demand_a_keepalive_of_its_own() -> None:
    body = b"\x01\x00\x0b\x22\x00\x0a\x13\x00\x1e\x12\x00\x02id"
    assert mqtt.read_connack(body) == mqtt.Connack(0, True, 30, 65535)
    assert mqtt.read_connack(b"\x00\x86\x00") == mqtt.Connack(0x86, False, None, 65535)
    pair = b"\x00\x00\x09\x26\x00\x01k\x00\x03val"
    assert mqtt.read_connack(pair) == mqtt.Connack(0, False, None, 65535)
    assert mqtt.read_connack(b"\x00\x00\x03\x21\x00\x14").receive_maximum == 20
    assert mqtt.read_suback(b"\x00\x01\x00\x01\x87") == [1, 0x87]
