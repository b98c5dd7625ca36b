"""Units: which devices and officers form one, and what each is doing.

A device that nobody has bound is a unit of its own, under its own id.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import msgspec
from msgspec.structs import replace

from gateway.arrival import Registered
from gateway.bindings import Cause, Draft, shown
from gateway.duty import SUPERSEDED, Crew, Key, crew_of, happened_ms, key_flags, pressed
from gateway.journal.base import Change, Event, Journal
from gateway.registry import RESERVED_PREFIX
from gateway.twins import Twins
from gateway.unit import UnitRecord
from gateway.whereabouts import Sight, sight_of, whereabouts
from protocols.duty import UnitState
from protocols.errors import FieldInvalid
from protocols.model import DutyReport

MAX_DEVICES = 32
NO_UNIT_KINDS = frozenset({"alarm_box"})
"""What hangs on a wall goes nowhere."""


class UnknownUnit(Exception):
    """There is no unit of that id."""

    def __init__(self, unit: str) -> None:
        super().__init__(f"there is no unit {unit}")
        self.unit = unit


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
        crew = crew_of(named, self._goes_out)
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
            if not self._goes_out(device):
                raise FieldInvalid("devices", "must be a registered device, no box", device)
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

    def _draft(self) -> Draft:
        return Draft(self._records, self._bound)

    def _take(self, draft: Draft, cause: Cause) -> Change:
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
        if self._bound.get(unit_id, unit_id) != unit_id or not self._goes_out(unit_id):
            return None
        return UnitRecord(id=unit_id, devices=(unit_id,))

    def _goes_out(self, device: str) -> bool:
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

    def known(self) -> Mapping[str, UnitRecord]:
        """The same as committed, by their ids."""
        return self._known

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
