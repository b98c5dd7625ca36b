"""Timetables: one and the same day for a seed, and acts of duty in an order that makes sense."""

from __future__ import annotations

import itertools
from collections import Counter
from typing import get_args

import pytest

from protocols.model import DutyAct
from simulators import scenario, timetable
from simulators.scenario import Scenario, Unit
from simulators.timetable import (
    DUTY_ACTS,
    SETTLED_AFTER_S,
    SHIFT_BEGINS_WITHIN_S,
    Duty,
    Event,
    Offline,
    Press,
)
from tests.simulators.test_scenario import CALM, TOWN


def first(day: Scenario, units: list[Unit], seconds: float) -> list[Event]:
    """The events of the first so many seconds."""
    return [
        *itertools.takewhile(lambda event: event.at_s < seconds, timetable.timetable(day, units))
    ]


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
    assert all(timetable.is_cut_off(rough, unit) for unit in units)
    assert not any(timetable.is_cut_off(calm, unit) for unit in units)


@pytest.mark.parametrize("name", scenario.names())
def test_every_crew_is_on_duty_within_the_first_seconds_and_then_at_something(name: str) -> None:
    day = scenario.load(name)
    units = scenario.roster(day, TOWN)
    begin = first(day, units, SHIFT_BEGINS_WITHIN_S + SETTLED_AFTER_S)
    reports = [
        (event.device, event.action.act) for event in begin if isinstance(event.action, Duty)
    ]
    crews = [unit for unit in units if unit.kind != "alarm_box" and unit.leader is None]
    assert timetable.leaders(units) == crews
    signed_on = [device for device, act in reports if act == "on_duty"]
    assert sorted(signed_on) == sorted(unit.device for unit in crews)
    assert len(reports) == 2 * len(crews)
    afterwards = {act for _, act in reports if act != "on_duty"}
    assert afterwards >= {"vehicle_patrol", "foot_patrol"}


def test_a_car_without_a_camera_or_a_phone_has_nobody_on_foot_patrol() -> None:
    text = CALM + "cameras = 1\n[reports]\nduty_per_minute = 60"
    day = scenario.parse(text, "")
    units = scenario.roster(day, TOWN)
    walked = {
        event.device
        for event in first(day, units, 1200)
        if isinstance(event.action, Duty) and event.action.act == "foot_patrol"
    }
    assert walked == {"car-0001"}


def test_one_act_follows_another_as_the_table_has_it() -> None:
    day = scenario.parse(
        CALM + "officers = 2\nphones = 1\ncameras = 3\n[reports]\nduty_per_minute = 60", ""
    )
    units = scenario.roster(day, TOWN)
    for unit in units[:6]:
        said: list[DutyAct | None] = [None]
        said += [
            event.action.act
            for event in first(day, units, 1200)
            if event.device == unit.device and isinstance(event.action, Duty)
        ]
        assert len(said) > 100
        table = DUTY_ACTS[unit.kind]
        assert all(act in table[before] for before, act in itertools.pairwise(said))


@pytest.mark.parametrize("kind", DUTY_ACTS)
def test_every_act_of_the_table_leads_on_and_is_one_of_the_contract(
    kind: str,
) -> None:
    table = {**DUTY_ACTS}[kind]  # type: ignore[index]
    assert {act for acts in table.values() for act in acts} == table.keys() - {None}
    assert table.keys() - {None} <= {*get_args(DutyAct)}
