"""Arrivals: figures reckoned by hand, the same in whatever order events come."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import msgpack
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.config import ConfigError, Settings, load
from gateway.feeds.envelope import envelope
from gateway.grids import Grid
from gateway.journal.base import Change, Event, EventType
from gateway.reports.arrivals import HOLDS_MS, Arrivals, UnitArrival
from gateway.reports.figures import figures, incidents_of, report
from gateway.reports.gathering import ArrivalReports
from gateway.shifts import shift_at, shifts_of, zone_of
from tests.gateway.house import NOW, fix, house
from tests.scenarios.recount import recount

DEG_PER_M = 1 / 111_195
SCENE = {"lat": 24.5, "lon": 117.6}
S = 1000
MIN = 60 * S


class Day:
    """Events of a made-up day, numbered as they are made; times in ms after the start."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def _add(
        self, kind: EventType, name: str, device: str, at: int, data: Any, **keys: Any
    ) -> None:
        keys = {"received": NOW + at, **keys}
        t = data.get("t", NOW + at)
        self.events.append(Event(type=kind, id=name, device=device, t=t, data=data, **keys))

    def order(self, at: int, cmd: str = "c-1", device: str = "car-1", **args: Any) -> None:
        """An `instruct`, to the scene unless told otherwise."""
        args = {"incident": "110-7", "kind": "theft", **SCENE, **args}
        data = {"cmd": cmd, "state": "created", "act": "instruct", "args": args, "t": NOW + at}
        self._add(EventType.COMMAND, f"{cmd}/created", device, at, data)

    def state(self, at: int, state: str, cmd: str = "c-1", device: str = "car-1") -> None:
        """What became of a command."""
        self._add(
            EventType.COMMAND, f"{cmd}/{state}", device, at, {"cmd": cmd, "state": state}
        )  # fmt: skip

    def key(
        self,
        at: int,
        act: str,
        device: str = "car-1",
        *,
        late: int = 0,
        offset: int = 20,
        **keys: Any,
    ) -> None:
        """A key pressed at that time by the device's clock, which is behind by the offset."""
        seq = len(self.events) + 1
        data = {"boot": 1, "seq": seq, "t": NOW + at, "act": act, **keys}
        self._add(
            EventType.DUTY, f"{device}:1:p:{seq}", device, at, data,
            received=NOW + at + offset + late, clock_offset_ms=offset,
        )  # fmt: skip

    def pos(
        self, at: int, north_m: float, device: str = "car-1", *, offset: int = 20, **keys: Any
    ) -> None:
        """A position so far north of the scene."""
        seq = len(self.events) + 1
        data = fix(seq, t=NOW + at, lat=24.5 + north_m * DEG_PER_M, lon=117.6, acc=5.0) | keys
        self._add(
            EventType.POSITION, f"{device}:1:t:{seq}", device, at, data,
            received=NOW + at + offset, clock_offset_ms=offset,
        )  # fmt: skip

    def unit(self, at: int, unit: str, *devices: str, **facts: Any) -> None:
        """Who forms a unit from then on."""
        data = {"unit": unit, "devices": list(devices), "at": NOW + at, **facts}
        name = f"unit:{unit}/{len(self.events)}"
        self._add(EventType.UNIT_CHANGED, name, devices[0], at, data)


def counted(events: list[Event]) -> list[UnitArrival]:
    """What these events tell."""
    found = Arrivals()
    for event in events:
        found.take(event)
    return found.result()


def times(arrival: UnitArrival) -> list[int | None]:
    """Order, departure, near and key, in ms after the start."""
    steps = arrival.dispatched, arrival.en_route, arrival.near, arrival.on_scene
    return [None if step is None else step.at - NOW for step in steps]


def test_the_four_steps_of_one_unit() -> None:
    day = Day()
    day.order(0)
    day.state(300, "delivered")
    day.key(12 * S, "en_route")
    for second, north_m in ((60, 900), (120, 400), (180, 101), (181, 99), (182, 60)):
        day.pos(second * S, north_m)
    day.key(195 * S, "on_scene", pos={**SCENE, "fix": 3, "acc": 4.0, "t": NOW + 194_500})
    (arrival,) = counted(day.events)
    assert times(arrival) == [0, 12 * S, 181 * S, 195 * S]
    assert arrival.near is not None
    assert (arrival.near.source, arrival.near.distance_m, arrival.near.acc_m) == (
        "position", 99.0, 5.0,
    )  # fmt: skip
    assert arrival.on_scene is not None
    assert (arrival.on_scene.distance_m, arrival.on_scene.fix_age_ms) == (0.0, 500)
    assert arrival.arrived is arrival.near
    assert arrival.doubts == ()


