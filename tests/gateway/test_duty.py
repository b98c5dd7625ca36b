"""Duty: which key leads where, who forms a unit, and what a restart knows of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.bindings import CONFLICT
from gateway.duty import SUPERSEDED, UNEXPECTED, Key, happened_ms, key_flags, pressed
from gateway.journal.base import Event, EventType, Journal
from gateway.twins import Twins
from gateway.unit import Instruction, UnitRecord
from gateway.units import Units, UnknownUnit
from protocols.duty import BRINGS, NEXT, UnitState
from protocols.errors import FieldInvalid
from protocols.model import DutyAct, DutyReport
from tests.gateway.house import NOW, REGISTERED, House, house

ALONE = UnitRecord(id="car-1", devices=("car-1",))


def key(act: DutyAct, seq: int, *, at: int = 0, device: str = "car-1", **keys: Any) -> Key:
    """A key pressed so many seconds after the start, in order of its number unless told."""
    return Key(device, NOW + (at or seq) * 1000, DutyReport(boot=1, seq=seq, t=0, act=act, **keys))


def follow(*keys: Key, unit: UnitRecord = ALONE) -> tuple[UnitRecord, list[tuple[str, ...]]]:
    """The unit after these, and the flags of each."""
    flags = []
    for each in keys:
        flags.append(key_flags(unit, each))
        unit = pressed(unit, each)
    return unit, flags


def shift(*acts: DutyAct) -> list[tuple[str, ...]]:
    """The flags of these keys, one after another."""
    return follow(*(key(act, seq) for seq, act in enumerate(acts, 1)))[1]


# The table.


def test_every_key_leads_somewhere_and_every_state_is_in_the_table() -> None:
    assert BRINGS.keys() == set(get_args(DutyAct))
    assert set(BRINGS.values()) == set(UnitState) == NEXT.keys()


def test_a_shift_as_it_should_be_has_no_flag() -> None:
    assert not any(
        shift(
            "on_duty", "vehicle_patrol", "parked", "foot_patrol", "en_route", "on_scene", "clear",
            "vehicle_patrol", "break", "vehicle_patrol", "off_duty",
        )
    )  # fmt: skip


@pytest.mark.parametrize(
    ("before", "act"),
    [
        ("off_duty", "en_route"),
        ("vehicle_patrol", "on_scene"),
        ("vehicle_patrol", "clear"),
        ("on_scene", "vehicle_patrol"),
        ("en_route", "off_duty"),
    ],
)
def test_an_odd_key_is_taken_and_flagged(before: DutyAct, act: DutyAct) -> None:
    unit, flags = follow(key(before, 1), key(act, 2))
    assert (unit.state, flags) == (BRINGS[act], [(), (UNEXPECTED,)])


def test_the_same_key_again_is_not_odd_and_counts_from_the_first() -> None:
    unit, flags = follow(key("parked", 1), key("parked", 5))
    assert (unit.since, flags) == (NOW + 1000, [(), ()])


def test_an_older_report_does_not_overwrite_a_newer_one() -> None:
    newer, older = key("clear", 7), key("on_scene", 6)
    unit, flags = follow(newer, older)
    assert (unit.state, flags[1]) == (UnitState.CLEAR, (SUPERSEDED,))


def test_of_two_devices_time_decides_and_of_one_its_own_numbers() -> None:
    unit, _ = follow(key("on_scene", 9, at=50), key("foot_patrol", 1, at=40, device="cam-1"))
    assert unit.state is UnitState.ON_SCENE
    # Its clock was set back: its number still says that this is the newer one.
    unit, _ = follow(key("en_route", 8, at=50), key("on_scene", 9, at=40))
    assert unit.state is UnitState.ON_SCENE


ACTS = st.sampled_from(get_args(DutyAct))


@given(acts=st.lists(ACTS, min_size=1, max_size=6), order=st.randoms())
def test_the_state_is_the_same_in_whatever_order_reports_come(
    acts: list[DutyAct], order: Any
) -> None:
    keys = [key(act, seq) for seq, act in enumerate(acts, 1)]
    shuffled = order.sample(keys, len(keys))
    assert follow(*shuffled)[0].state == follow(*keys)[0].state == BRINGS[acts[-1]]


def test_a_key_without_an_incident_is_about_the_one_that_the_unit_was_sent_to() -> None:
    sent = Instruction(incident="110-7", command="c-1", t=NOW)
    unit = UnitRecord(id="car-1", devices=("car-1",), instruction=sent)
    assert follow(key("en_route", 1), unit=unit)[0].incident == "110-7"
    assert follow(key("en_route", 1, ref="110-9"), key("on_scene", 2), unit=unit)[0].incident == (
        "110-9"
    )
    cleared = follow(key("on_scene", 1), key("clear", 2), unit=unit)[0]
    assert (cleared.incident, cleared.instruction) == (None, None)


@pytest.mark.parametrize(
    ("t", "received", "offset_ms", "at"),
    [
        (1000, 1500, 500, 1000),  # on its way
        (1000, 1500, None, 1000),
        (1000, 91_000, 60_000, 61_000),  # a minute behind, and half a minute on its way
        (91_000, 1500, -89_600, 1400),  # ahead
        (91_000, 1500, None, 1500),  # never after it came
        (0, 1500, None, 1500),
        (91_000, 1500, -(2**55), 1500),  # a clock that was beyond all measure: before 1970
    ],
)
def test_when_it_happened_is_told_by_the_gateways_clock(
    t: int, received: int, offset_ms: int | None, at: int
) -> None:
    assert happened_ms(t, received, offset_ms) == at


# Through the priority lane, on a real journal.


async def changes(h: House) -> list[dict[str, Any]]:
    """What is told of units, and the flags of each."""
    return [{**e.data, "flags": e.flags, "event": e} for e in await h.events("unit.changed")]


async def test_a_key_changes_the_unit_in_the_commit_of_its_report(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        await h.duty("vehicle_patrol", 1)
        (change,) = await changes(h)
        assert change["event"].id == "car-1:1:p:1/unit/car-1"
        assert (change["unit"], change["was"], change["state"]) == (
            "car-1", None, "vehicle_patrol",
        )  # fmt: skip
        assert change["devices"] == ["car-1"]
        assert h.units.view("car-1")["since"] == NOW  # type: ignore[index]
        await h.duty("vehicle_patrol", 2)  # nothing new to tell
        await h.duty("on_scene", 3)
        assert [c["flags"] for c in await changes(h)] == [(), (UNEXPECTED,)]
        assert (await h.events("duty"))[-1].flags == (UNEXPECTED,)


async def test_a_late_report_stays_in_the_record(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        await h.duty("clear", 5)
        await h.duty("on_scene", 4, t=NOW - 60_000)
        assert [e.flags for e in await h.events("duty")] == [(), (SUPERSEDED,)]
        assert h.units.view("car-1")["state"] == "clear"  # type: ignore[index]
        assert len(await changes(h)) == 1


async def test_a_crew_declares_its_devices_and_officers(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        await h.duty("on_duty", 1, crew=["031234", "cam-1", "031235"])
        view = h.units.view("car-1")
        assert view is not None
        assert view["officers"] == ["031234", "031235"]
        assert [each["id"] for each in view["devices"]] == ["car-1", "cam-1"]
        assert h.units.unit_of("cam-1") == "car-1"
        assert h.units.view("cam-1") is None
        await h.duty("foot_patrol", 1, device="cam-1")  # any of its devices speaks for it
        assert h.units.view("car-1")["state"] == "foot_patrol"  # type: ignore[index]

        h.now += 60_000
        await h.duty("off_duty", 2)
        assert h.units.devices_of("car-1") == ("car-1",)
        assert h.units.devices_of("cam-1") == ("cam-1",)
        assert h.units.view("cam-1")["state"] == "off"  # type: ignore[index]
        told = (await changes(h))[-1]
        assert (told["state"], told["released"], told["officers"]) == (
            "off", {"cam-1": "cam-1"}, [],
        )  # fmt: skip


async def test_a_box_on_the_wall_is_in_no_unit(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        await h.duty("on_duty", 1, crew=["box-1"])
        assert h.units.devices_of("car-1") == ("car-1",)
        with pytest.raises(FieldInvalid):
            await h.units.bind("patrol-1", ["box-1"], [], by="core")


async def test_a_crew_is_known_though_its_on_duty_comes_late(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        await h.duty("vehicle_patrol", 2)
        await h.duty("on_duty", 1, t=NOW - 5000, crew=["cam-1"])
        assert h.units.devices_of("car-1") == ("car-1", "cam-1")
        assert h.units.view("car-1")["state"] == "vehicle_patrol"  # type: ignore[index]


async def test_a_device_is_in_one_unit_at_a_time_and_a_conflict_is_told(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        await h.duty("on_duty", 1, crew=["cam-1", "cam-2"])
        await h.duty("on_duty", 1, device="car-2", crew=["cam-1"])
        assert h.units.devices_of("car-1") == ("car-1", "cam-2")
        assert h.units.devices_of("car-2") == ("car-2", "cam-1")
        left, took = (await changes(h))[-2:]
        if left["unit"] != "car-1":
            left, took = took, left
        assert (left["flags"], left["lost"]) == ((CONFLICT,), {"cam-1": "car-2"})
        assert (took["flags"], took["taken"]) == ((CONFLICT,), {"cam-1": "car-1"})


async def test_a_camera_that_was_on_its_own_joins_without_a_word(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        await h.duty("foot_patrol", 1, device="cam-1")
        await h.duty("on_duty", 1, crew=["cam-1"])
        assert not any(change["flags"] for change in await changes(h))
        assert h.units.view("cam-1") is None


async def test_the_dispatch_core_forms_and_ends_a_unit(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        await h.duty("vehicle_patrol", 1)
        await h.units.bind("patrol-12", ["car-1", "cam-1"], ["031234"], by="core")
        view = h.units.view("patrol-12")
        assert view is not None
        assert (view["state"], view["bound_by"]) == ("vehicle_patrol", "core")
        assert h.units.view("car-1") is None
        told = len(await changes(h))
        await h.units.bind("patrol-12", ["car-1", "cam-1"], ["031234"], by="core")
        assert len(await changes(h)) == told  # again changes nothing

        # What a crew says of itself adds to what the core has said.
        await h.duty("on_duty", 2, crew=["031299"])
        assert h.units.devices_of("patrol-12") == ("car-1", "cam-1")
        assert h.units.view("patrol-12")["officers"] == ["031299"]  # type: ignore[index]

        await h.units.unbind("patrol-12", by="core")
        assert h.units.view("patrol-12") is None
        assert h.units.view("car-1")["state"] == "on_duty"  # type: ignore[index]
        with pytest.raises(UnknownUnit):
            await h.units.unbind("patrol-12", by="core")


async def test_a_shift_ends_for_a_unit_of_the_core_and_another_one_begins(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        await h.units.bind("patrol-12", ["car-1", "cam-1"], [], by="core")
        await h.duty("vehicle_patrol", 1)
        await h.duty("off_duty", 2)
        told = (await changes(h))[-1]
        assert (told["unit"], told["state"], told["devices"]) == ("patrol-12", "off", [])
        assert told["released"] == {"car-1": "car-1", "cam-1": "cam-1"}
        assert h.units.view("cam-1")["state"] == "off"  # type: ignore[index]
        await h.duty("on_duty", 3)
        await h.units.bind("patrol-12", ["car-1"], [], by="core")
        assert h.units.view("patrol-12")["state"] == "on_duty"  # type: ignore[index]


@pytest.mark.parametrize(
    ("unit", "devices", "field"),
    [
        ("patrol-1", ["nobody"], "devices"),
        ("patrol-1", [], "devices"),
        ("car-2", ["cam-1"], "devices"),
        ("gateway-1", ["cam-1"], "unit"),
    ],
)
async def test_what_can_be_no_unit_is_refused(
    tmp_path: Path, unit: str, devices: list[str], field: str
) -> None:
    async with house(tmp_path) as h:
        with pytest.raises(FieldInvalid) as refused:
            await h.units.bind(unit, devices, [], by="core")
        assert refused.value.field == field


async def test_units_are_the_same_after_a_restart(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        await h.duty("on_duty", 1, crew=["031234", "cam-1"])
        await h.duty("en_route", 2, ref="110-7")
        await h.units.bind("patrol-12", ["car-2", "cam-2"], [], by="core")
        await h.units.unbind("patrol-12", by="core")
        await h.duty("vehicle_patrol", 1, device="car-2")
        before = list(h.units.views())
    async with house(tmp_path) as h:
        assert list(h.units.views()) == before
        await h.duty("foot_patrol", 1, device="cam-1")
        assert h.units.view("car-1")["state"] == "foot_patrol"  # type: ignore[index]
        ids = [e.id for e in await h.events("unit.changed")]
        assert len(ids) == len(set(ids))


NAMED = ["car-1", "car-2", "cam-1", "cam-2", "031234"]
STEPS = st.lists(
    st.tuples(
        st.sampled_from(NAMED[:4]),
        st.sampled_from(["on_duty", "on_duty", "off_duty", "vehicle_patrol"]),
        st.none() | st.lists(st.sampled_from(NAMED), max_size=3),
    ),
    max_size=12,
)


@given(steps=STEPS)
def test_a_device_is_in_exactly_one_unit_whatever_crews_declare(
    steps: list[tuple[str, DutyAct, list[str] | None]],
) -> None:
    units = Units(
        cast(Journal, None),  # what is computed here is not committed
        twins=Twins(now_ms=lambda: NOW, stale_after_s=60),
        registered=REGISTERED.get,
        now_ms=lambda: NOW,
    )
    for seq, (device, act, named) in enumerate(steps, 1):
        report = DutyReport(boot=1, seq=seq, t=NOW + seq, act=act, crew=named)
        event = Event(
            type=EventType.DUTY, id=f"{device}:1:p:{seq}", device=device, t=report.t,
            received=NOW + seq,
        )  # fmt: skip
        units.know(units.report(event, report).units)
        held = [each for unit in units.reporting() for each in unit.devices]
        assert len(held) == len(set(held))
        assert all(each in units.devices_of(units.unit_of(each)) for each in held)
        assert device in held
