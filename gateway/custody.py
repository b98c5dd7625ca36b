"""Who may not lose a picture, and what became of it: holds, deletions, damage, each on record.

Every act is in three steps that a restart finishes: what is to be is noted beside the pictures,
the journal gets the event ``media.custody``, the act is done. Nothing goes before it is recorded.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import structlog

from gateway.journal.base import Change, Event, EventType, Journal
from gateway.pictures import (
    Abandoned,
    Deletion,
    Guarded,
    Hold,
    Holding,
    Kept,
    Original,
    PictureUnknown,
    Release,
    Scope,
    Sending,
)

if TYPE_CHECKING:
    from gateway.journal.shelf import Shelf

log = structlog.get_logger()

SENDINGS_TOLD = 16
"""An event names so many of those who sent the picture, the first ones."""


class Custody:
    """The acts. ``files`` is held while files of pictures come or go: never both at once."""

    def __init__(
        self,
        *,
        shelf: Shelf,
        journal: Journal,
        now_ms: Callable[[], int],
        on_act: Callable[[str], None] = lambda act: None,
    ) -> None:
        self._shelf = shelf
        self._journal = journal
        self._now_ms = now_ms
        self._on_act = on_act
        self.files = asyncio.Lock()

    async def finish(self) -> None:
        """Do what a restart interrupted."""
        async with self.files:
            doomed = await asyncio.to_thread(self._shelf.doomed)
            await self._bury([(each, each.deleted) for each in doomed if each.deleted])
        for holding in await asyncio.to_thread(self._shelf.holds):
            if not holding.is_told:
                await self._tell_hold(holding.hold, holding.media)
            if holding.release is not None:
                await self._end_hold(holding)

    # holds -------------------------------------------------------------------------------

    async def hold(
        self, scope: Scope, identity: str, *, by: str, note: str | None, media: Sequence[str] = ()
    ) -> None:
        """Nothing is deleted of a picture, or of an alarm and the pictures that it names, from
        now on. Again changes nothing."""
        hold = Hold(scope=scope, id=identity, t=self._now_ms(), by=by, note=note)
        if await asyncio.to_thread(self._shelf.hold, hold, media):
            await self._tell_hold(hold, media)

    async def holds(self) -> list[Hold]:
        """All that is held, the oldest first."""
        holdings = await asyncio.to_thread(self._shelf.holds)
        return sorted((each.hold for each in holdings), key=lambda hold: hold.t)

    async def release(self, scope: str, identity: str, *, by: str, note: str | None) -> bool:
        """It may go in its time again; False if it was not held."""
        for holding in await asyncio.to_thread(self._shelf.holds):
            if (holding.hold.scope, holding.hold.id) == (scope, identity):
                release = holding.release or Release(self._now_ms(), by, note)
                await asyncio.to_thread(self._shelf.release, holding.hold, release)
                await self._end_hold(holding._replace(release=release))
                return True
        return False

    async def _tell_hold(self, hold: Hold, named: Sequence[str]) -> None:
        told = {"by": hold.by, "note": hold.note, "named": list(named) or None}
        await self._record("held", hold.scope, hold.id, hold.t, **told)
        await asyncio.to_thread(self._shelf.hold_told, hold)

    async def _end_hold(self, holding: Holding) -> None:
        hold, release = holding.hold, holding.release
        assert release is not None
        await self._record(
            "released", hold.scope, hold.id, release.t, by=release.by, note=release.note
        )
        await asyncio.to_thread(self._shelf.unhold, hold)

    # deletions ---------------------------------------------------------------------------

    async def delete(
        self, kept: Sequence[Kept], guarded: Guarded, *, by: str, why: str
    ) -> list[Kept]:
        """Delete pictures, but for those that must stay after all; gives what went."""
        async with self.files:
            deletion = Deletion(t=self._now_ms(), by=by, why=why)
            went = await asyncio.to_thread(self._shelf.doom, kept, deletion, guarded)
            originals = [await asyncio.to_thread(self._shelf.original, each.id) for each in went]
            await self._bury([(each, deletion) for each in originals if each is not None])
        return went

    async def _bury(self, doomed: Sequence[tuple[Original, Deletion]]) -> None:
        """Record, then unlink."""
        if not doomed:
            return
        events = [
            await self._event(
                "deleted", "media", each.id, d.t, by=d.by, why=d.why, record=_record(each)
            )
            for each, d in doomed
        ]
        await self._journal.commit(Change(events=events))
        await asyncio.to_thread(self._shelf.unlink, [each.id for each, _ in doomed])
        for each, deletion in doomed:
            log.info("picture_deleted", picture=each.id, by=deletion.by, why=deletion.why)
            self._on_act("deleted")

    async def abandon(self, sendings: Sequence[Abandoned], *, by: str) -> None:
        """Give up what has come of pictures that never became whole."""
        now = self._now_ms()
        events = [
            Event(
                type=EventType.MEDIA_CUSTODY,
                # Told again after a crash it is the same: the sending's number is its own.
                id=f"{each.device}:media:{each.picture}:abandoned:{each.no}",
                device=each.device,
                t=now,
                received=now,
                data={"act": "abandoned", "media": each.picture, "by": by, "why": "incomplete"},
            )
            for each in sendings
        ]
        if events:
            await self._journal.commit(Change(events=events))
            await asyncio.to_thread(self._shelf.drop_chunks, sendings)
            for _ in events:
                self._on_act("abandoned")

    # damage ------------------------------------------------------------------------------

    async def seen(self, original: Original, problem: str) -> None:
        """A picture was read: whole, or with a problem. What is news is recorded."""
        now = self._now_ms()
        is_news = bool(problem) == (original.damaged is None)
        if not is_news:
            return
        if not await asyncio.to_thread(
            self._shelf.note_damage, original.id, now if problem else None
        ):
            return
        act = "damaged" if problem else "mended"
        log.error("picture_damaged", picture=original.id, problem=problem) if problem else log.info(
            "picture_mended", picture=original.id
        )
        await self._record(act, "media", original.id, now, why=problem or None)

    # events ------------------------------------------------------------------------------

    async def _record(self, act: str, scope: str, identity: str, t: int, **data: Any) -> None:
        await self._journal.commit(
            Change(events=[await self._event(act, scope, identity, t, **data)])
        )
        self._on_act(act)

    async def _event(self, act: str, scope: str, identity: str, t: int, **data: Any) -> Event:
        if scope == "media":
            sendings = await asyncio.to_thread(self._shelf.sendings, identity)
            if not sendings:
                raise PictureUnknown(identity)
            device = sendings[0].device
            if "record" in data:
                data["record"]["sendings"] = [_told(each) for each in sendings[:SENDINGS_TOLD]]
        else:
            device = identity.partition(":")[0]
        kept = {key: value for key, value in data.items() if value is not None}
        return Event(
            type=EventType.MEDIA_CUSTODY,
            id=f"{identity}:custody:{act}:{t}",
            device=device,
            t=t,
            received=t,
            data={"act": act, scope: identity, **kept},
        )


def _record(original: Original) -> dict[str, Any]:
    """What a deleted picture was: its SHA-256 is the event's ``media``."""
    found = original.found
    about = {} if found is None else {"mime": found.mime, "w": found.w, "h": found.h}
    return {"size": original.size, **about}


def _told(sending: Sending) -> dict[str, Any]:
    names = ("device", "reason", "ref", "taken", "received")
    return {name: getattr(sending, name) for name in names if getattr(sending, name) is not None}
