"""The life of a picture: partial, then complete or corrupt, then fed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

from gateway.journal.base import Change, Chunk, Event, EventType, Journal

if TYPE_CHECKING:
    from gateway.journal.pictures import Picture, PictureStore


class Media:
    """Joins pictures whose chunks are all here, and feeds them."""

    def __init__(self, *, store: PictureStore, journal: Journal, now_ms: Callable[[], int]) -> None:
        self._store = store
        self._journal = journal
        self._now_ms = now_ms
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
        """Join and feed, for ever; first what a restart interrupted."""
        self._arrived = dict.fromkeys(await asyncio.to_thread(self._store.unfinished))
        while True:
            while self._arrived:
                sent = next(iter(self._arrived))
                del self._arrived[sent]
                picture = await asyncio.to_thread(self._store.assemble, *sent)
                if picture is not None:
                    await self._journal.commit(Change(events=(self._event(picture),)))
            self._filled.clear()
            await self._filled.wait()

    def _event(self, picture: Picture) -> Event:
        now = self._now_ms()
        return Event(
            type=EventType.MEDIA,
            id=f"{picture.device}:media:{picture.id}:{picture.state}",
            device=picture.device,
            t=picture.about.get("taken", 0),
            received=now,
            flags=() if picture.complete else ("hash_mismatch",),
            data={
                "id": picture.id,
                **picture.about,
                "mime": picture.mime,
                "size": picture.size,
                "complete": picture.complete,
            },
        )
