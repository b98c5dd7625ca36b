"""A house whose pictures are made, shown, held and deleted, and whose API answers."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import aiohttp
import msgspec

from gateway.api.pictures import PictureRoutes
from gateway.api.problems import problems
from gateway.api.routes import guarded
from gateway.config import Settings
from gateway.darkroom import Darkroom
from gateway.journal.base import Event
from gateway.picture_view import Asked
from gateway.registry import Registry, Role
from gateway.reserve import Room
from protocols.native import media
from tests.gateway.house import NOW, House, house

RESERVE = 16 * 4096


class Studio:
    """``free_bytes`` is what the disk has beside the reserve; ``asked`` the commands there were;
    ``leapt_s`` how far the clock is ahead of the time that has gone by."""

    def __init__(self, gw: House, folder: Path, settings: Settings) -> None:
        self.gw = gw
        self.free_bytes = 100 * RESERVE
        self.leapt_s = 0.0
        self.asked: dict[str, Asked] = {}
        self.room = Room(folder, reserve_bytes=RESERVE, statvfs=self._statvfs)
        self.darkroom = Darkroom(
            settings=settings,
            store=gw.journal.pictures,
            shelf=gw.journal.shelf,
            journal=gw.journal,
            room=self.room,
            metrics=gw.metrics,
            open_alarms=gw.alarms.open,
            now_ms=lambda: gw.now,
            now_s=lambda: gw.now / 1000 - self.leapt_s,
            who_asked=self._who_asked,
        )
        self.store = gw.journal.pictures
        self.url = ""
        self.session: aiohttp.ClientSession
        self.tokens: dict[Role, str] = {}
        self.seq = 0

    async def _who_asked(self, ref: str) -> Asked | None:
        return self.asked.get(ref)

    def _statvfs(self, _: Path) -> os.statvfs_result:
        seen = {"f_bavail": self.free_bytes, "f_frsize": 1, "f_blocks": 1000 * RESERVE}
        return cast(os.statvfs_result, SimpleNamespace(**seen, f_favail=10**6, f_files=2 * 10**6))

    async def send(
        self,
        picture: bytes,
        mime: str = "image/png",
        *,
        device: str = "car-1",
        reason: Any = "alarm",
        ref: str | None = None,
        taken: int = NOW,
        w: int = 64,
        h: int = 48,
        only: Sequence[int] | None = None,
    ) -> str:
        """A device sends a picture, chunk by chunk, the last one first; gives its id."""
        chunks = list(
            media.cut(picture, mime, taken=taken, width_px=w, height_px=h, reason=reason, ref=ref)
        )
        for chunk in reversed(chunks if only is None else [chunks[n] for n in only]):
            await self.send_chunk(chunk, device)
        return media.picture_id(picture)

    async def send_chunk(self, chunk: dict[str, Any], device: str = "car-1") -> None:
        """A device sends one chunk."""
        self.seq += 1
        message = {"boot": 1, "seq": self.seq, "t": self.gw.now, **chunk}
        await self.gw.telemetry_of("media", message, device=device)
        for held in self.gw.chunks:
            self.darkroom.media.chunk_held(held)
        self.gw.chunks.clear()

    async def fed(self, number: int, kind: str = "media") -> list[Event]:
        """The events of so many pictures, once they are there."""
        async with asyncio.timeout(30):
            while True:
                cursor = self.gw.journal.last_cursor  # first: the next may come while we read
                if len(events := await self.gw.events(kind)) >= number:
                    return events
                await self.gw.journal.wait_beyond(cursor)

    async def custody(self) -> list[dict[str, Any]]:
        """What was recorded of pictures' custody."""
        return [event.data for event in await self.gw.events("media.custody")]

    async def running(self) -> int:
        """The process that makes pictures whole, once it runs."""
        process = self.darkroom.assembler.process
        async with asyncio.timeout(30):
            while process.pid is None:
                await asyncio.sleep(0.01)
        return process.pid

    def request(
        self, method: str, path: str, *, role: Role = Role.ADMIN, **options: Any
    ) -> contextlib.AbstractAsyncContextManager[aiohttp.ClientResponse]:
        headers = {"Authorization": f"Bearer {self.tokens[role]}", **options.pop("headers", {})}
        return self.session.request(method, self.url + path, headers=headers, **options)

    async def get(self, path: str, status: int = 200) -> Any:
        """The JSON of an answer with that status."""
        async with self.request("GET", path) as response:
            assert response.status == status, await response.text()
            return await response.json(content_type=None)

    async def about(self, picture: str) -> Any:
        """What is known of a picture."""
        return await self.get(f"/api/v1/media/{picture}/about")

    async def thumbnail_tried(self, picture: str) -> Any:
        """The same, once a thumbnail was made or given up."""
        async with asyncio.timeout(30):
            while True:
                original = self.gw.journal.shelf.original(picture)
                if original is not None and original.thumbnail is not None:
                    return await self.about(picture)
                await asyncio.sleep(0.02)


@contextlib.asynccontextmanager
async def studio(
    folder: Path, *, time_s: float = 10, works: bool = True, **settings: Any
) -> AsyncIterator[Studio]:
    """A studio on the journal in that folder. It only keeps chunks unless it ``works``."""
    async with house(folder) as gw:
        room = Studio(gw, folder, msgspec.convert(settings, Settings))
        room.darkroom.assembler.process.time_s = time_s
        app = aiohttp.web.Application(middlewares=[problems])
        pictures = PictureRoutes(gw.journal, room.darkroom.gallery, room.darkroom.custody)
        with Registry(folder) as registry:
            for route in pictures.routes():
                app.router.add_route(route.method, route.path, guarded(route, registry))
            room.tokens = {role: registry.add_token(role) for role in Role}
            runner = aiohttp.web.AppRunner(app, access_log=None)
            await runner.setup()
            site = aiohttp.web.TCPSite(runner, "127.0.0.1", 0)
            await site.start()
            room.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
            working = (
                [
                    asyncio.create_task(room.darkroom.media.run()),
                    asyncio.create_task(room.darkroom.thumbnails.run()),
                ]
                if works
                else []
            )
            async with aiohttp.ClientSession() as room.session:
                yield room
            for task in working:
                task.cancel()
            if working:
                await asyncio.wait(working)
            await runner.cleanup()
