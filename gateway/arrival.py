"""A message as it came in, and what an alarm among them says once it is read."""

from __future__ import annotations

import json
from typing import Any, NamedTuple, TypeVar

import msgspec

from gateway.alarms import AlarmMessage
from gateway.journal.base import Quarantined, plain
from gateway.twins import SKEW_MS, Twin, clock_flags
from protocols.errors import ProtocolError
from protocols.model import DutyReport, Reply
from protocols.native import codec

_Report = TypeVar("_Report", DutyReport, Reply)


class Arrival(NamedTuple):
    """Bytes from a device. ``received``: ms since 1970 by the gateway's clock."""

    topic: str
    device: str
    channel: str
    payload: bytes
    received: int
    qos: int = 1
    retained: bool = False


class Registered(NamedTuple):
    """What the registry says of a device: the place of a fixed one, in WGS-84 degrees."""

    kind: str
    lat: float | None
    lon: float | None


def quarantined(arrival: Arrival, reason: str, detail: str) -> Quarantined:
    """The arrival's bytes, to be kept with why."""
    return Quarantined(
        topic=arrival.topic,
        device=arrival.device,
        reason=reason,
        detail=detail[:500],
        payload=arrival.payload,
        first_ms=arrival.received,
        last_ms=arrival.received,
    )


def refused(arrival: Arrival, error: ProtocolError) -> Quarantined:
    """The arrival's bytes, refused by the codec."""
    return quarantined(arrival, error.reason, str(error))


def arrival_flags(arrival: Arrival, registered: Registered | None) -> tuple[str, ...]:
    """What is odd in how an alarm came."""
    flags: tuple[str, ...] = ()
    if arrival.qos == 0:
        flags += ("qos0",)
    if registered is None:
        flags += ("unregistered",)
    return flags


def read_alarm(
    arrival: Arrival, registered: Registered | None, twin: Twin
) -> tuple[AlarmMessage, tuple[Quarantined, ...]]:
    """An alarm with all that is to be said of it, and its bytes where a part was unreadable.

    Raise ProtocolError if not even its boot and number can be read.
    """
    alarm, salvage_flags, bad_pos = codec.decode_alarm(arrival.payload)
    if alarm.of is not None and alarm.of >= alarm.seq:
        alarm = msgspec.structs.replace(alarm, of=None)
        salvage_flags += ("of_invalid",)
    offset_ms = twin.clock.observe(alarm.t, arrival.received)
    message = AlarmMessage(
        device=arrival.device,
        alarm=alarm,
        data=plain(alarm),
        flags=(
            *arrival_flags(arrival, registered),
            *clock_flags(alarm.t, arrival.received, offset_ms),
            *salvage_flags,
        ),
        received=arrival.received,
        clock_offset_ms=offset_ms,
    )
    if bad_pos is not None:
        # Only what JSON can hold is shown; the bytes themselves are in quarantine.
        message.data["pos"] = json.loads(json.dumps(bad_pos, default=repr, skipkeys=True))
    if alarm.of is None:
        message = placed(message, registered)
    if not salvage_flags:
        return message, ()
    return message, _left_out(arrival, salvage_flags)


def read_report(
    arrival: Arrival, kind: type[_Report]
) -> tuple[_Report, tuple[str, ...], tuple[Quarantined, ...]]:
    """A duty report or a reply, what is wrong with it, and its bytes where something is.

    Raise ProtocolError if what it cannot be without is wrong.
    """
    message, flags = codec.decode_saved(arrival.payload, kind)
    return message, flags, _left_out(arrival, flags) if flags else ()


def _left_out(arrival: Arrival, flags: tuple[str, ...]) -> tuple[Quarantined, ...]:
    detail = f"{arrival.channel} kept, left out: {', '.join(flags)}"
    return (quarantined(arrival, "field_invalid", detail),)


def placed(message: AlarmMessage, registered: Registered | None) -> AlarmMessage:
    """The alarm with its place: as sent, or the registered address where that is none.

    For a message that raises an alarm; one that only adds to an alarm needs no place.
    """
    data, pos = dict(message.data), message.data.get("pos")
    flags: tuple[str, ...] = ()
    if pos is not None and "position_invalid" not in message.flags:
        if pos["fix"] == 0:
            flags = ("position_no_fix",)
        elif pos["lat"] == 0 and pos["lon"] == 0:
            flags = ("position_zero",)  # what a receiver says that knows none
        elif pos.get("src") == "fixed":
            return message  # what stands still is where it was
        else:
            age_ms = abs(data["t"] - pos.get("t", data["t"])) if data["t"] > 0 else 0
            return message.flagged("position_old") if age_ms > SKEW_MS else message
    place = address(registered)
    if place is None:
        return message.flagged(*(flags if pos is not None else ("position_missing",)))
    if pos is not None:
        data["pos_sent"] = pos
    data["pos"] = place
    return message._replace(data=data).flagged(*flags, "position_registered")


def address(registered: Registered | None) -> dict[str, Any] | None:
    """The registered place of a fixed device as a position, if it has one."""
    if registered is None or registered.lat is None or registered.lon is None:
        return None
    return {"lat": registered.lat, "lon": registered.lon, "fix": 2, "src": "fixed"}
