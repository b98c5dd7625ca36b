"""Scenarios: TOML in, all devices out, and mistakes named."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, cast

import pytest

from simulators import people, scenario
from simulators.run import city_of


@dataclass
class Place:
    kind: str
    name: str
    lat: float
    lon: float
    grid: int


SCHOOL = Place("school", "No. 1 School", 24.5, 117.6, 1)


@dataclass
class Town:
    """Two grids with a street team each, one school."""

    teams: tuple[int, ...] = (0, 1)
    places: tuple[Place, ...] = (SCHOOL,)


TOWN = cast(Any, Town())
CALM = 'seed = 1\nduration_s = 60\n[devices]\ncars = 3\nboxes = 2\n'  # fmt: skip


def test_roster_names_every_device_and_puts_boxes_where_places_are() -> None:
    units = scenario.roster(scenario.parse(CALM, "calm"), TOWN)
    assert [unit.device for unit in units] == [
        "car-0001", "car-0002", "car-0003", "box-0001", "box-0002",
    ]  # fmt: skip
    assert [unit.grid for unit in units[:3]] == [0, 1, 0]
    assert (units[3].kind, units[3].name, units[3].grid) == ("alarm_box", "No. 1 School", 1)


def test_crews_carry_cameras_and_phones_and_sign_on_with_their_officers() -> None:
    day = scenario.parse(CALM + "officers = 1\ncameras = 2\nhandsets = 4\n", "calm")
    units = scenario.roster(day, TOWN)
    carried = {unit.device: unit.leader for unit in units if unit.leader is not None}
    assert carried == {
        "camera-0001": "car-0001", "camera-0002": "car-0002",
        "handset-0001": "car-0001", "handset-0002": "car-0002",
        "handset-0003": "car-0003", "handset-0004": "officer-0001",
    }  # fmt: skip
    grids = {unit.device: unit.grid for unit in units}
    assert all(grids[device] == grids[leader] for device, leader in carried.items())
    crews = people.members(day, units)
    assert crews == people.members(day, units)
    assert crews["car-0001"][:2] == ["camera-0001", "handset-0001"]
    officers = [name for crew in crews.values() for name in crew if name not in carried]
    assert len(officers) == len({name.split()[1] for name in officers}) == 8
    assert all(re.fullmatch(r"[\u4e00-\u9fff]{2,3} \d{6}", name) for name in officers)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (CALM.replace("cars = 3", "cars = -1"), r"calm: devices\.cars: .*>= 0.*got -1"),
        (CALM.replace("cars = 3", 'cars = "many"'), r"devices\.cars: .*got 'many'"),
        (CALM + "lorries = 1\n", r"devices: .*lorries"),
        (CALM.replace("seed = 1\n", ""), r"scenario: .*seed"),
        (CALM + "[alarms]\nkinds = {earthquake = 1}\n", "earthquake"),
        (CALM + "[troubles]\nduplicates = 2.0\n", r"troubles\.duplicates: .*got 2\.0"),
        ("seed = ", "calm: .*"),
    ],
)
def test_a_mistake_is_named_with_its_field_and_value(text: str, said: str) -> None:
    with pytest.raises(scenario.ScenarioInvalid, match=said):
        scenario.parse(text, "calm")


def test_an_unknown_scenario_is_answered_with_the_known_ones() -> None:
    with pytest.raises(scenario.ScenarioInvalid, match="calm, city, large, rough"):
        scenario.load("holiday")


def test_a_map_without_places_has_no_room_for_boxes_and_guards() -> None:
    village = cast(Any, Town(places=()))
    text = CALM.replace("cars = 3", "phones = 3")
    with pytest.raises(scenario.ScenarioInvalid, match=r"no school, .* 2 boxes and 3 phones"):
        scenario.roster(scenario.parse(text, "calm"), village)
    assert len(scenario.roster(scenario.parse(CALM.replace("boxes = 2", ""), ""), village)) == 3


def test_more_cameras_than_crews_are_refused() -> None:
    with pytest.raises(scenario.ScenarioInvalid, match=r"devices\.cameras: 4 for 3 crews"):
        scenario.roster(scenario.parse(CALM + "cameras = 4\n", "calm"), TOWN)


def test_a_map_that_cannot_be_read_makes_the_scenario_invalid() -> None:
    day = scenario.parse('city = "/nowhere.osm.pbf"\n' + CALM, "calm")
    with pytest.raises(scenario.ScenarioInvalid, match=r"city: /nowhere\.osm\.pbf: .*No such file"):
        city_of(day)
