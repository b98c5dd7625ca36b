"""An hour of the past: what stood on the map, step by step, and what happened meanwhile."""

from __future__ import annotations

import json
import struct
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway import frames
from gateway.frames import Frame
from gateway.journal.base import Block, Change, Event, EventType, Telemetry
from gateway.playback import FRAME, MAX_AT_ONCE
from gateway.registry import Device
from gateway.seen import TooMuch
from tests.gateway.outward import NOW_MS, Outward, fix, outward

HEAD = struct.Struct("<II")


class Played(NamedTuple):
    """What came. ``facts``: with the time at which each was told."""

    words: list[dict[str, Any]]
    frames: list[Frame]
    facts: list[tuple[int, dict[str, Any]]]

    def index_of(self, name: str) -> int:
        return next(int(fact["i"]) for _, fact in self.facts if fact["id"] == name)

    def of(self, name: str) -> list[tuple[float, tuple[int, ...]]]:
        """Each row of a unit, with the time of its frame from NOW_MS on (s)."""
        index = self.index_of(name)
        return [
            ((frame.now - NOW_MS) / 1000, row)
            for frame in self.frames
            for row in frame.rows
            if row[0] == index
        ]


def taken_apart(body: bytes) -> Played:
    words, found, at = [], [], 0
    while at < len(body):
        kind, length = HEAD.unpack_from(body, at)
        content = body[at + HEAD.size : at + HEAD.size + length]
        at += HEAD.size + length
        if kind == FRAME:
            found.append(frames.decode(content))
        else:
            words.append(json.loads(content))
    facts = [(w["t"], fact) for w in words if w["type"] == "facts" for fact in w["facts"]]
    return Played(words, found, facts)


@pytest.fixture
async def gateway(tmp_path: Path) -> AsyncIterator[Outward]:
    async with outward(tmp_path) as started:
        for n in range(1, 4):
            started.registry.add(Device(id=f"car-{n}", kind="vehicle_terminal", name="<b>"))
        started.registry.add(Device(id="cam-1", kind="body_camera"))
        started.registry.add(Device(id="bank-1", kind="alarm_box", lat=24.51, lon=117.65))
        yield started


async def play(gateway: Outward, since_s: int, until_s: int, step_s: int = 10) -> Played:
    """A time counted from NOW_MS on."""
    since, until = NOW_MS + 1000 * since_s, NOW_MS + 1000 * until_s
    path = f"/api/v1/playback?from={since}&to={until}&step_s={step_s}"
    async with gateway.request("GET", path) as response:
        assert response.status == 200, await response.text()
        assert response.content_type == "application/vnd.fieldgate.playback"
        return taken_apart(await response.read())


async def drive(gateway: Outward, device: str, *seconds: int, **keys: Any) -> None:
    """It reports at these seconds, a thousandth of a degree further north each second."""
    for at in seconds:
        moved = fix(at, **{"lat": 24.0 + at / 1000, "acc": 4.2} | keys)
        entry = Telemetry(device, NOW_MS + 1000 * at + 50, None, (), moved)
        await gateway.journal.commit_block(Block([entry]))


async def commit(gateway: Outward, change: Change) -> None:
    """What happened is stored when it was received."""
    gateway.journal._now_ms = lambda: change.events[0].received
    await gateway.journal.commit(change)


def told(what: EventType, device: str, at_s: int, **data: Any) -> Change:
    t = NOW_MS + 1000 * at_s
    event = Event(
        type=what, id=f"{device}/{what}/{at_s}", device=device, t=t, received=t, data=data
    )
    return Change(events=[event])


async def test_of_each_step_the_newest_position(gateway: Outward) -> None:
    await drive(gateway, "car-1", *range(100, 160))
    played = await play(gateway, 100, 160)
    assert played.words[0] == {
        "type": "hello", "since": NOW_MS + 100_000, "until": NOW_MS + 160_000, "step_ms": 10_000,
    }  # fmt: skip
    assert played.words[-1] == {"type": "end"}
    assert [frame.now - NOW_MS for frame in played.frames] == [
        1000 * t for t in range(110, 170, 10)
    ]
    assert [(at, row[1]) for at, row in played.of("car-1")] == [
        (at, round((24.0 + (at - 1) / 1000) * 1e7)) for at in range(110, 170, 10)
    ]
    assert played.of("car-1")[0][1][3:] == (1, 255, 255, 5, frames.ONLINE)
    [fact] = [fact for _, fact in played.facts if fact["id"] == "car-1"]
    assert fact == {
        "i": fact["i"], "id": "car-1", "unit": True, "kind": "vehicle_terminal", "name": "<b>",
    }  # fmt: skip


async def test_who_stood_still_before_is_there_at_once_and_who_falls_silent_is_stale(
    gateway: Outward,
) -> None:
    await drive(gateway, "car-1", 80)
    await drive(gateway, "car-2", 100, 190)
    played = await play(gateway, 100, 200)
    assert played.of("car-1")[0][0] == 110
    states = {at: row[7] & 3 for at, row in played.of("car-1")}
    assert states == {110: frames.ONLINE, 150: frames.STALE}
    assert played.of("bank-1")[0][1][1:3] == (245_100_000, 1_176_500_000)
    assert played.of("bank-1")[0][1][7] == frames.FIXED


