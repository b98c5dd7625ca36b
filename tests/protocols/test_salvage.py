"""How much of a half-wrong message is saved: alarms and reports key by key, fixes one by one?"""

from __future__ import annotations

import math
from typing import Any

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.errors import FieldInvalid, Malformed, ProtocolError, TooLarge
from protocols.model import Alarm, DutyReport, Fix, Position, Reply
from protocols.native import codec
from protocols.native.codec import Identity, ReadAlarm, Refused
from tests.protocols import payloads
from tests.protocols.test_hostile_bytes import strange_values

PLACE = {"lat": 24.5, "lon": 117.6, "fix": 3}
WHOLE: dict[str, Any] = {
    "boot": 2,
    "seq": 9,
    "t": 1763780400000,
    "kind": "hold_up",
    "count": 3,
    "silent": True,
    "zone": "金库",
    "pos": PLACE,
    "media": ["a" * 64],
    "text": "两个人",
    "of": 8,
}


def read_both_ways(keys: dict[str, Any]) -> ReadAlarm:
    """The alarm from MessagePack, which is the same from JSON."""
    read = codec.decode_alarm(payloads.to_msgpack(keys))
    assert codec.decode_alarm(payloads.to_json(keys)) == read
    return read


def as_keys(alarm: Alarm) -> dict[str, Any]:
    """What stands in the alarm, as a foreign codec sees it."""
    keys: dict[str, Any] = payloads.from_msgpack(codec.encode(alarm))
    return keys


def without(*names: str) -> dict[str, Any]:
    return {name: value for name, value in WHOLE.items() if name not in names}


def test_a_whole_alarm_has_no_flags() -> None:
    read = read_both_ways(WHOLE)
    assert read.flags == ()
    assert read.bad_pos is None
    assert as_keys(read.alarm) == WHOLE


# The key, what it holds, the flag, and what the alarm has in its place (None: nothing).
ONE_WRONG: list[tuple[str, Any, str, Any]] = [
    ("t", "yesterday", "t_invalid", 0),
    ("t", 2**63, "t_invalid", 0),
    ("t", 1.5, "t_invalid", 0),
    ("kind", "burglary", "kind_invalid", "unreadable"),
    ("kind", ["panic"], "kind_invalid", "unreadable"),
    ("count", -1, "count_invalid", None),
    ("count", True, "count_invalid", None),
    ("silent", 1, "silent_invalid", None),
    ("zone", 12, "zone_invalid", None),
    ("zone", "x" * 1001, "zone_invalid", None),
    ("pos", {**PLACE, "lat": 91}, "position_invalid", None),
    ("pos", {"lat": 24.5}, "position_invalid", None),
    ("pos", "24.5,117.6", "position_invalid", None),
    ("media", ["a" * 64, "not a hash"], "media_invalid", None),
    ("media", "a" * 64, "media_invalid", None),
    ("text", {"zh": "两个人"}, "text_invalid", None),
    ("text", "人" * 1001, "text_cut", "人" * 1000),
    ("of", 0, "of_invalid", None),
    ("of", "8", "of_invalid", None),
]


@pytest.mark.parametrize(("key", "value", "flag", "instead"), ONE_WRONG)
def test_one_wrong_key_is_flagged_and_harms_no_other(
    key: str, value: Any, flag: str, instead: Any
) -> None:
    read = read_both_ways({**WHOLE, key: value})
    assert read.flags == (flag,)
    assert read.bad_pos == (value if key == "pos" else None)
    expected = without(key) if instead is None else {**WHOLE, key: instead}
    assert as_keys(read.alarm) == expected


@pytest.mark.parametrize(("key", "instead"), [("t", 0), ("kind", "unreadable")])
def test_a_missing_key_is_flagged(key: str, instead: Any) -> None:
    read = read_both_ways(without(key))
    assert read.flags == (f"{key}_missing",)
    assert as_keys(read.alarm) == {**WHOLE, key: instead}


def test_every_key_of_an_alarm_has_its_row() -> None:
    assert {row[0] for row in ONE_WRONG} | {"boot", "seq"} == set(Alarm.__struct_fields__)


def test_an_alarm_stands_with_nothing_but_its_identity() -> None:
    wrong = {key: [None] for key in WHOLE if key not in ("boot", "seq")}
    read = read_both_ways({**wrong, "boot": 2, "seq": 9})
    assert read.alarm == Alarm(boot=2, seq=9, t=0, kind="unreadable")
    assert set(read.flags) == {
        *(f"{key}_invalid" for key in wrong if key != "pos"),
        "position_invalid",
    }
    assert read_both_ways({"boot": 2, "seq": 9}).flags == ("kind_missing", "t_missing")


