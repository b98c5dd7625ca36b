"""The feed's envelope: CloudEvents 1.0 in JSON (contract section 4)."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

CONTENT_TYPE = "application/cloudevents+json"
BATCH_CONTENT_TYPE = "application/cloudevents-batch+json"

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_encoder = msgspec.json.Encoder()


class CloudEvent(msgspec.Struct, frozen=True, kw_only=True):
    """One event as it is fed. ``sequence``: the journal's cursor, as text."""

    specversion: str = "1.0"
    id: str
    source: str
    type: str
    time: str
    subject: str
    sequence: str
    datacontenttype: str = "application/json"
    data: dict[str, Any]


def rfc3339(millis: int) -> str:
    """Milliseconds since 1970 as ``2026-11-22T03:00:00.000Z``; OverflowError past year 9999."""
    moment = _EPOCH + timedelta(milliseconds=millis)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def event_type(name: str) -> str:
    """The type of events of that name: ``alarm.raised`` -> ``fieldgate.alarm.raised.v1``."""
    return f"fieldgate.{name}.v1"


def finite(value: Any, path: str = "") -> tuple[Any, list[str]]:
    """The value with null for each number that JSON cannot hold, and where they stood."""
    if isinstance(value, float) and not math.isfinite(value):
        return None, [path]
    if isinstance(value, dict):
        keys: dict[str, Any] = {}
        found: list[str] = []
        for key, item in value.items():
            keys[key], at = finite(item, f"{path}.{key}" if path else str(key))
            found += at
        return keys, found
    if isinstance(value, list):
        items = [finite(item, f"{path}[{n}]") for n, item in enumerate(value)]
        return [item for item, _ in items], [at for _, places in items for at in places]
    return value, []


def to_json(event: CloudEvent) -> bytes:
    """One event as JSON."""
    return _encoder.encode(event)


def to_batch(events: list[CloudEvent]) -> bytes:
    """Events as a CloudEvents JSON batch."""
    return _encoder.encode(events)
