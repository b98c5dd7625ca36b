"""A device with a camera at a real gateway, and somebody who asks for pictures."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp

from edge.agent import Agent
from edge.config import Broker, CameraSettings, Config, SpoolSettings
from simulators.camera import CameraServer
from simulators.link import Address, Relay
from tests.scenarios.whole import Gateway

CAR = "car-1"


class Scene:
    """The device's camera, its way to the gateway, and who asks."""

    def __init__(
        self,
        gateway: Gateway,
        camera: CameraServer,
        relay: Relay,
        agent: Agent,
        session: aiohttp.ClientSession,
    ) -> None:
        self.gateway, self.camera, self.relay = gateway, camera, relay
        self.agent, self.session = agent, session

    async def snapshot(self, query: str = "") -> tuple[int, Any, bytes]:
        """Ask for a picture: status, headers, bytes."""
        path = f"{self.gateway.url}/api/v1/devices/{CAR}/snapshot{query}"
        async with self.session.post(path) as response:
            return response.status, response.headers, await response.read()

    def watch(self, query: str = "") -> Any:
        """Open the WebSocket of live pictures."""
        return self.session.ws_connect(f"{self.gateway.url}/api/v1/devices/{CAR}/live{query}")

    async def is_seen(self, state: str) -> None:
        """Wait until the gateway knows the device as online, or as offline."""
        async with asyncio.timeout(30):
            while (await self.gateway.get(f"/api/v1/devices/{CAR}"))["state"] != state:
                await asyncio.sleep(0.05)

    @property
    def chunks(self) -> int:
        """Of pictures, in the device's spool."""
        spool = self.agent.status()["spool"]
        assert isinstance(spool, dict)
        return int(spool.get("media", 0))

    async def commands(self, act: str) -> list[Any]:
        """Those of that action, the oldest first, once they have ended."""
        async with asyncio.timeout(30):
            while True:
                page = await self.gateway.get(f"/api/v1/commands?device={CAR}")
                found = [each for each in page["commands"][::-1] if each["act"] == act]
                if found and all(
                    each["state"] in {"done", "failed", "cancelled"} for each in found
                ):
                    return found
                await asyncio.sleep(0.05)


@contextlib.asynccontextmanager
async def scene(folder: Path, *, camera_fps: float = 25, **camera: Any) -> AsyncIterator[Scene]:
    """All of it, and the device online."""
    async with (
        Gateway(folder / "data") as gateway,
        CameraServer(frames_per_s=camera_fps) as source,
        Relay(Address("127.0.0.1", gateway.mqtt_port)) as relay,
    ):
        password = await gateway.add(CAR)
        config = Config(
            device=CAR,
            kind="vehicle_terminal",
            broker=Broker(host="127.0.0.1", port=relay.address.port, password=password),
            spool=SpoolSettings(folder=str(folder / "spool")),
            camera=CameraSettings(source=source.url, **camera),
        )
        authorization = {"Authorization": f"Bearer {gateway.token}"}
        async with (
            Agent(config) as agent,
            aiohttp.ClientSession(headers=authorization) as session,
        ):
            there = Scene(gateway, source, relay, agent, session)
            await there.is_seen("online")
            yield there
