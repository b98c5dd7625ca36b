"""When does a day begin, by the clock on the wall? Then the ledger is told."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta, tzinfo

from gateway.ledger import Ledger

LOOK_S = 60.0
"""The clock may be set meanwhile."""


def day_at(moment_ms: int, zone: tzinfo | None) -> int:
    """Which day a moment lies in, counted from the year 1. Zone None: this machine's."""
    return datetime.fromtimestamp(moment_ms / 1000, zone).toordinal()


def left_s(moment_ms: int, zone: tzinfo | None) -> float:
    """How long that day goes on for."""
    now = datetime.fromtimestamp(moment_ms / 1000, zone)
    midnight = (now + timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0)
    return midnight.timestamp() - moment_ms / 1000


class Days:
    """Tells the ledger of each new day."""

    def __init__(self, ledger: Ledger, zone: tzinfo | None, now_ms: Callable[[], int]) -> None:
        self._ledger = ledger
        self._zone = zone
        self._now_ms = now_ms

    async def run(self) -> None:
        """For ever."""
        while True:
            await self.look()
            await asyncio.sleep(min(LOOK_S, left_s(self._now_ms(), self._zone)))

    async def look(self) -> None:
        """Whether another day is on. A clock that was set back begins none."""
        day = day_at(self._now_ms(), self._zone)
        if day <= self._ledger.day:
            return
        for _ in self._ledger.begin_day(day):
            await asyncio.sleep(0)
