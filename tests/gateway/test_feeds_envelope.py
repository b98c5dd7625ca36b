"""Events as CloudEvents: what the dispatch core sees."""

from __future__ import annotations

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.feeds.envelope import envelope
from gateway.feeds.positions import SLICE, as_json
from gateway.journal.base import FED_TYPES, Positions
from protocols.cloudevents import to_json
from tests.gateway.outward import NOW_MS, alarm_event

EVENT = msgspec.structs.replace(alarm_event(7), cursor=42, stored=NOW_MS + 30)


def test_an_alarm_is_fed_with_its_keys_and_what_the_gateway_adds() -> None:
    assert json.loads(to_json(envelope(EVENT))) == {
        "specversion": "1.0",
        "id": "box-1:1:p:7",
        "source": "/field/box-1",
        "type": "fieldgate.alarm.raised.v1",
        "time": "2026-11-22T03:26:40.007Z",
        "subject": "box-1",
        "sequence": "42",
        "datacontenttype": "application/json",
        "data": {
            "boot": 1,
            "seq": 7,
            "t": NOW_MS + 7,
            "kind": "panic",
            "received": NOW_MS + 27,
            "stored": NOW_MS + 30,
            "clock_offset_ms": 20,
            "flags": [],
        },
    }


@pytest.mark.parametrize(
    ("t", "flags"),
    [
        (0, ()),
        (-1, ()),
        (2**62, ()),
        (-(2**63), ()),
        (253_402_300_800_000, ()),  # the year 10000
        (1_000_000_000_000, ("clock_skewed",)),
        (NOW_MS, ("position_poor", "clock_unset")),
    ],
)
def test_a_clock_that_cannot_be_right_gives_way_to_the_arrival(
    t: int, flags: tuple[str, ...]
) -> None:
    fed = envelope(msgspec.structs.replace(EVENT, t=t, flags=flags))
    assert fed.time == "2026-11-22T03:26:40.027Z"
    assert fed.data["t"] == NOW_MS + 7, "the device's own word stands in the data"


def test_a_number_that_json_cannot_hold_is_null_with_a_flag() -> None:
    data = {"pos": {"lat": float("nan"), "alt": 3.5}, "text": "x", "list": [float("inf")]}
    fed = envelope(msgspec.structs.replace(EVENT, data=data, flags=("position_poor",)))
    assert fed.data["pos"] == {"lat": None, "alt": 3.5}
    assert fed.data["flags"] == ["position_poor", "not_finite:pos.lat", "not_finite:list[0]"]


@pytest.mark.parametrize("kind", sorted(FED_TYPES))
def test_every_fed_type_has_its_name(kind: int) -> None:
    event = msgspec.structs.replace(EVENT, type=kind)
    assert envelope(event).type == f"fieldgate.{event.type.feed_name}.v1"


KNOWN = st.floats(allow_nan=False, allow_infinity=False)
MOMENT = st.integers(-(2**62), 2**62) | st.integers(NOW_MS, NOW_MS + 5000)
POSITION = st.tuples(
    st.integers(1, 2**62),
    st.sampled_from(("car-1", "box-1")),
    st.integers(0, NOW_MS),
    st.integers(0, NOW_MS),
    st.none() | st.integers(-9999, 9999),
    st.sampled_from(((), ("clock_skewed",), ("clock_unset", "position_poor"))),
    st.integers(0, 2**32),
    st.integers(1, 2**63 - 1),
    MOMENT,
    KNOWN,
    KNOWN,
    st.sampled_from((0, 2, 3)),
    *[st.none() | KNOWN] * 5,
    st.none() | st.integers(0, 2**32),
    st.sampled_from((None, "gnss", "cell")),
)


@given(st.lists(POSITION, min_size=1, max_size=8))
def test_positions_in_columns_look_as_their_envelopes(rows: list[tuple[object, ...]]) -> None:
    positions = Positions(*map(list, zip(*rows, strict=True)))
    quick = json.loads(b"[" + b",".join(as_json(positions)) + b"]")
    assert quick == [json.loads(to_json(envelope(event))) for event in positions.events()]


def test_many_positions_come_in_pieces() -> None:
    row = (1, "car-1", NOW_MS, NOW_MS, 0, (), 1, 1, NOW_MS, 24.5, 117.6, 3, *[None] * 7)
    positions = Positions(*map(list, zip(*[row] * (2 * SLICE + 1), strict=True)))
    pieces = list(as_json(positions))
    assert [len(json.loads(b"[" + piece + b"]")) for piece in pieces] == [SLICE, SLICE, 1]
