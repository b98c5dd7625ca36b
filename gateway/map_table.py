"""The map's table: all that stands on the map, a row each, and when each row changed last.

A row is a unit, or a device that stands somewhere and is no unit: an alarm box. What moves is kept
in columns, the rest as JSON. Telemetry is not touched: the table looks at the twins once an
update, and only at what is another object than before does it look closer.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Protocol

import msgspec
import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from gateway import frames
from gateway.duty import happened_ms
from gateway.frames import NOWHERE, UNKNOWN, Rows
from gateway.journal.base import AlarmRecord
from gateway.registry import Device
from gateway.twins import Twin, Twins
from gateway.unit import UnitRecord
from gateway.units import Units
from protocols.model import Fix, Stage, Status

SLICE = 500
"""So many rows are looked at before others get their turn: about a millisecond."""

LOOK_ANYWAY = 10
"""Where a unit with several devices is also depends on how old positions are: every so many
updates it is looked at though none has come."""

LOW_BATTERY_PCT = 20
"""Below this a device without mains is about to fall silent."""

_STATES = {"online": frames.ONLINE, "stale": frames.STALE, "offline": frames.OFFLINE}
_encode = msgspec.json.Encoder().encode


class Registered(Protocol):
    """The registry."""

    def devices(self) -> list[Device]:
        """All devices."""

    def generation(self) -> int:
        """A number that changes with the registry."""


class Thing(Struct, gc=False):
    """One row: what it shows, and what was looked at when it was last made."""

    index: int
    id: str
    unit: UnitRecord | None
    twins: list[Twin]
    device: Device | None
    fix: Fix | None = None
    fixes: tuple[Fix | None, ...] = ()
    status: tuple[Status | None, ...] = ()
    shown: UnitRecord | Device | None = None
    alarms: tuple[int, int] = (0, 0)
    health: int = 0
    marks: int = -1
    is_gone: bool = False


class _Moved(Struct, gc=False):
    """Rows that are to be written, column by column."""

    index: list[int] = []
    lat: list[float] = []
    lon: list[float] = []
    taken: list[int] = []
    speed: list[int] = []
    heading: list[int] = []
    accuracy: list[int] = []

    def add(self, thing: Thing, fix: Fix, taken: int) -> None:
        """A position that was reported."""
        self.put(
            thing.index, fix.lat, fix.lon, taken, frames.speed_code(fix.spd),
            frames.heading_code(fix.hdg), frames.accuracy_code(fix.acc),
        )  # fmt: skip

    def put(self, index: int, lat: float, lon: float, taken: int, *more: int) -> None:
        """A position."""
        self.index.append(index)
        self.lat.append(lat)
        self.lon.append(lon)
        self.taken.append(taken)
        speed, heading, accuracy = more or (0, UNKNOWN, UNKNOWN)
        self.speed.append(speed)
        self.heading.append(heading)
        self.accuracy.append(accuracy)


class MapTable:
    """Rows are only added: an index stays what it is for as long as the gateway runs."""

    def __init__(
        self,
        *,
        registry: Registered,
        units: Units,
        twins: Twins,
        open_alarms: Callable[[], list[AlarmRecord]],
        now_ms: Callable[[], int],
    ) -> None:
        self._registry, self._units, self._twins = registry, units, twins
        self._open_alarms, self._now_ms = open_alarms, now_ms
        self.update = 0
        self._things: list[Thing] = []
        self._by_id: dict[str, Thing] = {}
        self._records: dict[str, UnitRecord] = {}
        self._planned: int | None = None  # of so many twins; None: not, or not as things are
        self._generation: int | None = None
        self._devices: dict[str, Device] = {}
        self._facts: list[bytes] = []
        self._room(1024)

    def _room(self, size: int) -> None:
        """Columns so long; they start where nothing is."""
        self._lat: NDArray[np.int32] = np.full(size, NOWHERE, np.int32)
        self._lon: NDArray[np.int32] = np.full(size, NOWHERE, np.int32)
        self._taken: NDArray[np.int64] = np.zeros(size, np.int64)
        self._speed: NDArray[np.uint8] = np.zeros(size, np.uint8)
        self._heading: NDArray[np.uint8] = np.full(size, UNKNOWN, np.uint8)
        self._accuracy: NDArray[np.uint8] = np.full(size, UNKNOWN, np.uint8)
        self._marks: NDArray[np.uint8] = np.zeros(size, np.uint8)
        self._rows_at: NDArray[np.int64] = np.zeros(size, np.int64)
        self._facts_at: NDArray[np.int64] = np.zeros(size, np.int64)

    def __len__(self) -> int:
        return len(self._things)

    # What a page is sent.

    def rows(self, after: int, now: int) -> list[bytes]:
        """The frames of what has moved since an update; 0: of all."""
        count = len(self._things)
        index = np.flatnonzero(self._rows_at[:count] > after)
        rows = Rows(
            index,
            self._lat[index],
            self._lon[index],
            self._taken[index],
            self._speed[index],
            self._heading[index],
            self._accuracy[index],
            self._marks[index],
        )
        return frames.encode(rows, now=now, update=self.update, whole=after == 0)

    def facts(self, after: int) -> list[bytes]:
        """What is to be said of the rows that have changed since, as JSON, a row each."""
        changed = np.flatnonzero(self._facts_at[: len(self._things)] > after)
        return [self._facts[index] for index in changed.tolist()]

    # What is looked at.

    async def refresh(self) -> None:
        """Look at everything once."""
        self._follow_units()
        generation = self._registry.generation()
        if generation != self._generation:
            devices = self._registry.devices()
            self._devices = {each.id: each for each in devices if not each.revoked}
            self._generation, self._planned = generation, None
        if len(self._twins) != self._planned:
            self._planned = len(self._twins)
            await self._plan()
        alarms = _by_device(self._open_alarms())
        update = self.update + 1
        for first in range(0, len(self._things), SLICE):
            moved = _Moved()
            for thing in self._things[first : first + SLICE]:
                self._look(thing, alarms, update, moved)
            self._write(moved, update)
            await asyncio.sleep(0)
        self.update = update

    def _follow_units(self) -> None:
        """Take over the records that have changed; other devices: everything is planned anew."""
        for unit_id, record in self._units.known().items():
            held = self._records.get(unit_id)
            if record is held:
                continue
            self._records[unit_id] = record
            thing = self._by_id.get(unit_id)
            if thing is None or held is None or held.devices != record.devices:
                self._planned = None
            else:
                thing.unit = record

    async def _plan(self) -> None:
        """Which rows there are, and which twins each is made from."""
        found: set[str] = set()
        for number, (name, unit, device, devices) in enumerate(self._present()):
            found.add(name)
            thing = self._by_id.get(name)
            if thing is None:
                thing = Thing(len(self._things), name, unit, [], device)
                self._by_id[name] = thing
                self._append(thing)
            twins = (self._twins.find(each) for each in devices)
            thing.unit, thing.device = unit, device
            thing.twins = [twin for twin in twins if twin is not None]
            thing.fix, thing.fixes, thing.shown, thing.is_gone = None, (), None, False
            if number % SLICE == 0:
                await asyncio.sleep(0)
        for thing in self._things:
            if thing.id not in found and not thing.is_gone:
                thing.is_gone, thing.twins, thing.shown = True, [], None

    def _present(
        self,
    ) -> Iterator[tuple[str, UnitRecord | None, Device | None, tuple[str, ...]]]:
        taken: set[str] = set()
        for unit in self._units.all():
            taken.update(unit.devices)
            taken.add(unit.id)
            yield unit.id, unit, self._devices.get(unit.id), unit.devices
        for device in self._devices.values():
            if device.id not in taken and device.lat is not None:
                yield device.id, None, device, (device.id,)

    def _append(self, thing: Thing) -> None:
        self._things.append(thing)
        self._facts.append(b"")
        size = len(self._lat)
        if len(self._things) > size:
            old = {name: getattr(self, name) for name in _COLUMNS}
            self._room(2 * size)
            for name, column in old.items():
                getattr(self, name)[:size] = column

    def _look(
        self, thing: Thing, alarms: dict[str, tuple[int, int]], update: int, moved: _Moved
    ) -> None:
        twins = thing.twins
        if len(twins) == 1:  # nearly all of them
            twin = twins[0]
            fix = twin.fix
            if fix is not thing.fix and fix is not None:
                thing.fix = fix
                if fix.fix:
                    offset_ms = twin.clock.offset_ms
                    moved.add(thing, fix, happened_ms(fix.t, twin.fix_received_ms, offset_ms))
            state = _STATES[self._twins.state(twin)]
            status: tuple[Status | None, ...] = (twin.status,)
            is_same_status = bool(thing.status) and thing.status[0] is twin.status
        else:
            self._look_at_several(thing, update, moved)
            state = min((_STATES[self._twins.state(twin)] for twin in twins), default=2)
            status = tuple(twin.status for twin in twins)
            is_same_status = status == thing.status
        opened = (0, 0)
        if alarms:
            opened = _sum(alarms[twin.device] for twin in twins if twin.device in alarms)
        shown = thing.unit or thing.device
        if thing.shown is not shown or not is_same_status or thing.alarms != opened:
            thing.shown, thing.status, thing.alarms = shown, status, opened
            thing.health = _health_of(status, is_fixed=thing.unit is None)
            facts = _encode(self._facts_of(thing))
            if facts != self._facts[thing.index]:
                self._facts[thing.index] = facts
                self._facts_at[thing.index] = update
        is_fixed = thing.fix is None and not thing.fixes and self._stand(thing, moved)
        marks = self._marks_of(thing, state, is_fixed=is_fixed)
        if marks != thing.marks:
            thing.marks = marks
            self._marks[thing.index] = marks
            self._rows_at[thing.index] = update

    def _look_at_several(self, thing: Thing, update: int, moved: _Moved) -> None:
        fixes = tuple(twin.fix for twin in thing.twins)
        is_same = len(fixes) == len(thing.fixes) and all(
            new is old for new, old in zip(fixes, thing.fixes, strict=True)
        )
        if (is_same and update % LOOK_ANYWAY) or thing.unit is None:
            return
        thing.fixes = fixes
        sight = self._units.whereabouts(thing.unit)
        twin = None if sight is None else self._twins.find(sight.device)
        if sight is not None and twin is not None and twin.fix is not None:
            if twin.fix is not thing.fix:
                moved.add(thing, twin.fix, sight.taken)
            thing.fix = twin.fix

    def _stand(self, thing: Thing, moved: _Moved) -> bool:
        """Where nothing was reported, the registered place stands."""
        device = thing.device
        if device is None or device.lat is None or device.lon is None:
            return False
        lat, lon = _to_e7(device.lat), _to_e7(device.lon)
        if (self._lat[thing.index], self._lon[thing.index]) != (lat, lon):
            moved.put(thing.index, device.lat, device.lon, self._now_ms())
        return True

    def _marks_of(self, thing: Thing, state: int, *, is_fixed: bool) -> int:
        opened, waiting = thing.alarms
        marks = state | (frames.ALARM if opened else 0) | (frames.WAITING if waiting else 0)
        if thing.unit is not None and thing.unit.contradictions:
            marks |= frames.CONTRADICTED
        return marks | thing.health | (frames.FIXED if is_fixed else 0)

    def _write(self, moved: _Moved, update: int) -> None:
        index = np.array(moved.index, np.int64)
        self._lat[index] = np.rint(np.array(moved.lat) * 1e7)
        self._lon[index] = np.rint(np.array(moved.lon) * 1e7)
        self._taken[index] = moved.taken
        self._speed[index] = moved.speed
        self._heading[index] = moved.heading
        self._accuracy[index] = moved.accuracy
        self._rows_at[index] = update

    def _facts_of(self, thing: Thing) -> dict[str, Any]:
        """What is to be said beside what moves. What is not there is left out."""
        if thing.is_gone:
            return {"i": thing.index, "id": thing.id, "gone": True}
        unit, opened = thing.unit, thing.alarms
        devices = [thing.id] if unit is None else [*unit.devices]
        known = [self._devices.get(each) for each in devices]
        first = thing.device or next((each for each in known if each is not None), None)
        status = [each for each in thing.status if each is not None]
        said: dict[str, Any] = {
            "i": thing.index,
            "id": thing.id,
            "unit": unit is not None,
            "kind": None if first is None else first.kind,
            "name": "" if first is None else first.name,
            "duty": None if unit is None else unit.state,
            "since": None if unit is None else unit.since,
            "incident": None if unit is None else unit.incident,
            "officers": [] if unit is None else unit.officers,
            "devices": devices if devices != [thing.id] else [],
            "batt": min((each.batt for each in status if each.batt is not None), default=None),
            "cam": next((each.cam for each in status if each.cam not in (None, "ok")), None),
            "mains": False
            if unit is None and any(each.mains is False for each in status)
            else None,
            "alarms": opened[0],
            "waiting": opened[1],
            "contradictions": [] if unit is None else [each.kind for each in unit.contradictions],
        }
        kept = {name: value for name, value in said.items() if value or value is False}
        return {**kept, "i": thing.index}


_COLUMNS = (
    "_lat", "_lon", "_taken", "_speed", "_heading", "_accuracy", "_marks", "_rows_at", "_facts_at",
)  # fmt: skip


def _health_of(status: Iterable[Status | None], *, is_fixed: bool) -> int:
    """Whether a camera sees, and whether anything is broken, as marks.

    What hangs on a wall (``is_fixed``) is broken too when it has no mains.
    """
    health = 0
    for each in status:
        if each is None:
            continue
        if each.cam == "ok":
            health |= frames.CAMERA
        is_low = each.batt is not None and each.batt < LOW_BATTERY_PCT and not each.mains
        is_cut = is_fixed and each.mains is False
        is_blind = each.cam not in (None, "ok", "none")
        if is_low or is_cut or is_blind or each.gnss == "no_device":
            health |= frames.FAULT
    return health


def _to_e7(degrees: float) -> int:
    return round(degrees * 1e7)


def _by_device(alarms: Iterable[AlarmRecord]) -> dict[str, tuple[int, int]]:
    """How many alarms of each device are open, and how many of them nobody has accepted."""
    opened, waiting = Counter[str](), Counter[str]()
    for alarm in alarms:
        opened[alarm.device] += 1
        waiting[alarm.device] += alarm.stage is Stage.STORED
    return {device: (count, waiting[device]) for device, count in opened.items()}


def _sum(pairs: Iterable[tuple[int, int]]) -> tuple[int, int]:
    first = second = 0
    for a, b in pairs:
        first, second = first + a, second + b
    return first, second