@pytest.mark.parametrize(
    ("keys", "offset", "counts"),
    [
        ({}, 20, True),
        ({"acc": 51.0}, 20, False),
        ({"acc": None}, 20, True),
        ({"acc": float("nan")}, 20, True),
        ({"fix": 0}, 20, False),
        ({"src": "cell"}, 20, False),
        ({"t": 0}, 20, False),
        ({}, 60_000, True),
        ({}, 60_001, False),
        ({}, -60_001, False),
    ],
)
def test_which_positions_are_witnesses(keys: dict[str, Any], offset: int, counts: bool) -> None:
    day = Day()
    day.order(0)
    day.pos(90 * S, 20, offset=offset, **keys)
    (arrival,) = counted(day.events)
    assert (arrival.near is not None) is counts
    if counts:
        assert arrival.near is not None
        assert arrival.near.at == NOW + 90 * S + (offset if offset > 2 * S else 0)


@pytest.mark.parametrize(
    ("offset", "late", "at", "doubts"),
    [
        (20, 0, 240 * S, {"key_only"}),
        (1999, 0, 240 * S, {"key_only"}),
        (30 * S, 0, 270 * S, {"key_only", "clock_set_right"}),
        (-30 * S, 0, 210 * S, {"key_only", "clock_set_right"}),
        (20, 3600 * S, 240 * S, {"key_only"}),  # out of a spool, an hour later
    ],
)
def test_a_key_counts_by_the_gateways_clock(
    offset: int, late: int, at: int, doubts: set[str]
) -> None:
    day = Day()
    day.order(0)
    day.key(240 * S, "on_scene", offset=offset, late=late)
    (arrival,) = counted(day.events)
    assert arrival.arrived is not None
    assert arrival.arrived.at == NOW + at
    assert set(arrival.doubts) == doubts | {"no_en_route_key"}


def test_a_key_without_an_incident_is_about_the_order_or_where_the_unit_is_heading() -> None:
    day = Day()
    day.key(0, "on_scene")  # about nothing
    day.order(1 * S, "c-1", incident="first")
    day.key(2 * S, "en_route")
    day.order(3 * S, "c-2", incident="second")
    day.key(4 * S, "on_scene")  # at the first, though there is a newer order
    day.key(5 * S, "clear")
    day.key(6 * S, "en_route")
    day.key(7 * S, "on_scene")
    day.key(8 * S, "clear")
    day.key(9 * S, "on_scene")  # nothing is left
    first, second = counted(day.events)
    assert (first.incident, times(first)) == ("first", [1 * S, 2 * S, None, 4 * S])
    assert (second.incident, times(second)) == ("second", [3 * S, 6 * S, None, 7 * S])


def test_an_order_holds_for_a_day() -> None:
    day = Day()
    day.order(0)
    day.key(HOLDS_MS + 1, "on_scene")
    day.key(HOLDS_MS + 2, "on_scene", ref="110-7")
    assert times(counted(day.events)[0]) == [0, None, None, None]


def test_who_is_clear_of_it_is_not_looked_for() -> None:
    day = Day()
    day.order(0)
    day.key(60 * S, "clear", ref="110-7")
    day.pos(90 * S, 20)
    assert times(counted(day.events)[0]) == [0, None, None, None]


@pytest.mark.parametrize(
    ("states", "is_there"),
    [
        ([], True),
        (["refused"], False),
        (["delivered", "shown", "refused"], False),
        (["delivered", "failed"], True),
        (["expired"], False),
        (["cancelled"], False),
        (["expired", "delivered"], True),  # told later
        (["delivered", "cancelled"], True),  # recalled on the way
    ],
)
def test_an_order_that_nobody_got_is_none(states: list[str], is_there: bool) -> None:
    day = Day()
    day.order(0)
    for n, state in enumerate(states):
        day.state(n, state)
    day.pos(90 * S, 20)
    assert bool(counted(day.events)) is is_there


