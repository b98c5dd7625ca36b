"""Units in the city: they keep to the roads, at believable speeds, and stop where one stops."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from itertools import pairwise

import pytest

from simulators import town_plan
from simulators.city import City
from simulators.fleet import Mover, Truth, officer, patrol_car, standing
from simulators.plane import Point
from simulators.roads import RoadKind, Roads

MAX_ROAD_MPS = 60 / 3.6
Unit = Callable[[City, int, random.Random], Mover]


@pytest.fixture(scope="module")
def city() -> City:
    return town_plan.draw(1)


def _day(mover: Mover, seconds: int = 3600, dt_s: float = 1.0) -> list[Truth]:
    return [mover.step(dt_s) for _ in range(seconds)]


def _to_road_m(roads: Roads, truth: Truth) -> float:
    """The distance to the nearest road of the network."""
    p = roads.projection.to_plane(truth.lat, truth.lon)
    return min(_to_segment_m(p, a, b) for road in roads for a, b in pairwise(road.points))


def _to_segment_m(p: Point, a: Point, b: Point) -> float:
    along = (p.x - a.x) * (b.x - a.x) + (p.y - a.y) * (b.y - a.y)
    share = min(1.0, max(0.0, along / math.dist(a, b) ** 2))
    return math.dist(p, (a.x + share * (b.x - a.x), a.y + share * (b.y - a.y)))


@pytest.mark.parametrize("unit", [patrol_car, officer])
def test_the_same_seed_makes_the_same_day(unit: Unit) -> None:
    days = [_day(unit(town_plan.draw(1), 3, random.Random(7)), 1000) for _ in range(2)]
    assert days[0] == days[1]


@pytest.mark.parametrize("unit", [patrol_car, officer])
def test_two_units_of_a_grid_go_their_own_ways(city: City, unit: Unit) -> None:
    assert _day(unit(city, 3, random.Random(7)), 50) != _day(unit(city, 3, random.Random(8)), 50)


@pytest.mark.parametrize("unit", [patrol_car, officer])
def test_units_stay_on_the_roads_of_their_beat(city: City, unit: Unit) -> None:
    day = _day(unit(city, 5, random.Random(3)))
    assert max(_to_road_m(city.beat(5), truth) for truth in day[::40]) < 0.5


@pytest.mark.parametrize("grid", [0, 6, 11])
def test_a_cars_speed_is_believable(city: City, grid: int) -> None:
    day = _day(patrol_car(city, grid, random.Random(grid)))
    speeds = [truth.speed_mps for truth in day]
    assert 8 < max(speeds) <= MAX_ROAD_MPS
    changes = [b - a for a, b in pairwise(speeds)]
    assert max(changes) <= 1.8 + 1e-9
    assert min(changes) >= -3.5
    moving = [speed for speed in speeds if speed > 0]
    assert 20 / 3.6 < sum(moving) / len(moving) < 50 / 3.6


@pytest.mark.parametrize("unit", [patrol_car, officer])
def test_speed_says_how_far_a_unit_gets(city: City, unit: Unit) -> None:
    day = _day(unit(city, 2, random.Random(5)))
    to_plane = city.roads.projection.to_plane
    for a, b in pairwise(day):
        moved_m = math.dist(to_plane(a.lat, a.lon), to_plane(b.lat, b.lon))
        assert moved_m <= b.speed_mps + 1.0  # the last metre to a stop ends at speed 0


def test_cars_stop_on_the_way_and_park_for_a_while(city: City) -> None:
    stops_s: list[int] = []
    standing_s = 0
    for truth in _day(patrol_car(city, 4, random.Random(1)), 4 * 3600):
        if truth.speed_mps == 0:
            standing_s += 1
        elif standing_s:
            stops_s.append(standing_s)
            standing_s = 0
    assert sum(stop < 60 for stop in stops_s) > 40
    assert any(stop >= 110 for stop in stops_s)


def test_cars_slow_down_in_turns(city: City) -> None:
    day = _day(patrol_car(city, 4, random.Random(1)))
    sharp = [
        b.speed_mps
        for a, b in pairwise(day)
        if a.speed_mps > 0
        and b.speed_mps > 0
        and 60 < abs((b.heading_deg - a.heading_deg + 180) % 360 - 180) < 120
    ]
    assert sharp
    assert max(sharp) < 10


def test_officers_walk(city: City) -> None:
    speeds = [truth.speed_mps for truth in _day(officer(city, 4, random.Random(1)))]
    assert 1.1 <= max(speeds) <= 1.5
    assert speeds.count(0.0) > 60


def test_cars_drive_through_tunnels_and_officers_do_not(city: City) -> None:
    in_tunnel = [road for road in city.roads if road.kind is RoadKind.TUNNEL]
    middle = in_tunnel[0].points[0]
    grid = min(
        range(12),
        key=lambda g: min(
            math.dist(city.beat(g).position(j), middle) for j in city.beat(g).junctions
        ),
    )
    by_car = _day(patrol_car(city, grid, random.Random(1)), 4 * 3600)
    assert any(truth.covered for truth in by_car)
    for truth in [truth for truth in by_car if truth.covered][:20]:
        p = city.roads.projection.to_plane(truth.lat, truth.lon)
        assert min(_to_segment_m(p, r.points[0], r.points[-1]) for r in in_tunnel) < 0.5
    assert not any(t.covered for t in _day(officer(city, grid, random.Random(1)), 4 * 3600))


def test_a_long_step_gets_as_far_as_many_short_ones(city: City) -> None:
    short, long = (patrol_car(city, 1, random.Random(9)) for _ in range(2))
    assert _day(short, 12)[-1] == long.step(12.0)


def test_a_step_of_no_time_changes_nothing(city: City) -> None:
    car = patrol_car(city, 1, random.Random(9))
    assert car.step(0.0) == car.step(0.0)


def test_a_box_stands_in_its_building(city: City) -> None:
    place = city.places[0]
    day = _day(standing(place), 3)
    assert day == [Truth(place.lat, place.lon, 0.0, 0.0, covered=False)] * 3
