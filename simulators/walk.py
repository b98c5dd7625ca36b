"""Where an officer of a car's crew is: in the car, or on foot about it while it stands."""

from __future__ import annotations

import math
import random
from typing import Protocol

from simulators.errand import further, route
from simulators.fleet import Truth
from simulators.plane import Point
from simulators.roads import Roads

WALK_MPS, BACK_MPS = 1.4, 2.5  # on patrol; to the car, which is called
PAUSE_S = (5.0, 40.0)
BY_ROAD_M = 100.0
"""Who goes further than this from the car takes the streets."""


class Car(Protocol):
    """What one rides in."""

    here: Truth


class Walker:
    """Rides, gets out to walk about the car, and comes back when it is to go on."""

    def __init__(self, car: Car, roads: Roads, rng: random.Random) -> None:
        self._car, self._roads, self._rng = car, roads, rng
        self._plane = roads.projection
        self._way: list[Point] = []  # from where one is; empty: in the car
        self._within_m = 0.0
        self._pause_s = 0.0
        self._heading_deg = 0.0

    @property
    def is_aboard(self) -> bool:
        """Whether the car may go."""
        return not self._way

    def alight(self, within_m: float) -> None:
        """Get out and stay within so many metres of the car; 0: come back to it."""
        if within_m == self._within_m:
            return
        self._within_m = within_m
        here = self._way[0] if self._way else self._car_at()
        self._pause_s = 0.0
        if within_m or self._way:
            self._way = self._next(here)

    def step(self, dt_s: float) -> Truth:
        """The truth after another ``dt_s`` seconds."""
        if not self._way:
            return self._car.here
        if self._pause_s > 0:
            self._pause_s -= dt_s
            return self._truth(0.0)
        was = self._way[0]
        speed_mps = WALK_MPS if self._within_m else BACK_MPS
        self._way = further(self._way, speed_mps * dt_s)
        here = self._way[0]
        moved_m = math.dist(was, here)
        if moved_m > 0:
            self._heading_deg = math.degrees(math.atan2(here.x - was.x, here.y - was.y)) % 360
        truth = self._truth(moved_m / dt_s if dt_s > 0 else 0.0)
        if len(self._way) == 1:
            self._pause_s = self._rng.uniform(*PAUSE_S) if self._within_m else 0.0
            self._way = self._next(here) if self._within_m else []
        return truth

    def _truth(self, speed_mps: float) -> Truth:
        lat, lon = self._plane.to_degrees(*self._way[0])
        return Truth(lat, lon, speed_mps, self._heading_deg, covered=False)

    def _car_at(self) -> Point:
        return self._plane.to_plane(self._car.here.lat, self._car.here.lon)

    def _next(self, here: Point) -> list[Point]:
        """The way to the next place about the car, or back to it."""
        car = self._car_at()
        if not self._within_m:
            is_far = math.dist(here, car) > BY_ROAD_M
            return route(self._roads, here, car) if is_far else [here, car]
        if self._within_m > BY_ROAD_M:
            places = map(self._roads.position, self._roads.junctions)
            near = [place for place in places if math.dist(place, car) <= self._within_m]
            if near:
                return route(self._roads, here, self._rng.choice(near))
        angle, far_m = self._rng.uniform(0, math.tau), self._rng.uniform(3, self._within_m)
        return [here, Point(car.x + far_m * math.cos(angle), car.y + far_m * math.sin(angle))]