NO_IDENTITY: list[tuple[dict[str, Any], str]] = [
    (without("boot"), "boot: missing or not a number of its range"),
    (without("seq"), "seq: missing or not a number of its range"),
    ({**WHOLE, "boot": -1}, "boot: missing or not a number of its range, got -1"),
    ({**WHOLE, "boot": 2**32}, "boot: missing or not a number of its range, got 4294967296"),
    ({**WHOLE, "boot": "2"}, "boot: missing or not a number of its range, got '2'"),
    ({**WHOLE, "seq": 0}, "seq: missing or not a number of its range, got 0"),
    ({**WHOLE, "seq": True}, "seq: missing or not a number of its range, got True"),
    ({**WHOLE, "seq": 9.0}, "seq: missing or not a number of its range, got 9.0"),
]


@pytest.mark.parametrize(("keys", "words"), NO_IDENTITY)
def test_without_identity_the_bytes_are_the_alarm(keys: dict[str, Any], words: str) -> None:
    for payload in (payloads.to_msgpack(keys), payloads.to_json(keys)):
        with pytest.raises(FieldInvalid) as caught:
            codec.decode_alarm(payload)
        assert str(caught.value) == words
        assert codec.identity_of(payload) is None


def test_a_number_past_64_bits_is_no_sequence_number() -> None:
    for seq in (2**64, 10**5000):
        digits = "1" + "0" * 5000 if seq > 2**64 else str(seq)
        payload = f'{{"boot": 2, "seq": {digits}, "t": 0, "kind": "panic"}}'.encode()
        with pytest.raises(FieldInvalid, match=r"^seq: "):
            codec.decode_alarm(payload)


@pytest.mark.parametrize(
    ("payload", "kind"),
    [
        (b"", Malformed),
        (b"\xff\xff\xff", Malformed),
        (b"SOS", Malformed),
        (b'{"boot":2,"seq":9', Malformed),
        (b"\x81\xa1x" + b"\x91" * 60_000, TooLarge),
    ],
)
def test_bytes_without_form_are_refused_whole(payload: bytes, kind: type[ProtocolError]) -> None:
    with pytest.raises(kind):
        codec.decode_alarm(payload)


def test_text_that_is_not_utf8_is_shown_with_marks() -> None:
    keys = {key: WHOLE[key] for key in ("boot", "seq", "t", "kind")}
    packed = msgpack.packb({**keys, "text": "两"})
    read = codec.decode_alarm(packed[:-1] + b"\xff")
    assert read.alarm.text is not None
    assert "\ufffd" in read.alarm.text
    assert read.flags == ()


@given(st.data())
def test_whatever_is_wrong_the_identity_and_the_good_keys_stay(data: st.DataObject) -> None:
    keys = data.draw(payloads.keys_of(Alarm))
    wrong = data.draw(st.sets(st.sampled_from(sorted(set(WHOLE) - {"boot", "seq"}))))
    broken = {**keys, **{key: data.draw(strange_values) for key in wrong}}
    read = codec.decode_alarm(msgpack.packb(broken))
    saved = as_keys(read.alarm)
    assert (saved["boot"], saved["seq"]) == (keys["boot"], keys["seq"])
    assert {k: v for k, v in saved.items() if k in keys and k not in wrong} == {
        k: v for k, v in keys.items() if k not in wrong
    }


REPLY: dict[str, Any] = {
    "boot": 2,
    "seq": 9,
    "t": 1763780400000,
    "cmd": "c-1",
    "state": "done",
    "step": 3,
    "detail": "两人",
}
DUTY: dict[str, Any] = {
    "boot": 2,
    "seq": 9,
    "t": 1763780400000,
    "act": "on_scene",
    "ref": "20261122-7",
    "pos": PLACE,
    "crew": ["car-1", "李"],
}
# Of what, the key, what it holds, the flag, and what stands in its place (None: nothing).
ONE_WRONG_BESIDE: list[tuple[dict[str, Any], str, Any, str, Any]] = [
    (REPLY, "detail", "人" * 1001, "detail_cut", "人" * 1000),
    (REPLY, "detail", {"zh": "两人"}, "detail_invalid", None),
    (REPLY, "detail", 12, "detail_invalid", None),
    (REPLY, "step", -1, "step_invalid", None),
    (REPLY, "t", "now", "t_invalid", 0),
    (DUTY, "ref", 7, "ref_invalid", None),
    (DUTY, "ref", "x" * 1001, "ref_invalid", None),
    (DUTY, "pos", {"lat": 24.5}, "position_invalid", None),
    (DUTY, "pos", {**PLACE, "acc": -1}, "position_in_part", PLACE),
    (DUTY, "crew", "李", "crew_invalid", None),
    (DUTY, "crew", ["李"] * 33, "crew_invalid", None),
    (DUTY, "t", 1.5, "t_invalid", 0),
]


