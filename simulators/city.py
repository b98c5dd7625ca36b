"""The city that simulated units work in: roads, patrol grids, and places that have alarm boxes."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

from simulators.plane import Point, area_m2, centroid, contains
from simulators.roads import Roads

STREET_TEAMS = 15
MIN_BEAT_JUNCTIONS = 12


class Grid(NamedTuple):
    """A patrol grid (网格): corners as (lat, lon), WGS-84."""

    name: str
    polygon: tuple[tuple[float, float], ...]


class Place(NamedTuple):
    """A building with an alarm box; ``kind`` is school, bank or hospital, ``grid`` an index."""

    kind: str
    name: str
    lat: float
    lon: float
    grid: int


class CityUnreadable(Exception):
    """A map file that no city can be made from."""

    def __init__(self, path: Path, problem: str) -> None:
        super().__init__(f"{path}: {problem}")
        self.path, self.problem = path, problem


class City:
    """Roads cut into patrol grids, with its places. It does not change once it is made."""

    def __init__(
        self, name: str, roads: Roads, grids: Sequence[Grid], places: Sequence[Place]
    ) -> None:
        self.name = name
        self.roads = roads
        self.grids = list(grids)
        self.places = list(places)
        self._beats: dict[int, Roads] = {}

    @property
    def teams(self) -> list[int]:
        """The grid of each street team: one a grid, and a second where most places are."""
        by_places = Counter(place.grid for place in self.places).most_common()
        second = [grid for grid, _ in by_places][: max(0, STREET_TEAMS - len(self.grids))]
        return [*range(len(self.grids)), *second]

    def beat(self, grid: int) -> Roads:
        """The roads that the units of a grid patrol: inside it, or about it where it has few."""
        if grid not in self._beats:
            self._beats[grid] = self._find_beat(grid)
        return self._beats[grid]

    def _find_beat(self, grid: int) -> Roads:
        corners = [self.roads.projection.to_plane(*corner) for corner in self.grids[grid].polygon]
        middle, reach_m = centroid(corners), math.sqrt(area_m2(corners))
        beat = self.roads.part(lambda point: contains(corners, point))
        enough = min(MIN_BEAT_JUNCTIONS, len(self.roads.junctions))
        while len(beat.junctions) < enough:
            beat = self.roads.part(partial(_is_near, middle, reach_m))
            reach_m *= 2
        return beat


def _is_near(middle: Point, reach_m: float, point: Point) -> bool:
    return math.dist(middle, point) < reach_m
