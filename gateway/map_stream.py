"""The map's stream: what pages that show the map are sent, at most once a second.

A page has a number: the update it has. What has changed since is one comparison over the table,
and pages with the same number share its encoding. So a slow page gets fewer updates, each with
the newest of all that it missed, and nothing is queued for it.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import structlog

from gateway.config import Settings
from gateway.journal.base import AlarmRecord
from gateway.map_table import MapTable, Registered
from gateway.map_views import MapAbout, TooManyPages, Update
from gateway.twins import Twins
from gateway.units import Units

PERIOD_S = 1.0
FACTS_A_TEXT = 500
MAX_PAGES = 64

log = structlog.get_logger()


class Page:
    """A page that shows the map."""

    def __init__(self, stream: MapStream, floor: int) -> None:
        self._stream = stream
        self._floor = floor
        self._has = 0

    async def next(self) -> Update | None:
        """What has changed since the last one, as soon as there is an update; None: it is over."""
        update = await self._stream.beyond(max(self._has, self._floor), self._has)
        if update is not None:
            self._has = update.number
        return update


class MapStream:
    """The stream. ``run`` looks once a second while anybody watches."""

    def __init__(
        self,
        settings: Settings,
        registry: Registered,
        units: Units,
        twins: Twins,
        open_alarms: Callable[[], list[AlarmRecord]],
        *,
        now_ms: Callable[[], int],
        period_s: float = PERIOD_S,
    ) -> None:
        self._table = MapTable(
            registry=registry, units=units, twins=twins, open_alarms=open_alarms, now_ms=now_ms
        )
        self._now_ms, self._period_s = now_ms, period_s
        self.about = MapAbout(
            tiles=settings.map.tiles,
            crs=settings.map.crs,
            attribution=settings.map.attribution,
            stale_after_s=settings.stale_after_s,
            grids=settings.grids,
        )
        self._pages = 0
        self._shared: dict[int, Update] = {}
        self._watched, self._turn = asyncio.Event(), asyncio.Event()
        self._closed = self._failed = False

    @contextlib.contextmanager
    def watch(self) -> Iterator[Page]:
        """A page comes, and goes; raise TooManyPages."""
        if self._pages >= MAX_PAGES:
            raise TooManyPages(MAX_PAGES)
        # What was made while nobody watched is old.
        page = Page(self, self._table.update if not self._pages else 0)
        self._pages += 1
        self._watched.set()
        try:
            yield page
        finally:
            self._pages -= 1
            if not self._pages:
                self._watched.clear()

    async def close(self) -> None:
        """Let all pages go."""
        self._closed = True
        self._turn.set()

    async def run(self) -> None:
        """Look again and again. What goes wrong is told once, and ends nothing."""
        while True:
            await self._watched.wait()
            pause = asyncio.create_task(asyncio.sleep(self._period_s), name="map pause")
            try:
                await self.look()
                await pause
            finally:
                pause.cancel()

    async def look(self) -> None:
        """Make one update."""
        try:
            await self._table.refresh()
        except Exception:  # once per supervised task
            if not self._failed:
                log.exception("map_failed")
            self._failed = True
            return
        self._failed = False
        self._shared.clear()
        turn, self._turn = self._turn, asyncio.Event()
        turn.set()

    async def beyond(self, floor: int, has: int) -> Update | None:
        """What is new to who ``has`` an update, once there is one beyond ``floor``."""
        while self._table.update <= floor and not self._closed:
            await self._turn.wait()
        return None if self._closed else self._since(has)

    def _since(self, has: int) -> Update:
        update = self._shared.get(has)
        if update is None:
            facts = self._table.facts(has)
            texts = [
                b'{"type":"facts","facts":[%b]}' % b",".join(facts[at : at + FACTS_A_TEXT])
                for at in range(0, len(facts), FACTS_A_TEXT)
            ]
            rows = self._table.rows(has, self._now_ms())
            update = self._shared[has] = Update(self._table.update, texts, rows)
        return update

    def hello(self, cursor: int) -> dict[str, Any]:
        """The first words to a page."""
        return {"type": "hello", "now": self._now_ms(), "cursor": cursor}
