"""Is what the feed sends a CloudEvent by the specification's own schema?"""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.cloudevents import CloudEvent, event_type, finite, rfc3339, to_batch, to_json

# After cloudevents/formats/cloudevents.json of the specification 1.0.2, with its rule for the names
# of extensions, and RFC 3339 as a pattern.
SCHEMA: dict[str, Any] = {
    "$schema": "http://json-schema.org/draft-07/schema#",
    "type": "object",
    "required": ["id", "source", "specversion", "type"],
    "properties": {
        "id": {"type": "string", "minLength": 1},
        "source": {"type": "string", "format": "uri-reference", "minLength": 1},
        "specversion": {"const": "1.0"},
        "type": {"type": "string", "minLength": 1},
        "datacontenttype": {"type": ["string", "null"], "minLength": 1},
        "dataschema": {"type": ["string", "null"], "format": "uri", "minLength": 1},
        "subject": {"type": ["string", "null"], "minLength": 1},
        "time": {
            "type": "string",
            "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$",
        },
        "data": {},
        "data_base64": {"type": ["string", "null"], "contentEncoding": "base64"},
    },
    "patternProperties": {"^[a-z0-9]{1,20}$": {}},
    "additionalProperties": False,
}

MILLIS_OF_YEAR_1 = -62_135_596_800_000
MILLIS_OF_YEAR_9999 = 253_402_300_799_999


def alarm_raised(data: dict[str, Any]) -> CloudEvent:
    return CloudEvent(
        id="box-3:1:p:7",
        source="/field/box-3",
        type=event_type("alarm.raised"),
        time=rfc3339(1763780400000),
        subject="box-3",
        sequence="812",
        data=data,
    )


def test_an_alarm_is_a_cloud_event() -> None:
    event = json.loads(to_json(alarm_raised({"kind": "panic", "flags": []})))
    jsonschema.validate(event, SCHEMA)
    assert event == {
        "specversion": "1.0",
        "id": "box-3:1:p:7",
        "source": "/field/box-3",
        "type": "fieldgate.alarm.raised.v1",
        "time": "2025-11-22T03:00:00.000Z",
        "subject": "box-3",
        "sequence": "812",
        "datacontenttype": "application/json",
        "data": {"kind": "panic", "flags": []},
    }


def test_a_batch_is_an_array_of_events() -> None:
    event = alarm_raised({"kind": "panic"})
    assert json.loads(to_batch([event, event])) == [json.loads(to_json(event))] * 2
    assert to_batch([]) == b"[]"


@given(st.integers(MILLIS_OF_YEAR_1, MILLIS_OF_YEAR_9999))
def test_times_are_rfc3339_to_the_millisecond(millis: int) -> None:
    text = rfc3339(millis)
    jsonschema.validate(text, SCHEMA["properties"]["time"])
    since = datetime.fromisoformat(text) - datetime(1970, 1, 1, tzinfo=UTC)
    assert (since.days * 86_400 + since.seconds) * 1000 + since.microseconds // 1000 == millis


@pytest.mark.parametrize(
    ("millis", "text"),
    [
        (0, "1970-01-01T00:00:00.000Z"),
        (-1, "1969-12-31T23:59:59.999Z"),
        (MILLIS_OF_YEAR_1, "0001-01-01T00:00:00.000Z"),
        (MILLIS_OF_YEAR_9999, "9999-12-31T23:59:59.999Z"),
    ],
)
def test_times_at_the_edges(millis: int, text: str) -> None:
    assert rfc3339(millis) == text


@pytest.mark.parametrize(
    "millis", [MILLIS_OF_YEAR_9999 + 1, MILLIS_OF_YEAR_1 - 1, 2**63 - 1, -(2**63)]
)
def test_a_time_that_no_calendar_holds_is_an_overflow(millis: int) -> None:
    with pytest.raises(OverflowError):
        rfc3339(millis)


def test_numbers_that_json_cannot_hold_become_null_and_are_named() -> None:
    data = {"alt": math.nan, "pos": {"acc": math.inf, "lat": 1.5}, "list": [1, [-math.inf]], "n": 3}
    assert finite(data) == (
        {"alt": None, "pos": {"acc": None, "lat": 1.5}, "list": [1, [None]], "n": 3},
        ["alt", "pos.acc", "list[1][0]"],
    )


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
        ),
        max_leaves=10,
    )
)
def test_what_is_finite_is_json(value: Any) -> None:
    clean, places = finite(value)
    assert json.dumps(clean, allow_nan=False)
    assert (repr(clean) == repr(value)) == (not places)
    assert finite(clean) == (clean, [])
