"""What devices sense: for one seed the same track, whatever else the device does."""

from __future__ import annotations

import pytest

from protocols.model import Position
from simulators import scenario, town_plan
from simulators.city import City
from simulators.scenario import Scenario
from simulators.sense import sense

TEXT = "seed = {seed}\nduration_s = 60\n[devices]\ncars = 2\nofficers = 1\nboxes = 1\nphones = 1"


@pytest.fixture(scope="module")
def city() -> City:
    return town_plan.draw(5)


def day_of(seed: int) -> Scenario:
    return scenario.parse(TEXT.format(seed=seed), "day")


def tracks(day: Scenario, city: City, dt_s: float = 1.0) -> dict[str, list[Position | None]]:
    senses = {unit.device: sense(day, city, unit).sense for unit in scenario.roster(day, city)}
    return {device: [ask(dt_s) for _ in range(300)] for device, ask in senses.items()}


def test_the_same_seed_gives_every_device_the_same_track(city: City) -> None:
    one, again, other = (tracks(day_of(seed), city) for seed in (5, 5, 6))
    assert one == again
    assert one["car-0001"] != one["car-0002"]
    assert one["car-0001"] != other["car-0001"]


def test_a_device_has_the_same_track_however_the_others_are_asked(city: City) -> None:
    day = day_of(5)
    units = scenario.roster(day, city)
    first, second = (sense(day, city, unit).sense for unit in units[:2])
    track = []
    for number in range(300):
        track.append(first(1.0))
        for _ in range(number % 3):
            second(0.5)
    assert track == tracks(day, city)["car-0001"]


def test_a_box_knows_its_registered_place_and_a_guard_stays_at_one(city: City) -> None:
    day = day_of(5)
    box = next(unit for unit in scenario.roster(day, city) if unit.kind == "alarm_box")
    said = tracks(day, city)
    assert said["box-0001"] == [Position(lat=box.lat, lon=box.lon, fix=3, src="fixed")] * 300  # type: ignore[arg-type]
    guard = [fix for fix in said["phone-0001"] if fix is not None]
    assert max(fix.lat for fix in guard) - min(fix.lat for fix in guard) < 0.0005
