"""What captured bytes say, field by field, and what the gateway would do with them.

Decided by the gateway's own code, as far as the bytes alone tell: the device is
taken to be registered, without an address, and its clock to be right.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgpack
import msgspec
from msgspec import Struct

from gateway.arrival import Arrival, Registered, read_alarm
from gateway.explained import Explanation, Fault, Field, Reading, Verdict
from gateway.twins import Twin, clock_flags
from protocols.cloudevents import rfc3339
from protocols.errors import FieldInvalid, MediaInvalid, ProtocolError
from protocols.meanings import MEANINGS, MS
from protocols.model import (
    Alarm,
    AlarmStage,
    Command,
    DutyReport,
    Fix,
    Lane,
    MediaChunk,
    Message,
    Position,
    Receipt,
    Reply,
    message_id,
)
from protocols.native import codec, media, topics
from protocols.native.topics import Down, Up

_DOWN_TYPES: dict[str, type[Struct]] = {Down.RECEIPT: Receipt, Down.CMD: Command}
_INNER: dict[tuple[type[Struct], str], type[Struct]] = {
    **{(kind, "pos"): Position for kind in MEANINGS if "pos" in kind.__struct_fields__},
    (Receipt, "alarms"): AlarmStage,
}


def explain(topic: str, payload: bytes, prefix: str) -> Explanation:
    """What the bytes on that topic say. Raises nothing: what is wrong is part of the answer."""
    try:
        parts = topics.parse(prefix, topic)
    except ProtocolError as error:
        reading = _unparsed(error, Verdict.REFUSED, None, "put in quarantine")
        return _explanation(topic, None, payload, [reading])
    if parts.direction == "dn":
        readings = [_down(parts, payload)]
    elif parts.channel == Up.POS:
        readings = _fixes(parts.device, payload)
    elif parts.channel == Up.ALARM:
        readings = [_alarm(topic, parts, payload)]
    else:
        readings = [_message(parts, payload)]
    return _explanation(topic, parts, payload, readings)


def _explanation(
    topic: str, parts: topics.Topic | None, payload: bytes, readings: list[Reading]
) -> Explanation:
    return Explanation(
        topic=topic,
        device=parts and parts.device,
        channel=parts and parts.channel,
        lane=topics.LANES.get(Up(parts.channel)) if parts and parts.direction == "up" else None,
        form="JSON" if codec.is_json(payload) else "MessagePack",
        size=len(payload),
        accepted=all(r.verdict in (Verdict.ACCEPTED, Verdict.SALVAGED) for r in readings),
        messages=readings,
    )


# One message of each sort ------------------------------------------------------------------


def _alarm(topic: str, parts: topics.Topic, payload: bytes) -> Reading:
    try:
        read = codec.decode_alarm(payload)
    except ProtocolError as error:
        effect = (
            "an alarm of kind unreadable is raised, with the bytes in quarantine; the same bytes"
            " within ten minutes only raise its count; no receipt: they carry no number"
        )
        return _unparsed(error, Verdict.UNREADABLE, payload, effect, Alarm)
    arrival = Arrival(topic, parts.device, parts.channel, payload, received=read.alarm.t)
    message, quarantined = read_alarm(arrival, Registered("", None, None), Twin(parts.device))
    effect = "committed and receipted at once; "
    if message.alarm.of is None:
        effect += f"raises alarm {message.id}"
    else:
        effect += f"adds to alarm {message.base_id}, raising it if it has not arrived"
    if quarantined:
        effect += "; what is wrong is left out, the bytes are put in quarantine"
    return _of_keys(
        Alarm,
        _keys(payload),
        verdict=Verdict.SALVAGED if quarantined else Verdict.ACCEPTED,
        id=message.id,
        flags=message.flags,
        effect=effect,
    )


def _fixes(device: str, payload: bytes) -> list[Reading]:
    try:
        fixes = codec.decode_fixes(payload)
    except ProtocolError as error:
        return [_unparsed(error, Verdict.REFUSED, None, "put in quarantine; no receipt")]
    try:
        parsed = codec.parse(payload)
    except ProtocolError as error:
        return [_unparsed(error, Verdict.REFUSED, None, "put in quarantine; no receipt")]
    items = parsed if isinstance(parsed, list) else [parsed]
    return [
        _numbered(device, Up.POS, Fix, item, fix) for item, fix in zip(items, fixes, strict=True)
    ]


def _message(parts: topics.Topic, payload: bytes) -> Reading:
    channel = Up(parts.channel)
    kind = codec.TYPES[channel]
    message: Struct | codec.Refused
    try:
        if channel in (Up.DUTY, Up.REPLY):
            report = DutyReport if channel is Up.DUTY else Reply
            message, flags = codec.decode_saved(payload, report)
            if flags:
                return _saved(parts.device, channel, payload, message, flags)
        else:
            message = codec.decode(payload, kind)
        if isinstance(message, MediaChunk):
            media.check_chunk(message)
    except ProtocolError as error:
        message = codec.Refused(error, payload, codec.identity_of(payload))
    return _numbered(parts.device, channel, kind, _keys(payload), message)


def _saved(
    device: str, channel: Up, payload: bytes, message: Message, flags: tuple[str, ...]
) -> Reading:
    return _of_keys(
        type(message),
        _keys(payload),
        verdict=Verdict.SALVAGED,
        id=_id(device, topics.LANES[channel], message),
        flags=(*clock_flags(message.t, message.t, None), *flags),
        effect=f"{_EFFECTS[channel]}; what is wrong is left out, the bytes are put in quarantine",
    )


def _numbered(
    device: str, channel: Up, kind: type[Struct], keys: Any, message: Struct | codec.Refused
) -> Reading:
    """A message of any channel but ``alarm``, on the way up."""
    lane = topics.LANES.get(channel)
    if not isinstance(message, codec.Refused):
        t = getattr(message, "t", None)
        return _of_keys(
            kind,
            keys,
            verdict=Verdict.ACCEPTED,
            id=_id(device, lane, message),
            flags=clock_flags(t, t, None) if lane is not None and t is not None else (),
            effect=_EFFECTS[channel],
        )
    effect = "put in quarantine"
    if lane is not None:
        effect += (
            "; no receipt: its number cannot be read"
            if message.identity is None
            else "; receipted: its number is used up"
        )
    identity = _id(device, lane, message.identity)
    if not isinstance(keys, dict):
        return _unparsed(message.error, Verdict.REFUSED, None, effect)
    return _of_keys(
        kind, keys, verdict=Verdict.REFUSED, id=identity, effect=effect, error=message.error
    )


def _down(parts: topics.Topic, payload: bytes) -> Reading:
    kind = _DOWN_TYPES.get(parts.channel)
    if kind is None:
        return _free_form(payload)
    try:
        codec.decode(payload, kind)
    except ProtocolError as error:
        return _unparsed(error, Verdict.REFUSED, payload, "the device ignores it", kind)
    effect = (
        "the device forgets what it covers, sends again what is missed, shows the stages"
        if kind is Receipt
        else "the device runs it once, or refuses it past exp"
    )
    return _of_keys(kind, _keys(payload), verdict=Verdict.ACCEPTED, effect=effect)


def _free_form(payload: bytes) -> Reading:
    """Desired configuration: its keys are the device's own."""
    try:
        keys = codec.parse(payload)
    except ProtocolError as error:
        return _unparsed(error, Verdict.REFUSED, None, "the device ignores it")
    fields = [
        Field(name=str(name), value=value, shown=_shown(value, ""), unit="", meaning="")
        for name, value in (keys.items() if isinstance(keys, dict) else [("", keys)])
    ]
    return Reading(
        verdict=Verdict.ACCEPTED, id=None, fields=fields, ignored=[], flags=(), problems=[],
        effect="the device takes it as the configuration wanted of it",
    )  # fmt: skip


