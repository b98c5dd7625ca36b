"""The feed over HTTP: what happened beyond a cursor, in pages or as a stream."""

from __future__ import annotations

from functools import partial

from aiohttp import web
from msgspec import Struct

from gateway.api import params
from gateway.api.parts import Live
from gateway.api.routes import Route, is_still_let_in, large_json_answer
from gateway.journal.base import BLOCK_TYPES, FED_TYPES, FEED_NAMES, EventType
from gateway.past import ROW_TYPES, Past, first_stored, newest
from protocols.cloudevents import CloudEvent, event_type
from protocols.errors import FieldInvalid

_NAMES = {**FEED_NAMES, **{event_type(name): kind for name, kind in FEED_NAMES.items()}}
EVENT_NAMES = tuple(_NAMES)
"""Short and full ones."""

TYPES = params.some_of("types", "Types of events, by short or full name; all if not given.", _NAMES)
_AFTER = params.integer(
    "after", "A cursor: events beyond it.", default=0, low=0, high=params.MAX_CURSOR
)
_STREAM_AFTER = params.Param[int | None](
    name="after",
    about="A cursor: events beyond it. Last-Event-ID stands in for it; with neither, from now on.",
    schema={"type": "integer", "minimum": 0},
    parse=params.whole_number(0, params.MAX_CURSOR),
    default=None,
)
_LAST = params.integer(
    "last",
    "The newest so many, and where to go on from; 0: those beyond the cursor.",
    default=0,
    low=0,
    high=1000,
)
_FROM = params.moment("from", "Events stored at or after this time.", default=params.EARLIEST_MS)
_TO = params.moment("to", "Events stored before this time.", default=params.LATEST_MS)
_LIMIT = params.integer("limit", "How many events at most.", default=100, low=1, high=10_000)


class EventPage(Struct, frozen=True):
    """Events in order, and the cursor to go on from. No events: the end, for now."""

    events: list[CloudEvent]
    next: int


class Events:
    """Pull and stream."""

    def __init__(self, live: Live, past: Past) -> None:
        self._live = live
        self._past = past

    def routes(self) -> list[Route]:
        """The table."""
        return [
            Route(
                method="GET",
                path="/api/v1/events",
                handler=self.pull,
                name="list_events",
                summary="Events beyond a cursor, in the order of their commits.",
                params=(_AFTER, _LAST, _FROM, _TO, TYPES, _LIMIT),
                answer=EventPage,
            ),
            Route(
                method="GET",
                path="/api/v1/events/stream",
                handler=self.stream,
                name="stream_events",
                summary="Events as they are committed: id is the cursor, event the type, "
                "data the CloudEvent. Last-Event-ID resumes.",
                params=(_STREAM_AFTER, TYPES),
                media=("text/event-stream",),
            ),
        ]

    async def pull(self, request: web.Request) -> web.Response:
        """One page."""
        after, limit, types = _AFTER.read(request), _LIMIT.read(request), types_of(request)
        since, until = _FROM.read(request), _TO.read(request)
        if last := _LAST.read(request):
            after, limit = max(after, await newest(self._past, last, types)), max(limit, last)
        if since > params.EARLIEST_MS:
            after = max(after, await self._stored(since, types))
        if until < params.LATEST_MS:
            return await self._up_to(await self._stored(until, types), after, limit, types)
        pieces, cursor = await self._live.page_json(after, limit, types)
        body = b'{"events":[%b],"next":%d}' % (b",".join(pieces), cursor)
        return web.Response(body=body, content_type="application/json")

    async def _stored(self, moment_ms: int, types: frozenset[EventType]) -> int:
        """The cursor beyond which is what was stored from that moment on."""
        looked_for = FED_TYPES if types & BLOCK_TYPES else ROW_TYPES
        return await first_stored(self._past, moment_ms, looked_for)

    async def _up_to(
        self, upper: int, after: int, limit: int, types: frozenset[EventType]
    ) -> web.Response:
        """One page of what has no cursor beyond ``upper``."""
        events, cursor = await self._live.page(after, limit, types) if after < upper else ([], 0)
        events = [event for event in events if int(event.sequence) <= upper]
        return await large_json_answer(EventPage(events, max(after, min(cursor, upper))))

    async def stream(self, request: web.Request) -> web.StreamResponse:
        """From the cursor, from where the stream broke off, or from now on."""
        last_id = request.headers.get("Last-Event-ID")
        after = _STREAM_AFTER.read(request)
        if last_id:  # newer than the parameter where a browser comes back to the same URL
            try:
                after = _STREAM_AFTER.parse(last_id)
            except ValueError as error:
                raise FieldInvalid("Last-Event-ID", str(error), last_id) from error
        still = partial(is_still_let_in, request)
        return await self._live.stream(request, after, types_of(request), still=still)


def types_of(request: web.Request) -> frozenset[EventType]:
    """The types asked for; all if none are."""
    return TYPES.read(request) or FED_TYPES
