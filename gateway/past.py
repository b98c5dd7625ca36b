"""Which events were stored from a moment on, and which are the newest? The journal numbers them."""

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


async def newest(reader: Past, count: int, types: frozenset[EventType]) -> int:
    """A cursor beyond which are the newest so many of these types, or all if there are fewer."""
    end, step = reader.last_cursor, count
    few = end  # beyond it are fewer
    while few > 0:
        low = max(0, end - step)
        if len((await reader.read(low, count, types)).events) >= count:
            break
        few, step = low, 2 * step
    else:
        return 0
    while few - low > 1:
        middle = (low + few) // 2
        if len((await reader.read(middle, count, types)).events) >= count:
            low = middle
        else:
            few = middle
    return low
