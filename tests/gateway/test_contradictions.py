"""Contradictions: what does not fit a unit's state, told once, and once when it ends."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.contradictions import (
    MOVING_MS,
    NOT_MOVING_MS,
    SETTLE_MS,
    SILENT_MS,
    STILL_M,
    Still,
    follow,
    judge,
    turn,
)
from gateway.duty import instructed
from gateway.instructions import Instructions
from gateway.journal.base import Change, Event, EventType
from gateway.unit import Contradiction, ContradictionKind, Instruction, UnitRecord
from gateway.watch import Watch
from gateway.whereabouts import FRESH_MS, Sight, whereabouts
from protocols.duty import UnitState
from tests.gateway.house import NOW, House, fix, house

DEG_PER_M = 1 / 111_195
"""Of latitude, on the sphere that distances are reckoned on."""

SCENE = Instruction(incident="110-7", command="c-1", t=NOW - 600_000, lat=24.5, lon=117.6)


def sight(
    north_m: float = 0.0,
    *,
    at: int = NOW,
    acc: float | None = 5.0,
    spd: float | None = None,
    kind: str = "vehicle_terminal",
    device: str = "car-1",
) -> Sight:
    """A position so far north of the scene."""
    return Sight(device, kind, 24.5 + north_m * DEG_PER_M, 117.6, at, acc, spd)


def unit(state: UnitState | None, *, since: int = NOW - 600_000, **keys: Any) -> UnitRecord:
    """A car that is in that state since ten minutes."""
    return UnitRecord(id="car-1", devices=("car-1",), state=state, since=since, **keys)


def kinds(
    of: UnitRecord, still: Still | None, seen: Sight | None, *, heard: int = NOW
) -> list[str]:
    """The kinds of contradictions now."""
    return [each.kind for each in judge(of, still, seen, {"car-1": heard}, NOW)]


# What counts as moving.


@pytest.mark.parametrize(
    ("north_m", "acc", "spd", "moved"),
    [
        (29.0, 0.0, None, False),
        (31.0, 0.0, None, True),
        (40.0, 5.0, 3.0, False),  # 30 m and twice the accuracy of both: 44 m
        (45.0, 5.0, 3.0, True),
        (45.0, 5.0, 0.2, False),  # the receiver stands, and has jumped
        (45.0, None, 3.0, False),  # it does not say how good it is
        (60.0, None, 3.0, True),
        (5000.0, 2000.0, None, False),  # by a cell tower
    ],
)
def test_what_is_movement(
    north_m: float, acc: float | None, spd: float | None, moved: bool
) -> None:
    still = follow(None, sight(acc=acc, at=NOW - 10_000))
    after = follow(still, sight(north_m, acc=acc, spd=spd))
    assert (after.moved == NOW) is moved
    assert follow(after, sight(9000.0, at=NOW - 20_000)) is after  # an older one says nothing


@given(
    st.lists(
        st.tuples(st.floats(-STILL_M / 3, STILL_M / 3), st.floats(0, 50)), min_size=1, max_size=50
    )
)
def test_noise_about_a_place_is_never_movement(noise: list[tuple[float, float]]) -> None:
    still = None
    for n, (north_m, acc) in enumerate(noise):
        still = follow(still, sight(north_m, acc=acc, at=NOW + n * 1000))
    assert still is not None
    assert (still.since, still.moved) == (NOW, 0)


@given(st.floats(1.0, 40.0), st.floats(0, 20))
def test_a_car_that_drives_is_moving_all_the_time(spd: float, acc: float) -> None:
    still = None
    for second in range(0, 600, 5):
        at = NOW + second * 1000
        still = follow(still, sight(spd * second, acc=acc, spd=spd, at=at))
        last_s = (STILL_M + 4 * 20) / spd
        if second > last_s + 5:
            assert at - still.moved <= (last_s + 10) * 1000


# The table: state, movement, what is found.

MOVED = Still(sight(), NOW - 5000, NOW - 5000)
STOOD = Still(sight(), NOW - NOT_MOVING_MS)


@pytest.mark.parametrize(
    ("of", "still", "seen", "found"),
    [
        (unit(UnitState.PARKED), MOVED, sight(), [ContradictionKind.PARKED_MOVING]),
        (unit(UnitState.PARKED), STOOD, sight(), []),
        (unit(UnitState.PARKED, since=NOW - SETTLE_MS), MOVED, sight(), []),  # rolls into place
        (
            unit(UnitState.PARKED),
            Still(sight(), NOW - MOVING_MS - 1, NOW - MOVING_MS - 1),
            sight(),
            [],
        ),  # at its new place
        (unit(UnitState.PARKED), MOVED, sight(kind="body_camera"), []),  # the officer walks
        (unit(UnitState.VEHICLE_PATROL), MOVED, sight(), []),
        (unit(UnitState.OFF), MOVED, sight(), [ContradictionKind.OFF_DRIVING]),
        (unit(UnitState.OFF), STOOD, sight(), []),
        (unit(UnitState.EN_ROUTE), STOOD, sight(), [ContradictionKind.EN_ROUTE_STILL]),
        (unit(UnitState.EN_ROUTE, since=NOW - NOT_MOVING_MS + 1), STOOD, sight(), []),
        (unit(UnitState.EN_ROUTE), STOOD._replace(since=STOOD.since + 1), sight(), []),
        (
            unit(UnitState.EN_ROUTE, incident="110-7", instruction=SCENE),
            STOOD,
            sight(90),
            [],
        ),  # it is there
        (
            unit(UnitState.EN_ROUTE, incident="110-7", instruction=SCENE),
            STOOD,
            sight(900),
            [ContradictionKind.EN_ROUTE_STILL],
        ),
        (unit(UnitState.ON_SCENE), STOOD, sight(900), []),  # nobody knows where that is
        (
            unit(UnitState.ON_SCENE, incident="110-7", instruction=SCENE),
            STOOD,
            sight(104),
            [],
        ),  # 100 m and the accuracy
        (
            unit(UnitState.ON_SCENE, incident="110-7", instruction=SCENE),
            STOOD,
            sight(106),
            [ContradictionKind.SCENE_FAR],
        ),
        (unit(UnitState.ON_SCENE, incident="110-8", instruction=SCENE), STOOD, sight(900), []),
        (
            unit(UnitState.ON_SCENE, since=NOW + 1, incident="110-7", instruction=SCENE),
            STOOD,
            sight(900),
            [],
        ),  # a position of before the key
        (unit(UnitState.PARKED), MOVED, sight(at=NOW - FRESH_MS - 1), []),
        (unit(UnitState.PARKED), MOVED, None, []),
        (unit(None), MOVED, sight(), []),
    ],
)
def test_what_contradicts_what(
    of: UnitRecord, still: Still, seen: Sight | None, found: list[str]
) -> None:
    assert kinds(of, still, seen) == found


@pytest.mark.parametrize(
    ("state", "silent_ms", "found"),
    [
        (UnitState.VEHICLE_PATROL, SILENT_MS, []),
        (UnitState.VEHICLE_PATROL, SILENT_MS + 1, [ContradictionKind.SILENT]),
        (UnitState.BREAK, SILENT_MS + 1, [ContradictionKind.SILENT]),
        (UnitState.OFF, SILENT_MS + 1, []),
        (None, SILENT_MS + 1, []),
    ],
)
def test_silence_counts_while_on_duty(
    state: UnitState | None, silent_ms: int, found: list[str]
) -> None:
    assert kinds(unit(state), None, None, heard=NOW - silent_ms) == found


def test_far_from_the_scene_does_not_come_and_go_with_the_noise() -> None:
    told = (Contradiction(kind=ContradictionKind.SCENE_FAR, device="car-1", since=NOW - 5000),)
    of = unit(UnitState.ON_SCENE, incident="110-7", instruction=SCENE, contradictions=told)
    assert kinds(of, None, sight(104)) == [ContradictionKind.SCENE_FAR]
    assert kinds(of, None, sight(99)) == []


CONTRADICTIONS = st.builds(
    Contradiction,
    kind=st.sampled_from(ContradictionKind),
    device=st.sampled_from(["car-1", "cam-1"]),
    since=st.integers(0, 9),
)


@given(st.lists(st.lists(CONTRADICTIONS, max_size=4), max_size=10))
def test_each_is_told_once_while_it_lasts_and_once_when_it_ends(
    looks: list[list[Contradiction]],
) -> None:
    held: tuple[Contradiction, ...] = ()
    told: set[tuple[str, str]] = set()
    for found in [*looks, []]:
        held, begun, ended = turn(held, found)
        began, over = ({(e.kind, e.device) for e in each} for each in (begun, ended))
        assert not began & told
        assert over <= told
        told = (told | began) - over
        assert told == {(each.kind, each.device) for each in found}
    assert held == ()


# Where a unit is.

CAMERA = sight(kind="body_camera", device="cam-1")
CAR = sight(50, at=NOW - 10_000)


@pytest.mark.parametrize(
    ("state", "sights", "device"),
    [
        (UnitState.VEHICLE_PATROL, [CAMERA, CAR], "car-1"),
        (UnitState.FOOT_PATROL, [CAR, CAMERA], "cam-1"),
        (UnitState.ON_SCENE, [CAR, CAMERA], "cam-1"),
        (UnitState.VEHICLE_PATROL, [CAMERA, CAR._replace(taken=NOW - FRESH_MS - 1)], "cam-1"),
        (UnitState.FOOT_PATROL, [CAR, CAMERA._replace(taken=NOW - FRESH_MS - 1)], "car-1"),
        (UnitState.FOOT_PATROL, [CAR], "car-1"),
        (None, [CAMERA, CAR], "car-1"),
    ],
)
def test_which_device_says_where_the_unit_is(
    state: UnitState | None, sights: list[Sight], device: str
) -> None:
    found = whereabouts(state, sights, NOW)
    assert found is not None
    assert found.device == device
    assert whereabouts(state, [], NOW) is None


# On a real journal.


async def told(h: House) -> list[tuple[str, str, str]]:
    """What has been told of contradictions."""
    found = await h.events("unit.contradiction")
    return [(e.data["kind"], e.device, e.data["word"]) for e in found]


async def test_a_contradiction_is_told_once_over_a_restart_and_when_it_ends(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        await h.duty("vehicle_patrol", 1)
        watch = Watch(h.units, h.twins, now_ms=lambda: h.now)
        h.now += SILENT_MS + 1000
        await watch.look("car-1")
        await watch.look("car-1")
        assert await told(h) == [("silent", "car-1", "begun")]
        view = h.units.view("car-1")
        assert view is not None
        assert [each["kind"] for each in view["contradictions"]] == ["silent"]
    async with house(tmp_path) as h:
        h.now += SILENT_MS + 1000
        watch = Watch(h.units, h.twins, now_ms=lambda: h.now)
        await watch.look("car-1")
        assert len(await told(h)) == 1
        await h.telemetry_of("pos", fix(1, t=h.now))
        await watch.look("car-1")
        assert await told(h) == [("silent", "car-1", "begun"), ("silent", "car-1", "ended")]


async def test_nobody_is_silent_for_the_gateway_was_stopped(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        await h.duty("vehicle_patrol", 1)
    async with house(tmp_path) as h:
        h.now += 3600_000
        watch = Watch(h.units, h.twins, now_ms=lambda: h.now)
        await watch.look("car-1")
        h.now += SILENT_MS + 1
        assert await told(h) == []
        await watch.look("car-1")
        assert await told(h) == [("silent", "car-1", "begun")]


async def test_who_stood_before_a_restart_stands_on(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        await h.duty("en_route", 1)
        watch = Watch(h.units, h.twins, now_ms=lambda: h.now)
        for second in (0, 181):
            h.now = NOW + second * 1000
            await h.telemetry_of("pos", fix(second + 1, t=h.now, acc=4))
            await watch.look("car-1")
        assert await told(h) == [("en_route_still", "car-1", "begun")]
    async with house(tmp_path) as h:
        h.now = NOW + 190_000
        watch = Watch(h.units, h.twins, now_ms=lambda: h.now)
        await h.telemetry_of("pos", fix(190, t=h.now, acc=4))
        await watch.look("car-1")
        assert len(await told(h)) == 1
        h.now += 10_000
        await h.telemetry_of("pos", fix(200, t=h.now, acc=4, lat=24.51))
        await watch.look("car-1")
        assert (await told(h))[1:] == [("en_route_still", "car-1", "ended")]


async def test_a_parked_car_that_drives_off(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        await h.duty("parked", 1)
        watch = Watch(h.units, h.twins, now_ms=lambda: h.now)
        for second in range(0, 90, 5):
            h.now = NOW + second * 1000
            north = 10 * DEG_PER_M * max(0, second - 65)
            await h.telemetry_of("pos", fix(second + 1, t=h.now, lat=24.5 + north, acc=4, spd=10))
            await watch.look("car-1")
        assert await told(h) == [("parked_moving", "car-1", "begun")]
        await h.duty("vehicle_patrol", 2)
        await watch.look("car-1")
        assert (await told(h))[1:] == [("parked_moving", "car-1", "ended")]


def instruct(n: int, *, device: str = "car-1", state: str = "created") -> Event:
    """A command's event as the journal has it."""
    data: dict[str, Any] = {"cmd": f"c-{n}", "state": state}
    if state == "created":
        args = {"incident": "110-7", "kind": "theft", "lat": 24.5, "lon": 117.6}
        data |= {"act": "instruct", "args": args, "exp": NOW + 600_000}
    return Event(
        type=EventType.COMMAND, id=f"c-{n}/{state}", device=device, t=NOW, received=NOW, data=data
    )