_EFFECTS = {
    Up.DUTY: "committed and receipted at once; feeds a duty event",
    Up.REPLY: "committed and receipted at once; feeds a command event",
    Up.POS: "committed within 50 ms, receipted after 64 messages or 5 s; feeds a position event",
    Up.STATUS: "committed within 50 ms, receipted after 64 messages or 5 s; feeds a status event",
    Up.MEDIA: "committed within 50 ms, receipted after 64 messages or 5 s; feeds a media event"
    " when the picture is whole",
    Up.PRESENCE: "kept and fed if it says something new; online brings a receipt for each boot",
}


# Keys --------------------------------------------------------------------------------------


def _of_keys(
    kind: type[Struct],
    keys: Any,
    *,
    verdict: Verdict,
    effect: str,
    id: str | None = None,
    flags: tuple[str, ...] = (),
    error: ProtocolError | None = None,
) -> Reading:
    problems = list(_problems(keys, kind)) if verdict is not Verdict.ACCEPTED else []
    if error is not None and not problems:
        problems = [_problem(error)]
    return Reading(
        verdict=verdict,
        id=id,
        fields=list(_fields(kind, keys)),
        ignored=list(_ignored(kind, keys)),
        flags=flags,
        problems=problems,
        effect=effect,
    )


def _unparsed(
    error: ProtocolError,
    verdict: Verdict,
    payload: bytes | None,
    effect: str,
    kind: type[Struct] = Alarm,
) -> Reading:
    """Bytes that make no message; with ``payload``, the keys that can be read all the same."""
    keys = _keys(payload) if payload is not None else None
    if isinstance(keys, dict):
        return _of_keys(kind, keys, verdict=verdict, effect=effect, error=error)
    return Reading(
        verdict=verdict, id=None, fields=[], ignored=[], flags=(), problems=[_problem(error)],
        effect=effect,
    )  # fmt: skip


