"""Do arbitrary bytes always end as a message or a ProtocolError, and never slowly?"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import msgpack
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from protocols.errors import ProtocolError
from protocols.model import MAX_FIXES, MAX_MESSAGE_BYTES, Alarm, Fix
from protocols.native import codec
from tests.protocols import payloads

pytestmark = pytest.mark.slow  # many examples

KINDS = list(payloads.KEYS)
SLOW_S = 2  # of processor time, where milliseconds are usual: only work without bound takes it

ALARM: dict[str, Any] = {"boot": 1, "seq": 7, "t": 0, "kind": "panic"}
FIX: dict[str, Any] = {"boot": 1, "seq": 7, "t": 0, "lat": 24.5, "lon": 117.6, "fix": 3}

# Values that no contract knows, and some that look right in a wrong place.
strange_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats()
    | st.text(max_size=5)
    | st.binary(max_size=5)
    | st.builds(msgpack.ExtType, st.integers(0, 127), st.binary(max_size=5))
    | st.builds(msgpack.Timestamp, st.integers(-(2**60), 2**60), st.integers(0, 999_999_999)),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(max_size=3) | st.integers(0, 9), inner, max_size=4)
    ),
    max_leaves=8,
)


def every_reader() -> list[Callable[[bytes], object]]:
    """All ways in which bytes from outside are read."""
    readers: list[Callable[[bytes], object]] = [codec.decode_fixes, codec.decode_alarm, codec.parse]
    readers += [partial(codec.decode, kind=kind) for kind in KINDS]
    return readers


def outcome(reader: Callable[[bytes], Any], payload: bytes) -> Any:
    """What was read, or the ProtocolError; anything else fails the test."""
    try:
        return reader(payload)
    except ProtocolError as error:
        return error


def read_in_every_way(payload: bytes) -> None:
    """What is read can be written again; what is refused is so in few words."""
    for reader in every_reader():
        read = outcome(reader, payload)
        if isinstance(read, ProtocolError):
            assert len(str(read)) < 300
        elif type(read) in codec.TYPES.values():
            again = codec.decode(codec.encode(read), type(read))
            assert repr(again) == repr(read)  # NaN is not equal to itself
            codec.encode(read, as_json=True)
    codec.identity_of(payload)
    codec.problem_with(payload, Alarm)


@given(st.binary(max_size=300))
def test_arbitrary_bytes(payload: bytes) -> None:
    read_in_every_way(payload)


@given(st.text(max_size=100), st.sampled_from(["{%s", "[%s", "{%s}", '{"boot":%s}', "[{%s}]"]))
def test_arbitrary_json(text: str, frame: str) -> None:
    read_in_every_way((frame % text).encode("utf-8", "surrogatepass"))


@given(st.data())
def test_damaged_messages(data: st.DataObject) -> None:
    keys = data.draw(st.sampled_from(KINDS).flatmap(payloads.keys_of))
    encode = data.draw(st.sampled_from([payloads.to_msgpack, payloads.to_json]))
    payload = bytearray(encode(keys))
    at = data.draw(st.integers(0, len(payload) - 1))
    match data.draw(st.sampled_from(["change", "cut", "insert", "append"])):
        case "change":
            payload[at] = data.draw(st.integers(0, 255))
        case "cut":
            del payload[at:]
        case "insert":
            payload[at:at] = data.draw(st.binary(min_size=1, max_size=9))
        case "append":
            payload += data.draw(st.binary(min_size=1, max_size=9))
    read_in_every_way(bytes(payload))


def with_one_changed(value: Any, data: st.DataObject) -> Any:
    """The same, but for a strange value somewhere in it, at any depth."""
    if isinstance(value, dict) and value and data.draw(st.booleans()):
        key = data.draw(st.sampled_from(sorted(value)))
        return {**value, key: with_one_changed(value[key], data)}
    if isinstance(value, list) and value and data.draw(st.booleans()):
        at = data.draw(st.integers(0, len(value) - 1))
        return [*value[:at], with_one_changed(value[at], data), *value[at + 1 :]]
    return data.draw(strange_values)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
@given(data=st.data())
def test_strange_values_in_known_keys(kind: type[Any], data: st.DataObject) -> None:
    keys = data.draw(payloads.keys_of(kind))
    key = data.draw(st.sampled_from(sorted(keys)))
    keys[key] = with_one_changed(keys[key], data)
    read_in_every_way(payloads.to_msgpack(keys))


@given(st.data(), st.integers(2**62, 2**80) | st.integers(-(2**80), -(2**62)))
@example(None, 10**400)
def test_numbers_past_64_bits_in_json(data: st.DataObject | None, number: int) -> None:
    kind = data.draw(st.sampled_from(KINDS)) if data else Fix
    keys = data.draw(payloads.keys_of(kind)) if data else dict(FIX)
    numbers = [key for key, value in keys.items() if isinstance(value, int | float)]
    key = data.draw(st.sampled_from(numbers)) if data else "lat"
    read_in_every_way(payloads.to_json({**keys, key: number}))


def packed(value: Any) -> bytes:
    return payloads.to_msgpack(value)


def alarm_with(value: bytes, key: str = "later") -> bytes:
    """A MessagePack alarm with one more key, whose value is these bytes."""
    whole = packed(ALARM)
    return bytes([whole[0] + 1]) + whole[1:] + packed(key) + value


def alarm_json_with(value: bytes, key: str = "later") -> bytes:
    return json.dumps(ALARM).encode()[:-1] + f',"{key}":'.encode() + value + b"}"


FULL = MAX_MESSAGE_BYTES - 100

HOSTILE: dict[str, bytes] = {
    "nothing": b"",
    "JSON nested to the limit of bytes": b"[" * MAX_MESSAGE_BYTES,
    "JSON maps nested to the limit of bytes": b'{"a":' * (MAX_MESSAGE_BYTES // 5),
    "MessagePack nested to the limit of bytes": b"\x91" * MAX_MESSAGE_BYTES,
    "MessagePack maps nested to the limit of bytes": b"\x81\xa1a" * (MAX_MESSAGE_BYTES // 3),
    "nested in an unknown key": alarm_with(b"\x91" * FULL + b"\xc0"),
    "closed nesting in an unknown key": alarm_json_with(b"[" * (FULL // 2) + b"]" * (FULL // 2)),
    "an array of 2^32 declared": b"\xdd\xff\xff\xff\xff",
    "a map of 2^32 declared": b"\xdf\xff\xff\xff\xff",
    "a text of 2^32 declared": alarm_with(b"\xdb\xff\xff\xff\xff", "text"),
    "bytes of 2^32 declared": alarm_with(b"\xc6\xff\xff\xff\xff", "text"),
    "an extension of 2^32 declared": alarm_with(b"\xc9\xff\xff\xff\xff\x05"),
    "a list of media of 2^32 declared": alarm_with(b"\xdd\xff\xff\xff\xff", "media"),
    "arrays of 2^32 in arrays of 2^32": b"\xdd\xff\xff\xff\xff" * 1000,
    "5,000 digits": alarm_json_with(b"7" * 5000, "count"),
    "60,000 digits": alarm_json_with(b"-" + b"7" * 60000, "count"),
    "60,000 digits after the point": alarm_json_with(b"0." + b"7" * 60000, "count"),
    "an exponent of 60,000 digits": alarm_json_with(b"1e" + b"7" * 60000, "count"),
    "5,000-digit numbers in an array": b"[" + b",".join([b"8" * 5000] * 13) + b"]",
    "a huge array of nothing": b"\xdd\x00\x00\xff\x00" + b"\xc0" * 0xFF00,
    "a huge array of empty maps": b"[" + b"{}," * 21800 + b"{}]",
    "a huge array of bad fixes": json.dumps([{"boot": "x"}] * 4000).encode(),
    "one key 8,000 times": b"{" + b",".join([b'"a":1'] * 10000) + b"}",
    "10,000 keys": json.dumps({f"k{n}": 0 for n in range(5000)}).encode(),
    "trailing bytes": packed(ALARM) + b"\x00",
    "two messages in one": packed(ALARM) * 2,
    "trailing JSON": json.dumps(ALARM).encode() + b"{}",
    "an extension for an alarm": b"\xd4\x05\x00",
    "a timestamp for an alarm": b"\xd7\xff" + b"\xff" * 8,
    "a timestamp of a wrong length": b"\xd4\xff\x00",
    "the byte that MessagePack never uses": b"\xc1",
    "an array as key": b"\x81\x90\x01",
    "a map as key": b"\x81\x80\x01",
    "NaN as key": b"\x81\xcb\x7f\xf8\x00\x00\x00\x00\x00\x00\x01",
    "text that is not UTF-8": alarm_with(b"\xa2\xff\xfe", "text"),
    "JSON that is not UTF-8": b'{"boot":1,"seq":7,"t":0,"kind":"\xff"}',
    "UTF-16": json.dumps(ALARM).encode("utf-16"),
    "lone surrogates": alarm_json_with(b'"' + b"\\ud800" * 10000 + b'"', "text"),
    "a text of the limit of bytes": alarm_json_with(b'"' + b"x" * FULL + b'"', "text"),
    "a kind that imitates the decoder's words": json.dumps(
        {**ALARM, "kind": " - at `$.x[9]`" * 4000}
    ).encode(),
    "a number where a map is due": b"\x07",
    "null": b"\xc0",
}


@pytest.mark.parametrize("payload", HOSTILE.values(), ids=HOSTILE)
def test_hostile_bytes_harm_nobody_and_cost_little(payload: bytes) -> None:
    assert len(payload) <= MAX_MESSAGE_BYTES
    for reader in [*every_reader(), codec.identity_of]:
        started = time.process_time()
        outcome(reader, payload)
        assert time.process_time() - started < SLOW_S
    read_in_every_way(payload)


@pytest.mark.parametrize("reader", every_reader())
def test_more_than_64_kib_is_too_large(reader: Callable[[bytes], object]) -> None:
    payload = alarm_json_with(b'"' + b"x" * MAX_MESSAGE_BYTES + b'"')
    with pytest.raises(ProtocolError, match="message bytes: at most 65536, got 65") as caught:
        reader(payload)
    assert caught.value.reason == "too_large"


def test_64_kib_to_the_byte_are_taken() -> None:
    whole = alarm_json_with(b'""')
    padded = alarm_json_with(b'"' + b"x" * (MAX_MESSAGE_BYTES - len(whole)) + b'"')
    assert len(padded) == MAX_MESSAGE_BYTES
    assert codec.decode(padded, Alarm).seq == 7


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_a_coordinate_that_is_no_number_is_out_of_range(number: float) -> None:
    for payload in (packed({**FIX, "lat": number}), payloads.to_json({**FIX, "lat": number})):
        with pytest.raises(ProtocolError, match=r"^lat: expected `float` .=.*90.0, got"):
            codec.decode(payload, Fix)


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_an_altitude_that_is_no_number_is_kept_for_the_feed_to_flag(number: float) -> None:
    for payload in (packed({**FIX, "alt": number}), payloads.to_json({**FIX, "alt": number})):
        assert repr(codec.decode(payload, Fix).alt) == repr(number)


def test_more_fixes_than_a_message_may_hold_are_too_large() -> None:
    fixes = [FIX] * (MAX_FIXES + 1)
    for payload in (packed(fixes), payloads.to_json(fixes)):
        with pytest.raises(ProtocolError, match="fixes in one message: at most 200, got 201"):
            codec.decode_fixes(payload)
