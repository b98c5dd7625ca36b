"""A block gives back the very telemetry that was packed, whatever the numbers in it."""

from __future__ import annotations

import math
import struct
from typing import Any

import msgspec
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Struct

from gateway.journal import fixes
from gateway.journal.base import EventType, Telemetry, UsedUp
from gateway.journal.blocks import TABLE_FROM, BlockCodec
from protocols.model import Fix, Lane, MediaChunk, Status, message_id

NOW = 1_790_000_000_000
ALL = frozenset(EventType)
NUMBERS = {f"car-{n}": n + 1 for n in range(5)}
NAMES = {number: device for device, number in NUMBERS.items()}

INT64 = st.integers(-(2**63), 2**63 - 1)
DECIMAL = st.integers(-(10**9), 10**9).flatmap(
    lambda n: st.integers(0, 9).map(lambda places: round(n / 10**places, places))
)
NUMBER = st.one_of(DECIMAL, st.floats(), st.just(-0.0))
FIX = st.builds(
    Fix,
    boot=st.integers(0, 2**32 - 1),
    seq=st.integers(1, 2**64 - 1),
    t=INT64,
    lat=NUMBER,
    lon=NUMBER,
    fix=st.sampled_from((0, 2, 3)),
    **dict.fromkeys(("alt", "spd", "hdg", "acc", "hdop"), st.none() | NUMBER),
    sats=st.none() | st.integers(0, 2**32 - 1),
    src=st.sampled_from((None, "gnss", "fixed", "cell")),
)
MESSAGE = st.one_of(
    FIX,
    FIX,
    FIX,
    st.builds(Status, boot=st.just(1), seq=st.integers(1, 9), t=INT64, batt=st.none() | NUMBER),
    st.builds(UsedUp, st.integers(0, 9), st.integers(1, 2**64 - 1)),
)
ENTRY = st.builds(
    Telemetry,
    device=st.sampled_from(sorted(NUMBERS)),
    received=st.integers(0, 2**42),
    clock_offset_ms=st.none() | st.integers(-(10**6), 10**6),
    flags=st.sampled_from(((), ("clock_unset",), ("position_poor", "clock_skewed"))),
    message=MESSAGE,
)


def bits(value: object) -> object:
    """Floats by their bits: nan equals itself, and 0.0 is not -0.0."""
    return struct.pack("<d", value) if isinstance(value, float) else value


def fields(message: UsedUp | Struct) -> dict[str, Any]:
    pairs = message._asdict() if isinstance(message, UsedUp) else msgspec.structs.asdict(message)
    return {key: value for key, value in pairs.items() if value is not None}


def check(entries: list[Telemetry], codec: BlockCodec) -> None:
    packed = codec.pack(entries, NOW, NUMBERS.__getitem__)
    events = codec.unpack(packed, 101, NAMES.__getitem__, ALL)
    assert [event.cursor for event in events] == list(range(101, 101 + len(entries)))
    for event, entry in zip(events, entries, strict=True):
        message = entry.message
        sent = fields(message)
        assert {k: bits(v) for k, v in event.data.items()} == {k: bits(v) for k, v in sent.items()}
        assert event.id == message_id(entry.device, message.boot, Lane.TELEMETRY, message.seq)
        assert (event.device, event.received, event.stored) == (entry.device, entry.received, NOW)
        assert (event.clock_offset_ms, event.flags) == (entry.clock_offset_ms, entry.flags)
        assert event.t == sent.get("t", 0)


@settings(deadline=None)
@given(st.lists(ENTRY, min_size=1, max_size=40))
def test_any_telemetry_comes_back_bit_by_bit(entries: list[Telemetry]) -> None:
    check(entries, BlockCodec())


@settings(deadline=None)
@given(st.lists(ENTRY, min_size=1, max_size=40))
def test_one_device_is_found_as_in_the_whole_block(entries: list[Telemetry]) -> None:
    codec, span = BlockCodec(), range(-(2**62), 2**62)
    packed = codec.pack(entries, NOW, NUMBERS.__getitem__)
    for device, number in NUMBERS.items():
        found = codec.track(packed, 11, number, device, span)
        whole = codec.unpack(packed, 11, NAMES.__getitem__, frozenset({EventType.POSITION}))
        due = [event for event in whole if event.device == device and event.t in span]
        assert list(map(repr, found)) == list(map(repr, due))


