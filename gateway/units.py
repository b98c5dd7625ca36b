"""Units: which devices and officers form one, and what each is doing.

A device that nobody has bound is a unit of its own, under its own id.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import msgspec
from msgspec.structs import replace

from gateway.arrival import Registered
from gateway.duty import SUPERSEDED, Crew, Key, crew_of, happened_ms, key_flags, pressed
from gateway.journal.base import Change, Event, EventType, Journal
from gateway.registry import RESERVED_PREFIX
from gateway.twins import Twins
from gateway.unit import UnitRecord
from gateway.whereabouts import Sight, sight_of, whereabouts
from protocols.duty import AT_WORK, UnitState
from protocols.errors import FieldInvalid
from protocols.model import DutyReport

CONFLICT = "binding_conflict"
MAX_DEVICES = 32
NO_UNIT_KINDS = frozenset({"alarm_box"})
"""What hangs on a wall goes nowhere."""


class UnknownUnit(Exception):
    """There is no unit of that id."""

    def __init__(self, unit: str) -> None:
        super().__init__(f"there is no unit {unit}")
        self.unit = unit


class Cause(NamedTuple):
    """Why units change: when (ms), by whom, and which message of which device if it was one."""

    at: int
    received: int
    by: str
    device: str | None = None
    message: str | None = None


class _Draft:
    """Changes of units that belong together: read through, collected, told as events."""

    def __init__(self, records: dict[str, UnitRecord], bound: dict[str, str]) -> None:
        self._records, self._bound = records, bound
        self.changed: dict[str, UnitRecord] = {}
        self._facts: dict[str, dict[str, dict[str, str]]] = {}
        self._flags: dict[str, tuple[str, ...]] = {}

    def find(self, unit: str) -> UnitRecord:
        """The unit of that id, new if need be."""
        return self.changed.get(unit) or self._records.get(unit) or UnitRecord(id=unit)

    def of(self, device: str) -> UnitRecord:
        """The device's unit: the one it is bound to, else its own."""
        for unit in self.changed.values():
            if device in unit.devices:
                return unit
        unit = self.find(self._bound.get(device, device))
        if device not in unit.devices:  # it has left that one, or was never bound
            unit = self.find(device)
            unit = replace(unit, devices=(*unit.devices, device))
        return unit

    def put(
        self,
        unit: UnitRecord,
        flags: tuple[str, ...] = (),
        facts: dict[str, dict[str, str]] | None = None,
    ) -> None:
        """The unit as it is now, and what is to be said of the change beside that."""
        self.changed[unit.id] = unit
        self._flags[unit.id] = (*self._flags.get(unit.id, ()), *flags)
        said = self._facts.setdefault(unit.id, {})
        for fact, devices in (facts or {}).items():
            said[fact] = {**said.get(fact, {}), **devices}

    def bind(self, unit: UnitRecord, crew: Crew, cause: Cause, *, by_core: bool) -> None:
        """The unit has this crew from now on; who was in another one has left it."""
        taken: dict[str, str] = {}
        for device in crew.devices:
            other = self.of(device)
            if other.id == unit.id:
                continue
            is_conflict = other.state in AT_WORK and other.devices != (other.id,)
            if is_conflict:
                taken[device] = other.id
            elif unit.state is None and other.state is not None:
                unit = _took_over(unit, other)
            self._leave(other, device, unit.id, is_conflict=is_conflict)
        dropped = [device for device in unit.devices if device not in crew.devices]
        unit = replace(
            unit,
            devices=crew.devices,
            officers=crew.officers,
            bound_at=cause.at,
            bound_by=cause.by,
            by_core=by_core,
        )
        facts = {"taken": taken, "released": {device: device for device in dropped}}
        self.put(unit, flags=(CONFLICT,) if taken else (), facts=facts)
        for device in dropped:
            self.release(unit, device, cause.at)

    def _leave(self, unit: UnitRecord, device: str, to: str, *, is_conflict: bool) -> None:
        left = replace(unit, devices=tuple(each for each in unit.devices if each != device))
        if not left.devices:
            left = _dissolved(left)
        self.put(left, flags=(CONFLICT,) if is_conflict else (), facts={"lost": {device: to}})

    def release(self, unit: UnitRecord, device: str, at: int) -> None:
        """The device is a unit of its own again, doing what its unit did."""
        own = self.find(device)
        if not own.devices:
            own = replace(_took_over(own, unit), bound_at=at)
        if device not in own.devices:
            own = replace(own, devices=(*own.devices, device))
        self.changed[device] = own  # told with the unit that it leaves

    def end(self, unit: UnitRecord, at: int) -> None:
        """The binding ends: each device is a unit of its own again."""
        released = [device for device in unit.devices if device != unit.id]
        stays = unit.id in unit.devices
        left = replace(
            unit,
            devices=(unit.id,) if stays else (),
            officers=(),
            bound_at=at,
            bound_by=None,
            by_core=False,
        )
        facts = {"released": {device: device for device in released}}
        self.put(left if stays else _dissolved(left), facts=facts)
        for device in released:
            self.release(unit, device, at)

    def change(self, cause: Cause) -> Change:
        """What is to be committed: every unit that differs, an event for each that shows it."""
        units, events = [], []
        for unit in self.changed.values():
            before = self._records.get(unit.id, UnitRecord(id=unit.id))
            if unit == before:
                continue
            after = replace(unit, changes=before.changes + 1)
            units.append(after)
            self.changed[unit.id] = after
            if unit.id in self._flags and (shown(after) != shown(before) or self._flags[unit.id]):
                events.append(self._event(before, after, cause))
        return Change(events=events, units=units)

    def _event(self, before: UnitRecord, after: UnitRecord, cause: Cause) -> Event:
        name = f"unit:{after.id}/{after.changes}"
        return Event(
            type=EventType.UNIT_CHANGED,
            id=name if cause.message is None else f"{cause.message}/unit/{after.id}",
            device=cause.device or (after.devices or before.devices)[0],
            t=cause.at,
            received=cause.received,
            flags=tuple(dict.fromkeys(self._flags[after.id])),
            data={
                "unit": after.id,
                **shown(after),
                "was": before.state,
                "at": cause.at,
                "by": cause.by,
                **{fact: devices for fact, devices in self._facts[after.id].items() if devices},
            },
        )