async def test_a_unit_is_near_its_incident_once(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        await h.duty("vehicle_patrol", 1)
        await h.journal.commit(Change(events=[instruct(1)]))
        following = Instructions(h.journal, h.units, now_ms=lambda: h.now)
        for event in await h.events("command"):
            await following.take(event)
        assert h.units.view("car-1")["instruction"]["incident"] == "110-7"  # type: ignore[index]
        watch = Watch(h.units, h.twins, now_ms=lambda: h.now)
        for seq, north_m in enumerate((300, 150, 99, 20), 1):
            h.now += 1000
            await h.telemetry_of(
                "pos", fix(seq, t=h.now, lat=24.5 + north_m * DEG_PER_M, lon=117.6)
            )
            await watch.look("car-1")
        (arrival,) = await h.events("unit.arrival")
        assert (arrival.data["unit"], arrival.data["incident"]) == ("car-1", "110-7")
        assert (arrival.data["distance_m"], arrival.data["at"]) == (99.0, NOW + 3000)
        await h.duty("on_scene", 2)
        assert h.units.view("car-1")["incident"] == "110-7"  # type: ignore[index]


async def test_half_a_place_is_none(tmp_path: Path) -> None:
    half = instruct(1)
    half.data["args"].pop("lon")
    async with house(tmp_path) as h:
        await h.duty("en_route", 1)
        await Instructions(h.journal, h.units, now_ms=lambda: h.now).take(half)
        await h.telemetry_of("pos", fix(1, t=h.now, lat=24.5, lon=117.6))
        await Watch(h.units, h.twins, now_ms=lambda: h.now).look("car-1")
        assert await h.events("unit.arrival") == []


async def test_a_look_that_fails_ends_nothing(tmp_path: Path) -> None:
    silent: list[str] = []
    both = asyncio.Event()

    def fail(found: Contradiction) -> None:
        silent.append(found.device)
        if len(silent) == 2:
            both.set()
        raise RuntimeError(found.device)

    async with house(tmp_path) as h:
        await h.duty("on_duty", 1)
        await h.duty("on_duty", 1, device="cam-1")
        watch = Watch(h.units, h.twins, now_ms=lambda: h.now, on_begun=fail)
        h.now += SILENT_MS + 1000
        looking = asyncio.create_task(watch.run())
        async with asyncio.timeout(30):
            await both.wait()
        assert not looking.done()
        looking.cancel()
    assert sorted(silent) == ["cam-1", "car-1"]


async def test_an_instruction_that_is_cancelled_is_none(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        following = Instructions(h.journal, h.units, now_ms=lambda: h.now)
        await following.take(instruct(1))
        await following.take(instruct(2, state="cancelled"))  # of another one
        assert h.units.newest("car-1").instruction is not None
        await following.take(instruct(1, state="cancelled"))
        assert h.units.newest("car-1").instruction is None
        h.now += 3_600_000
        await following.take(instruct(3))  # read late: it has expired
        assert h.units.newest("car-1").instruction is None


def test_the_newest_instruction_counts() -> None:
    newer = Instruction(incident="110-9", command="c-2", t=SCENE.t + 1)
    held = instructed(instructed(unit(None), newer), SCENE)
    assert held.instruction == newer
