"""Reads from the journal what a report on arrivals needs, and no position beside that."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Protocol

from gateway.config import Settings
from gateway.duty import happened_ms
from gateway.journal.base import Event, EventType
from gateway.past import Past, first_stored
from gateway.reports.arrivals import (
    BAD_CLOCK_MS,
    HOLDS_MS,
    TYPES,
    Arrivals,
    Search,
    near_step,
)
from gateway.reports.figures import Report, incidents_of, report
from gateway.shifts import shifts_of, zone_of

PAGE = 2000
DAY_MS = 24 * 3600 * 1000
_BINDINGS = frozenset({EventType.UNIT_CHANGED})


class Source(Past, Protocol):
    """What is read of the journal."""

    def track_parts(
        self, device: str, since_ms: int, until_ms: int
    ) -> AsyncGenerator[list[Event], None]:
        """A device's positions whose time lies in [since, until), in the order of their time."""


class ArrivalReports:
    """Reports on arrivals. Grids, shifts and the time zone are settings."""

    def __init__(self, reader: Source, settings: Settings) -> None:
        self._reader = reader
        self._turn = asyncio.Lock()  # one report at a time: each may take much memory
        self._grids = settings.grids
        self._shifts, self._zone = shifts_of(settings.shifts), zone_of(settings.timezone)

    async def arrivals(self, since: int, until: int, grid: str | None = None) -> Report:
        """The report on what was first ordered from ``since`` to before ``until`` (ms)."""
        async with self._turn:
            return await self._arrivals(since, until, grid)

    async def _arrivals(self, since: int, until: int, grid: str | None) -> Report:
        found = Arrivals()
        window = range(since - 2 * HOLDS_MS, until + 2 * HOLDS_MS)
        start = await first_stored(self._reader, window.start, TYPES)
        await self._take(found, range(start), _BINDINGS, window)
        # To the end: what was stored later may tell of it too, out of a spool that waited.
        await self._take(found, range(start, 2**63), TYPES, window)
        # In a thread: of a large city it takes seconds, and alarms do not wait.
        for search in await asyncio.to_thread(found.searches):
            if since <= search.since < until:
                for device in sorted(found.devices_of(search.unit)):
                    await self._look(found, search, device)

        def reckon() -> Report:
            incidents = incidents_of(
                found.result(), grids=self._grids, shifts=self._shifts, zone=self._zone
            )
            name = "local" if self._zone is None else str(self._zone)
            return report(incidents, since=since, until=until, grid=grid, timezone=name)

        return await asyncio.to_thread(reckon)

    async def _take(
        self, found: Arrivals, cursors: range, types: frozenset[EventType], window: range
    ) -> None:
        """Take the events of a range of cursors, and of those with a time what is in a window."""
        after = cursors.start
        while True:
            page = await self._reader.read(after, PAGE, types)
            for event in page.events:
                if event.cursor > cursors.stop:
                    return
                if event.type is not EventType.DUTY or _at(event) in window:
                    found.take(event)
            if not page.events:
                return
            after = page.next

    async def _look(self, found: Arrivals, search: Search, device: str) -> None:
        """Take the device's positions up to well after the first that is near."""
        since, until = search.since - BAD_CLOCK_MS, search.until + BAD_CLOCK_MS + 1
        enough = until
        async with aclosing(self._reader.track_parts(device, since, until)) as parts:
            async for part in parts:
                for event in part:
                    step = near_step(search, event)
                    if step is not None and found.unit_of(device, step.at) == search.unit:
                        found.take(event)
                        enough = min(enough, step.at + 2 * BAD_CLOCK_MS)
                if part and part[-1].t > enough:
                    return


def _at(event: Event) -> int:
    return happened_ms(event.data["t"], event.received, event.clock_offset_ms)
