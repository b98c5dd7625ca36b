"""Does the generator send what a device sends?"""

from __future__ import annotations

import msgpack
from paho.mqtt.client import topic_matches_sub

from fieldgate.bench import wire
from fieldgate.bench.drives import BOOT, backlog, drives, message
from fieldgate.bench.parts import ALL_UP
from protocols.model import Fix
from protocols.native import codec

NOW = 1_790_000_000_000


def test_joined_bytes_are_the_message_that_a_packer_would_make() -> None:
    for tail in drives(3, 5)[2]:
        for seq in (1, 200, 70_000):
            payload = message(tail, seq, NOW)
            keys = msgpack.unpackb(payload)
            assert msgpack.packb(keys) == payload
            assert (keys["boot"], keys["seq"], keys["t"]) == (BOOT, seq, NOW)
            assert isinstance(codec.decode(payload, Fix), Fix)


def test_a_backlog_is_an_array_of_fixes() -> None:
    (drive,) = drives(1, 60)
    for count in (2, 15, 16, 50, 200):
        fixes = codec.decode_fixes(
            backlog([message(drive[n % 60], n + 1, NOW) for n in range(count)])
        )
        assert [fix.seq for fix in fixes if isinstance(fix, Fix)] == [*range(1, count + 1)]


def test_units_move_as_the_same_seed_has_them_move() -> None:
    assert drives(2, 10) == drives(2, 10)
    assert len(set(drives(1, 60)[0])) > 50


def test_packets_are_read_as_they_were_written_however_they_are_cut() -> None:
    long = wire.publish("field/v1/car/up/pos", b"x" * 300, qos=1, mid=7)
    data = wire.puback(3) + long + wire.publish("field/v1/car/up/pos", b"y", qos=0)
    for size in (1, 2, 5, len(data)):
        stream = wire.Stream()
        packets = [
            packet
            for at in range(0, len(data), size)
            for packet in stream.feed(data[at : at + size])
        ]
        assert [packet.kind for packet in packets] == [wire.PUBACK, wire.PUBLISH, wire.PUBLISH]
        first, second = map(wire.Message.of, packets[1:])
        assert first == ("field/v1/car/up/pos", 7, b"x" * 300)
        assert second == ("field/v1/car/up/pos", 0, b"y")


def test_the_reference_subscribes_to_what_the_devices_send() -> None:
    assert topic_matches_sub(ALL_UP, "field/v1/bench-0001/up/pos")
