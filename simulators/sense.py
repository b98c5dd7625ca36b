"""What tells a simulated device where it is: a unit that moves, seen by its receiver.

A device asks again after each report period, by its schedule and not by the wall
clock: so the same seed gives the same track on any machine, however busy.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, TypeAlias

from protocols.model import Position
from simulators import fleet
from simulators.city import City
from simulators.errand import CALLED_MPS, HURRIED_MPS, Responder
from simulators.gnss import Receiver
from simulators.scenario import Scenario, Unit
from simulators.timetable import chance
from simulators.walk import Walker

Sense: TypeAlias = Callable[[float], Position | None]
"""The position so many seconds after the last question; None while there is no fix."""


class Sensed(NamedTuple):
    """The sense of a device, and what takes its crew to an incident, if it goes to any."""

    sense: Sense
    driver: Responder | None


def sense(scenario: Scenario, city: City, unit: Unit, leader: Responder | None = None) -> Sensed:
    """The sense of a device; each has streams of chance of its own.

    ``leader``: what moves the device that reports for its crew, if that is another one.
    """
    if unit.lat is not None and unit.lon is not None:
        registered = Position(lat=unit.lat, lon=unit.lon, fix=3, src="fixed")
        return Sensed(lambda _: registered, None)
    receiver = Receiver(chance(scenario, "receiver", unit.device))
    if leader is not None:
        walker = Walker(leader, city.roads, chance(scenario, "walker", unit.device))
        leader.passengers.append(walker)
        return Sensed(lambda dt_s: receiver.observe(walker.step(dt_s), dt_s), None)
    mover = _mover(scenario, city, unit)
    if unit.kind == "phone":
        return Sensed(lambda dt_s: receiver.observe(mover.step(dt_s), dt_s), None)
    speed_mps = CALLED_MPS if unit.kind == "vehicle_terminal" else HURRIED_MPS
    driver = Responder(mover, city.roads, speed_mps=speed_mps)
    return Sensed(lambda dt_s: receiver.observe(driver.step(dt_s), dt_s), driver)


def _mover(scenario: Scenario, city: City, unit: Unit) -> fleet.Mover:
    rng = chance(scenario, "mover", unit.device)
    if unit.kind == "vehicle_terminal":
        return fleet.patrol_car(city, unit.grid, rng)
    if unit.kind == "phone":
        return fleet.standing(rng.choice(city.places))  # a guard at the post
    return fleet.officer(city, unit.grid, rng)
