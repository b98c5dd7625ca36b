"""A device's end for tests of pictures that are asked for: what it is ordered, what it answers."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

from gateway.journal.base import Chunk, Event, EventType
from gateway.registry import Device
from protocols.model import Command
from protocols.native import codec, media
from simulators.camera import draw_jpeg
from tests.gateway.outward import NOW_MS, Outward, outward

JPEG = draw_jpeg(1, NOW_MS)


@contextlib.asynccontextmanager
async def with_a_device(folder: Path) -> AsyncIterator[Outward]:
    """A gateway at which box-1 is online."""
    async with outward(folder) as gateway:
        gateway.registry.add(Device(id="box-1", kind="vehicle_terminal"))
        twin = gateway.twins.of("box-1")
        twin.heard(NOW_MS)
        twin.clock.observe(NOW_MS, NOW_MS)
        yield gateway


class Box:
    """The device's end: what it was ordered, and what it answers."""

    def __init__(self, gateway: Outward, device: str = "box-1") -> None:
        self.gateway, self.device = gateway, device
        self._seen = self._seq = 0

    async def ordered(self, act: str) -> Command:
        """The next command of that action."""
        async with asyncio.timeout(30):
            while True:
                while self._seen == len(self.gateway.sent):
                    await asyncio.sleep(0.005)  # the list tells nobody
                down = self.gateway.sent[self._seen]
                self._seen += 1
                command = codec.decode(down.payload, Command)
                if command.act == act:
                    return command

    async def says(self, command: Command, state: str, detail: str | None = None) -> None:
        """A reply, by the way of the pipeline."""
        self._seq += 1
        event = Event(
            type=EventType.COMMAND,
            id=f"{self.device}:1:p:{self._seq}",
            device=self.device,
            t=NOW_MS,
            received=NOW_MS,
            data={"seq": self._seq, "cmd": command.id, "state": state, "detail": detail},
        )
        change = await self.gateway.commands.take(event)
        cursors, _ = await self.gateway.journal.commit(change)
        self.gateway.commands.after_commit(change, cursors)

    def shows(
        self,
        jpeg: bytes,
        ref: str,
        *,
        reason: str = "command",
        taken: int | None = NOW_MS,
        order: Callable[[list[Chunk]], list[Chunk]] = list,
        **more: Any,
    ) -> None:
        """A picture whose chunks are committed."""
        cut = media.cut(
            jpeg, "image/jpeg", taken=0, width_px=640, height_px=480, reason="command",
            chunk_bytes=4096, **more,
        )  # fmt: skip
        chunks = []
        for keys in cut:
            about = {"mime": "image/jpeg", "reason": reason, "ref": ref, "taken": taken, **more}
            about = {} if keys["n"] else {k: v for k, v in about.items() if v is not None}
            chunks.append(
                Chunk(
                    self.device, keys["id"], keys["n"], keys["of"], keys["size"], keys["mime"],
                    keys["data"], about,
                )
            )  # fmt: skip
        for chunk in order(chunks):
            self.gateway.shots.chunk_held(chunk)
