"""The life of a picture: partial, then complete or corrupt, then fed; aside if nothing helps."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

import msgspec
import structlog

from gateway.assembly import Assembler, Made
from gateway.confined import ProcessFailed
from gateway.custody import Custody
from gateway.images import Inspection, inspect
from gateway.journal.base import Change, Chunk, Event, EventType, Journal
from gateway.picture_view import Asked
from gateway.pictures import Original, Sending
from gateway.thumbnails import Thumbnailer
from gateway.twins import clock_flags

if TYPE_CHECKING:
    from gateway.journal.pictures import Picture, PictureStore
    from gateway.journal.shelf import Shelf

log = structlog.get_logger()

TRIES = 2
"""A picture of which the process dies twice is set aside: it is not the process's fault."""

BATCH = 20
AGAIN_S = 5.0
"""What has found no room, or a locked file, is tried again after so long."""


class Media:
    """Has pictures made whose chunks are all here, and feeds them."""

    def __init__(
        self,
        *,
        store: PictureStore,
        assembler: Assembler,
        custody: Custody,
        journal: Journal,
        now_ms: Callable[[], int],
        asked: Callable[[Sending], Awaitable[Asked | None]],
        on_end: Callable[[str], None] = lambda state: None,
        on_whole: Callable[[], None] = lambda: None,
    ) -> None:
        self._store = store
        self._assembler = assembler
        self._custody = custody
        self._journal = journal
        self._now_ms = now_ms
        self._asked = asked
        self._on_end = on_end
        self._on_whole = on_whole
        # Pictures to look at, each once: no more than there are partial ones.
        self._arrived: dict[tuple[str, str], None] = {}
        self._filled = asyncio.Event()

    def chunk_held(self, chunk: Chunk) -> None:
        """A chunk is committed."""
        self._arrived[chunk.device, chunk.picture] = None
        self._filled.set()

    async def run(self) -> None:
        """Have them made, and feed them, for ever; first what a restart interrupted."""
        await self._begin()
        try:
            while True:
                while self._arrived:
                    sent = next(iter(self._arrived))
                    del self._arrived[sent]
                    try:
                        await self._look_at(*sent)
                    except (OSError, sqlite3.DatabaseError) as error:
                        log.warning("picture_waits", picture=sent[1], error=str(error))
                        self._arrived[sent] = None
                        await asyncio.sleep(AGAIN_S)
                self._filled.clear()
                await self._filled.wait()
        finally:
            await self._assembler.close()

    async def _begin(self) -> None:
        """Take up what a restart interrupted. What cannot be read costs no alarm."""
        try:
            await self._custody.finish()
            for sent in await asyncio.to_thread(self._store.unfinished):
                self._arrived.setdefault(sent)
        except (OSError, sqlite3.DatabaseError) as error:
            log.error("pictures_not_taken_up", error=str(error))

    async def _look_at(self, device: str, picture_id: str) -> None:
        picture = await asyncio.to_thread(self._store.due, device, picture_id)
        if picture is None:
            return
        if not picture.received_chunks:  # it is whole, and was sent for one more reason
            found = await asyncio.to_thread(self._store.found, picture.id)
            made = Made("complete", found or Inspection())
        else:
            async with self._custody.files:
                made = await self._make(picture)
                if made.state == "complete":
                    await asyncio.to_thread(self._store.show, picture, made.found)
        if made.problem:
            raise OSError(made.problem)
        # It ends when it is fed: after a crash in between it is made and fed again, under the
        # same id, which changes nothing.
        sendings = await asyncio.to_thread(self._store.unfed, picture)
        events = [await self._event(picture, sending, made) for sending in sendings]
        await self._journal.commit(Change(events=events))
        await asyncio.to_thread(self._store.end, picture, made.state, sendings)
        for _ in sendings:
            self._on_end(made.state)
        if made.state == "complete":
            self._on_whole()

    async def _make(self, picture: Picture) -> Made:
        for _ in range(TRIES):
            try:
                return await self._assembler.make(picture.device, picture.id)
            except ProcessFailed:
                continue
        log.error("picture_set_aside", device=picture.device, picture=picture.id)
        return Made("aside")

    async def _event(self, picture: Picture, sending: Sending, made: Made) -> Event:
        received = sending.received or self._now_ms()
        flags = clock_flags(sending.taken or 0, received, sending.clock_offset_ms)
        if made.state == "corrupt":
            flags += ("hash_mismatch",)
        if made.state == "aside":
            flags += ("set_aside",)
        found = made.found
        if made.state == "complete":
            if not found.mime:
                flags += ("format_unknown",)
            elif not found.fits(picture.mime, sending.w, sending.h):
                flags += ("picture_differs",)
        asked = await self._asked(sending)
        more: dict[str, Any] = {"requested": asked is not None}
        if asked is not None:
            more["asked"] = msgspec.to_builtins(asked)
        if found.problems:
            more["problems"] = list(found.problems)
        said = {
            name: getattr(sending, name)
            for name in ("taken", "w", "h", "reason", "ref", "sent", "began", "taken_corrected")
        }
        is_first = await asyncio.to_thread(self._store.is_first, sending)
        name = f"{picture.device}:media:{picture.id}:{made.state}"
        return Event(
            type=EventType.MEDIA,
            id=name if is_first else f"{name}:{sending.no}",
            device=picture.device,
            t=sending.taken or 0,
            received=received,
            clock_offset_ms=sending.clock_offset_ms,
            flags=flags,
            data={
                "id": picture.id,
                **{key: value for key, value in said.items() if value is not None},
                "mime": picture.mime,
                "size": picture.size,
                "of": picture.of,
                "complete": made.state == "complete",
                **more,
            },
        )


class Thumbnails:
    """Has small pictures made beside the whole ones, one after the other.

    None of pictures that are only live: the next is there before anybody has looked.
    """

    def __init__(self, *, shelf: Shelf, thumbnailer: Thumbnailer) -> None:
        self._shelf = shelf
        self._thumbnailer = thumbnailer
        self._filled = asyncio.Event()

    def wanted(self) -> None:
        """There is one more picture."""
        self._filled.set()

    async def run(self) -> None:
        """Make them, for ever."""
        try:
            while True:
                self._filled.clear()
                try:
                    while some := await asyncio.to_thread(self._shelf.without_thumbnail, BATCH):
                        for original in some:
                            await self._make(original)
                except (OSError, sqlite3.DatabaseError) as error:
                    log.warning("thumbnails_wait", error=str(error))
                    await asyncio.sleep(AGAIN_S)
                    continue
                await self._filled.wait()
        finally:
            await self._thumbnailer.close()

    async def _make(self, original: Original) -> None:
        found, data, problem = original.found, b"", ""
        if found is None or not found.why_not_decoded:
            data, problem = await asyncio.to_thread(self._shelf.read, original.id)
        if found is None:
            found = await asyncio.to_thread(inspect, data)
        made = b""
        for _ in range(TRIES if data and not problem else 0):  # whoever asks is told of damage
            try:
                made = await self._thumbnailer.make(data, found, about=original.id)
                break
            except ProcessFailed:
                log.warning("thumbnail_failed", picture=original.id)
        await asyncio.to_thread(self._shelf.keep_thumbnail, original.id, found, made)
