"""Does the device give pictures of now on order, and live ones that its link can carry?"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from edge.agent import Agent
from edge.config import CameraSettings
from protocols.model import MediaChunk
from protocols.native import media
from protocols.native.topics import Up
from simulators.camera import CameraServer, read_stamp
from simulators.ledger import now_ms
from tests.edge.stand_in import StandInGateway, config

SOON_MS = 30_000


@pytest.fixture
async def gateway(broker_port: int) -> AsyncIterator[StandInGateway]:
    async with StandInGateway(broker_port) as gateway:
        yield gateway


@pytest.fixture
async def camera() -> AsyncIterator[CameraServer]:
    async with CameraServer(frames_per_s=25) as camera:
        yield camera


def agent(port: int, folder: Path, source: str, **more: Any) -> Agent:
    return Agent(config(port, folder, camera=CameraSettings(source=source, **more)))


def pictures(gateway: StandInGateway, ref: str) -> list[tuple[MediaChunk, bytes]]:
    """The whole pictures that answer a command: what chunk 0 says, and the bytes."""
    chunks: list[MediaChunk] = gateway.of(Up.MEDIA)
    found = []
    for first in chunks:
        if first.ref == ref:
            parts = {chunk.n: chunk.data for chunk in chunks if chunk.id == first.id}
            if len(parts) == first.of:
                found.append((first, media.join(first.id, first.size, first.of, parts)))
    return found


async def picture(gateway: StandInGateway, ref: str) -> tuple[MediaChunk, bytes]:
    await gateway.until(lambda: pictures(gateway, ref))
    return pictures(gateway, ref)[0]


async def test_a_snapshot_shows_what_was_after_the_order(
    gateway: StandInGateway, camera: CameraServer, broker_port: int, tmp_path: Path
) -> None:
    async with agent(broker_port, tmp_path, camera.url):
        await gateway.presence(online=True)
        for n in range(3):
            ordered = now_ms()
            gateway.command(f"c{n}", ordered + SOON_MS, "snapshot")
            about, jpeg = await picture(gateway, f"c{n}")
            assert read_stamp(jpeg).millis >= ordered
            assert about.taken is not None
            assert about.taken >= ordered
            assert (about.reason, about.w, about.h) == ("command", 640, 480)
            replies = await gateway.replies(f"c{n}", "done")
            assert [reply.state for reply in replies] == ["delivered", "done"]


@pytest.mark.slow
async def test_a_camera_that_lags_gives_no_older_picture(
    gateway: StandInGateway, camera: CameraServer, broker_port: int, tmp_path: Path
) -> None:
    """What it took before the order comes after it, all at once."""
    async with agent(broker_port, tmp_path, camera.url):
        await gateway.presence(online=True)
        gateway.command("c0", now_ms() + SOON_MS, "snapshot")
        await picture(gateway, "c0")
        camera.held = True
        await camera.takes(10)  # which nobody gets
        ordered = now_ms()
        gateway.command("c1", ordered + SOON_MS, "snapshot")
        await gateway.replies("c1", "delivered")
        await camera.takes(5)
        camera.held = False
        _, jpeg = await picture(gateway, "c1")
        assert read_stamp(jpeg).millis >= ordered


async def test_of_a_camera_that_is_known_to_lag_a_picture_is_waited_for(
    gateway: StandInGateway, camera: CameraServer, broker_port: int, tmp_path: Path
) -> None:
    async with agent(broker_port, tmp_path, camera.url, lag_ms=300):
        await gateway.presence(online=True)
        ordered = now_ms()
        gateway.command("c1", ordered + SOON_MS, "snapshot")
        about, jpeg = await picture(gateway, "c1")
        assert about.taken is not None
        assert about.taken >= ordered
        # This one does not lag: what was taken then comes at once, if not the moment before.
        assert read_stamp(jpeg).millis >= ordered + 200


async def test_two_snapshots_at_once_have_a_picture_each(
    gateway: StandInGateway, camera: CameraServer, broker_port: int, tmp_path: Path
) -> None:
    async with agent(broker_port, tmp_path, camera.url):
        await gateway.presence(online=True)
        for command in ("c1", "c2"):
            gateway.command(command, now_ms() + SOON_MS, "snapshot")
        frames = {
            read_stamp((await picture(gateway, command))[1]).frame for command in ("c1", "c2")
        }
        assert len(frames) == 2


async def test_without_a_picture_the_snapshot_has_failed(
    gateway: StandInGateway, broker_port: int, tmp_path: Path
) -> None:
    async with agent(broker_port, tmp_path, str(tmp_path / "missing.jpg")):
        await gateway.presence(online=True)
        gateway.command("c1", now_ms() + SOON_MS, "snapshot")
        last = (await gateway.replies("c1", "failed"))[-1]
        assert last.detail == "the camera gives no picture"
        gateway.command("c2", now_ms() + SOON_MS, "live", seconds=20)
        await gateway.replies("c2", "accepted")


async def test_an_agent_without_a_camera_refuses(
    gateway: StandInGateway, broker_port: int, tmp_path: Path
) -> None:
    async with Agent(config(broker_port, tmp_path)):
        await gateway.presence(online=True)
        for act in ("snapshot", "live"):
            gateway.command(act, now_ms() + SOON_MS, act)
            [reply] = await gateway.replies(act, "refused")
            assert reply.detail == "unknown act"


@pytest.mark.slow
async def test_live_pictures_come_until_their_time_is_over_and_say_how_they_are_made(
    gateway: StandInGateway, camera: CameraServer, broker_port: int, tmp_path: Path
) -> None:
    async with agent(broker_port, tmp_path, camera.url):
        await gateway.presence(online=True)
        began_s = time.monotonic()
        gateway.command("c1", now_ms() + SOON_MS, "live", seconds=3, fps=5)
        replies = await gateway.replies("c1", "done")
        assert time.monotonic() - began_s >= 3
        assert [reply.state for reply in replies] == ["delivered", "accepted", "done"]
        # The reply goes by the other lane: it may overtake the last picture.
        told = replies[-1].detail
        await gateway.until(lambda: told == f"{len(pictures(gateway, 'c1'))} pictures")
        shown = pictures(gateway, "c1")
        assert [about.reason for about, _ in shown] == ["live"] * len(shown)
        frames = [read_stamp(jpeg).frame for _, jpeg in shown]
        assert frames == sorted(set(frames)), "none twice, none older than the one before"
        first, last = shown[0][0], shown[-1][0]
        assert (first.quality, first.limited) == (55, "start")
        assert None not in (last.quality, last.fps)


@pytest.mark.slow
async def test_a_newer_order_takes_over_and_a_cancelled_one_ends(
    gateway: StandInGateway, camera: CameraServer, broker_port: int, tmp_path: Path
) -> None:
    async with agent(broker_port, tmp_path, camera.url):
        await gateway.presence(online=True)
        gateway.command("c1", now_ms() + SOON_MS, "live", seconds=60, fps=5)
        await picture(gateway, "c1")
        gateway.command("c2", now_ms() + SOON_MS, "live", seconds=60, fps=5)
        taken_over = (await gateway.replies("c1", "done"))[-1]
        assert taken_over.detail == "taken over by c2"
        await picture(gateway, "c2")
        gateway.command("c3", now_ms() + SOON_MS, "cancel", id="c2")
        assert (await gateway.replies("c2", "failed"))[-1].detail == "cancelled"
        count = len(pictures(gateway, "c2"))
        gateway.command("c4", now_ms() + SOON_MS, "snapshot")
        await picture(gateway, "c4")
        assert len(pictures(gateway, "c2")) - count <= 1, "one may have been on its way"
