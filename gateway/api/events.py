"""The feed over HTTP: what happened beyond a cursor, in pages or as a stream."""

from __future__ import annotations

from aiohttp import web
from msgspec import Struct

from gateway.api import params
from gateway.api.parts import Live
from gateway.api.routes import Route
from gateway.journal.base import FED_TYPES, FEED_NAMES, EventType
from protocols.cloudevents import CloudEvent, event_type
from protocols.errors import FieldInvalid

_TYPES = params.some_of(
    "types",
    "Types of events, separated by commas, by short or full name; all if not given.",
    {**FEED_NAMES, **{event_type(name): kind for name, kind in FEED_NAMES.items()}},
)
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
_LIMIT = params.integer("limit", "How many events at most.", default=100, low=1, high=10_000)


class EventPage(Struct, frozen=True):
    """Events in order, and the cursor to go on from. No events: the end, for now."""

    events: list[CloudEvent]
    next: int


class Events:
    """Pull and stream."""

    def __init__(self, live: Live) -> None:
        self._live = live

    def routes(self) -> list[Route]:
        """The table."""
        return [
            Route(
                method="GET",
                path="/api/v1/events",
                handler=self.pull,
                summary="Events beyond a cursor, in the order of their commits.",
                params=(_AFTER, _TYPES, _LIMIT),
                answer=EventPage,
            ),
            Route(
                method="GET",
                path="/api/v1/events/stream",
                handler=self.stream,
                summary="Events as they are committed: id is the cursor, event the type, "
                "data the CloudEvent. Last-Event-ID resumes.",
                params=(_STREAM_AFTER, _TYPES),
                media=("text/event-stream",),
            ),
        ]

    async def pull(self, request: web.Request) -> web.Response:
        """One page."""
        pieces, cursor = await self._live.page_json(
            _AFTER.read(request), _LIMIT.read(request), _types(request)
        )
        body = b'{"events":[%b],"next":%d}' % (b",".join(pieces), cursor)
        return web.Response(body=body, content_type="application/json")

    async def stream(self, request: web.Request) -> web.StreamResponse:
        """From the cursor, from where the stream broke off, or from now on."""
        last_id = request.headers.get("Last-Event-ID")
        after = _STREAM_AFTER.read(request)
        if last_id:  # newer than the parameter where a browser comes back to the same URL
            try:
                after = _STREAM_AFTER.parse(last_id)
            except ValueError as error:
                raise FieldInvalid("Last-Event-ID", str(error), last_id) from error
        return await self._live.stream(request, after, _types(request))


def _types(request: web.Request) -> frozenset[EventType]:
    return _TYPES.read(request) or FED_TYPES
