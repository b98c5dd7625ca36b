"""The life of an alarm: raised once, added to, and its stages up to closed."""

from __future__ import annotations

import asyncio
import hashlib
from collections import deque
from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec

from gateway.journal.base import (
    AlarmRecord,
    Change,
    Event,
    EventType,
    Journal,
    StageChange,
)
from protocols.model import Alarm, Lane, Stage, message_id

NEXT: dict[Stage, frozenset[Stage]] = {
    Stage.STORED: frozenset({Stage.ACCEPTED, Stage.ACKNOWLEDGED, Stage.CLOSED}),
    Stage.ACCEPTED: frozenset({Stage.ACKNOWLEDGED, Stage.CLOSED}),
    Stage.ACKNOWLEDGED: frozenset({Stage.CLOSED}),
    Stage.CLOSED: frozenset(),
}
"""Where an alarm can go. To ask for a stage that it has reached or passed changes nothing."""

MAX_FLAGS = 32
CLOSED_KEPT = 1000
BASE_MISSING = "base_missing"
CONFLICT = "conflict"


class UnknownAlarm(Exception):
    """There is no alarm of that id."""

    def __init__(self, alarm_id: str) -> None:
        super().__init__(f"no alarm {alarm_id!r}")
        self.alarm_id = alarm_id


class AlarmMessage(NamedTuple):
    """An alarm as it came in, read as far as it could be."""

    device: str
    alarm: Alarm
    data: dict[str, Any]
    flags: tuple[str, ...]
    received: int
    clock_offset_ms: int | None

    @property
    def id(self) -> str:
        """The message's id."""
        return message_id(self.device, self.alarm.boot, Lane.PRIORITY, self.alarm.seq)

    def flagged(self, *flags: str) -> AlarmMessage:
        """The message with more to be said of it."""
        return self._replace(flags=(*self.flags, *flags))

    def on_its_own(self) -> AlarmMessage:
        """The message as an alarm of its own: what it adds to is no alarm."""
        alarm = msgspec.structs.replace(self.alarm, of=None)
        return self._replace(alarm=alarm).flagged("of_invalid")

    @property
    def base_id(self) -> str:
        """The id of the alarm that the message raises or adds to."""
        seq = self.alarm.of or self.alarm.seq
        return message_id(self.device, self.alarm.boot, Lane.PRIORITY, seq)


