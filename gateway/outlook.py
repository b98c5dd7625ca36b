"""The outlook: who reaches what now, looked at again as units move; which units are near a place.

It stands on the road graph in the folder of the base map, and takes it up when it appears or is
replaced. All work is done in one thread of its own, a piece at a time: alarms do not wait for it.
"""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeVar

import msgspec
import structlog

from gateway.grids import Grid, distance_m
from gateway.looks import Drawn, NearUnit, NoGraph, Overloaded
from gateway.roads import GraphUnreadable, RoadGraph
from gateway.streets import Start
from gateway.unit import UnitRecord
from gateway.whereabouts import Sight
from protocols.duty import UnitState

if TYPE_CHECKING:
    from gateway.coverage import Coverage
    from gateway.reach import Reach

GRAPH = "graph.npz"
PERIOD_S = 5.0
"""A look is made at most so often."""

IDLE_LOOKS = 6
"""So many looks at most are left out while no unit has moved: cold spots grow older."""

MOVED_M = 15.0
"""Less than this is a receiver's noise."""

MAX_AGE_MS = 300_000
"""A unit last seen so long ago may be anywhere that it reaches: it covers nothing."""

MAX_WAITING = 32
UNITS_AT_A_TIME = 250

AVAILABLE = frozenset(
    {
        UnitState.ON_DUTY,
        UnitState.VEHICLE_PATROL,
        UnitState.FOOT_PATROL,
        UnitState.PARKED,
        UnitState.CLEAR,
    }
)
"""States of a unit that can be sent at once: those without an incident, a break, or the day off."""

CAR = "vehicle_terminal"

T = TypeVar("T")
log = structlog.get_logger()


class Units(Protocol):
    """Where units are."""

    def places(self) -> Iterable[tuple[UnitRecord, Sight]]:
        """Every unit that has a position, with it."""

    def kind_of(self, device: str) -> str | None:
        """What kind of device it is."""


class _View(NamedTuple):
    """What is worked with while the graph stays the same. ``mark`` tells it from another."""

    reach: Reach
    coverage: Coverage
    mark: tuple[int, int]


