"""Coverage: what units reach in 1, 3 and 5 minutes; cold spots (警力冰点), which none reaches.

The city is looked at in square cells near its streets. A cell is reached when a unit is on the
street beside it; it is cold while none can be there in five minutes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import contourpy
import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from gateway.grids import Grid
from gateway.reach import Reach
from gateway.roads import Floats, RoadGraph
from gateway.streets import Spots, Start, Streets

MINUTES = (1, 3, 5)
COLD_S = 300.0

COLOURS = (("green", 0.0), ("blue", 300.0), ("red", 900.0), ("black", 1800.0))
"""A cold spot's colour by how long it has been cold (s): green under 5 minutes, when a unit may
just have turned away; blue from 5 on; red from 15 on; black from 30 on: the patrols miss it."""

CELL_M, MAX_CELLS = 30.0, 40_000
BESIDE_M = 150.0
"""What lies farther from every street is no place to be reached."""

_NEVER_S = 3600.0  # stands for infinity where outlines are drawn between numbers
_DECIMALS = 5  # of a degree: 1 m


class GridView(Struct, frozen=True, kw_only=True):
    """How a patrol grid is covered. Shares of its cells, 0 to 1; ``name`` None: the whole city.

    ``cold``: share by colour. ``coldest_s``: how long the place that has been cold for longest.
    """

    name: str | None
    cells: int
    within_1: float
    within_3: float
    within_5: float
    cold: dict[str, float]
    coldest_s: float


class Seen(NamedTuple):
    """One look at the city: what to draw, as GeoJSON features, and figures by grid."""

    features: list[dict[str, Any]]
    grids: list[GridView]


class Cells(NamedTuple):
    """The cells, row by row from the south-west, and where each lies on the streets."""

    lat: Floats
    lon: Floats
    spots: Spots
    x: Floats  # of the columns
    y: Floats  # of the rows

    @property
    def beside(self) -> NDArray[np.bool_]:
        """Which of them are near a street."""
        return self.spots.off_m <= BESIDE_M


class Coverage:
    """Looks at the city, and remembers since when each cell is cold."""

    def __init__(self, graph: RoadGraph, reach: Reach, grids: Sequence[Grid]) -> None:
        self._reach = reach
        self._plane = reach.streets.plane
        self.cells = _cells(graph, reach.streets)
        self._beside = self.cells.beside
        self._grids = grids
        self._grid = _grid_of_cells(grids, self.cells.lat, self.cells.lon)
        self._cold_since_ms = np.full(len(self.cells.lat), np.nan)

    def look(self, starts: Sequence[Start], now_ms: int) -> Seen:
        """What these units reach, and what is cold now."""
        seconds = np.minimum(self._reach.times(starts, self.cells.spots), _NEVER_S)
        cold = self._beside & (seconds > COLD_S)
        since = np.where(np.isnan(self._cold_since_ms), now_ms, self._cold_since_ms)
        self._cold_since_ms = np.where(cold, since, np.nan)
        cold_s = np.where(cold, np.maximum(now_ms - since, 0) / 1000, -1.0)
        edges = [from_s for _, from_s in COLOURS]
        colour = np.where(cold, np.searchsorted(edges, cold_s, side="right") - 1, -1)
        return Seen(
            [*self._reached(seconds), *self._cold(colour)],
            list(self._views(seconds, cold_s, colour)),
        )

    def reached(self, starts: Sequence[Start]) -> list[dict[str, Any]]:
        """What these units reach, whatever the others do: features to draw."""
        times = self._reach.times(starts, self.cells.spots)
        return list(self._reached(np.minimum(times, _NEVER_S)))

    def _reached(self, seconds: Floats) -> Iterator[dict[str, Any]]:
        """What is reached within each time, the longest first: to be drawn over one another."""
        for minutes in reversed(MINUTES):
            outline = self._outline(seconds, -1, 60.0 * minutes)
            yield _feature({"kind": "reach", "minutes": minutes}, outline)

    def _cold(self, colour: NDArray[np.int64]) -> Iterator[dict[str, Any]]:
        for number, (name, from_s) in enumerate(COLOURS):
            outline = self._outline((colour == number).astype(float), 0.5, 1.5)
            yield _feature({"kind": "cold", "colour": name, "from_s": from_s}, outline)

    def _outline(self, values: Floats, low: float, high: float) -> list[list[list[Any]]]:
        """The areas where the values lie between: the coordinates of a MultiPolygon."""
        x, y = self.cells.x, self.cells.y
        field = np.ma.masked_array(values, ~self._beside).reshape(len(y), len(x))
        drawn = contourpy.contour_generator(x, y, field, fill_type=contourpy.FillType.OuterOffset)
        areas = []
        for points, offsets in zip(*drawn.filled(low, high), strict=True):
            lat, lon = self._plane.to_degrees(points[:, 0], points[:, 1])
            ring = np.round(np.stack([lon, lat], axis=1), _DECIMALS)
            areas.append([part.tolist() for part in np.split(ring, offsets[1:-1])])
        return areas

    def _views(
        self, seconds: Floats, cold_s: Floats, colour: NDArray[np.int64]
    ) -> Iterator[GridView]:
        names = [None, *(grid.name for grid in self._grids)]
        for number, name in enumerate(names, -1):
            inside = self._beside if name is None else self._beside & (self._grid == number)
            count = int(inside.sum())
            share = [_share(seconds[inside] <= 60 * minutes) for minutes in MINUTES]
            yield GridView(
                name=name,
                cells=count,
                within_1=share[0],
                within_3=share[1],
                within_5=share[2],
                cold={
                    word: _share(colour[inside] == each) for each, (word, _) in enumerate(COLOURS)
                },
                coldest_s=round(max(0.0, float(cold_s[inside].max(initial=0))), 1),
            )


def _share(which: NDArray[np.bool_]) -> float:
    return round(float(which.mean()), 4) if len(which) else 0.0


def _feature(properties: dict[str, Any], areas: list[list[list[Any]]]) -> dict[str, Any]:
    geometry = {"type": "MultiPolygon", "coordinates": areas}
    return {"type": "Feature", "geometry": geometry, "properties": properties}


def _cells(graph: RoadGraph, streets: Streets) -> Cells:
    """Cells over all streets and a little beyond; larger ones where there would be too many."""
    x, y = streets.plane.to_plane(graph.point_lat, graph.point_lon)
    west, east = x.min() - BESIDE_M, x.max() + BESIDE_M
    south, north = y.min() - BESIDE_M, y.max() + BESIDE_M
    cell_m = max(CELL_M, float(np.sqrt((east - west) * (north - south) / MAX_CELLS)))
    columns, rows = np.arange(west, east + cell_m, cell_m), np.arange(south, north + cell_m, cell_m)
    all_x, all_y = (each.ravel() for each in np.meshgrid(columns, rows))
    lat, lon = streets.plane.to_degrees(all_x, all_y)
    return Cells(lat, lon, streets.locate(lat, lon), columns, rows)


def _grid_of_cells(grids: Sequence[Grid], lat: Floats, lon: Floats) -> NDArray[np.int64]:
    """The number of each cell's grid, −1 outside all: ``gateway.grids.grid_of`` for many places."""
    number = np.full(len(lat), -1)
    for at in reversed(range(len(grids))):  # of two that overlap the first counts
        corners = grids[at].polygon
        inside = np.zeros(len(lat), bool)
        for (a_lat, a_lon), (b_lat, b_lon) in zip(corners, corners[1:] + corners[:1], strict=True):
            if a_lat == b_lat:
                continue
            crosses = (a_lat > lat) != (b_lat > lat)
            inside ^= crosses & (lon < a_lon + (lat - a_lat) / (b_lat - a_lat) * (b_lon - a_lon))
        number[inside] = at
    return number
