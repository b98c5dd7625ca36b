"""An event, or a life cycle's record, from its row: what is damaged is told by the others."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable

import msgspec
import structlog

from gateway.journal.base import AlarmRecord, CommandRecord, Event, EventType, StageChange
from gateway.journal.damage import is_whole, row_crc
from gateway.journal.follow import created, follow
from gateway.unit import UnitRecord
from protocols.model import Stage

REBUILT = "rebuilt"

log = structlog.get_logger()

_encode = msgspec.msgpack.Encoder().encode
_decode_event = msgspec.msgpack.Decoder(Event).decode
_decode_alarm = msgspec.msgpack.Decoder(AlarmRecord).decode
_decode_unit = msgspec.msgpack.Decoder(UnitRecord).decode


_decode_command = msgspec.msgpack.Decoder(CommandRecord).decode


def sealed(
    value: Event | AlarmRecord | CommandRecord | UnitRecord, *about: object
) -> tuple[bytes, int]:
    """A row's body, and the checksum of it and of what it is found by."""
    body = _encode(value)
    return body, row_crc(body, *about)


def event_of(
    main: sqlite3.Connection, cursor: int, event_id: str, body: bytes, crc: int | None
) -> Event | None:
    """The event of a row; None if it is damaged and nothing else tells of it."""
    event = _event(cursor, event_id, body, crc)
    if event is None:
        # By its cursor: the bit that flipped may be one of the id.
        row = main.execute("SELECT id, body, crc FROM alarm WHERE cursor = ?", (cursor,)).fetchone()
        record = None if row is None else _alarm(*row)
        event = None if record is None else _raising(record, cursor)
    return event


def alarm_of(
    main: sqlite3.Connection, alarm_id: str, body: bytes, crc: int | None
) -> AlarmRecord | None:
    """The alarm of a row; None if it is damaged and no event tells of it."""
    record = _alarm(alarm_id, body, crc)
    return record or alarm_from_events(main, alarm_id)


def keep_units(main: sqlite3.Connection, units: Iterable[UnitRecord]) -> None:
    """Write the rows of units."""
    main.executemany(
        "INSERT OR REPLACE INTO unit VALUES (?, ?, ?)",
        ((unit.id, *sealed(unit, unit.id)) for unit in units),
    )


def all_units(main: sqlite3.Connection) -> list[UnitRecord]:
    """Every unit whose row is whole: of one that is not, its crew's next key tells again."""
    rows = main.execute("SELECT id, body, crc FROM unit ORDER BY id").fetchall()
    found = [_decode_unit(body) for unit, body, crc in rows if is_whole(crc, body, unit)]
    if len(found) < len(rows):
        log.error("units_damaged", units=len(rows) - len(found))
    return found


def alarm_from_events(main: sqlite3.Connection, alarm_id: str) -> AlarmRecord | None:
    """An alarm as its events tell of it, without what was added to it later."""
    ids = [alarm_id, *(f"{alarm_id}/{stage}" for stage in Stage)]
    marks = ", ".join("?" * len(ids))
    rows = main.execute(
        f"SELECT cursor, id, body, crc FROM event WHERE id IN ({marks}) ORDER BY cursor",  # noqa: S608 - only marks
        ids,
    )
    raised, *later = [_event(*row) for row in rows] or [None]
    if raised is None or raised.type is not EventType.ALARM_RAISED:
        return None
    _, boot, _, seq = (*raised.id.rsplit(":", 3), "", "", "", "")[:4]
    steps = [StageChange(stage=Stage.STORED, t=raised.stored)]
    steps += [
        msgspec.convert({k: v for k, v in stage.data.items() if k != "alarm"}, StageChange)
        for stage in later
        if stage is not None and stage.type is EventType.ALARM_STAGE
    ]
    return AlarmRecord(
        id=alarm_id,
        device=raised.device,
        boot=raised.data.get("boot", int(boot) if boot.isdecimal() else 0),
        seq=raised.data.get("seq", int(seq) if seq.isdecimal() else 0),
        kind=raised.data.get("kind", "panic"),
        t=raised.t,
        received=raised.received,
        stages=tuple(steps),
        count=raised.data.get("count") or 1,
        flags=(*raised.flags, REBUILT),
        clock_offset_ms=raised.clock_offset_ms,
        data=raised.data,
    )


def command_of(
    main: sqlite3.Connection, command_id: str, body: bytes, crc: int | None
) -> CommandRecord | None:
    """The command of a row; None if it is damaged and no event tells of it."""
    if is_whole(crc, body, command_id):
        return _decode_command(body)
    return command_from_events(main, command_id)


def command_from_events(main: sqlite3.Connection, command_id: str) -> CommandRecord | None:
    """A command as its events tell of it. Looks through all of its device's, which takes long."""
    sql = "SELECT cursor, id, body, crc FROM event WHERE id = ?"
    row = main.execute(sql, (f"{command_id}/created",)).fetchone()
    first = None if row is None else _event(*row)
    if first is None or first.type is not EventType.COMMAND:
        return None
    record = created(first)
    later = main.execute(
        "SELECT cursor, id, body, crc FROM event"
        " WHERE cursor > ? AND type = ? AND device = ? ORDER BY cursor",
        (first.cursor, EventType.COMMAND, first.device),
    )
    for row in later:
        event = _event(*row)
        if event is not None and event.data.get("cmd") == command_id:
            record, _ = follow(record, event)
    return msgspec.structs.replace(record, flags=(REBUILT,))


def _raising(record: AlarmRecord, cursor: int) -> Event:
    """The event that raised an alarm, as its record tells of it."""
    return msgspec.structs.replace(
        record.raising(),
        flags=(*record.flags, REBUILT),
        cursor=cursor,
        stored=record.stages[0].t,
    )


def _event(cursor: int, event_id: str, body: bytes, crc: int | None) -> Event | None:
    if not is_whole(crc, body, cursor, event_id):
        return None
    return msgspec.structs.replace(_decode_event(body), cursor=cursor)


def _alarm(alarm_id: str, body: bytes, crc: int | None) -> AlarmRecord | None:
    return _decode_alarm(body) if is_whole(crc, body, alarm_id) else None
