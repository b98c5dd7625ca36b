"""Does each error name the field and the value that are wrong?"""

from __future__ import annotations

from typing import Any

import pytest

from protocols.errors import FieldInvalid, Malformed, ProtocolError, TooLarge
from protocols.model import Alarm, DutyReport, Fix, MediaChunk, Presence, Receipt, Reply, Status
from protocols.native import codec
from tests.protocols import payloads

NAMED = {"boot": 1, "seq": 1, "t": 0}
PLACE = {"lat": 24.5, "lon": 117.6, "fix": 3}
CHUNK = {**NAMED, "id": "a" * 64, "mime": "image/jpeg", "size": 1, "n": 0, "of": 1, "data": b"x"}

REFUSED: list[tuple[type[Any], dict[str, Any], str]] = [
    (Fix, {**PLACE, "boot": 1, "seq": 1}, "t: required key is missing"),
    (Fix, {**NAMED, **PLACE, "boot": -1}, "boot: expected `int` >= 0, got -1"),
    (Fix, {**NAMED, **PLACE, "boot": 2**32}, "boot: expected `int` <= 4294967295, got 4294967296"),
    (Fix, {**NAMED, **PLACE, "boot": True}, "boot: expected `int`, got `bool`, got True"),
    (Fix, {**NAMED, **PLACE, "seq": 0}, "seq: expected `int` >= 1, got 0"),
    (Fix, {**NAMED, **PLACE, "seq": "1"}, "seq: expected `int`, got `str`, got '1'"),
    (Fix, {**NAMED, **PLACE, "seq": 1.5}, "seq: expected `int`, got `float`, got 1.5"),
    (Fix, {**NAMED, **PLACE, "seq": None}, "seq: expected `int`, got `null`"),
    (Fix, {**NAMED, **PLACE, "t": 2**63}, "t: expected `int` <= 9223372036854775807, got 92233"),
    (Fix, {**NAMED, **PLACE, "lat": 90.1}, "lat: expected `float` <= 90.0, got 90.1"),
    (Fix, {**NAMED, **PLACE, "lon": -181}, "lon: expected `float` >= -180.0, got -181"),
    (Fix, {**NAMED, **PLACE, "fix": 1}, "fix: not a word of the contract, got 1"),
    (Fix, {**NAMED, **PLACE, "spd": -0.1}, "spd: expected `float` >= 0.0, got -0.1"),
    (Fix, {**NAMED, **PLACE, "hdg": 361}, "hdg: expected `float` <= 360.0, got 361"),
    (Fix, {**NAMED, **PLACE, "src": "galileo"}, "src: not a word of the contract, got 'galileo'"),
    (Alarm, {**NAMED}, "kind: required key is missing"),
    (Alarm, {**NAMED, "kind": "burglary"}, "kind: not a word of the contract, got 'burglary'"),
    (Alarm, {**NAMED, "kind": "panic", "text": "x" * 1001}, "text: expected `str` of length <= 10"),
    (Alarm, {**NAMED, "kind": "panic", "pos": {**PLACE, "lat": 91}}, "pos.lat: expected `float` <"),
    (Alarm, {**NAMED, "kind": "panic", "pos": {"lat": 1, "fix": 2}}, "pos.lon: required key is mi"),
    (Alarm, {**NAMED, "kind": "panic", "pos": [1, 2]}, "pos: expected `object | null`, got `array"),
    (
        Alarm,
        {**NAMED, "kind": "panic", "media": ["a" * 64, "zz"]},
        "media[1]: expected `str` match",
    ),
    (DutyReport, {**NAMED, "act": "lunch"}, "act: not a word of the contract, got 'lunch'"),
    (DutyReport, {**NAMED, "act": "clear", "crew": ["x", 7]}, "crew[1]: expected `str`, got `int`"),
    (
        Reply,
        {**NAMED, "cmd": "c1", "state": "maybe"},
        "state: not a word of the contract, got 'may",
    ),
    (Status, {**NAMED, "batt": 101}, "batt: expected `float` <= 100.0, got 101"),
    (Status, {**NAMED, "lost": [[1, 2, 3], [1, 0, 3]]}, "lost[1][1]: expected `int` >= 1, got 0"),
    (MediaChunk, {**CHUNK, "id": "A" * 64}, "id: expected `str` matching regex '^[0-9a-f]{64}"),
    (MediaChunk, {**CHUNK, "id": "a" * 64 + "\n"}, "id: expected `str` matching regex"),
    (MediaChunk, {**CHUNK, "of": 0}, "of: expected `int` >= 1, got 0"),
    (MediaChunk, {**CHUNK, "data": b""}, "data: expected `bytes` of length >= 1, got b''"),
    (MediaChunk, {**CHUNK, "data": bytes(8193)}, "data: expected `bytes` of length <= 8192, got b"),
    (Presence, {"boot": 1}, "online: required key is missing"),
    (Presence, {"boot": 1, "online": 1}, "online: expected `bool`, got `int`, got 1"),
    (Receipt, {"boot": 1, "p": 0, "t": 0, "miss": {"q": []}}, "miss: not a word of the contract, "),
    (
        Receipt,
        {"boot": 1, "p": 0, "t": 0, "miss": {"p": [[1, "x"]]}},
        "miss[...][0][1]: expected `",
    ),
    (Receipt, {"boot": 1, "p": 0, "t": 0, "high": {"p": "x"}}, "high[...]: expected `int`, got `s"),
    (
        Receipt,
        {"boot": 1, "p": 0, "t": 0, "alarms": [{}]},
        "alarms[0].seq: required key is missing",
    ),
]


