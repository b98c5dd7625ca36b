"""A unit that is called to a place: the way there by road, the stay, and the way back."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Protocol

from simulators.fleet import Mover, Truth
from simulators.plane import Point
from simulators.roads import Roads

CALLED_MPS = 14.0  # with blue lights, in town
HURRIED_MPS = 2.0  # on foot


class Passenger(Protocol):
    """Who gets out while it stands, and without whom it does not go."""

    @property
    def is_aboard(self) -> bool: ...
    def alight(self, within_m: float) -> None: ...


class Responder:
    """A mover that can be called away: it goes to a place, stays there, and goes back to go on as
    before. ``here``: where it is. ``arrived`` is set while it is at the place. It waits for its
    ``passengers``."""

    def __init__(self, mover: Mover, roads: Roads, *, speed_mps: float = CALLED_MPS) -> None:
        self._mover, self._roads, self._speed_mps = mover, roads, speed_mps
        self._plane = roads.projection
        self.here = mover.step(0)
        self.passengers: list[Passenger] = []
        self._way: list[Point] = []  # from where it is; empty: it goes its own way
        self._left: Point | None = None  # where it left its own way
        self._is_going_back = False
        self._is_standing = False
        self.arrived = asyncio.Event()

    def call_to(self, lat: float, lon: float) -> None:
        """Go there, from wherever it is."""
        here = self._plane.to_plane(self.here.lat, self.here.lon)
        self._left = self._left or here
        self._is_going_back = False
        self.arrived.clear()
        self._way = route(self._roads, here, self._plane.to_plane(lat, lon))

    def let_go(self) -> None:
        """Go back, and on as before."""
        if self._left is not None and not self._is_going_back:
            here = self._plane.to_plane(self.here.lat, self.here.lon)
            self._is_going_back = True
            self.arrived.clear()
            self._way = route(self._roads, here, self._left)

    def stand(self, is_standing: bool) -> None:
        """Stay where it is, or go on; a call is answered all the same."""
        self._is_standing = is_standing

    def alight(self, within_m: float) -> None:
        """Those in it get out, and stay within so many metres; 0: they come back to it."""
        for passenger in self.passengers:
            passenger.alight(within_m)

    def step(self, dt_s: float) -> Truth:
        """The truth after another ``dt_s`` seconds."""
        is_waiting = not all(passenger.is_aboard for passenger in self.passengers)
        if is_waiting or (self._left is None and self._is_standing):
            self.here = self.here._replace(speed_mps=0.0)
            return self.here
        if self._left is None:
            self.here = self._mover.step(dt_s)
            return self.here
        was = self._way[0]
        self._way = further(self._way, self._speed_mps * dt_s)
        here = self._way[0]
        moved_m = math.dist(was, here)
        lat, lon = self._plane.to_degrees(*here)
        heading_deg = self.here.heading_deg
        if moved_m > 0:
            heading_deg = math.degrees(math.atan2(here.x - was.x, here.y - was.y)) % 360
        speed_mps = moved_m / dt_s if dt_s > 0 else 0.0
        self.here = Truth(lat, lon, speed_mps, heading_deg, covered=False)
        if len(self._way) == 1:
            if self._is_going_back:
                self._left = None
            else:
                self.arrived.set()
        return self.here


def route(roads: Roads, start: Point, end: Point) -> list[Point]:
    """By the roads between the junctions next to both."""
    first, last = _nearest(roads, start), _nearest(roads, end)
    if first == last:
        return [start, end]
    found = roads.fastest(first, last)
    return [start, *(point for road in found for point in road.points), end]


def _nearest(roads: Roads, point: Point) -> int:
    return min(roads.junctions, key=lambda each: math.dist(point, roads.position(each)))


def further(way: Sequence[Point], ahead_m: float) -> list[Point]:
    """What is left of the way after so many metres; at least its end."""
    for number, (a, b) in enumerate(pairwise(way), 1):
        length_m = math.dist(a, b)
        if length_m > ahead_m:
            share = ahead_m / length_m
            here = Point(a.x + share * (b.x - a.x), a.y + share * (b.y - a.y))
            return [here, *way[number:]]
        ahead_m -= length_m
    return [way[-1]]
