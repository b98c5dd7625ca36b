"""An alarm's pictures in the whole system: the right ones, in their order, and never in its way."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import aiohttp
import cv2
import pytest

from edge.agent import Agent
from edge.config import Broker, CameraSettings, Config, SpoolSettings
from gateway.app import admin_token
from protocols.native.topics import Up
from simulators.camera import draw, read_stamp
from simulators.link import Address, Relay
from tests.scenarios.whole import Gateway

pytestmark = pytest.mark.slow

DEVICE = "car-017"
FRAMES, SELECTION = 400, 4


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Every frame shows its number, which is read back from the picture that has arrived."""
    path = tmp_path_factory.mktemp("camera") / "numbered.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 25, (640, 480))
    for number in range(FRAMES):
        writer.write(draw(number, 0))
    writer.release()
    return str(path)


@pytest.fixture
async def gateway(tmp_path: Path) -> AsyncIterator[Gateway]:
    async with Gateway(tmp_path / "gateway") as gateway:
        yield gateway


async def settings(gateway: Gateway, folder: Path, port: int, film: str) -> Config:
    password = await gateway.add(DEVICE)
    return Config(
        device=DEVICE,
        kind="vehicle_terminal",
        broker=Broker(host="127.0.0.1", port=port, password=password),
        spool=SpoolSettings(folder=str(folder / "spool")),
        camera=CameraSettings(source=film, per_s=5, before_s=4, alarm_pictures=SELECTION),
    )


async def until(holds: Callable[[], Any]) -> None:
    async with asyncio.timeout(60):
        while not holds():
            await asyncio.sleep(0.02)  # the agent's counts tell nobody


def is_full(agent: Agent) -> bool:
    kept = agent.status()["pictures"]
    assert isinstance(kept, dict)
    return bool(kept["count"] >= 20)


class Arrived:
    """The pictures that the feed tells of, in the order of their coming."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._numbers: dict[str, int] = {}

    async def pictures(self, count: int) -> list[tuple[str, str, int]]:
        """So many at least: whose, why, and which frame."""
        async with asyncio.timeout(90):
            while len(events := await self._gateway.events("media")) < count:
                await asyncio.sleep(0.1)
        headers = {"Authorization": f"Bearer {admin_token(self._gateway.folder)}"}
        async with aiohttp.ClientSession(self._gateway.url, headers=headers) as session:
            for event in events:
                identity = event["data"]["id"]
                if identity not in self._numbers:
                    async with session.get(f"/api/v1/media/{identity}") as answer:
                        self._numbers[identity] = read_stamp(await answer.read()).frame
        return [
            (e["data"]["ref"], e["data"]["reason"], self._numbers[e["data"]["id"]]) for e in events
        ]


async def test_the_pictures_of_an_alarm_are_those_around_it_the_newest_first(
    tmp_path: Path, gateway: Gateway, film: str
) -> None:
    config = await settings(gateway, tmp_path, gateway.mqtt_port, film)
    async with Agent(config) as agent:
        await until(lambda: is_full(agent))
        track = agent.press("panic")
        arrived = await Arrived(gateway).pictures(20 + 5)
        events = await gateway.events()
    kinds = [
        e["type"].split(".")[1] for e in events if e["type"].split(".")[1] in {"alarm", "media"}
    ]
    assert kinds[0] == "alarm"
    assert {ref for ref, _, _ in arrived} == {track.id}
    before = [number for _, reason, number in arrived if reason == "pre_alarm"]
    after = [number for _, reason, number in arrived if reason == "alarm"]
    chosen, rest = before[:SELECTION], before[SELECTION:]
    assert chosen == sorted(chosen, reverse=True)
    assert rest == sorted(rest, reverse=True)
    assert chosen[0] == max(before)
    assert chosen[0] - chosen[-1] >= 0.8 * (max(before) - min(before))
    assert sorted(before) == list(range(min(before), max(before) + 1))  # none twice, none missing
    assert min(after) == max(before) + 1
    assert len(set(after)) == len(after) == 5
    # Nobody waits for the rest.
    first = [reason for _, reason, _ in arrived[: SELECTION + 1]]
    assert sorted(first) == ["alarm"] + ["pre_alarm"] * SELECTION


async def test_a_picture_of_two_alarms_comes_once_and_is_listed_under_both(
    tmp_path: Path, gateway: Gateway, film: str
) -> None:
    config = await settings(gateway, tmp_path, gateway.mqtt_port, film)
    async with Agent(config) as agent:
        await until(lambda: is_full(agent))
        tracks = [agent.press("panic"), agent.press("fire")]
        await Arrived(gateway).pictures(20 + 5 + SELECTION + 5)
        listed = [
            (await gateway.get(f"/api/v1/media?alarm={track.id}&limit=100"))["media"]
            for track in tracks
        ]
        stored = agent.status()["dropped"]
    ids = [{each["id"] for each in some} for some in listed]
    assert len(ids[0] & ids[1]) >= SELECTION
    assert len(ids[0] | ids[1]) >= 20 + 5
    assert stored == {}


async def test_on_a_slow_link_an_alarm_overtakes_the_pictures_of_the_one_before(
    tmp_path: Path, gateway: Gateway, film: str
) -> None:
    target = Address("127.0.0.1", gateway.mqtt_port)
    async with Relay(target, latency_s=0.05, bytes_per_s=24_000) as relay:
        config = await settings(gateway, tmp_path, relay.address.port, film)
        async with Agent(config) as agent:
            await until(lambda: is_full(agent))
            first = agent.press("panic")
            pictures = Arrived(gateway)
            await pictures.pictures(1)
            second = agent.press("fire")
            async for step in second.follow():
                if step.stage == "stored":
                    break
            spool = agent.status()["spool"]
            assert isinstance(spool, dict)
            assert spool[Up.MEDIA] > 20, "pictures wait, and the alarm did not"
            before = len(await gateway.events("media"))
            arrived = await pictures.pictures(2 * SELECTION + 4)
    refs = [ref for ref, _, _ in arrived]
    assert refs.index(second.id) <= before + 2, "what was on its way, and one that was begun"
    assert len(set(arrived)) == len(arrived)
    of_second = [number for ref, _, number in arrived if ref == second.id][:SELECTION]
    assert max(of_second) > max(number for ref, _, number in arrived[:1] if ref == first.id)
