"""Is every message the same in our codec and in those of other authors, in both forms?"""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.model import Alarm, Fix, Lane, MediaChunk, Position, message_id
from protocols.native import codec
from tests.protocols import payloads

CAR_FIX = Fix(
    boot=3, seq=1041, t=1763780400123, lat=24.5107, lon=117.6471, fix=3, spd=11.5, hdg=271.0
)
CAR_FIX_JSON = (
    b'{"boot":3,"seq":1041,"t":1763780400123,"lat":24.5107,"lon":117.6471,"fix":3,'
    b'"spd":11.5,"hdg":271.0}'
)
CAR_FIX_MSGPACK = bytes.fromhex(
    "88a4626f6f7403a3736571cd0411a174cf0000019aa98113fba36c6174cb403882bd3c361134a36c6f6ecb"
    "405d696a161e4f76a366697803a3737064cb4027000000000000a3686467cb4070f00000000000"
)


def test_a_fix_from_the_street_reads_the_same_in_both_forms() -> None:
    assert codec.decode(CAR_FIX_JSON, Fix) == CAR_FIX
    assert codec.decode(CAR_FIX_MSGPACK, Fix) == CAR_FIX
    assert codec.encode(CAR_FIX, as_json=True) == CAR_FIX_JSON
    assert codec.encode(CAR_FIX) == CAR_FIX_MSGPACK


def test_a_press_sent_with_mosquitto_pub_is_an_alarm() -> None:
    payload = (
        '{"boot": 1, "seq": 2, "t": 0, "kind": "panic", "zone": "三年级二班",'
        ' "pos": {"lat": 24, "lon": 117.65, "fix": 0, "src": "fixed"}, "later_key": [1]}'
    ).encode()
    assert codec.decode(payload, Alarm) == Alarm(
        boot=1,
        seq=2,
        t=0,
        kind="panic",
        zone="三年级二班",
        pos=Position(lat=24.0, lon=117.65, fix=0, src="fixed"),
    )


def test_the_strategies_know_every_key_of_every_message() -> None:
    for kind, (required, optional) in payloads.KEYS.items():
        assert {*required, *optional} == set(kind.__struct_encode_fields__)
    assert set(codec.TYPES.values()) < set(payloads.KEYS)


@pytest.mark.parametrize("kind", payloads.KEYS, ids=lambda kind: kind.__name__)
@given(data=st.data())
def test_other_codecs_and_ours_agree(kind: type[Any], data: st.DataObject) -> None:
    keys = data.draw(payloads.keys_of(kind))
    message = codec.decode(payloads.to_msgpack(keys), kind)
    assert codec.decode(payloads.to_json(keys), kind) == message
    assert payloads.from_msgpack(codec.encode(message)) == keys
    assert payloads.from_json(codec.encode(message, as_json=True)) == keys


@pytest.mark.parametrize("kind", payloads.KEYS, ids=lambda kind: kind.__name__)
@given(data=st.data())
def test_unknown_keys_are_ignored(kind: type[Any], data: st.DataObject) -> None:
    keys = data.draw(payloads.keys_of(kind))
    unknown = data.draw(st.dictionaries(st.text("xyz", min_size=1), st.integers(-9, 9)))
    more = {**unknown, **keys, "bad": b"\xff", "deep": [[[[[[]]]]]]}
    assert codec.decode(payloads.to_msgpack(more), kind) == codec.decode(
        payloads.to_msgpack(keys), kind
    )


@pytest.mark.parametrize("kind", codec.TYPES.values(), ids=lambda kind: kind.__name__)
def test_a_message_is_a_value(kind: type[Any]) -> None:
    assert kind.__struct_config__.frozen


def test_the_last_of_two_keys_of_one_name_counts() -> None:
    twice = CAR_FIX_JSON[:-1] + b',"lat":-1.5}'
    assert codec.decode(twice, Fix) == msgspec.structs.replace(CAR_FIX, lat=-1.5)


def test_a_chunk_in_json_is_base64() -> None:
    chunk = MediaChunk(
        boot=1, seq=1, t=0, id="0" * 64, mime="image/jpeg", size=3, n=0, of=1, data=b"\xff\xd8\xff"
    )
    payload = codec.encode(chunk, as_json=True)
    assert b'"data":"/9j/"' in payload
    assert codec.decode(payload, MediaChunk) == chunk


def test_the_id_of_a_message_is_the_one_in_the_contract() -> None:
    assert message_id("car-7", 3, Lane.PRIORITY, 1041) == "car-7:3:p:1041"
    assert message_id("car-7", 3, Lane.TELEMETRY, 2**64 - 1) == "car-7:3:t:18446744073709551615"


@pytest.mark.parametrize(
    ("payload", "is_json"),
    [(b"{}", True), (b"[]", True), (b"", False), (b" {}", False), (b"\x80", False)],
)
def test_the_first_byte_tells_json(payload: bytes, is_json: bool) -> None:
    assert codec.is_json(payload) is is_json
