"""The feed over a WebSocket: the same as server-sent events, for pages of which many are open.

A browser opens six HTTP connections to an address at most, over all its tabs, and each stream of
server-sent events holds one for ever. Of WebSockets it opens two hundred and more.
"""

from __future__ import annotations

import asyncio

from aiohttp import WSCloseCode, web

from gateway.api import params
from gateway.api.events import TYPES, types_of
from gateway.api.parts import Live
from gateway.api.problems import Problem
from gateway.api.routes import Route, check_origin, is_still_let_in
from gateway.journal.base import EventType
from protocols.cloudevents import to_json

QUIET_S = 5.0
"""So often it says that it is there: of a WebSocket's own heartbeat a page hears nothing."""

MAX_WORD_BYTES = 256

_AFTER = params.Param[int | None](
    name="after",
    about="A cursor: events beyond it; from now on if not given.",
    schema={"type": "integer", "minimum": 0},
    parse=params.whole_number(0, params.MAX_CURSOR),
    default=None,
)


class EventSocketRoutes:
    """Following the feed. ``close`` ends what is open."""

    def __init__(self, live: Live) -> None:
        self._live = live
        self._open: set[web.WebSocketResponse] = set()

    def routes(self) -> list[Route]:
        """The table."""
        return [
            Route(
                method="GET",
                path="/api/v1/events/socket",
                handler=self.follow,
                name="follow_events",
                summary="A WebSocket: events as they are committed, each with its cursor.",
                params=(_AFTER, TYPES),
                status=101,
                problems=(426,),
            ),
        ]

    async def close(self) -> None:
        """Let everybody go: they come back with the cursor that they have got."""
        for socket in list(self._open):
            await socket.close(code=WSCloseCode.GOING_AWAY)

    async def follow(self, request: web.Request) -> web.StreamResponse:
        """Until either side has enough."""
        check_origin(request)
        after, types = _AFTER.read(request), types_of(request)
        socket = web.WebSocketResponse(
            heartbeat=3 * QUIET_S, compress=False, max_msg_size=MAX_WORD_BYTES
        )
        if not socket.can_prepare(request):
            raise Problem(426, "a WebSocket is served here", headers={"Upgrade": "websocket"})
        await socket.prepare(request)
        cursor = self._live.last_cursor if after is None else after
        works = (self._send(socket, cursor, types), _quiet(socket, request), _heard(socket))
        tasks = [asyncio.create_task(work, name="event socket") for work in works]
        self._open.add(socket)
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._open.discard(socket)
            for task in tasks:
                task.cancel()
            ended = await asyncio.gather(*tasks, return_exceptions=True)
            await socket.close(code=WSCloseCode.GOING_AWAY)
        for error in ended:
            if isinstance(error, Exception) and not isinstance(error, ConnectionError):
                raise error
        return socket

    async def _send(
        self, socket: web.WebSocketResponse, cursor: int, types: frozenset[EventType]
    ) -> None:
        await socket.send_str(f'{{"type":"hello","cursor":{cursor}}}')
        while True:
            events, cursor = await self._live.beyond(cursor, types)
            for event in events:
                told = '{"type":"event","cursor":%s,"event":%s}'
                await socket.send_str(told % (event.sequence, to_json(event).decode()))


async def _quiet(socket: web.WebSocketResponse, request: web.Request) -> None:
    while is_still_let_in(request):
        await asyncio.sleep(QUIET_S)
        await socket.send_str('{"type":"quiet"}')


async def _heard(socket: web.WebSocketResponse) -> None:
    """Until the page goes: what it says is of no interest."""
    async for _ in socket:
        pass
