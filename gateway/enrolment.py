"""Registering and revoking devices while the gateway runs, as the command line does it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import msgspec
from msgspec import Struct

from gateway import broker
from gateway.registry import Device, Registry

T = TypeVar("T")


class Credentials(Struct, frozen=True, kw_only=True):
    """What a device needs to connect. The password is told once, and kept as a hash alone."""

    user: str
    password: str
    mqtt: str | None


class _Ready(Struct, frozen=True):
    mqtt: str | None = None


class Enrolment:
    """Changes who may report.

    Each change has a connection of its own, so that whoever watches the registry sees it as
    one of another process; and a thread, since the broker takes a moment to know of it.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._turn = asyncio.Lock()

    async def add(self, device: Device) -> Credentials:
        """Register it, or one that was revoked anew; or FieldInvalid, DeviceExists."""
        password = await self._change(lambda registry: registry.add(device))
        return Credentials(user=device.id, password=password, mqtt=self._mqtt())

    async def revoke(self, device: str) -> None:
        """It may connect no more, and is cut off; or UnknownDevice."""
        await self._change(lambda registry: registry.revoke(device))

    async def _change(self, act: Callable[[Registry], T]) -> T:
        def change() -> T:
            with Registry(self._folder) as registry:
                done = act(registry)
            broker.reload(self._folder)
            return done

        async with self._turn:
            return await asyncio.to_thread(change)

    def _mqtt(self) -> str | None:
        try:
            ready = (self._folder / "gateway.json").read_bytes()
        except FileNotFoundError:
            return None
        return msgspec.json.decode(ready, type=_Ready).mqtt