def test_another_devices_answer_makes_no_order_vain() -> None:
    day = Day()
    day.order(0)
    day.state(1, "delivered")
    day.state(2, "refused", device="car-2")
    day.pos(90 * S, 20)
    assert times(counted(day.events)[0]) == [0, None, 90 * S, None]


def test_any_device_of_the_crew_shows_it_while_it_is_of_the_crew() -> None:
    day = Day()
    day.unit(0, "car-1", "car-1", "cam-1")
    day.order(1 * S)
    day.pos(60 * S, 10, "cam-2")  # of somebody else
    day.pos(70 * S, 10, "cam-1")
    day.unit(80 * S, "car-1", "car-1", released={"cam-1": "cam-1"})
    day.key(90 * S, "on_scene", "cam-1", ref="110-7")  # of nobody now
    found = counted(day.events)
    assert [(each.unit, times(each)) for each in found] == [
        ("cam-1", [None, None, None, 90 * S]),
        ("car-1", [1 * S, None, 70 * S, None]),
    ]


def test_of_several_units_the_first_counts_and_all_are_shown() -> None:
    day = Day()
    day.order(0, "c-1", "car-1")
    day.order(5 * S, "c-2", "car-2")
    day.pos(400 * S, 20, "car-1")
    day.pos(300 * S, 20, "car-2")
    grid = Grid(name="north", polygon=((24, 117), (24, 118), (25, 118), (25, 117)))
    (incident,) = incidents_of(
        counted(day.events), grids=[grid], shifts=shifts_of("08:00,20:00"), zone=ZoneInfo("UTC")
    )
    assert (incident.duration_ms, incident.arrived_unit) == (300 * S, "car-2")
    assert [each.unit for each in incident.units] == ["car-1", "car-2"]
    assert (incident.grid, incident.shift) == ("north", "08:00-20:00")


# Figures by hand.


@pytest.mark.parametrize(
    ("durations", "mean", "median", "within_5", "within_10"),
    [
        ([], None, None, 0, 0),
        ([300_000], 300_000, 300_000, 1, 1),
        ([300_001], 300_001, 300_001, 0, 1),
        ([1, 2], 2, 2, 2, 2),  # halves are rounded up
        ([60_000, 240_000, 600_000, 600_001], 375_000, 420_000, 2, 3),
    ],
)
def test_figures(
    durations: list[int], mean: int | None, median: int | None, within_5: int, within_10: int
) -> None:
    found = figures(durations, 7)
    assert (found.mean_ms, found.median_ms) == (mean, median)
    assert (found.within_5_min, found.within_10_min) == (within_5, within_10)
    assert (found.incidents, found.arrived) == (7, len(durations))
    assert found.share_5_min == (within_5 / len(durations) if durations else None)


@pytest.mark.parametrize(
    ("clock", "shift"),
    [
        ("2026-11-22T08:00:00+08:00", "08:00-20:00"),
        ("2026-11-22T19:59:59+08:00", "08:00-20:00"),
        ("2026-11-22T20:00:00+08:00", "20:00-08:00"),
        ("2026-11-22T07:59:59+08:00", "20:00-08:00"),
    ],
)
def test_a_shift_is_told_by_the_clock_on_the_wall(clock: str, shift: str) -> None:
    moment_ms = int(datetime.fromisoformat(clock).timestamp() * 1000)
    assert shift_at(shifts_of("20:00,08:00"), moment_ms, zone_of("Asia/Shanghai")) == shift


@pytest.mark.parametrize(
    ("settings", "key"),
    [
        ({"shifts": "8:00"}, "shifts"),
        ({"shifts": "08:00,08:00"}, "shifts"),
        ({"shifts": ""}, "shifts"),
        ({"timezone": "Mars/Olympus"}, "timezone"),
        ({"timezone": "../etc"}, "timezone"),
    ],
)
def test_shifts_that_are_none_are_refused(settings: dict[str, str], key: str) -> None:
    with pytest.raises(ConfigError, match=key):
        load(None, settings, {})


# Any order.

