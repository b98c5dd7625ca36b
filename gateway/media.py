"""The life of a picture: partial, then complete or corrupt, then fed; aside if nothing helps."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from typing import TYPE_CHECKING

import structlog

from gateway.assembly import Assembler, Made
from gateway.confined import ProcessFailed
from gateway.journal.base import Change, Chunk, Event, EventType, Journal

if TYPE_CHECKING:
    from gateway.journal.pictures import Picture, PictureStore

log = structlog.get_logger()

TRIES = 2
"""A picture of which the process dies twice is set aside: it is not the process's fault."""

AGAIN_S = 5.0
"""What has found no room, or a locked file, is tried again after so long."""


class Media:
    """Has pictures made whose chunks are all here, and feeds them."""

    def __init__(
        self,
        *,
        store: PictureStore,
        assembler: Assembler,
        journal: Journal,
        now_ms: Callable[[], int],
        on_end: Callable[[str], None] = lambda state: None,
    ) -> None:
        self._store = store
        self._assembler = assembler
        self._journal = journal
        self._now_ms = now_ms
        self._on_end = on_end
        # Pictures to look at, each once: no more than there are partial ones.
        self._arrived: dict[tuple[str, str], None] = {}
        self._filled = asyncio.Event()

    def chunk_held(self, chunk: Chunk) -> None:
        """A chunk is committed."""
        self._arrived[chunk.device, chunk.picture] = None
        self._filled.set()

    async def picture(self, picture_id: str) -> Picture | None:
        """What is known of a picture, with its bytes if it is whole."""
        return await asyncio.to_thread(self._store.find, picture_id)

    async def run(self) -> None:
        """Have them made, and feed them, for ever; first what a restart interrupted."""
        self._arrived = dict.fromkeys(await asyncio.to_thread(self._store.unfinished))
        try:
            while True:
                while self._arrived:
                    sent = next(iter(self._arrived))
                    del self._arrived[sent]
                    try:
                        await self._look_at(*sent)
                    except (OSError, sqlite3.OperationalError) as error:
                        log.warning("picture_waits", picture=sent[1], error=str(error))
                        self._arrived[sent] = None
                        await asyncio.sleep(AGAIN_S)
                self._filled.clear()
                await self._filled.wait()
        finally:
            await self._assembler.close()

    async def _look_at(self, device: str, picture_id: str) -> None:
        picture = await asyncio.to_thread(self._store.whole, device, picture_id)
        if picture is None:
            return
        made = await self._make(picture)
        if made.problem:
            raise OSError(made.problem)
        if made.state == "complete":
            await asyncio.to_thread(self._store.show, picture)
        # It ends when it is fed: after a crash in between it is made and fed again, under the
        # same id, which changes nothing.
        await self._journal.commit(Change(events=(self._event(picture, made),)))
        await asyncio.to_thread(self._store.end, picture, made.state)
        self._on_end(made.state)

    async def _make(self, picture: Picture) -> Made:
        for _ in range(TRIES):
            try:
                return await self._assembler.make(picture.device, picture.id)
            except ProcessFailed:
                continue
        log.error("picture_set_aside", device=picture.device, picture=picture.id)
        return Made("aside")

    def _event(self, picture: Picture, made: Made) -> Event:
        now = self._now_ms()
        flags: tuple[str, ...] = ()
        if made.state == "corrupt":
            flags += ("hash_mismatch",)
        if made.state == "aside":
            flags += ("set_aside",)
        if made.state == "complete":
            found, about = made.found, picture.about
            if not found.mime:
                flags += ("format_unknown",)
            elif not found.fits(picture.mime, about.get("w"), about.get("h")):
                flags += ("picture_differs",)
        return Event(
            type=EventType.MEDIA,
            id=f"{picture.device}:media:{picture.id}:{made.state}",
            device=picture.device,
            t=picture.about.get("taken", 0),
            received=now,
            flags=flags,
            data={
                "id": picture.id,
                **picture.about,
                "mime": picture.mime,
                "size": picture.size,
                "complete": made.state == "complete",
            },
        )
