"""An officer rides with the car, walks about it while it stands, and is waited for."""

from __future__ import annotations

import random

import pytest

from edge.sources.report import distance_m
from protocols.model import Position
from simulators import fleet, town_plan
from simulators.city import City
from simulators.errand import Responder
from simulators.fleet import Truth
from simulators.walk import BACK_MPS, WALK_MPS, Walker


@pytest.fixture(scope="module")
def city() -> City:
    return town_plan.draw(7)


def apart_m(one: Truth, other: Truth) -> float:
    return distance_m(
        Position(lat=one.lat, lon=one.lon, fix=3), Position(lat=other.lat, lon=other.lon, fix=3)
    )


def crew(city: City) -> tuple[Responder, Walker]:
    car = Responder(fleet.patrol_car(city, 0, random.Random(3)), city.roads)
    officer = Walker(car, city.roads, random.Random(4))
    car.passengers.append(officer)
    return car, officer


def test_in_the_car_the_officer_is_where_the_car_is(city: City) -> None:
    car, officer = crew(city)
    for _ in range(60):
        assert officer.step(1.0) == car.here
        car.step(1.0)


@pytest.mark.parametrize("within_m", [25.0, 300.0])
def test_on_foot_the_officer_walks_about_the_car_that_stands(city: City, within_m: float) -> None:
    car, officer = crew(city)
    there = car.step(30.0)
    car.stand(True)
    car.alight(within_m)
    was, far_m = officer.step(0.0), 0.0
    for _ in range(1200):
        here = officer.step(1.0)
        assert apart_m(was, here) <= WALK_MPS * 1.01
        was, far_m = here, max(far_m, apart_m(here, there))
    assert 5 < far_m < 3 * within_m  # the streets there may lead around a block
    assert apart_m(car.step(1.0), there) == 0


def test_the_car_goes_on_when_the_officer_is_back(city: City) -> None:
    car, officer = crew(city)
    there = car.step(30.0)
    car.alight(300.0)
    for _ in range(100):
        was = officer.step(1.0)
        assert car.step(1.0).speed_mps == 0.0
    place = city.places[5]
    car.call_to(place.lat, place.lon)
    car.alight(0.0)
    for _ in range(1000):
        if officer.is_aboard:
            break
        assert apart_m(car.step(1.0), there) == 0
        here = officer.step(1.0)
        assert apart_m(was, here) <= BACK_MPS * 1.01
        was = here
    assert officer.is_aboard
    while not car.arrived.is_set():
        car.step(1.0)
        assert officer.step(1.0) == car.here
