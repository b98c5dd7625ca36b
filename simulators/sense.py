"""What tells a simulated device where it is: a unit that moves, seen by its receiver.

A device asks again after each report period, by its schedule and not by the wall
clock: so the same seed gives the same track on any machine, however busy.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from protocols.model import Position
from simulators import fleet
from simulators.city import City
from simulators.gnss import Receiver
from simulators.scenario import Scenario, Unit
from simulators.timetable import chance

Sense: TypeAlias = Callable[[float], Position | None]
"""The position so many seconds after the last question; None while there is no fix."""


def sense(scenario: Scenario, city: City, unit: Unit) -> Sense:
    """The sense of a device; each has streams of chance of its own."""
    if unit.lat is not None and unit.lon is not None:
        registered = Position(lat=unit.lat, lon=unit.lon, fix=3, src="fixed")
        return lambda _: registered
    mover = _mover(scenario, city, unit)
    receiver = Receiver(chance(scenario, "receiver", unit.device))
    return lambda dt_s: receiver.observe(mover.step(dt_s), dt_s)


def _mover(scenario: Scenario, city: City, unit: Unit) -> fleet.Mover:
    rng = chance(scenario, "mover", unit.device)
    if unit.kind == "vehicle_terminal":
        return fleet.patrol_car(city, unit.grid, rng)
    if unit.kind == "phone":
        return fleet.standing(rng.choice(city.places))  # a guard at the post
    return fleet.officer(city, unit.grid, rng)
