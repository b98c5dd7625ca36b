"""The live feed: committed events, pulled in pages or as server-sent events.

Nothing is kept here: the cursor is the reader's, the events are the journal's.
A slow reader is held by its own socket and delays nobody.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence

import structlog
from aiohttp import web
from aiohttp_sse import EventSourceResponse, sse_response

from gateway.feeds import positions
from gateway.feeds.envelope import envelope
from gateway.journal.base import Event, EventType, Positions, Reader
from protocols.cloudevents import CloudEvent, to_json

PAGE_EVENTS = 200
HEARTBEAT_S = 15.0

log = structlog.get_logger()


class LiveFeed:
    """Serves readers that keep their own cursors; ``close`` ends the streams that are open."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._open: set[EventSourceResponse] = set()

    async def page(
        self, after: int, limit: int, types: frozenset[EventType]
    ) -> tuple[list[CloudEvent], int]:
        """Events beyond the cursor, and the cursor to go on from; no events means the end."""
        found = await self._reader.read(after, limit, types)
        if len(found.events) <= PAGE_EVENTS:
            return _envelopes(found.events), found.next
        # Many take long enough to hold up an alarm.
        return await asyncio.to_thread(_envelopes, found.events), found.next

    async def page_json(
        self, after: int, limit: int, types: frozenset[EventType]
    ) -> tuple[list[bytes], int]:
        """The same as JSON: pieces that make the array of all events when joined by commas."""
        runs = await self._reader.read_runs(after, limit, types)
        return await asyncio.to_thread(_as_json, runs.items), runs.next

    @property
    def last_cursor(self) -> int:
        """The cursor of the newest event."""
        return self._reader.last_cursor

    async def beyond(self, after: int, types: frozenset[EventType]) -> tuple[list[CloudEvent], int]:
        """The same as ``page``, as soon as there is an event."""
        while True:
            events, after = await self.page(after, PAGE_EVENTS, types)
            if events:
                return events, after
            await self._reader.wait_beyond(after, types)

    async def stream(
        self,
        request: web.Request,
        after: int | None,
        types: frozenset[EventType],
        *,
        still: Callable[[], bool],
    ) -> web.StreamResponse:
        """Events beyond the cursor (None: from now on), with a comment now and then.

        ``still``: whether who listens may.
        """
        cursor = self._reader.last_cursor if after is None else after
        async with sse_response(request, sep="\n", ping_interval=HEARTBEAT_S) as response:
            sending = asyncio.create_task(self._send(response, cursor, types), name="stream")
            ended = asyncio.create_task(response.wait(), name="stream ended")
            barred = asyncio.create_task(_until_barred(still), name="stream barred")
            self._open.add(response)
            try:
                await asyncio.wait([sending, ended, barred], return_when=asyncio.FIRST_COMPLETED)
            finally:
                self._open.discard(response)
                ended.cancel()
                barred.cancel()
                sending.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await sending
        return response

    async def close(self) -> None:
        """End all streams: their readers come back with the cursor that they have got."""
        for response in self._open:
            response.stop_streaming()

    async def _send(
        self, response: EventSourceResponse, cursor: int, types: frozenset[EventType]
    ) -> None:
        try:
            await response.write(b": from here on\n\n")  # the reader sees at once that it is on
            while True:
                events, cursor = await self.page(cursor, PAGE_EVENTS, types)
                for event in events:
                    await response.send(
                        to_json(event).decode(), id=event.sequence, event=event.type
                    )
                if not events:
                    await self._reader.wait_beyond(cursor, types)
        except (ConnectionResetError, TimeoutError):
            pass  # the reader has gone
        except Exception:  # its answer has begun, so no other can be given
            log.exception("stream_failed")


async def _until_barred(still: Callable[[], bool]) -> None:
    while still():
        await asyncio.sleep(HEARTBEAT_S)


def _as_json(items: Sequence[Event | Positions]) -> list[bytes]:
    pieces: list[bytes] = []
    for item in items:
        if isinstance(item, Positions):
            pieces += positions.as_json(item)
        else:
            pieces.append(to_json(envelope(item)))
    return pieces


def _envelopes(events: Sequence[Event]) -> list[CloudEvent]:
    return [envelope(event) for event in events]