@pytest.mark.parametrize(("whole", "key", "value", "flag", "instead"), ONE_WRONG_BESIDE)
def test_a_wrong_key_beside_its_word_costs_no_reply_and_no_duty_report(
    whole: dict[str, Any], key: str, value: Any, flag: str, instead: Any
) -> None:
    kind: Any = Reply if whole is REPLY else DutyReport
    for to_bytes in (payloads.to_msgpack, payloads.to_json):
        saved, flags = codec.decode_saved(to_bytes({**whole, key: value}), kind)
        assert flags == (flag,)
        left = {name: held for name, held in whole.items() if name != key}
        expected = left if instead is None else {**whole, key: instead}
        assert payloads.from_msgpack(codec.encode(saved)) == expected
        assert codec.decode_saved(to_bytes(whole), kind)[1] == ()


@pytest.mark.parametrize(
    ("whole", "key", "value"),
    [
        (REPLY, "state", "perhaps"),
        (REPLY, "cmd", 7),
        (REPLY, "cmd", None),
        (REPLY, "seq", 0),
        (DUTY, "act", "sleep"),
        (DUTY, "boot", "2"),
    ],
)
def test_without_its_word_or_identity_it_is_refused(
    whole: dict[str, Any], key: str, value: Any
) -> None:
    broken = {**whole, key: value, "pos": 5, "detail": 5}
    with pytest.raises(FieldInvalid, match=f"^{key}: "):
        codec.decode_saved(payloads.to_json(broken), Reply if whole is REPLY else DutyReport)


FIX: dict[str, Any] = {"boot": 1, "t": 0, **PLACE}


@pytest.mark.parametrize("to_bytes", [payloads.to_msgpack, payloads.to_json])
def test_a_bad_fix_harms_no_neighbour(to_bytes: Any) -> None:
    batch = [{**FIX, "seq": 1}, {**FIX, "seq": 2, "lat": 1000}, {**FIX, "seq": 3}]
    first, bad, third = codec.decode_fixes(to_bytes(batch))
    assert first == Fix(seq=1, **FIX)
    assert third == Fix(seq=3, **FIX)
    assert isinstance(bad, Refused)
    assert str(bad.error) == "lat: expected `float` <= 90.0, got 1000"
    assert bad.identity == Identity(1, 2)
    assert payloads.from_msgpack(bad.raw) == batch[1]


BAD_ITEMS: list[Any] = [
    None,
    7,
    "a fix",
    [],
    [FIX],
    {},
    {"boot": 1},
    {**FIX, "seq": 0},
    {**FIX, "seq": 5, "lon": math.nan},
    {7: 7},
    msgpack.ExtType(5, b"x"),
    msgpack.Timestamp(1, 2),
]


@given(st.lists(st.integers(0, len(BAD_ITEMS)), max_size=20))
def test_each_stands_in_its_place(choices: list[int]) -> None:
    good = {**FIX, "seq": 5}
    batch = [good if at == len(BAD_ITEMS) else BAD_ITEMS[at] for at in choices]
    read = codec.decode_fixes(msgpack.packb(batch))
    assert [isinstance(item, Fix) for item in read] == [item is good for item in batch]
    raws = [item.raw for item in read if isinstance(item, Refused)]
    assert raws == [msgpack.packb(item) for item in batch if item is not good]


def test_a_fix_alone_is_a_batch_of_one() -> None:
    assert codec.decode_fixes(payloads.to_json({**FIX, "seq": 5})) == [Fix(seq=5, **FIX)]
    payload = payloads.to_json({**FIX, "seq": 5, "lat": "north"})
    (refused,) = codec.decode_fixes(payload)
    assert isinstance(refused, Refused)
    assert refused.raw == payload
    assert refused.identity == Identity(1, 5)


def test_a_number_past_64_bits_harms_no_neighbour() -> None:
    batch = [{**FIX, "seq": 1}, {**FIX, "seq": 10**30}, {**FIX, "seq": 3, "boot": 10**400}]
    read = codec.decode_fixes(payloads.to_json(batch))
    assert [isinstance(item, Fix) for item in read] == [True, False, False]


def test_a_batch_holds_as_many_as_the_contract_says() -> None:
    batch = [{**FIX, "seq": n} for n in range(1, 201)]
    assert [fix.seq for fix in codec.decode_fixes(payloads.to_msgpack(batch))] == list(  # type: ignore[union-attr]
        range(1, 201)
    )
    assert codec.decode_fixes(b"[]") == []


def test_position_of_an_alarm_has_a_time_of_its_own() -> None:
    read = read_both_ways({**WHOLE, "pos": {**PLACE, "t": 1763780399000}})
    assert read.alarm.pos == Position(lat=24.5, lon=117.6, fix=3, t=1763780399000)
