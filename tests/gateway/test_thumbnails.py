"""Small pictures from a process that can be killed, and that can reach nothing."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import psutil
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.confined import ProcessFailed
from gateway.images import inspect
from gateway.thumbnails import SIDE_PX, Thumbnailer
from tests.gateway.photographs import (
    animated_png,
    decoded,
    encoded,
    png_bomb,
    resized,
    turned_jpeg,
)


@contextlib.asynccontextmanager
async def thumbnailer(time_s: float = 20) -> AsyncIterator[Thumbnailer]:
    small = Thumbnailer(time_s=time_s)
    try:
        yield small
    finally:
        await small.close()


async def small_of(small: Thumbnailer, picture: bytes) -> bytes:
    return await small.make(picture, inspect(picture), about="a picture")


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp"])
async def test_a_thumbnail_shows_the_same_and_nothing_beside(suffix: str) -> None:
    async with thumbnailer() as small:
        made = decoded(await small_of(small, encoded(suffix, 1280, 720)))
        assert made.shape == (180, SIDE_PX, 3)
        blue, green, red = made[90, 20]
        assert red > 200
        assert max(blue, green) < 60
        tiny = decoded(await small_of(small, encoded(suffix, 16, 8)))
        assert tiny.shape == (8, 16, 3), "none is made larger"


async def test_a_thumbnail_stands_upright_and_tells_nothing() -> None:
    async with thumbnailer() as small:
        made = await small_of(small, turned_jpeg(6))
        assert b"Exif" not in made
        pixels = decoded(made)
        assert pixels.shape == (SIDE_PX, 240, 3)
        assert pixels[10, 120][2] > 200, "what was left is above"


async def test_what_is_too_large_or_no_still_picture_never_reaches_the_process() -> None:
    async with thumbnailer() as small:
        for picture in (png_bomb(), animated_png(), resized(encoded(".png"), 2**31 - 1, 1), b"x"):
            assert await small_of(small, picture) == b""
        assert small.process.pid is None


async def test_pictures_that_lie_cost_a_thumbnail_and_no_more() -> None:
    still = encoded(".png", 1280, 720)
    async with thumbnailer() as small:
        for picture in (
            resized(still, 7000, 7000),  # far more than its bytes hold
            resized(still, 1, 49_000_000),
            still[:-300],
            encoded(".jpg")[:300],
            encoded(".jpg")[:2] + encoded(".png"),
            still + encoded(".jpg"),
        ):
            with contextlib.suppress(ProcessFailed):
                await small_of(small, picture)
        assert await small_of(small, still)


async def test_the_process_can_open_nothing() -> None:
    async with thumbnailer() as small:
        await small_of(small, encoded(".jpg"))
        assert small.process.pid is not None
        process = psutil.Process(small.process.pid)
        limits = {
            name: process.rlimit(getattr(psutil, f"RLIMIT_{name}"))[1]
            for name in ("NOFILE", "NPROC", "FSIZE", "CORE")
        }
        assert limits == {"NOFILE": 3, "NPROC": 0, "FSIZE": 0, "CORE": 0}
        assert len(os.listdir(f"/proc/{process.pid}/fd")) == 3
        assert process.num_threads() == 1
        status = Path(f"/proc/{process.pid}/status").read_text()
        assert "NoNewPrivs:\t1" in status


async def test_it_knows_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FIELDGATE_BROKER", "mqtt://gateway:secret@host")
    async with thumbnailer() as small:
        await small_of(small, encoded(".jpg"))
        assert small.process.pid is not None
        assert "FIELDGATE_BROKER" not in psutil.Process(small.process.pid).environ()


async def test_a_process_that_died_or_hangs_is_started_again() -> None:
    async with thumbnailer() as small:
        assert await small_of(small, encoded(".jpg"))
        assert small.process.pid is not None
        os.kill(small.process.pid, signal.SIGKILL)
        with pytest.raises(ProcessFailed):
            await small_of(small, encoded(".jpg"))
        assert await small_of(small, encoded(".jpg"))
        assert small.process.deaths == 1


@pytest.mark.slow
async def test_one_that_hangs_is_killed() -> None:
    async with thumbnailer() as small:
        assert await small_of(small, encoded(".jpg"))
        assert small.process.pid is not None
        small.process.time_s = 0.5
        process = psutil.Process(small.process.pid)
        process.suspend()
        with pytest.raises(ProcessFailed):
            await small_of(small, encoded(".jpg"))
        assert not process.is_running()


@pytest.mark.slow
@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(st.tuples(st.sampled_from([".jpg", ".png", ".webp"]), st.data()), max_size=20))
async def test_no_mutation_gets_more_than_a_thumbnail_out(
    mutants: list[tuple[str, st.DataObject]],
) -> None:
    async with thumbnailer() as small:
        for suffix, data in mutants:
            picture = bytearray(encoded(suffix))
            for _ in range(data.draw(st.integers(1, 8))):
                at = data.draw(st.integers(0, len(picture) - 1))
                picture[at] = data.draw(st.integers(0, 255))
            with contextlib.suppress(ProcessFailed):
                made = await small_of(small, bytes(picture))
                assert not made or max(decoded(made).shape[:2]) <= SIDE_PX
        assert await small_of(small, encoded(".jpg"))
