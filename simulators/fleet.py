"""Where a unit truly is: cars that patrol, officers who walk, boxes that stand.

A unit has an itinerary: for ever, the next legs to travel, each list ending in a
rest. Nothing is planned before the unit gets there, and routes stay within the
beat, so that thousands of units move in one process: a step of 1 s takes about
5 µs, a car's next route about 0.2 ms (measured on one core of a small server).
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple, Protocol

from simulators.city import City, Place
from simulators.plane import Projection
from simulators.roads import Road, RoadKind, Roads

MAX_TICK_S = 1.0  # a longer step is taken in ticks of this
ARRIVED_M = 0.1
CORNER_RADIUS_M = 7.0  # of a right-angled turn
LATERAL_MPS2 = 2.5
MIN_TURN_MPS = 1.5
RED_LIGHT_SHARE = 0.4
PARKED_SHARE = 0.2  # of the ends of a car's routes


class Truth(NamedTuple):
    """Where a unit is and how it moves; ``covered`` where no satellite is seen (a tunnel)."""

    lat: float
    lon: float
    speed_mps: float
    heading_deg: float
    covered: bool


class Mover(Protocol):
    """Something that is somewhere at any time."""

    def step(self, dt_s: float) -> Truth:
        """The truth after another ``dt_s`` seconds."""
        ...


class Motion(NamedTuple):
    """How hard a unit speeds up and brakes."""

    accelerate_mps2: float
    brake_mps2: float


CAR = Motion(1.8, 2.5)
FOOT = Motion(0.8, 1.0)


class Leg(NamedTuple):
    """A straight stretch: where it begins, its direction, and how to travel it."""

    x: float
    y: float
    east: float  # with north: the direction, a vector of length 1
    north: float
    length_m: float
    limit_mps: float
    end_mps: float  # the speed to leave the leg with at most; 0 is a stop
    wait_s: float  # the stop at the end
    heading_deg: float
    covered: bool


class Traveller:
    """A unit on its way along its itinerary."""

    def __init__(
        self, projection: Projection, motion: Motion, itinerary: Iterator[list[Leg]]
    ) -> None:
        self._projection = projection
        self._motion = motion
        self._itinerary = itinerary
        self._legs = next(itinerary)
        self._leg = 0
        self._along_m = 0.0
        self._speed_mps = 0.0
        self._wait_s = 0.0
        self._truth = self._look()

    def step(self, dt_s: float) -> Truth:
        while dt_s > 0:
            if self._wait_s > 0:
                spent_s = min(self._wait_s, dt_s)
                self._wait_s -= spent_s
            else:
                spent_s = min(MAX_TICK_S, dt_s)
                self._advance(spent_s)
            dt_s -= spent_s
        return self._truth

    def _advance(self, dt_s: float) -> None:
        if self._leg == len(self._legs):
            self._legs, self._leg = next(self._itinerary), 0
        self._speed_mps = self._next_speed_mps(dt_s)
        self._along_m += self._speed_mps * dt_s
        leg = self._legs[self._leg]
        while self._along_m >= leg.length_m and leg.end_mps > 0:
            self._along_m -= leg.length_m
            self._leg += 1
            leg = self._legs[self._leg]
        if leg.end_mps > 0 or leg.length_m - self._along_m > ARRIVED_M:
            self._truth = self._look()
            return
        self._along_m, self._speed_mps, self._wait_s = leg.length_m, 0.0, leg.wait_s
        self._truth = self._look()
        self._along_m = 0.0
        self._leg += 1

    def _next_speed_mps(self, dt_s: float) -> float:
        """As fast as allowed, yet braking in time for every end of a leg ahead.

        What is safe is Krauss's rule for car following: after ``dt_s`` at that
        speed there is still room to brake down to the speed at the end.
        """
        brake = self._motion.brake_mps2
        speed = min(
            self._speed_mps + self._motion.accelerate_mps2 * dt_s, self._legs[self._leg].limit_mps
        )
        ahead_m = -self._along_m
        for number in range(self._leg, len(self._legs)):
            leg = self._legs[number]
            ahead_m += leg.length_m
            lost = brake * dt_s
            safe = math.sqrt(lost * lost + leg.end_mps**2 + 2 * brake * max(0, ahead_m)) - lost
            speed = min(speed, max(safe, leg.end_mps))
            if ahead_m > speed * dt_s + speed * speed / (2 * brake):
                break
        return speed

    def _look(self) -> Truth:
        leg = self._legs[self._leg]
        lat, lon = self._projection.to_degrees(
            leg.x + self._along_m * leg.east, leg.y + self._along_m * leg.north
        )
        return Truth(lat, lon, self._speed_mps, leg.heading_deg, leg.covered)


class Standing:
    """What stays where it is."""

    def __init__(self, lat: float, lon: float) -> None:
        self._truth = Truth(lat, lon, 0.0, 0.0, covered=False)

    def step(self, dt_s: float) -> Truth:
        return self._truth


def patrol_car(city: City, grid: int, rng: random.Random) -> Mover:
    """A car that patrols its grid for ever: routes by road, now and then a while parked."""
    beat = city.beat(grid)
    return Traveller(beat.projection, CAR, _patrol(beat, rng))


def officer(city: City, grid: int, rng: random.Random) -> Mover:
    """An officer who walks the streets of the grid for ever, and stops to talk."""
    beat = city.beat(grid)
    return Traveller(beat.projection, FOOT, _stroll(beat, rng))


def standing(place: Place) -> Mover:
    """A box in its building."""
    return Standing(place.lat, place.lon)


def _patrol(beat: Roads, rng: random.Random) -> Iterator[list[Leg]]:
    junctions = beat.junctions
    here = rng.choice(junctions)
    share_of_limit = rng.uniform(0.6, 0.95)  # one looks about on patrol
    while True:
        goal = rng.choice(junctions)
        if goal == here:
            continue
        route = beat.fastest(here, goal)
        waits_s = [_wait_at_junction_s(beat, road, rng) for road in route]
        waits_s[-1] = rng.uniform(120, 600) if rng.random() < PARKED_SHARE else rng.uniform(1, 15)
        yield _legs(route, [road.speed_mps * share_of_limit for road in route], waits_s)
        here = goal


def _stroll(beat: Roads, rng: random.Random) -> Iterator[list[Leg]]:
    anywhere = rng.sample(beat.junctions, len(beat.junctions))
    here = next(junction for junction in anywhere if beat.walks(junction))
    came_from: int | None = None
    pace_mps = rng.uniform(1.1, 1.5)
    while True:
        route = []
        for _ in range(rng.randint(2, 8)):
            streets = beat.walks(here)
            onward = [street for street in streets if street.end != came_from]
            route.append(rng.choice(onward or streets))
            came_from, here = here, route[-1].end
        waits_s = [_red_light_s(beat, road, rng) for road in route]
        waits_s[-1] = rng.uniform(10, 180)
        yield _legs(route, [pace_mps] * len(route), waits_s)


def _wait_at_junction_s(beat: Roads, road: Road, rng: random.Random) -> float:
    """The stop at the end of the road on the way to the next; 0 for none."""
    if road.end not in beat.signals and beat.gives_way(road):
        return rng.uniform(1, 5)
    return _red_light_s(beat, road, rng)


def _red_light_s(beat: Roads, road: Road, rng: random.Random) -> float:
    red = road.end in beat.signals and rng.random() < RED_LIGHT_SHARE
    return rng.uniform(3, 40) if red else 0.0


def _legs(
    route: Sequence[Road], limits_mps: Sequence[float], waits_s: Sequence[float]
) -> list[Leg]:
    """The route as straight stretches, slower in turns, at rest where there is a wait."""
    legs: list[Leg] = []
    for road, limit_mps, wait_s in zip(route, limits_mps, waits_s, strict=True):
        for a, b in pairwise(road.points):
            length_m = math.dist(a, b)
            if length_m == 0:  # a map may have a point twice
                continue
            east, north = (b.x - a.x) / length_m, (b.y - a.y) / length_m
            legs.append(
                Leg(
                    x=a.x,
                    y=a.y,
                    east=east,
                    north=north,
                    length_m=length_m,
                    limit_mps=limit_mps,
                    end_mps=limit_mps,
                    wait_s=0.0,
                    heading_deg=math.degrees(math.atan2(east, north)) % 360,
                    covered=road.kind is RoadKind.TUNNEL,
                )
            )
        legs[-1] = legs[-1]._replace(end_mps=0.0 if wait_s else limit_mps, wait_s=wait_s)
    for number, (leg, onward) in enumerate(pairwise(legs)):
        end_mps = min(leg.end_mps, onward.limit_mps, _turn_mps(leg, onward))
        legs[number] = leg._replace(end_mps=end_mps)
    return legs


def _turn_mps(leg: Leg, onward: Leg) -> float:
    """How fast to take the turn from one leg to the next: the sharper, the slower."""
    ahead = leg.east * onward.east + leg.north * onward.north  # the cosine of the turn
    bent = math.sqrt(max(0.0, 1 - ahead) / max(1e-9, 1 + ahead))  # the tangent of half of it
    return max(MIN_TURN_MPS, math.sqrt(LATERAL_MPS2 * CORNER_RADIUS_M / max(bent, 1e-9)))
