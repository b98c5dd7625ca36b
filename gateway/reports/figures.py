"""The figures of arrival: mean, median, within five and ten minutes, by grid and by shift. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import time, tzinfo

from msgspec import Struct
from msgspec.structs import asdict

from gateway.grids import Grid, grid_of
from gateway.reports.arrivals import UnitArrival
from gateway.shifts import shift_at

WITHIN_5_MS, WITHIN_10_MS = 5 * 60_000, 10 * 60_000
NO_GRID = ""


class Figures(Struct, frozen=True, kw_only=True):
    """Of so many incidents. Times in ms from the first order to the first arrival.

    Shares are of those arrived at; null where there is none.
    """

    incidents: int
    arrived: int
    mean_ms: int | None
    median_ms: int | None
    within_5_min: int
    within_10_min: int
    share_5_min: float | None
    share_10_min: float | None


class IncidentArrival(Struct, frozen=True, kw_only=True):
    """One incident: the first order, the first arrival, and every unit that was sent or came."""

    incident: str
    dispatched: int | None
    arrived: int | None
    arrived_unit: str | None
    duration_ms: int | None
    grid: str
    shift: str
    units: tuple[UnitArrival, ...]


class GridFigures(Figures, frozen=True, kw_only=True):
    """Of the incidents in one grid; without a name: in none."""

    grid: str


class ShiftFigures(Figures, frozen=True, kw_only=True):
    """Of the incidents ordered in one shift."""

    shift: str


class Report(Struct, frozen=True, kw_only=True):
    """Arrivals at the incidents that were first ordered from ``since`` to before ``until`` (ms)."""

    since: int
    until: int
    timezone: str
    total: Figures
    by_grid: tuple[GridFigures, ...]
    by_shift: tuple[ShiftFigures, ...]
    incidents: tuple[IncidentArrival, ...]


def figures(durations_ms: Sequence[int], incidents: int) -> Figures:
    """The figures of these times to arrive. Halves of a millisecond are rounded up."""
    times, arrived = sorted(durations_ms), len(durations_ms)
    mean = median = share_5 = share_10 = None
    within_5 = sum(each <= WITHIN_5_MS for each in times)
    within_10 = sum(each <= WITHIN_10_MS for each in times)
    if arrived:
        mean = (2 * sum(times) + arrived) // (2 * arrived)
        median = (times[(arrived - 1) // 2] + times[arrived // 2] + 1) // 2
        share_5, share_10 = within_5 / arrived, within_10 / arrived
    return Figures(
        incidents=incidents,
        arrived=arrived,
        mean_ms=mean,
        median_ms=median,
        within_5_min=within_5,
        within_10_min=within_10,
        share_5_min=share_5,
        share_10_min=share_10,
    )


def incidents_of(
    arrivals: Iterable[UnitArrival],
    *,
    grids: Sequence[Grid],
    shifts: Sequence[time],
    zone: tzinfo | None,
) -> list[IncidentArrival]:
    """Each incident with all its units: the first order and the first arrival count."""
    by_incident: dict[str, list[UnitArrival]] = defaultdict(list)
    for arrival in arrivals:
        by_incident[arrival.incident].append(arrival)
    return [
        _incident(incident, units, grids, shifts, zone)
        for incident, units in sorted(by_incident.items())
    ]


def _incident(
    incident: str,
    units: list[UnitArrival],
    grids: Sequence[Grid],
    shifts: Sequence[time],
    zone: tzinfo | None,
) -> IncidentArrival:
    orders = [unit.dispatched for unit in units if unit.dispatched is not None]
    dispatched = min((order.at for order in orders), default=None)
    came = min(
        ((unit.arrived.at, unit.unit) for unit in units if unit.arrived is not None), default=None
    )
    first = min(
        (unit for unit in units if unit.dispatched is not None),
        key=lambda unit: (unit.dispatched.at if unit.dispatched else 0, unit.unit),
        default=None,
    )
    grid = None
    if first is not None and first.lat is not None and first.lon is not None:
        grid = grid_of(grids, first.lat, first.lon)
    is_timed = dispatched is not None and came is not None
    return IncidentArrival(
        incident=incident,
        dispatched=dispatched,
        arrived=None if came is None else came[0],
        arrived_unit=None if came is None else came[1],
        duration_ms=max(0, came[0] - dispatched) if is_timed and came and dispatched else None,
        grid=NO_GRID if grid is None else grid.name,
        shift="" if dispatched is None else shift_at(shifts, dispatched, zone),
        units=tuple(sorted(units, key=lambda unit: unit.unit)),
    )


def report(
    incidents: Iterable[IncidentArrival],
    *,
    since: int,
    until: int,
    grid: str | None = None,
    timezone: str,
) -> Report:
    """The report on what was first ordered within these times, in one grid or in all."""
    chosen = [
        each
        for each in incidents
        if each.dispatched is not None
        and since <= each.dispatched < until
        and grid in (None, each.grid)
    ]
    grids = sorted({each.grid for each in chosen})
    shifts = sorted({each.shift for each in chosen})
    return Report(
        since=since,
        until=until,
        timezone=timezone,
        total=_figures_of(chosen),
        by_grid=tuple(
            GridFigures(
                grid=name, **asdict(_figures_of(each for each in chosen if each.grid == name))
            )
            for name in grids
        ),
        by_shift=tuple(
            ShiftFigures(
                shift=name, **asdict(_figures_of(each for each in chosen if each.shift == name))
            )
            for name in shifts
        ),
        incidents=tuple(sorted(chosen, key=lambda each: (each.dispatched or 0, each.incident))),
    )


def _figures_of(incidents: Iterable[IncidentArrival]) -> Figures:
    of = list(incidents)
    return figures([each.duration_ms for each in of if each.duration_ms is not None], len(of))
