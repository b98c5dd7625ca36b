"""A unit that is called away gets there by road, stays, and goes back to where it was."""

from __future__ import annotations

import random

import pytest

from edge.sources.report import distance_m
from protocols.model import Position
from simulators import fleet, town_plan
from simulators.city import City
from simulators.errand import CALLED_MPS, Responder


@pytest.fixture(scope="module")
def city() -> City:
    return town_plan.draw(7)


def away_m(truth: fleet.Truth, lat: float, lon: float) -> float:
    there = Position(lat=lat, lon=lon, fix=3)
    return distance_m(Position(lat=truth.lat, lon=truth.lon, fix=3), there)


def test_a_car_drives_to_the_place_stays_and_goes_back_to_its_patrol(city: City) -> None:
    alone = fleet.patrol_car(city, 0, random.Random(3))
    car = Responder(fleet.patrol_car(city, 0, random.Random(3)), city.roads)
    for _ in range(100):
        before = car.step(1.0)
        assert before == alone.step(1.0)
    place = city.places[5]
    car.call_to(place.lat, place.lon)
    was, steps = before, 0
    while not car.arrived.is_set():
        here = car.step(1.0)
        assert away_m(here, was.lat, was.lon) <= CALLED_MPS * 1.01
        assert here.speed_mps <= CALLED_MPS * 1.01
        was, steps = here, steps + 1
        assert steps < 3000
    assert away_m(here, place.lat, place.lon) < 0.1
    assert car.step(60.0).speed_mps == 0.0
    car.let_go()
    assert not car.arrived.is_set()
    while away_m(here := car.step(1.0), before.lat, before.lon) > 0.1:
        assert here.speed_mps > 0
    assert car.step(1.0) == alone.step(1.0)


def test_one_that_is_called_elsewhere_on_its_way_turns_there(city: City) -> None:
    car = Responder(fleet.patrol_car(city, 0, random.Random(3)), city.roads)
    first, second = city.places[1], city.places[8]
    car.call_to(first.lat, first.lon)
    car.step(5.0)
    car.call_to(second.lat, second.lon)
    while not car.arrived.is_set():
        here = car.step(1.0)
    assert away_m(here, second.lat, second.lon) < 0.1
    car.let_go()
    car.let_go()  # once is enough


def test_a_car_that_stands_stays_until_it_is_called_or_goes_on(city: City) -> None:
    car = Responder(fleet.patrol_car(city, 0, random.Random(3)), city.roads)
    here = car.step(30.0)
    car.stand(True)
    there = car.step(600.0)
    assert (there.lat, there.lon, there.speed_mps) == (here.lat, here.lon, 0.0)
    place = city.places[5]
    car.call_to(place.lat, place.lon)
    assert car.step(5.0).speed_mps > 0
    car.let_go()
    while car.step(1.0).speed_mps > 0:
        pass
    car.stand(False)
    assert any(car.step(1.0).speed_mps > 0 for _ in range(120))
