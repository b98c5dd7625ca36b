"""Payloads of the contract (section 2): MessagePack or JSON to messages, and back.

Two ways lead in. The fast one decodes straight into the type and takes only
what is exactly right. What it refuses goes the careful way: parsed leniently,
bounded in nesting, unknown keys left out, and then either a message or an error
that names the field and the value. So strangeness costs only who sends it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from math import isfinite
from typing import Any, NamedTuple, TypeAlias, TypeVar, get_type_hints

import msgpack
import msgspec

from protocols.errors import FieldInvalid, Malformed, ProtocolError, TooLarge
from protocols.model import (
    MAX_FIXES,
    MAX_MESSAGE_BYTES,
    MAX_NESTING,
    MAX_SEQ,
    MAX_TEXT_CHARS,
    Alarm,
    Command,
    DutyReport,
    Fix,
    MediaChunk,
    Position,
    Presence,
    Receipt,
    Reply,
    Status,
)
from protocols.native.topics import Up

UpMessage: TypeAlias = Fix | Alarm | DutyReport | Reply | Status | MediaChunk | Presence
DownMessage: TypeAlias = Receipt | Command

_S = TypeVar("_S", bound=msgspec.Struct)

TYPES: dict[Up, type[UpMessage]] = {
    Up.POS: Fix,
    Up.ALARM: Alarm,
    Up.DUTY: DutyReport,
    Up.REPLY: Reply,
    Up.STATUS: Status,
    Up.MEDIA: MediaChunk,
    Up.PRESENCE: Presence,
}

_json_encoder = msgspec.json.Encoder()
_msgpack_encoder = msgspec.msgpack.Encoder()
_json_decoders: dict[Any, Any] = {}
_msgpack_decoders: dict[Any, Any] = {}
for _type in (*TYPES.values(), Receipt, Command):
    _json_decoders[_type] = msgspec.json.Decoder(_type)
    _msgpack_decoders[_type] = msgspec.msgpack.Decoder(_type)
decode_usual = msgspec.msgpack.Decoder(Fix | list[Fix]).decode
"""One fix or an array of them in MessagePack, exactly as the contract has it, and nothing else:
raises one of REFUSALS, and does not look at the limits. decode_fixes takes the rest."""

_json_fixes = msgspec.json.Decoder(list[Fix])
_msgpack_fixes = msgspec.msgpack.Decoder(list[Fix])

# What the decoders raise on bytes that they cannot take.
REFUSALS = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)

# JSON with so many digits in a row may hold a number past 64 bits, which the fast way would take.
_LONG_NUMBER = re.compile(rb"[0-9]{19}")


class Identity(NamedTuple):
    """``boot`` and ``seq`` of a message whose rest may be unreadable."""

    boot: int
    seq: int


class Refused(NamedTuple):
    """One message that the contract refuses, with its identity where that can be read."""

    error: ProtocolError
    raw: bytes
    identity: Identity | None


class ReadAlarm(NamedTuple):
    """An alarm, what is wrong with it, and a position that is none, as it was sent."""

    alarm: Alarm
    flags: tuple[str, ...]
    bad_pos: object = None


def is_json(payload: bytes) -> bool:
    """Whether the payload is JSON: its first byte is ``{`` or ``[``."""
    return payload[:1] in (b"{", b"[")


def encode(message: UpMessage | DownMessage, *, as_json: bool = False) -> bytes:
    """The payload of a message."""
    return (_json_encoder if as_json else _msgpack_encoder).encode(message)


def decode(payload: bytes, kind: type[_S]) -> _S:
    """One message of that type; raise ProtocolError with the field and the value."""
    _check_size(payload)
    as_json = is_json(payload)
    if not (as_json and _LONG_NUMBER.search(payload)):
        try:
            message: _S = (_json_decoders if as_json else _msgpack_decoders)[kind].decode(payload)
            return message
        except REFUSALS:
            pass
    return _convert(_parse_map(payload), kind)


def decode_map(payload: bytes) -> dict[str, Any]:
    """A map within the limits, of whatever keys; raise ProtocolError."""
    _check_size(payload)
    return _parse_map(payload)


def decode_fixes(payload: bytes) -> list[Fix | Refused]:
    """The fixes of a ``pos`` message, one or an array of up to 200.

    A bad one stands as Refused in its place and harms no other. Raise
    ProtocolError where the payload is none of the two.
    """
    _check_size(payload)
    if not _is_array(payload):
        try:
            return [decode(payload, Fix)]
        except ProtocolError as error:
            return [Refused(error, payload, identity_of(payload))]
    as_json = is_json(payload)
    if not (as_json and _LONG_NUMBER.search(payload)):
        try:
            fixes = (_json_fixes if as_json else _msgpack_fixes).decode(payload)
            if len(fixes) <= MAX_FIXES:
                return [*fixes]
        except REFUSALS:
            pass
    items = _parse(payload)
    if len(items) > MAX_FIXES:
        raise TooLarge("fixes in one message", MAX_FIXES, len(items))
    return [_fix_or_refused(item) for item in items]


def decode_alarm(payload: bytes) -> ReadAlarm:
    """An alarm, saved from whatever else is wrong with the message.

    Only ``boot`` and ``seq`` must be readable: they are its identity. Any other
    key that is wrong is left out and flagged. Raise ProtocolError where the
    identity cannot be read: the bytes themselves are the alarm then.
    """
    try:
        return ReadAlarm(decode(payload, Alarm), ())
    except ProtocolError as error:
        if isinstance(error, TooLarge) and error.what == "message bytes":
            raise
    keys = _parse_map(payload)
    identity = _identity(keys)
    if identity is None:
        field = "boot" if _number(keys.get("boot"), 0, 2**32 - 1) is None else "seq"
        raise FieldInvalid(field, "missing or not a number of its range", keys.get(field))
    kept, flags = _salvaged(keys, _ALARM_FIELDS)
    if "kind" not in kept:
        kept["kind"] = "unreadable"
        if "kind_invalid" not in flags:
            flags.append("kind_missing")
    alarm = Alarm(boot=identity.boot, seq=identity.seq, **_timed(kept, flags))
    return ReadAlarm(alarm, tuple(flags), None if "pos" in kept else keys.get("pos"))


def decode_saved(payload: bytes, kind: type[_S]) -> tuple[_S, tuple[str, ...]]:
    """A report or a reply, saved from what is wrong beside the word that it is sent for.

    What it cannot be without is exactly right, or ProtocolError is raised. Any other key
    that is wrong is left out, or cut if it is too long, and flagged.
    """
    try:
        return decode(payload, kind), ()
    except FieldInvalid as error:
        needed, others = _SAVED_FIELDS[kind]
        keys = _parse_map(payload)
        kept, flags = _salvaged(keys, others)
        kept = _timed(kept, flags)
        try:
            message = msgspec.convert({**kept, **{key: keys.get(key) for key in needed}}, kind)
        except msgspec.ValidationError:
            raise error from None
        return message, tuple(flags)


def identity_of(payload: bytes) -> Identity | None:
    """Boot and seq of a message that is otherwise refused, if they can be read."""
    try:
        return _identity(_parse_map(payload))
    except ProtocolError:
        return None


def problem_with(payload: bytes, kind: type[msgspec.Struct]) -> ProtocolError | None:
    """Why a payload is refused as that type, or None."""
    try:
        decode(payload, kind)
    except ProtocolError as error:
        return error
    return None


def parse(payload: bytes) -> Any:
    """The payload as plain values, unknown keys and all; raise ProtocolError. For explaining."""
    _check_size(payload)
    return _parse(payload)


def _check_size(payload: bytes) -> None:
    if len(payload) > MAX_MESSAGE_BYTES:
        raise TooLarge("message bytes", MAX_MESSAGE_BYTES, len(payload))


def _is_array(payload: bytes) -> bool:
    first = payload[0] if payload else 0
    return first == 0x5B or 0x90 <= first <= 0x9F or first in (0xDC, 0xDD)


def _parse(payload: bytes) -> Any:
    """Well-formed bytes as plain values. More lenient than the contract in what a value may be:
    NaN, infinities and broken text pass, so that an alarm is not lost for them."""
    try:
        if is_json(payload):
            value = json.loads(payload.decode("utf-8", "replace"), parse_int=_whole_number)
        else:
            value = msgpack.unpackb(
                payload, strict_map_key=False, unicode_errors="replace", timestamp=0
            )
    except RecursionError:
        raise TooLarge("nesting", MAX_NESTING) from None
    except msgpack.StackError:
        raise TooLarge("nesting", MAX_NESTING) from None
    except (ValueError, TypeError, OverflowError) as error:
        form = "JSON" if is_json(payload) else "MessagePack"
        detail = str(error) or type(error).__name__
        raise Malformed(f"not well-formed {form}: {detail}") from None
    return _bounded(value, MAX_NESTING)


def _whole_number(digits: str) -> int | float:
    """A float where 64 bits cannot hold the number, so that no key takes it for a whole one."""
    if len(digits) <= 20 and -(2**63) <= (number := int(digits)) <= MAX_SEQ:
        return number
    return float(digits)


def _bounded(value: Any, depth: int) -> Any:
    """The value, if it nests no deeper; text that UTF-8 cannot hold is made to fit."""
    if isinstance(value, (dict, list)):
        if depth == 0:
            raise TooLarge("nesting", MAX_NESTING)
        if isinstance(value, list):
            return [_bounded(item, depth - 1) for item in value]
        return {_bounded(key, depth - 1): _bounded(item, depth - 1) for key, item in value.items()}
    if isinstance(value, str) and not value.isascii():
        return value.encode("utf-8", "replace").decode()
    return value


def _parse_map(payload: bytes) -> dict[str, Any]:
    value = _parse(payload)
    if not isinstance(value, dict):
        raise Malformed(f"expected a map, got {type(value).__name__}")
    return value


def _convert(value: Any, kind: type[_S]) -> _S:
    """Plain values to the type, or FieldInvalid."""
    if not isinstance(value, dict):
        raise Malformed(f"expected a map, got {type(value).__name__}")
    known = {name: value[name] for name in kind.__struct_encode_fields__ if name in value}
    # A figure that the device could not compute is none; it costs no position.
    not_finite = {
        name: known.pop(name)
        for name in kind.__struct_encode_fields__
        if name in _FIGURES and isinstance(known.get(name), float) and not isfinite(known[name])
    }
    try:
        message = msgspec.convert(known, kind)
    except msgspec.ValidationError as error:
        raise _field_error(error, known) from None
    return msgspec.structs.replace(message, **not_finite) if not_finite else message


def _salvaged(keys: dict[str, Any], fields: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Those of the fields that are right, or can be cut to be, and what is to be said of others."""
    kept: dict[str, Any] = {}
    flags: list[str] = []
    for name, annotation in fields.items():
        value = keys.get(name)
        if value is None:
            continue
        if name in _CUT and isinstance(value, str) and len(value) > MAX_TEXT_CHARS:
            value = value[:MAX_TEXT_CHARS]
            flags.append(f"{name}_cut")
        try:
            kept[name] = (
                _salvage_place(value, flags)
                if name == "pos"
                else msgspec.convert(value, annotation)
            )
        except (msgspec.ValidationError, ProtocolError):
            flags.append("position_invalid" if name == "pos" else f"{name}_invalid")
    return kept, flags


def _timed(kept: dict[str, Any], flags: list[str]) -> dict[str, Any]:
    """With the time that stands for none where there is none."""
    if "t" not in kept and "t_invalid" not in flags:
        flags.append("t_missing")
    return {"t": 0, **kept}


def _salvage_place(value: Any, flags: list[str]) -> Position:
    """The place of a message, without the figures beside it that are wrong."""
    try:
        return _convert(value, Position)
    except FieldInvalid:
        place = _convert({key: value.get(key) for key in ("lat", "lon", "fix")}, Position)
        flags.append("position_in_part")
        return place


def _field_error(error: msgspec.ValidationError, known: dict[str, Any]) -> FieldInvalid:
    """msgspec's words, taken apart: ``Expected `int`, got `str` - at `$.seq``` and the value."""
    problem, _, where = str(error).rpartition(" - at ")
    if not problem:  # the message itself is at fault
        problem, where = where, ""
    path = where.rpartition("in ")[2].strip("`").removeprefix("$").removeprefix(".")
    if "missing required field" in problem:
        missing = problem.rpartition("field ")[2].strip("`")
        return FieldInvalid(f"{path}.{missing}".lstrip("."), "required key is missing")
    if problem.startswith("Invalid enum value"):
        problem = "Not a word of the contract"
    value: Any = known
    for step in re.findall(r"\w+|\.\.\.", path):
        if step == "...":  # some value of a map: msgspec does not say which
            break
        value = value[int(step) if step.isdigit() else step]
    return FieldInvalid(path or "message", problem[:1].lower() + problem[1:], value)


def _fix_or_refused(item: Any) -> Fix | Refused:
    try:
        return _convert(item, Fix)
    except ProtocolError as error:
        raw = msgpack.packb(item, default=repr)
        return Refused(error, raw, _identity(item) if isinstance(item, dict) else None)


def _identity(keys: dict[str, Any]) -> Identity | None:
    boot = _number(keys.get("boot"), 0, 2**32 - 1)
    seq = _number(keys.get("seq"), 1, MAX_SEQ)
    return None if boot is None or seq is None else Identity(boot, seq)


def _number(value: object, least: int, most: int) -> int | None:
    if isinstance(value, int) and not isinstance(value, bool) and least <= value <= most:
        return value
    return None


def _optional_fields(kind: type[msgspec.Struct], leave: Iterable[str]) -> dict[str, Any]:
    hints = get_type_hints(kind, include_extras=True)
    return {name: hints[name] for name in kind.__struct_fields__ if name not in leave}


_ALARM_FIELDS = _optional_fields(Alarm, leave=("boot", "seq"))
_CUT = frozenset({"text", "detail"})
"""Words for people: the beginning of what is too long still says something."""

_SAVED_FIELDS: dict[type[msgspec.Struct], tuple[tuple[str, ...], dict[str, Any]]] = {
    kind: (needed, _optional_fields(kind, leave=needed))
    for kind, needed in (
        (Reply, ("boot", "seq", "cmd", "state")),
        (DutyReport, ("boot", "seq", "act")),
    )
}
"""What each cannot be without, and its other keys."""

_FIGURES = frozenset({"alt", "spd", "hdg", "acc", "hdop", "rssi", "temp"})
__all__ = [
    "REFUSALS", "TYPES", "DownMessage", "Identity", "Position", "ReadAlarm", "Refused", "UpMessage",
    "decode", "decode_alarm", "decode_fixes", "decode_saved", "decode_usual", "encode",
    "identity_of", "is_json", "parse", "problem_with",
]  # fmt: skip
