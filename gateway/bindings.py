"""Who forms a unit: who joins it, who leaves it for that, and which events tell of it."""

from __future__ import annotations

from typing import Any, NamedTuple

from msgspec.structs import replace

from gateway.duty import Crew
from gateway.journal.base import Change, Event, EventType
from gateway.unit import UnitRecord
from protocols.duty import AT_WORK

CONFLICT = "binding_conflict"


class Cause(NamedTuple):
    """Why units change: when (ms), by whom, and which message of which device if it was one."""

    at: int
    received: int
    by: str
    device: str | None = None
    message: str | None = None


class Draft:
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
        if not unit.devices:
            unit = dissolved(unit)  # what it did in another shift is over
        for device in crew.devices:
            other = self.of(device)
            if other.id == unit.id:
                continue
            is_conflict = other.state in AT_WORK and other.devices != (other.id,)
            if is_conflict:
                taken[device] = other.id
            elif unit.state is None and other.state is not None:
                unit = took_over(unit, other)
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
            left = dissolved(left)
        self.put(left, flags=(CONFLICT,) if is_conflict else (), facts={"lost": {device: to}})

    def release(self, unit: UnitRecord, device: str, at: int) -> None:
        """The device is a unit of its own again, doing what its unit did."""
        own = self.find(device)
        if not own.devices:
            own = replace(took_over(own, unit), bound_at=at)
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
        if not stays:
            left = replace(dissolved(left), state=unit.state, since=unit.since)  # its last word
        self.put(left, facts={"released": {device: device for device in released}})
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


def took_over(unit: UnitRecord, other: UnitRecord) -> UnitRecord:
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


def dissolved(unit: UnitRecord) -> UnitRecord:
    """Without devices; contradictions stay until they are told to have ended."""
    return UnitRecord(
        id=unit.id,
        bound_at=unit.bound_at,
        contradictions=unit.contradictions,
        changes=unit.changes,
    )