class Outlook:
    """Who reaches what. ``run`` keeps it up to date, and closes it."""

    def __init__(
        self,
        folder: Path,
        grids: Sequence[Grid],
        units: Units,
        *,
        now_ms: Callable[[], int],
        period_s: float = PERIOD_S,
    ) -> None:
        self.folder = folder
        self._graph = folder / GRAPH
        self._grids = grids
        self._units = units
        self._now_ms = now_ms
        self._period_s = period_s
        self._view: _View | None = None
        self._why_not = "no look was made yet"
        self._drawn: Drawn | None = None
        self._last: list[Start] = []
        self._left_out = 0
        self._waiting = 0
        self._failed = False
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="reach")

    async def run(self) -> None:
        """Look again and again."""
        try:
            while True:
                await self._look_or_tell()
                await asyncio.sleep(self._period_s)
        finally:
            self.close()

    async def _look_or_tell(self) -> None:
        """Look; what goes wrong is told once, and ends nothing: alarms do not need us."""
        try:
            await self.look()
        except Exception:  # once per supervised task
            self._drawn, self._why_not = None, "the look failed; the gateway's log says why"
            if not self._failed:
                log.exception("reach_failed")
            self._failed = True
        else:
            self._failed = False

    def close(self) -> None:
        """End the thread once it has done what it is at."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    async def look(self) -> None:
        """Look at the city, if units have moved or it has not been looked at for long."""
        await self._take_up()
        if self._view is None:
            return
        starts = await self._starts()
        if self._drawn is not None and not _have_moved(self._last, starts):
            self._left_out += 1
            if self._left_out <= IDLE_LOOKS:
                return
        self._drawn = await self._in_turn(self._look, self._view, starts)
        self._last, self._left_out = starts, 0

    def reach(self) -> Drawn:
        """The newest look; raise NoGraph."""
        if self._drawn is None:
            raise NoGraph(self._why_not)
        return self._drawn

    async def reach_of(self, unit: str) -> Drawn | None:
        """What one unit reaches now; None if it has no position. Raise NoGraph, Overloaded."""
        view = self._ready()
        async for record, sight in self._places():
            if record.id == unit:
                start = self._start(record, sight)
                return await self._in_turn(self._look_at_one, view, start)
        return None

    async def nearest(self, lat: float, lon: float, limit: int) -> list[NearUnit]:
        """The units that come first, those off duty left out; raise Overloaded.

        By distance alone while there is no road graph.
        """
        known = {
            record.id: (record, sight)
            async for record, sight in self._places()
            if record.state is not UnitState.OFF
        }
        starts = [self._start(*each) for each in known.values()]
        if self._view is not None:
            found = await self._in_turn(self._view.reach.nearest, lat, lon, starts, limit)
            times = [(near.unit, near.seconds, near.straight_m) for near in found]
        else:
            straight = [(s.unit, distance_m(s.lat, s.lon, lat, lon)) for s in starts]
            straight.sort(key=lambda each: each[1])
            times = [(unit, None, round(far_m, 1)) for unit, far_m in straight[:limit]]
        now = self._now_ms()
        return [
            self._near(*known[unit], seconds, straight_m, now)
            for unit, seconds, straight_m in times
        ]

    def _near(
        self,
        record: UnitRecord,
        sight: Sight,
        seconds: float | None,
        straight_m: float,
        now: int,
    ) -> NearUnit:
        return NearUnit(
            unit=record.id,
            state=record.state,
            available=_is_available(record, sight, now),
            seconds=seconds,
            straight_m=straight_m,
            on_foot=self._is_on_foot(record),
            lat=sight.lat,
            lon=sight.lon,
            age_ms=max(0, now - sight.taken),
        )

    def _ready(self) -> _View:
        if self._view is None:
            raise NoGraph(self._why_not)
        return self._view

    async def _places(self) -> AsyncIterator[tuple[UnitRecord, Sight]]:
        """All units that are somewhere. There may be thousands: others get their turn between."""
        for number, each in enumerate(self._units.places()):
            if number % UNITS_AT_A_TIME == 0:
                await asyncio.sleep(0)
            yield each

    async def _starts(self) -> list[Start]:
        """The units that count: available, and seen of late."""
        now = self._now_ms()
        return [
            self._start(record, sight)
            async for record, sight in self._places()
            if _is_available(record, sight, now)
        ]

    def _start(self, record: UnitRecord, sight: Sight) -> Start:
        return Start(record.id, sight.lat, sight.lon, self._is_on_foot(record))

    def _is_on_foot(self, record: UnitRecord) -> bool:
        """Out of the car, or without one."""
        if record.state is UnitState.FOOT_PATROL:
            return True
        return all(self._units.kind_of(device) != CAR for device in record.devices)

    async def _in_turn(self, work: Callable[..., T], *arguments: Any) -> T:
        """Have it done in the thread, after what was asked before."""
        if self._waiting >= MAX_WAITING:
            raise Overloaded(f"{MAX_WAITING} questions of reach wait already")
        self._waiting += 1
        try:
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self._thread, work, *arguments)
        finally:
            self._waiting -= 1

    async def _take_up(self) -> None:
        """Read the road graph if it is new."""
        try:
            found = self._graph.stat()
        except OSError:
            self._view, self._drawn = None, None
            self._why_not = "there is no base map: fieldgate map build"
            return
        mark = found.st_mtime_ns, found.st_ino
        if self._view is not None and self._view.mark == mark:
            return
        why = self._why_not
        self._view = await self._in_turn(self._read, mark)
        self._drawn = None
        if self._view is not None:
            log.info("reach_on", graph=str(self._graph))
        elif self._why_not != why:
            log.error("reach_off", why=self._why_not)

    def _read(self, mark: tuple[int, int]) -> _View | None:
        try:
            # They come with the `map` extra, and take memory: not for a gateway without a map.
            from gateway.coverage import Coverage  # noqa: PLC0415
            from gateway.reach import Reach  # noqa: PLC0415

            graph = RoadGraph.load(self._graph)
        except GraphUnreadable as error:
            self._why_not = str(error)
            return None
        except ModuleNotFoundError as error:
            self._why_not = f"this needs {error.name}: pip install 'fieldgate[map]'"
            return None
        reach = Reach(graph)
        return _View(reach, Coverage(graph, reach, self._grids), mark)

    def _look(self, view: _View, starts: Sequence[Start]) -> Drawn:
        now = self._now_ms()
        seen = view.coverage.look(starts, now)
        units = [start.unit for start in starts]
        return _drawn(now, seen.features, units=units, grids=seen.grids)

    def _look_at_one(self, view: _View, start: Start) -> Drawn:
        return _drawn(self._now_ms(), view.coverage.reached([start]), units=[start.unit])


def _drawn(at: int, features: Sequence[dict[str, Any]], **members: Any) -> Drawn:
    body = msgspec.json.encode(
        {"type": "FeatureCollection", "at": at, **members, "features": features}
    )
    return Drawn(at, body, gzip.compress(body, 6, mtime=0))


def _is_available(record: UnitRecord, sight: Sight, now: int) -> bool:
    return record.state in AVAILABLE and now - sight.taken <= MAX_AGE_MS


def _have_moved(before: Sequence[Start], after: Sequence[Start]) -> bool:
    """Whether one is new, gone, out of its car, or elsewhere."""
    if [(s.unit, s.on_foot) for s in before] != [(s.unit, s.on_foot) for s in after]:
        return True
    return any(
        distance_m(was.lat, was.lon, is_.lat, is_.lon) > MOVED_M
        for was, is_ in zip(before, after, strict=True)
    )
