"""Scenarios: TOML in, one and the same day out, and mistakes named."""

from __future__ import annotations

import itertools
from collections import Counter
from dataclasses import dataclass
from typing import Any, cast

import pytest

from simulators import scenario
from simulators.scenario import Event, Offline, Press, Scenario, Unit


@dataclass
class Place:
    kind: str
    name: str
    lat: float
    lon: float
    grid: int


class Town:
    """Two grids, one school."""

    grids = ("north", "south")
    places = (Place("school", "No. 1 School", 24.5, 117.6, 1),)


TOWN = cast(Any, Town())
CALM = 'seed = 1\nduration_s = 60\n[devices]\ncars = 3\nboxes = 2\n'  # fmt: skip


def first(day: Scenario, units: list[Unit], seconds: float) -> list[Event]:
    """The events of the first so many seconds."""
    return [
        *itertools.takewhile(lambda event: event.at_s < seconds, scenario.timetable(day, units))
    ]


def test_roster_names_every_device_and_puts_boxes_where_places_are() -> None:
    units = scenario.roster(scenario.parse(CALM, "calm"), TOWN)
    assert [unit.device for unit in units] == [
        "car-0001", "car-0002", "car-0003", "box-0001", "box-0002",
    ]  # fmt: skip
    assert [unit.grid for unit in units[:3]] == [0, 1, 0]
    assert (units[3].kind, units[3].name, units[3].grid) == ("alarm_box", "No. 1 School", 1)


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


@pytest.mark.parametrize("name", scenario.names())
def test_every_scenario_of_ours_has_the_same_day_for_the_same_seed(name: str) -> None:
    day = scenario.load(name)
    units = scenario.roster(day, TOWN)
    events = first(day, units, 30)
    assert events == first(day, units, 30)
    assert [event.at_s for event in events] == sorted(event.at_s for event in events)


def test_the_city_is_hundreds_of_devices_and_dozens_of_alarms_in_twenty_seconds() -> None:
    day = scenario.load("city")
    units = scenario.roster(day, TOWN)
    assert len(units) >= 300
    assert sum(unit.full for unit in units) == 2
    presses = [event for event in first(day, units, 20) if isinstance(event.action, Press)]
    assert 24 <= len(presses) <= 100


def test_another_seed_is_another_day() -> None:
    text = CALM + "[alarms]\nper_minute = 9"
    one = scenario.parse(text, "one")
    other = scenario.parse(text.replace("seed = 1", "seed = 2"), "other")
    units = scenario.roster(one, TOWN)
    assert first(one, units, 600) != first(other, units, 600)


def test_troubles_change_no_alarm() -> None:
    """Each thing has its own stream of chance: the presses stay where they were."""
    calm = scenario.parse(CALM + "[alarms]\nper_minute = 30", "")
    rough = scenario.parse(
        CALM + "[alarms]\nper_minute = 30\n[troubles.offline]\nshare = 1\nevery_s = 20", ""
    )
    units = scenario.roster(calm, TOWN)
    events = first(rough, units, 1300)
    assert [e for e in events if not isinstance(e.action, Offline)] == first(calm, units, 1300)
    gone = Counter(e.device for e in events if isinstance(e.action, Offline))
    assert gone.keys() == {unit.device for unit in units}
    assert all(40 <= times <= 90 for times in gone.values())  # 65 are due in 1300 s
    assert all(scenario.needs_relay(rough, unit) for unit in units)
    assert not any(scenario.needs_relay(calm, unit) for unit in units)