def fix(seq: int, **keys: object) -> Telemetry:
    device = f"car-{seq % 5}"
    values: dict[str, object] = {"lat": 24.5 + seq / 1e7, "lon": 117.6, "fix": 3, **keys}
    message = Fix(boot=1, seq=seq, t=NOW + seq, **values)  # type: ignore[arg-type]
    return Telemetry(device, NOW + seq, 40, (), message)


@pytest.mark.parametrize(
    "odd",
    [
        {"seq": 2**64 - 1},
        {"alt": math.nan},
        {"alt": math.inf},
        {"lat": -0.0},
        {"lat": 24.123456789012345},
        {"spd": 1e-7},
        {"spd": 1e300},
        {"sats": None, "alt": None},
    ],
)
def test_an_odd_fix_among_usual_ones(odd: dict[str, object]) -> None:
    entries = [fix(n) for n in range(1, 50)]
    strange = {**fields(entries[20].message), **odd}
    entries[20] = msgspec.structs.replace(entries[20], message=Fix(**strange))
    codec = BlockCodec()
    check(entries, codec)
    check(entries, codec)  # also with what it has learned
    content = codec.open(codec.pack(entries, NOW, NUMBERS.__getitem__))
    assert content.table is not None, "one odd fix does not spoil the table for the others"
    assert len(content.rows) <= 1


def test_what_is_no_fix_stands_between_the_fixes() -> None:
    chunk = MediaChunk(boot=1, seq=8, t=0, id="0" * 64, mime="image/jpeg", size=1, n=0, of=1,
                       data=b"")  # fmt: skip
    entries = [fix(n) for n in range(1, TABLE_FROM + 1)]
    entries.insert(3, Telemetry("car-1", NOW, None, (), chunk))
    entries.append(Telemetry("car-1", NOW, None, ("conflict",), UsedUp(1, 9)))
    check(entries, BlockCodec())


def test_types_not_asked_for_are_left_out() -> None:
    entries = [fix(n) for n in range(1, 20)]
    entries.insert(3, Telemetry("car-1", NOW, None, (), UsedUp(1, 9)))
    codec = BlockCodec()
    packed = codec.pack(entries, NOW, NUMBERS.__getitem__)
    refused = codec.unpack(packed, 1, NAMES.__getitem__, frozenset({EventType.REFUSED}))
    assert [event.cursor for event in refused] == [4]
    positions = codec.unpack(packed, 1, NAMES.__getitem__, frozenset({EventType.POSITION}))
    assert [event.cursor for event in positions] == [1, 2, 3, *range(5, 21)]


def test_a_block_of_the_first_format_is_read() -> None:
    rows = [
        (EventType.POSITION, 2, -30, 40, (), [1, 7, NOW, 24.5, 117.6, 3, None, 3.25]),
        (EventType.REFUSED, 3, 0, None, ("doubtful",), [1, 8]),
    ]
    packed = zstandard.ZstdCompressor().compress(msgspec.msgpack.encode((NOW, rows)))
    position, refused = BlockCodec().unpack(packed, 11, NAMES.__getitem__, ALL)
    assert (position.id, position.cursor, position.received) == ("car-1:1:t:7", 11, NOW - 30)
    assert position.data == {
        "boot": 1, "seq": 7, "t": NOW, "lat": 24.5, "lon": 117.6, "fix": 3, "spd": 3.25,
    }  # fmt: skip
    assert (refused.id, refused.cursor, refused.flags) == ("car-2:1:t:8", 12, ("doubtful",))


def test_a_flipped_bit_is_found() -> None:
    codec = BlockCodec()
    packed = bytearray(codec.pack([fix(n) for n in range(1, 50)], NOW, NUMBERS.__getitem__))
    packed[len(packed) // 2] ^= 1
    with pytest.raises(zstandard.ZstdError):
        codec.open(bytes(packed))


def test_tables_are_joined_with_their_texts() -> None:
    parts = [
        [fix(1, src="gnss"), fix(2, src="cell")],
        [fix(3, src="cell"), msgspec.structs.replace(fix(4), flags=("position_poor",))],
    ]
    tables = [fixes.gather(part, NOW, NUMBERS.__getitem__) for part in parts]
    joined = fixes.joined(tables).positions(tables[0].t, lambda number: NAMES[number])
    assert joined.src == ["gnss", "cell", "cell", None]
    assert joined.flags == [(), (), (), ("position_poor",)]