def shown(unit: UnitRecord) -> dict[str, Any]:
    """What a change of the unit tells of it."""
    return {
        "state": unit.state,
        "since": unit.since or None,
        "incident": unit.incident,
        "devices": list(unit.devices),
        "officers": list(unit.officers),
    }


def _took_over(unit: UnitRecord, other: UnitRecord) -> UnitRecord:
    """The unit doing what another one did."""
    return replace(
        unit,
        state=other.state,
        since=other.since,
        incident=other.incident,
        reported=other.reported,
        instruction=other.instruction,
        arrived=other.arrived,
    )


def _dissolved(unit: UnitRecord) -> UnitRecord:
    """Without devices; contradictions stay until they are told to have ended."""
    return UnitRecord(
        id=unit.id,
        bound_at=unit.bound_at,
        contradictions=unit.contradictions,
        changes=unit.changes,
    )


def event_id(unit: UnitRecord, about: str) -> str:
    """The id of an event of the gateway's own on this unit as it is now."""
    return f"unit:{unit.id}/{unit.changes + 1}/{about}"


class Units:
    """All units. As computed they run ahead of the disk; what is shown is committed."""

    def __init__(
        self,
        journal: Journal,
        *,
        twins: Twins,
        registered: Callable[[str], Registered | None],
        now_ms: Callable[[], int],
    ) -> None:
        self._journal = journal
        self._twins = twins
        self._registered = registered
        self._now_ms = now_ms
        self._records: dict[str, UnitRecord] = {}
        self._bound: dict[str, str] = {}  # devices to units
        self._known: dict[str, UnitRecord] = {}

    def restore(self, records: Iterable[UnitRecord]) -> None:
        """Take back what was before a restart."""
        self._records = {record.id: record for record in records}
        self._known = dict(self._records)
        self._bound = {
            device: unit.id for unit in self._records.values() for device in unit.devices
        }

    # What changes units.

    def report(self, event: Event, report: DutyReport) -> Change:
        """A duty report and what it makes of units, to be committed now and then ``know``n."""
        at = happened_ms(event.t, event.received, event.clock_offset_ms)
        key, draft = Key(event.device, at, report), self._draft()
        before = draft.of(event.device)
        unit, flags = pressed(before, key), key_flags(before, key)
        is_late = SUPERSEDED in flags
        cause = Cause(at, event.received, event.device, event.device, event.id)
        draft.put(unit, flags=() if is_late else flags)
        if report.act == "on_duty" and report.crew is not None:
            if not is_late or at > unit.bound_at:  # late, it still tells who the crew is
                crew = self._declared(unit, event.device, report.crew)
                draft.bind(unit, crew, cause, by_core=unit.by_core)
        elif unit.state is UnitState.OFF and not is_late:
            draft.end(unit, at)
        change = self._take(draft, cause)
        reported = replace(event, flags=(*event.flags, *flags))
        return change._replace(events=(reported, *change.events))

    def _declared(self, unit: UnitRecord, device: str, named: Sequence[str]) -> Crew:
        """The crew as a device declares it: itself and whom it names.

        The devices that the dispatch core has bound stay: a crew adds to its word.
        """
        crew = crew_of(named, lambda name: self._registered(name) is not None)
        first = unit.devices if unit.by_core else ()
        return crew._replace(devices=tuple(dict.fromkeys((*first, device, *crew.devices))))

    async def keep(self, before: UnitRecord, after: UnitRecord, events: Sequence[Event]) -> bool:
        """Commit what was found out of a unit; not if it has changed meanwhile.

        The events' ids begin with ``event_id(before)``.
        """
        if self._records.get(before.id, before) is not before:
            return False
        after = replace(after, changes=before.changes + 1)
        self._records[before.id] = after
        await self._commit(Change(events=events, units=(after,)))
        return True

    async def bind(
        self, unit_id: str, devices: Sequence[str], officers: Sequence[str], by: str
    ) -> None:
        """The dispatch core forms a unit; raise FieldInvalid. Again changes nothing."""
        crew = Crew(tuple(dict.fromkeys(devices)), tuple(dict.fromkeys(officers)))
        for device in crew.devices:
            if self._registered(device) is None:
                raise FieldInvalid("devices", "is not registered", device)
        if not 0 < len(crew.devices) <= MAX_DEVICES:
            raise FieldInvalid("devices", f"must be 1 to {MAX_DEVICES}", list(devices))
        if unit_id.startswith(RESERVED_PREFIX):
            raise FieldInvalid("unit", f"must not start with {RESERVED_PREFIX!r}", unit_id)
        if self._registered(unit_id) is not None and unit_id not in crew.devices:
            raise FieldInvalid("devices", "must have the device whose id the unit has", unit_id)
        draft, now = self._draft(), self._now_ms()
        unit = draft.find(unit_id)
        if (unit.devices, unit.officers, unit.by_core) == (crew.devices, crew.officers, True):
            return
        cause = Cause(now, now, by)
        draft.bind(unit, crew, cause, by_core=True)
        await self._commit(self._take(draft, cause))

    async def unbind(self, unit_id: str, by: str) -> None:
        """The binding ends, and each device goes on as a unit of its own; raise UnknownUnit."""
        draft, now = self._draft(), self._now_ms()
        unit = draft.find(unit_id)
        if not unit.devices:
            raise UnknownUnit(unit_id)
        cause = Cause(now, now, by)
        draft.end(unit, now)
        await self._commit(self._take(draft, cause))

    async def _commit(self, change: Change) -> None:
        if change.units:
            await asyncio.shield(self._journal.commit(change))
            self.know(change.units)

    def _draft(self) -> _Draft:
        return _Draft(self._records, self._bound)

    def _take(self, draft: _Draft, cause: Cause) -> Change:
        """Go on from what was drafted. The commit must follow without waiting in between."""
        change = draft.change(cause)
        for unit in change.units:
            for device in self._records.get(unit.id, unit).devices:
                if self._bound.get(device) == unit.id:
                    del self._bound[device]
        for unit in change.units:
            self._records[unit.id] = unit
            self._bound.update(dict.fromkeys(unit.devices, unit.id))
        return change

    def know(self, units: Iterable[UnitRecord]) -> None:
        """These are committed."""
        for unit in units:
            held = self._known.get(unit.id)
            if held is None or held.changes < unit.changes:
                self._known[unit.id] = unit

    # What is known of them.

    def find(self, unit_id: str) -> UnitRecord | None:
        """A unit, also of a single device that has reported without a word of duty."""
        held = self._known.get(unit_id)
        if held is not None and held.devices:
            return held
        if self._bound.get(unit_id, unit_id) != unit_id or not self._is_alone(unit_id):
            return None
        return UnitRecord(id=unit_id, devices=(unit_id,))

    def _is_alone(self, device: str) -> bool:
        known = self._registered(device)
        return known is not None and known.kind not in NO_UNIT_KINDS

    def all(self) -> Iterator[UnitRecord]:
        """Every unit, by their ids."""
        for unit_id in sorted({*self._known, *self._twins.devices()}):
            unit = self.find(unit_id)
            if unit is not None:
                yield unit

    def reporting(self) -> list[UnitRecord]:
        """The units that have a crew or have reported; those dissolved since too."""
        return list(self._records.values())

    def newest(self, unit_id: str) -> UnitRecord:
        """A unit as computed, ahead of the disk: for who computes its next change."""
        return self._records.get(unit_id) or UnitRecord(id=unit_id, devices=(unit_id,))

    def unit_of(self, device: str) -> str:
        """The id of the device's unit."""
        return self._bound.get(device, device)

    def devices_of(self, unit_id: str) -> tuple[str, ...]:
        """The devices of a unit; none if there is no such unit."""
        unit = self.find(unit_id)
        return () if unit is None else unit.devices

    def kind_of(self, device: str) -> str | None:
        """What kind of device it is."""
        known = self._registered(device)
        return None if known is None else known.kind

    def sights(self, unit: UnitRecord) -> list[Sight]:
        """The newest position of each of its devices that has one."""
        sights = []
        for device in unit.devices:
            twin = self._twins.find(device)
            sight = None if twin is None else sight_of(twin, self.kind_of(device))
            if sight is not None:
                sights.append(sight)
        return sights

    def whereabouts(self, unit: UnitRecord) -> Sight | None:
        """Where the unit is."""
        return whereabouts(unit.state, self.sights(unit), self._now_ms())

    def places(self) -> Iterator[tuple[UnitRecord, Sight]]:
        """Every unit that has a position, with it."""
        for unit in self.all():
            sight = self.whereabouts(unit)
            if sight is not None:
                yield unit, sight

    def view(self, unit_id: str) -> dict[str, Any] | None:
        """What an operator sees of one unit, ready for JSON, or None if there is none."""
        unit = self.find(unit_id)
        return None if unit is None else self._view(unit)

    def views(self) -> Iterator[dict[str, Any]]:
        """All of them, by their ids."""
        return map(self._view, self.all())

    def _view(self, unit: UnitRecord) -> dict[str, Any]:
        sight, now = self.whereabouts(unit), self._now_ms()
        return {
            **shown(unit),
            "unit": unit.id,
            "bound_by": unit.bound_by,
            "bound_at": unit.bound_at or None,
            "devices": [
                {"id": device, "kind": self.kind_of(device), "state": self._twins.state_of(device)}
                for device in unit.devices
            ],
            "position": sight and {**sight._asdict(), "age_ms": max(0, now - sight.taken)},
            "instruction": unit.instruction and msgspec.to_builtins(unit.instruction),
            "contradictions": [msgspec.to_builtins(each) for each in unit.contradictions],
        }
