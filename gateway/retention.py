"""How long pictures are kept: by their reasons, within a budget, and while the disk has room.

Never one that is held or of an open alarm. Nothing else deletes a picture, and nobody can by hand.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import structlog

from gateway.config import RetentionSettings
from gateway.custody import Custody
from gateway.journal.base import AlarmRecord
from gateway.pictures import WORTH, Guarded, Kept, Usage
from gateway.reserve import Room

if TYPE_CHECKING:
    from gateway.journal.shelf import Shelf

log = structlog.get_logger()

LOOK_EVERY_S = 10.0
BATCH = 100
DAY_MS = 24 * 3600 * 1000
FOREVER_MS = 2**62
LEAP_MS = 3600 * 1000
DOUBTED_S = 24 * 3600.0
"""When the clock has leapt forward a person has a day to set it right: a picture does not come
back. A new one is made room for all the same."""

SPARED = frozenset({"alarm", "pre_alarm"})
"""A disk that runs out does not shorten the time of these: what is new gives way to them."""


class Retention:
    """Deletes what has had its time. ``newest``: what was kept at the last look."""

    def __init__(
        self,
        *,
        shelf: Shelf,
        custody: Custody,
        days: RetentionSettings,
        budget_bytes: int,
        room: Room,
        open_alarms: Callable[[], Sequence[AlarmRecord]],
        now_ms: Callable[[], int],
        now_s: Callable[[], float],
    ) -> None:
        self._shelf = shelf
        self._custody = custody
        self._days = days
        self._budget_bytes = budget_bytes
        self._room = room
        self._open_alarms = open_alarms
        self._now_ms = now_ms
        self._now_s = now_s
        self._ahead_ms: float | None = None  # the clock, of the time that has gone by
        self._leapt_s: float | None = None
        self._was_full = False
        self.newest: Usage | None = None

    async def run(self) -> None:
        """Look for ever."""
        while True:
            try:
                await self.once()
            except (OSError, sqlite3.DatabaseError) as error:
                log.warning("retention_waits", error=str(error))
            await asyncio.sleep(LOOK_EVERY_S)

    async def once(self) -> None:
        """Delete what has had its time, then what there is no room for."""
        self._look_at_clock()
        for reason, worth in () if self.has_leapt else WORTH.items():
            until_ms = self._now_ms() - getattr(self._days, reason) * DAY_MS
            while went := await self._delete(worth, until_ms, by="retention", why=f"{reason}_days"):
                if went < BATCH:
                    break
            await self._abandon(reason, until_ms)
        self.newest = await asyncio.to_thread(self._shelf.usage)
        await self._within_budget()
        await self._while_low()

    @property
    def has_leapt(self) -> bool:
        """Whether the clock has leapt forward within a day: nothing is old by its word alone."""
        return self._leapt_s is not None and self._now_s() - self._leapt_s < DOUBTED_S

    def _look_at_clock(self) -> None:
        ahead_ms = self._now_ms() - self._now_s() * 1000
        if self._ahead_ms is not None and ahead_ms - self._ahead_ms > LEAP_MS:
            self._leapt_s = self._now_s()
            log.warning("clock_leapt", seconds=round((ahead_ms - self._ahead_ms) / 1000))
        self._ahead_ms = ahead_ms

    async def _abandon(self, reason: str, until_ms: int) -> None:
        guarded = self.guarded()
        abandoned = await asyncio.to_thread(
            self._shelf.abandoned, guarded, reason=reason, until_ms=until_ms, limit=BATCH
        )
        await self._custody.abandon(abandoned, by="retention")

    async def _within_budget(self) -> None:
        usage = self.newest
        assert usage is not None
        over = usage.bytes - self._budget_bytes
        while over > 0:
            some = await self.candidates(None, FOREVER_MS)
            enough: list[Kept] = []
            for each in some:
                if over > 0:
                    enough.append(each)
                    over -= each.size
            went = await self._custody.delete(
                enough, self.guarded(), by="budget", why="pictures_budget_mb"
            )
            if not went:
                break
        self._tell_full(over > 0)
        if usage.bytes > self._budget_bytes:
            self.newest = await asyncio.to_thread(self._shelf.usage)

    def _tell_full(self, is_full: bool) -> None:
        if is_full and not self._was_full:
            log.warning("pictures_over_budget", why="all others are held or of open alarms")
        self._was_full = is_full

    async def _while_low(self) -> None:
        """Make room before pictures have to be refused."""
        while self._room.is_low:
            for reason, worth in sorted(WORTH.items(), key=lambda each: each[1]):
                if reason not in SPARED and await self._delete(
                    worth, FOREVER_MS, by="disk", why="disk_low"
                ):
                    break
            else:
                return
            await asyncio.to_thread(self._room.look)

    async def _delete(self, worth: int, until_ms: int, *, by: str, why: str) -> int:
        some = await self.candidates(worth, until_ms)
        return len(await self._custody.delete(some, self.guarded(), by=by, why=why))

    async def candidates(self, worth: int | None, until_ms: int) -> list[Kept]:
        """Some of what may go, the least worth first."""
        return await asyncio.to_thread(
            self._shelf.may_go, self.guarded(), worth=worth, until_ms=until_ms, limit=BATCH
        )

    def guarded(self) -> Guarded:
        """What is not to go, as of now."""
        alarms = self._open_alarms()
        media = [each for alarm in alarms for each in named_by(alarm)]
        return Guarded([alarm.id for alarm in alarms], media)


def named_by(alarm: AlarmRecord) -> list[str]:
    """The pictures that an alarm names itself."""
    named = alarm.data.get("media")
    return [each for each in named if isinstance(each, str)] if isinstance(named, list) else []