INCIDENTS = st.sampled_from(["i-1", "i-2"])
CARS = st.sampled_from(["car-1", "car-2", "cam-1"])
AT = st.integers(0, 20 * 60).map(lambda second: second * S)
HAPPENED = st.one_of(
    st.tuples(st.just("order"), AT, CARS, INCIDENTS),
    st.tuples(
        st.sampled_from(["en_route", "on_scene", "clear", "off_duty", "parked"]),
        AT, CARS, st.none() | INCIDENTS,
    ),
    st.tuples(
        st.just("state"), AT, CARS,
        st.sampled_from(["delivered", "shown", "accepted", "refused", "expired", "cancelled"]),
    ),
    st.tuples(st.just("pos"), AT, CARS, st.floats(0, 300)),
    st.tuples(st.just("unit"), AT, st.sampled_from(["car-1", "car-2"]), st.booleans()),
)  # fmt: skip


def made(happened: list[tuple[Any, ...]]) -> list[Event]:
    """A day in which this happened."""
    day = Day()
    for n, (what, at, device, about) in enumerate(happened):
        if what == "order":
            day.order(at, f"c-{n}", device, incident=about)
        elif what == "state":
            day.state(at, about, f"c-{n - 1}", device)  # of what was before it, if an order
        elif what == "pos":
            day.pos(at, about, device)
        elif what == "unit":
            crew = ("cam-1",) if about else ()
            day.unit(at, device, device, *crew, released={} if about else {"cam-1": "cam-1"})
        else:
            day.key(at, what, device, **({} if about is None else {"ref": about}))
    return day.events


@given(happened=st.lists(HAPPENED, max_size=25), order=st.randoms())
def test_figures_are_the_same_in_whatever_order_events_come(
    happened: list[tuple[Any, ...]], order: Any
) -> None:
    events = made(happened)
    shuffled = order.sample(events, len(events))
    again = counted([*shuffled, *shuffled[:3]])  # some of them twice
    assert again == counted(events)
    for arrival in again:
        if arrival.near is not None and arrival.dispatched is not None:
            assert arrival.near.at >= arrival.dispatched.at


@given(happened=st.lists(HAPPENED, max_size=25))
def test_who_counts_again_by_the_page_alone_gets_the_same(happened: list[tuple[Any, ...]]) -> None:
    events = made(happened)
    found = incidents_of(
        counted(events), grids=[], shifts=shifts_of("08:00,20:00"), zone=ZoneInfo("UTC")
    )
    fed = [msgspec.to_builtins(envelope(event)) for event in events]
    assert recount(fed) == {
        each.incident: each.duration_ms for each in found if each.duration_ms is not None
    }


# Through the journal: positions are only read where they are looked for.


async def test_the_report_of_a_journal_is_that_of_all_its_events(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        await h.duty("on_duty", 1, crew=["cam-1"])
        day = Day()
        day.order(10 * S)
        day.order(20 * S, "c-2", "car-2", incident="110-8")
        await h.journal.commit(Change(events=day.events))
        h.now = NOW + 15 * S
        await h.duty("en_route", 2)
        for at_s in range(20, 300, 10):
            h.now = NOW + at_s * S
            lat = 24.5 + (1000 - 4 * at_s) * DEG_PER_M
            await h.telemetry_of("pos", fix(at_s, t=h.now - 30, lat=lat, acc=5))
            await h.telemetry_of("pos", fix(at_s, t=h.now, lat=lat, acc=5), device="cam-1")
        await h.duty("on_scene", 3)
        # Back on the air: its presence shows its clock before what was spooled comes.
        presence = {"online": True, "boot": 1, "t": h.now}
        await h.priority.take(h.arrival("presence", msgpack.packb(presence), "car-2"))
        await h.duty("on_scene", 1, device="car-2", ref="110-8", t=h.now - 90 * S)

        reports = ArrivalReports(h.journal, Settings(timezone="UTC"))
        found = await reports.arrivals(NOW, NOW + 60 * MIN)
        events = (await h.journal.read(0, 10_000, frozenset(EventType))).events
        whole = incidents_of(
            counted(events), grids=[], shifts=shifts_of("08:00,20:00"), zone=ZoneInfo("UTC")
        )
        assert found == report(whole, since=NOW, until=NOW + 60 * MIN, timezone="UTC")
        first, second = found.incidents
        # 4 m/s from 1000 m: the fix of the 230th second is within 100 m, the car's is 30 ms older.
        assert (first.incident, first.duration_ms) == ("110-7", 230 * S - 30 - 10 * S)
        assert (second.incident, second.duration_ms) == ("110-8", 180 * S)
        assert (found.total.mean_ms, found.total.median_ms) == (199_985, 199_985)
        assert await reports.arrivals(NOW + 11 * S, NOW + 60 * MIN) != found
