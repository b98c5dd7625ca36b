"""What may be asked of pictures: which there are, what is true of each, its bytes if they are."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING

from gateway.journal.base import CommandRecord
from gateway.picture_view import Announced, Asked, PictureAbout, PictureEntry, SendingView
from gateway.pictures import (
    WORTH,
    Original,
    PictureDamaged,
    PictureDeleted,
    PictureIncomplete,
    PictureUnknown,
    Query,
    Sending,
    Shown,
    ThumbnailMissing,
)

if TYPE_CHECKING:
    from gateway.custody import Custody
    from gateway.journal.shelf import Shelf

ASKED_FOR = frozenset({"command", "live"})
"""Reasons of a picture whose ``ref`` is a command."""

ASKING = frozenset({"snapshot", "live"})
"""The actions that ask for pictures."""


WhoAsked = Callable[[str], Awaitable[Asked | None]]
"""The command of that id, if there ever was one."""


def by_commands(find: Callable[[str], Awaitable[CommandRecord | None]]) -> WhoAsked:
    """Where commands are known: those that ask for a picture."""

    async def who_asked(ref: str) -> Asked | None:
        command = await find(ref)
        if command is None or command.act not in ASKING:
            return None
        return Asked(
            cmd=command.id, act=command.act, by=command.by, t=command.t, device=command.device
        )

    return who_asked


async def nobody(ref: str) -> Asked | None:
    """Where no command is ever sent."""
    return None


class Gallery:
    """Answers, from what is kept."""

    def __init__(
        self,
        *,
        shelf: Shelf,
        custody: Custody,
        now_ms: Callable[[], int],
        who_asked: WhoAsked = nobody,
    ) -> None:
        self._shelf = shelf
        self._custody = custody
        self._now_ms = now_ms
        self._who_asked = who_asked

    async def page(self, query: Query, before: int, limit: int) -> list[PictureEntry]:
        """Sendings, newest first, below a number."""
        found = await asyncio.to_thread(self._shelf.shown, query, before, limit)
        known: dict[str, Asked | None] = {}
        for ref in {each.sending.ref for each in found if each.sending.reason in ASKED_FOR}:
            known[ref or ""] = await self._who_asked(ref) if ref else None
        return [self._entry(each, known) for each in found]

    async def about(self, picture: str) -> PictureAbout:
        """All that is known of a picture; raise PictureUnknown."""
        original, sendings = await self._known(picture)
        views = [await self.view(each) for each in sendings]
        holdings = await asyncio.to_thread(self._shelf.holds, picture)
        state = _state(original, sendings)
        return PictureAbout(
            id=picture,
            sha256=picture,
            state=state,
            complete=state == "complete",
            size=original.size if original is not None else sendings[0].size,
            found=None if original is None else original.found,
            thumbnail=_thumbnail(original),
            holds=[holding.hold for holding in holdings],
            damaged=None if original is None else original.damaged,
            deleted=None if original is None else original.deleted,
            sendings=views,
        )

    async def original(self, picture: str) -> Original:
        """A picture that is whole and kept; raise PictureUnknown, -Incomplete or -Deleted."""
        original, sendings = await self._known(picture)
        if original is None or (
            original.deleted is not None and any(each.state == "partial" for each in sendings)
        ):
            raise PictureIncomplete(max(sendings, key=lambda each: each.received_chunks))
        if original.deleted is not None:
            raise PictureDeleted(original, original.deleted)
        return original

    async def read(self, original: Original) -> bytes:
        """Its bytes, which have its hash; raise PictureDamaged if they have another one."""
        data, problem = await asyncio.to_thread(self._shelf.read, original.id)
        await self._custody.seen(original, problem)
        if problem:
            raise PictureDamaged(original.id, problem)
        return data

    async def thumbnail(self, picture: str) -> bytes:
        """A small JPEG of it; raise as ``original`` does, or ThumbnailMissing."""
        original = await self.original(picture)
        if not original.thumbnail:
            raise ThumbnailMissing(why_no_thumbnail(original))
        data, problem = await asyncio.to_thread(self._shelf.read_thumbnail, original)
        if problem:
            raise PictureDamaged(original.id, f"thumbnail: {problem}")
        return data

    async def view(self, sending: Sending) -> SendingView:
        """A sending, with who asked for it."""
        return self._view(sending, await self.asked(sending))

    def _view(self, sending: Sending, asked: Asked | None) -> SendingView:
        taken, now = sending.taken_corrected, self._now_ms()
        received = sending.received
        return SendingView(
            no=sending.no,
            device=sending.device,
            reason=sending.reason,
            ref=sending.ref,
            requested=asked is not None,
            asked=asked,
            taken=sending.taken,
            taken_corrected=taken,
            clock_offset_ms=sending.clock_offset_ms,
            sent=sending.sent,
            began=sending.began,
            received=received,
            age_ms=None if taken is None else now - taken,
            age_received_ms=None if taken is None or received is None else received - taken,
            announced=Announced(mime=sending.mime, size=sending.size, w=sending.w, h=sending.h),
            state=sending.state,
            complete=sending.state == "complete",
            received_chunks=sending.received_chunks,
            of=sending.of,
        )

    async def asked(self, sending: Sending) -> Asked | None:
        """The command that it answers: one that was sent to that device."""
        if sending.reason not in ASKED_FOR or not sending.ref:
            return None
        return _of_device(sending, await self._who_asked(sending.ref))

    def _entry(self, shown: Shown, known: Mapping[str, Asked | None]) -> PictureEntry:
        sending, original, is_held = shown
        asked = known.get(sending.ref or "") if sending.reason in ASKED_FOR else None
        view = self._view(sending, _of_device(sending, asked))
        return PictureEntry(
            **{name: getattr(view, name) for name in SendingView.__struct_fields__},
            id=sending.picture,
            found=None if original is None else original.found,
            thumbnail=_thumbnail(original),
            held=is_held,
            damaged=None if original is None else original.damaged,
            deleted=None if original is None else original.deleted,
        )

    async def _known(self, picture: str) -> tuple[Original | None, list[Sending]]:
        sendings = await asyncio.to_thread(self._shelf.sendings, picture)
        if not sendings:
            raise PictureUnknown(picture)
        return await asyncio.to_thread(self._shelf.original, picture), sendings


def _of_device(sending: Sending, asked: Asked | None) -> Asked | None:
    return asked if asked is not None and asked.device == sending.device else None


def why_no_thumbnail(original: Original) -> str:
    """In words."""
    if original.thumbnail is None and original.worth == WORTH["live"]:
        return "none is made of live pictures"
    if original.thumbnail is None:
        return "none has been made of it yet"
    reason = "" if original.found is None else original.found.why_not_decoded
    return f"none can be made of it: {reason or 'it cannot be decoded'}"


def _thumbnail(original: Original | None) -> str | None:
    if original is None or not original.thumbnail or original.deleted is not None:
        return None
    return f"/api/v1/media/{original.id}/thumbnail"


def _state(original: Original | None, sendings: list[Sending]) -> str:
    """complete if anybody's is; else that of the newest sending."""
    if original is not None and original.deleted is None:
        return "complete"
    return sendings[-1].state
