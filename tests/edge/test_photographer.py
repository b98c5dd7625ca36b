"""Which pictures does an alarm bring, in which order, and what do they never hold up?"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from edge.config import CameraSettings
from edge.photographer import MAX_ALARMS, Photographer
from edge.sources.camera import USUAL, Picture, Wish
from edge.spool import Spool
from protocols.model import MediaChunk
from protocols.native import codec

SETTINGS = CameraSettings(source="a test", alarm_pictures=3)


class Counting:
    """A camera whose pictures tell their number by the time they were taken at."""

    health = "ok"

    def __init__(self) -> None:
        self.number = 0
        self.is_lost = False
        self.may_go_on = threading.Event()
        self.may_go_on.set()

    def take(self, wish: Wish = USUAL) -> Picture | None:
        assert self.may_go_on.wait(30)
        if self.is_lost:
            return None
        self.number += 1
        return Picture(self.number.to_bytes(4) * 5000, 64, 48, self.number)

    def close(self) -> None:
        pass


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    with Spool(tmp_path, 1 << 24) as spool:
        yield spool


class Scene:
    """A photographer, what it has told, and what is in its spool."""

    def __init__(self, spool: Spool, settings: CameraSettings, after_s: tuple[float, ...]) -> None:
        self.spool, self.camera = spool, Counting()
        self.told: list[object] = []
        self._news = asyncio.Event()
        self.photographer = Photographer(
            self.camera,
            settings,
            spool,
            wake=self._news.set,
            health_changed=lambda: self.told.append(self.photographer.health),
            after_s=after_s,
        )

    async def until(self, holds: Callable[[], object]) -> None:
        async with asyncio.timeout(30):
            while not holds():
                self._news.clear()
                await self._news.wait()

    def chunks(self) -> list[MediaChunk]:
        """In the order of sending."""
        bodies = [self.spool.body(message.n) for message in self.spool.waiting_pictures()]
        return [codec.decode(body, MediaChunk) for body in bodies if body is not None]

    def waiting(self) -> list[MediaChunk]:
        """The first chunk of each sending in their order."""
        return [chunk for chunk in self.chunks() if chunk.n == 0]

    def shown(self) -> list[tuple[str | None, str | None, int | None]]:
        return [(chunk.ref, chunk.reason, chunk.taken) for chunk in self.waiting()]

    async def see(self, count: int) -> None:
        for _ in range(count):
            await self.photographer.take()


@asynccontextmanager
async def scene(
    spool: Spool, settings: CameraSettings = SETTINGS, after_s: tuple[float, ...] = (0.0,)
) -> AsyncIterator[Scene]:
    here = Scene(spool, settings, after_s)
    yield here


@asynccontextmanager
async def running(here: Scene) -> AsyncIterator[None]:
    task = asyncio.create_task(here.photographer.run())
    try:
        yield
    finally:
        here.camera.may_go_on.set()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_an_alarm_brings_the_newest_first_a_selection_and_then_the_rest(
    spool: Spool,
) -> None:
    async with scene(spool) as here:
        await here.see(6)
        here.photographer.note_alarm("a", 1)
        async with running(here):
            await here.until(lambda: len(here.waiting()) == 7)
    order = here.shown()
    assert order[0] == ("a", "alarm", 7)
    chosen = [taken for _, _, taken in order[1:4]]
    assert chosen[0] == 6
    assert [(ref, reason) for ref, reason, _ in order[1:]] == [("a", "pre_alarm")] * 6
    rest = [taken for _, _, taken in order[4:]]
    assert chosen == sorted(chosen, key=str, reverse=True)
    assert rest == sorted({1, 2, 3, 4, 5, 6} - set(chosen), key=str, reverse=True)


async def test_pictures_go_on_for_a_while_after_the_press(spool: Spool) -> None:
    async with scene(spool, after_s=(0.0, 0.1, 0.2)) as here:
        here.photographer.note_alarm("a", 1)
        async with running(here):
            await here.until(lambda: sum(c.reason == "alarm" for c in here.waiting()) == 3)


async def test_a_picture_of_two_alarms_is_sent_once_and_its_first_chunk_tells_of_both(
    spool: Spool,
) -> None:
    async with scene(spool) as here:
        await here.see(2)
        here.photographer.note_alarm("a", 1)
        here.photographer.note_alarm("b", 2)
        async with running(here):
            await here.until(lambda: len(here.waiting()) == 6)
    order = here.shown()
    assert [(ref, taken) for ref, _, taken in order[:3]] == [("b", 3), ("b", 2), ("b", 1)]
    assert [(ref, taken) for ref, _, taken in order[3:]] == [("a", 3), ("a", 2), ("a", 1)]
    others = [chunk.id for chunk in here.chunks() if chunk.n > 0]
    assert len(set(others)) == 3
    assert all(others.count(identity) == here.chunks()[0].of - 1 for identity in others)


async def test_what_was_sent_by_period_is_told_of_for_the_alarm_and_moves_up(spool: Spool) -> None:
    async with scene(spool) as here:
        for _ in range(2):
            picture = await here.photographer.take()
            assert picture is not None
            here.photographer.send(picture, "periodic")
        here.photographer.send(Picture(b"live", 64, 48, 99), "live")
        here.photographer.note_alarm("a", 1)
        async with running(here):
            await here.until(lambda: len(here.waiting()) == 6)
    assert here.waiting()[-1].reason == "live"
    whole = [chunk for chunk in here.chunks() if chunk.n > 0]
    assert len(whole) == 3 * (here.waiting()[0].of - 1)
    assert {(r, t) for ref, r, t in here.shown() if ref == "a"} == {
        ("alarm", 3), ("pre_alarm", 2), ("pre_alarm", 1),
    }  # fmt: skip


async def test_a_camera_that_hangs_does_not_keep_back_what_was_seen_before(spool: Spool) -> None:
    async with scene(spool) as here:
        await here.see(3)
        here.camera.may_go_on.clear()
        async with running(here):
            here.photographer.note_alarm("a", 1)
            await here.until(lambda: len(here.waiting()) == 3)
    assert [taken for _, _, taken in here.shown()] == [3, 2, 1]


async def test_a_camera_that_lags_shows_the_press_later(spool: Spool) -> None:
    settings = CameraSettings(source="a test", before_s=0, lag_ms=300)
    async with scene(spool, settings) as here, running(here):
        pressed_s = time.monotonic()
        here.photographer.note_alarm("a", 1)
        await here.until(here.waiting)
        assert time.monotonic() - pressed_s >= 0.3
        assert here.shown() == [("a", "alarm", 1)]


async def test_a_camera_that_is_lost_is_asked_again(spool: Spool) -> None:
    async with scene(spool) as here:
        here.camera.is_lost = True
        async with running(here):
            here.photographer.note_alarm("a", 1)
            here.camera.is_lost = False
            await here.until(lambda: [r for _, r, _ in here.shown()] == ["alarm"])


async def test_many_alarms_at_once_are_bounded_and_the_newest_is_photographed(
    spool: Spool,
) -> None:
    async with scene(spool) as here:
        await here.see(4)
        for n in range(3 * MAX_ALARMS):
            here.photographer.note_alarm(f"alarm {n}", n)
        async with running(here):
            last = f"alarm {3 * MAX_ALARMS - 1}"
            told = 3 * MAX_ALARMS * SETTINGS.alarm_pictures + 1 + MAX_ALARMS  # with the rest, after
            await here.until(lambda: len(here.waiting()) == told)
    assert len({chunk.id for chunk in here.chunks()}) == 5
    assert len([chunk for chunk in here.chunks() if chunk.n > 0]) == 5 * (here.waiting()[0].of - 1)
    assert here.shown()[0] == (last, "alarm", 5)


async def test_without_the_last_seconds_only_what_is_asked_for_is_taken(spool: Spool) -> None:
    settings = CameraSettings(source="a test", before_s=0)
    async with scene(spool, settings) as here, running(here):
        here.photographer.note_alarm("a", 1)
        await here.until(here.waiting)
        assert here.camera.number == 1
        assert len(here.photographer.ring) == 0


@pytest.mark.slow
async def test_the_ring_fills_between_the_periodic_pictures(spool: Spool) -> None:
    settings = CameraSettings(source="a test", per_s=5, period_s=1)
    async with scene(spool, settings) as here, running(here):
        await here.until(lambda: len(here.waiting()) == 3)  # two seconds
        shots = here.photographer.ring.newest_first
    assert len(shots) > 2 * 3


async def test_the_first_health_is_told_at_once_and_a_glimpse_is_not(spool: Spool) -> None:
    async with scene(spool) as here:
        assert here.photographer.health == "none"
        for health in ("ok", "covered", "ok"):
            here.camera.health = health
            await here.see(1)
        assert (here.told, here.photographer.health) == (["ok"], "ok")
