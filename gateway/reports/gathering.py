"""Reads from the journal what a report on arrivals needs, and no position beside that."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Protocol

from gateway.config import Settings
from gateway.duty import happened_ms
from gateway.journal.base import Event, EventType
from gateway.past import Past, first_stored
from gateway.reports.arrivals import (
    BAD_CLOCK_MS,
    HOLDS_MS,
    NEAR_M,
    TYPES,
    Arrivals,
    Search,
    near_step,
)
from gateway.reports.figures import Report, incidents_of, report
from gateway.seen import Lookout
from gateway.shifts import shifts_of, zone_of

PAGE = 2000
DAY_MS = 24 * 3600 * 1000
AT_FIRST_MS = 5 * 60 * 1000
SLACK_M = 1.0
"""Who counts is decided by the whole event: this finds where to begin."""

_BINDINGS = frozenset({EventType.UNIT_CHANGED})


class Source(Past, Protocol):
    """What is read of the journal."""

    def track_parts(
        self, device: str, since_ms: int, until_ms: int
    ) -> AsyncGenerator[list[Event], None]:
        """A device's positions whose time lies in [since, until), in the order of their time."""

    async def first_near(self, lookouts: Sequence[Lookout]) -> list[int | None]:
        """For each, the time of the first position that is near; None where there is none."""


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
        searches = await asyncio.to_thread(_searched, found, range(since, until))
        lookouts = [lookout for _, lookout in searches]
        firsts = await self._reader.first_near(lookouts)
        for (search, lookout), first in zip(searches, firsts, strict=True):
            if first is not None:
                await self._look(found, search, lookout.device, range(first, lookout.until))

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

    async def _look(self, found: Arrivals, search: Search, device: str, times: range) -> None:
        """Take the device's positions up to well after the first that counts."""
        enough = times.stop
        while times:  # a few minutes at first: to list the blocks of hours takes as long
            soon = min(times.start + AT_FIRST_MS, times.stop)
            async with aclosing(self._reader.track_parts(device, times.start, soon)) as parts:
                async for part in parts:
                    for event in part:
                        step = near_step(search, event)
                        if step is not None and found.unit_of(device, step.at) == search.unit:
                            found.take(event)
                            enough = min(enough, step.at + 2 * BAD_CLOCK_MS)
                    if part and part[-1].t > enough:
                        return
            if soon > enough:
                return
            times = range(soon, times.stop)


def _searched(found: Arrivals, window: range) -> list[tuple[Search, Lookout]]:
    """Where each device of each unit that was sent somewhere in the window is looked for."""
    return [
        (
            search,
            Lookout(
                device,
                search.since - BAD_CLOCK_MS,
                search.until + BAD_CLOCK_MS + 1,
                search.lat,
                search.lon,
                NEAR_M + SLACK_M,
            ),
        )
        for search in found.searches()
        if search.since in window
        for device in sorted(found.devices_of(search.unit))
    ]


def _at(event: Event) -> int:
    return happened_ms(event.data["t"], event.received, event.clock_offset_ms)