def _keys(payload: bytes) -> Any:
    try:
        return codec.parse(payload)
    except ProtocolError:
        return None


def _fields(kind: type[Struct], keys: Any, path: str = "") -> Iterator[Field]:
    for name, key in MEANINGS[kind].items():
        if not isinstance(keys, dict) or name not in keys:
            continue
        value, inner = keys[name], _INNER.get((kind, name))
        if inner is not None and isinstance(value, dict):
            yield from _fields(inner, value, f"{path}{name}.")
        elif inner is not None and isinstance(value, list):
            for at, item in enumerate(value):
                yield from _fields(inner, item, f"{path}{name}[{at}].")
        else:
            yield Field(
                name=path + name,
                value=value,
                shown=_shown(value, key.unit),
                unit=key.unit,
                meaning=key.meaning,
            )


def _ignored(kind: type[Struct], keys: Any, path: str = "") -> Iterator[str]:
    if not isinstance(keys, dict):
        return
    for name, value in keys.items():
        if name not in MEANINGS[kind]:
            yield f"{path}{_shown(name, '')}"
        elif (inner := _INNER.get((kind, name))) is not None:
            yield from _ignored(inner, value, f"{path}{name}.")


def _problems(keys: Any, kind: type[Struct]) -> Iterator[Fault]:
    """Everything that is wrong with the keys: each wrong one is left out to find the next."""
    if not isinstance(keys, dict):
        return
    left = {name: value for name, value in keys.items() if name in kind.__struct_fields__}
    while isinstance(error := codec.problem_with(msgpack.packb(left), kind), FieldInvalid):
        name = error.field.partition(".")[0].partition("[")[0]
        if name not in left:
            break
        yield _problem(error)
        del left[name]
    for config in msgspec.structs.fields(kind):
        if config.required and config.name not in keys:
            yield Fault(
                reason=FieldInvalid.reason,
                detail=f"{config.name}: required key is missing",
                field=config.name,
            )


def _problem(error: ProtocolError) -> Fault:
    if isinstance(error, FieldInvalid):
        return Fault(reason=error.reason, detail=str(error), field=error.field, value=error.value)
    field = str(error).partition(":")[0] if isinstance(error, MediaInvalid) else None
    return Fault(reason=error.reason, detail=str(error), field=field)


def _id(device: str, lane: Lane | None, numbered: Any) -> str | None:
    if lane is None or numbered is None:
        return None
    return message_id(device, numbered.boot, lane, numbered.seq)


def _shown(value: Any, unit: str) -> str:
    if isinstance(value, bytes):
        return f"{len(value)} bytes: {value[:8].hex(' ')}{' …' if len(value) > 8 else ''}"
    if unit == MS and isinstance(value, int) and not isinstance(value, bool) and value > 0:
        try:
            return f"{value} ({rfc3339(value)})"
        except OverflowError:  # past the year 9999
            pass
    text = value if isinstance(value, str) and value.isprintable() else repr(value)
    return text if len(text) <= 100 else text[:97] + "…"