class Alarms:
    """Open alarms, and the newest closed ones, in memory; others are read when they are needed.

    The records here run ahead of the disk by the commits under way: they serve
    to compute the next change. What is told to anyone comes after the commit.
    """

    def __init__(
        self,
        journal: Journal,
        *,
        now_ms: Callable[[], int],
        on_stage: Callable[[AlarmRecord], None],
    ) -> None:
        self._journal = journal
        self._now_ms = now_ms
        self._on_stage = on_stage
        self._records: dict[str, AlarmRecord] = {}
        self._closed: deque[str] = deque()

    def restore(self, records: list[AlarmRecord]) -> None:
        """Take back what was open before a restart."""
        self._records = {record.id: record for record in records}

    def open(self) -> list[AlarmRecord]:
        """Alarms not closed."""
        return [each for each in self._records.values() if each.stage is not Stage.CLOSED]

    @property
    def open_count(self) -> int:
        """Alarms not closed."""
        return len(self._records) - len(self._closed)

    async def take(self, message: AlarmMessage) -> tuple[AlarmRecord, Change]:
        """The alarm after the message, and what is to be committed for it.

        The base of an addition may not have arrived: the addition stands in for
        it, under the base's id, so that the base raises nothing new when it comes.
        """
        if message.id != message.base_id:
            base = await self.find(message.base_id)
            return self._raise(message) if base is None else self._add(base, message)
        # A new number: the disk need not be asked, it takes no id twice.
        existing = self._records.get(message.id)
        if existing is None:
            return self._raise(message)
        if BASE_MISSING in existing.flags:
            return self._complete(existing, message)
        return existing, Change()

    def forget(self, alarm_id: str) -> None:
        """The alarm was on disk already: what was computed for it does not count."""
        self._records.pop(alarm_id, None)

    async def repeat_unreadable(self, record_id: str, received: int) -> Change | None:
        """The same unreadable bytes again: one more on the same alarm, if it is known."""
        existing = await self.find(record_id)
        if existing is None:
            return None
        record = msgspec.structs.replace(
            existing, count=existing.count + 1, updated=existing.updated + 1
        )
        return self._change(record, _updated(record, received))

    def raise_unreadable(
        self,
        record_id: str,
        device: str,
        received: int,
        flags: tuple[str, ...],
        data: dict[str, Any],
    ) -> Change:
        """Bytes that nobody can read are an alarm too."""
        record = AlarmRecord(
            id=record_id,
            device=device,
            boot=0,
            seq=0,
            kind="unreadable",
            t=0,
            received=received,
            stages=(StageChange(stage=Stage.STORED, t=self._now_ms()),),
            flags=flags,
            data={"kind": "unreadable", **data},
        )
        return self._change(record, record.raising())

    async def contradict(self, message: AlarmMessage, kept: EventType) -> Change:
        """Another body came under an id that is taken: flagged, and no second incident.

        Where no alarm took the id (a duty report, say, of a device that counts wrongly)
        there is no first incident either: then the message raises it, under an id of ours.
        """
        if kept not in (EventType.ALARM_RAISED, EventType.ALARM_UPDATED):
            return await self._raise_beside(message)
        existing = await self.find(message.id)
        if existing is None:
            return Change()
        record = msgspec.structs.replace(
            existing, flags=_merged(existing.flags, (CONFLICT,)), updated=existing.updated + 1
        )
        # The body is part of the event's id: sent again and again it is fed once.
        body = hashlib.sha256(repr(sorted(message.data.items())).encode()).hexdigest()[:12]
        update = _updated(
            record,
            message.received,
            event_id=f"{record.id}/{CONFLICT}-{body}",
            t=message.alarm.t,
            flags=(*message.flags, CONFLICT),
            data={"kind": message.alarm.kind, "sent": message.data},
        )
        return self._change(record, update)

    async def _raise_beside(self, message: AlarmMessage) -> Change:
        alarm_id = f"{message.id}:alarm"
        if await self.find(alarm_id) is not None:
            return Change()
        record = self._record(message.flagged(CONFLICT), alarm_id, message.alarm.seq)
        return self._change(record, record.raising())

    async def advance(
        self, alarm_id: str, stage: Stage, *, by: str | None = None, note: str | None = None
    ) -> AlarmRecord:
        """Bring an alarm to a stage, commit it and tell the box; raise UnknownAlarm.

        Idempotent: a stage that was reached or passed is left as it is.
        """
        existing = await self.find(alarm_id)
        if existing is None:
            raise UnknownAlarm(alarm_id)
        if stage not in NEXT[existing.stage]:
            return existing
        step = StageChange(stage=stage, t=self._now_ms(), by=by, note=note)
        record = msgspec.structs.replace(existing, stages=(*existing.stages, step))
        event = Event(
            type=EventType.ALARM_STAGE,
            id=f"{alarm_id}/{stage}",
            device=record.device,
            t=step.t,
            received=step.t,
            data={"alarm": alarm_id, **msgspec.to_builtins(step)},
        )
        change = self._change(record, event)
        await asyncio.shield(self._journal.commit(change))
        self._on_stage(record)
        return record

    async def find(self, alarm_id: str) -> AlarmRecord | None:
        """The newest state of an alarm. A change must follow without waiting in between."""
        if alarm_id in self._records:
            return self._records[alarm_id]
        kept = await self._journal.alarm(alarm_id)
        return self._records.get(alarm_id, kept)

    def _raise(self, message: AlarmMessage) -> tuple[AlarmRecord, Change]:
        alarm = message.alarm
        if alarm.of is None:
            record = self._record(message, message.id, alarm.seq)
            return record, self._change(record, record.raising())
        # Two events: the alarm under the base's id, the addition under its own.
        record = self._record(message.flagged(BASE_MISSING), message.base_id, alarm.of)
        return record, self._change(record, record.raising(), _updated_by(message, record))

    def _record(self, message: AlarmMessage, alarm_id: str, seq: int) -> AlarmRecord:
        """A new alarm, stored."""
        alarm = message.alarm
        return AlarmRecord(
            id=alarm_id,
            device=message.device,
            boot=alarm.boot,
            seq=seq,
            kind=alarm.kind,
            t=alarm.t,
            received=message.received,
            stages=(StageChange(stage=Stage.STORED, t=self._now_ms()),),
            count=alarm.count or 1,
            flags=message.flags,
            clock_offset_ms=message.clock_offset_ms,
            data=message.data,
        )

    def _complete(self, existing: AlarmRecord, message: AlarmMessage) -> tuple[AlarmRecord, Change]:
        """The base of an alarm that an addition stood in for."""
        record = msgspec.structs.replace(
            existing,
            kind=message.alarm.kind,
            t=message.alarm.t,
            flags=_merged(
                tuple(flag for flag in existing.flags if flag != BASE_MISSING), message.flags
            ),
            data={**existing.data, **message.data, "count": existing.count},
            updated=existing.updated + 1,
        )
        event = _updated(
            record, message.received, t=message.alarm.t, flags=message.flags, data=message.data
        )
        return record, self._change(record, event)

    def _add(self, existing: AlarmRecord, message: AlarmMessage) -> tuple[AlarmRecord, Change]:
        alarm = message.alarm
        flags = message.flags
        if existing.stage is Stage.CLOSED:
            flags = (*flags, "after_close")
        record = msgspec.structs.replace(
            existing,
            count=max(existing.count, alarm.count or existing.count + 1),
            flags=_merged(existing.flags, flags),
            updated=existing.updated + 1,
        )
        return record, self._change(record, _updated_by(message._replace(flags=flags), record))

    def _change(self, record: AlarmRecord, *events: Event) -> Change:
        was = self._records.get(record.id)
        self._records[record.id] = record
        if record.stage is Stage.CLOSED and (was is None or was.stage is not Stage.CLOSED):
            self._closed.append(record.id)
            if len(self._closed) > CLOSED_KEPT:
                del self._records[self._closed.popleft()]
        return Change(events=events, alarms=(record,))


def _updated(
    record: AlarmRecord,
    received: int,
    *,
    event_id: str | None = None,
    t: int = 0,
    flags: tuple[str, ...] = (),
    data: dict[str, Any] | None = None,
) -> Event:
    about = {"alarm": record.id, "count": record.count, "stage": record.stage}
    return Event(
        type=EventType.ALARM_UPDATED,
        id=event_id or f"{record.id}/{record.updated}",
        device=record.device,
        t=t,
        received=received,
        flags=flags,
        data={**(data or {}), **about},
    )


def _updated_by(message: AlarmMessage, record: AlarmRecord) -> Event:
    return _updated(
        record,
        message.received,
        event_id=message.id,
        t=message.alarm.t,
        flags=message.flags,
        data=message.data,
    )


def _merged(flags: tuple[str, ...], more: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*flags, *more)))[:MAX_FLAGS]