@pytest.mark.parametrize(("kind", "keys", "words"), REFUSED, ids=[row[2] for row in REFUSED])
def test_field_and_value_are_named(kind: type[Any], keys: dict[str, Any], words: str) -> None:
    problem = codec.problem_with(payloads.to_msgpack(keys), kind)
    assert isinstance(problem, FieldInvalid)
    assert str(problem).startswith(words)
    assert problem.reason == "field_invalid"
    assert words.startswith(problem.field)


def test_json_says_the_same_as_messagepack() -> None:
    for kind, keys, words in REFUSED:
        if kind is not MediaChunk:  # bytes have a form of their own in JSON
            assert str(codec.problem_with(payloads.to_json(keys), kind)).startswith(words)


MALFORMED = [
    (b"", "not well-formed MessagePack: Unpack failed: incomplete input"),
    (b"\xc1", "not well-formed MessagePack: "),
    (b"\xc0\xc0", "not well-formed MessagePack: unpack(b) received extra data."),
    (b"\xc0", "expected a map, got NoneType"),
    (b"\x91\x01", "expected a map, got list"),
    (b"[]", "expected a map, got list"),
    (b"{", "not well-formed JSON: Expecting property name enclosed in double quotes"),
    (b"{}{}", "not well-formed JSON: Extra data: line 1 column 3 (char 2)"),
]


@pytest.mark.parametrize(("payload", "words"), MALFORMED)
def test_bytes_without_form_are_malformed(payload: bytes, words: str) -> None:
    problem = codec.problem_with(payload, Alarm)
    assert isinstance(problem, Malformed)
    assert str(problem).startswith(words)


def test_too_large_carries_its_facts() -> None:
    error = TooLarge("fixes in one message", 200, 201)
    assert (error.what, error.limit, error.got) == ("fixes in one message", 200, 201)
    assert str(error) == "fixes in one message: at most 200, got 201"


def test_a_long_value_is_shown_by_its_beginning() -> None:
    error = FieldInvalid("text", "too long", "x" * 70_000)
    assert len(str(error)) == 100
    assert error.value == "x" * 70_000


def test_reasons_are_distinct_words_for_counters() -> None:
    reasons = {kind.reason for kind in ProtocolError.__subclasses__()}
    assert len(reasons) == len(ProtocolError.__subclasses__()) == 5