async def test_alarms_and_presence_mark_rows_at_their_times(gateway: Outward) -> None:
    await drive(gateway, "car-1", *range(100, 200, 5))
    alarm = told(EventType.ALARM_RAISED, "bank-1", 115, kind="panic")
    name = alarm.events[0].id
    accepted = told(EventType.ALARM_STAGE, "bank-1", 135, alarm=name, stage="accepted")
    await commit(gateway, alarm)
    await commit(gateway, accepted)
    await commit(gateway, told(EventType.PRESENCE, "car-1", 145, online=False, boot=1))
    closed = told(EventType.ALARM_STAGE, "bank-1", 165, alarm=name, stage="closed")
    await commit(gateway, closed)
    played = await play(gateway, 100, 200)
    marks = [(at, row[7] & 12) for at, row in played.of("bank-1")]
    assert marks == [
        (110, 0),
        (120, frames.ALARM | frames.WAITING),
        (140, frames.ALARM),
        (170, 0),
    ]
    assert {at: row[7] & 3 for at, row in played.of("car-1")}[150] == frames.OFFLINE
    opened = [fact.get("alarms", 0) for _, fact in played.facts if fact["id"] == "bank-1"]
    assert opened == [0, 1, 1, 0]


async def test_a_unit_is_where_its_crew_was(gateway: Outward) -> None:
    """In the car the terminal counts, on foot the camera."""
    both = {"unit": "car-1", "devices": ["car-1", "cam-1"], "officers": ["Chen"], "since": NOW_MS}
    for at, state in ((0, "vehicle_patrol"), (135, "foot_patrol")):
        change = told(EventType.UNIT_CHANGED, "car-1", at, at=0, state=state, **both)
        await commit(gateway, change)
    await drive(gateway, "car-1", *range(100, 160), lon=117.0)
    await drive(gateway, "cam-1", *range(100, 160), lon=118.0)
    played = await play(gateway, 100, 160)
    assert [row[2] / 1e7 for _, row in played.of("car-1")] == [117, 117, 117, 118, 118, 118]
    duties = [fact["duty"] for _, fact in played.facts if fact["id"] == "car-1"]
    assert duties == ["vehicle_patrol", "foot_patrol"]
    assert not [fact for _, fact in played.facts if fact["id"] == "cam-1" and "gone" not in fact]


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("", 400),
        ("from=5&to=4", 400),
        ("from=0&to=3600001&step_s=1", 400),
        ("from=0&to=10&step_s=0", 400),
        ("from=2026-11-22T03:00:00Z&to=2026-11-22T04:00:00Z", 200),
    ],
)
async def test_what_is_asked_for_is_checked(gateway: Outward, query: str, status: int) -> None:
    async with gateway.request("GET", f"/api/v1/playback?{query}") as response:
        assert response.status == status


async def test_few_play_at_once(gateway: Outward) -> None:
    playing = [gateway.playback.parts(NOW_MS, NOW_MS + 1000, 1000) for _ in range(MAX_AT_ONCE)]
    for each in playing:
        await anext(each)
    with pytest.raises(TooMuch):
        await anext(gateway.playback.parts(NOW_MS, NOW_MS + 1000, 1000))
    path = f"/api/v1/playback?from={NOW_MS}&to={NOW_MS + 1000}"
    async with gateway.request("GET", path) as response:
        assert response.status == 503
    for each in playing:
        await each.aclose()
    assert (await play(gateway, 0, 1)).words[-1] == {"type": "end"}


@pytest.mark.slow
async def test_an_hour_of_a_thousand_units(gateway: Outward) -> None:
    """Each reports every 20 s; a step of a minute has the newest of each."""
    units = 1000
    for second in range(0, 3600, 20):
        entries = [
            Telemetry(
                f"unit-{n}", NOW_MS + 1000 * second + 40, 5, (),
                fix(second + 1, t=NOW_MS + 1000 * second, lat=24 + n / 1e4, lon=117 + second / 1e5),
            )
            for n in range(units)
        ]  # fmt: skip
        await gateway.journal.commit_block(Block(entries))
    played = await play(gateway, 0, 3600, 60)
    assert len(played.frames) == 60
    for step, frame in enumerate(played.frames):
        assert frame.bits & frames.WHOLE or step % 30
        placed = [row for row in frame.rows if not row[7] & frames.FIXED]
        assert len(placed) == units
        assert {row[2] for row in placed} == {round((117 + (60 * step + 40) / 1e5) * 1e7)}
        assert {row[3] for row in placed} == {20}


# -- events of a time ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "times"),
    [
        ("from={1}", [1, 2, 3]),
        ("from={1}&to={3}", [1, 2]),
        ("to={2}", [0, 1]),
        ("from={1}&to={3}&limit=1", [1]),
        ("from={9}", []),
        ("to={0}", []),
        ("from={1}&to={4}&types=position", []),
    ],
)
async def test_events_of_a_time(gateway: Outward, query: str, times: list[int]) -> None:
    for at in range(4):
        await commit(gateway, told(EventType.ALARM_RAISED, "bank-1", at, at=at))
    moments = [NOW_MS + 1000 * n for n in range(10)]
    answer = await gateway.get(f"/api/v1/events?{query.format(*moments)}")
    assert [event["data"]["at"] for event in answer["events"]] == times


@given(st.lists(st.floats(0, 3000), min_size=1))
def test_codes_of_columns_are_those_of_single_numbers(values: list[float]) -> None:
    column = np.array(values)
    assert frames.speed_codes(column).tolist() == list(map(frames.speed_code, values))
    assert frames.accuracy_codes(column).tolist() == list(map(frames.accuracy_code, values))
    assert frames.heading_codes(column).tolist() == list(map(frames.heading_code, values))
    assert frames.speed_codes(np.array([np.nan, np.inf])).tolist() == [255, 254]
