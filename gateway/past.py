"""Which events were stored from a moment on? The journal numbers them; it has no list of times."""

from __future__ import annotations

from typing import Protocol

from gateway.journal.base import BLOCK_TYPES, FED_TYPES, EventType, Page

ROW_TYPES = FED_TYPES - BLOCK_TYPES
"""All but telemetry: quick to look for."""


class Past(Protocol):
    """What is read of the journal."""

    @property
    def last_cursor(self) -> int:
        """The cursor of the newest committed event."""

    async def read(self, after: int, limit: int, types: frozenset[EventType]) -> Page:
        """Committed events beyond the cursor, in order; fewer than limit only at the end."""


async def first_stored(
    reader: Past, moment_ms: int, types: frozenset[EventType] = ROW_TYPES
) -> int:
    """A cursor beyond which is all of these types that was stored from that moment on."""
    low, high = 0, reader.last_cursor
    while low < high:
        middle = (low + high) // 2
        page = await reader.read(middle, 1, types)
        if page.events and page.events[0].stored < moment_ms:
            low = page.events[0].cursor
        else:
            high = middle
    return low
