"""The map's stream over a WebSocket: what moves as bytes, what is said of it and events as JSON."""

from __future__ import annotations

import asyncio

import msgspec
from aiohttp import WSCloseCode, WSMsgType, web

from gateway.api import params
from gateway.api.parts import Live, MapPage, MapStream
from gateway.api.problems import Problem
from gateway.api.routes import Route, check_origin, is_still_let_in, json_answer
from gateway.journal.base import FED_TYPES, EventType
from gateway.map_views import MapAbout, TooManyPages
from protocols.cloudevents import to_json

TYPES = FED_TYPES - {EventType.POSITION, EventType.STATUS}
"""Positions and health stand in frames and facts."""

IN_FLIGHT = 2
"""So many updates may be on the way to a page: it tells of each that it has drawn."""

HEARTBEAT_S = 15.0
MAX_WORD_BYTES = 256
LOOK_S = 5.0
"""So often it looks whether the token or session still holds."""

_AFTER = params.Param[int | None](
    name="after",
    about="A cursor: events beyond it; from now on if not given.",
    schema={"type": "integer", "minimum": 0},
    parse=params.whole_number(0, params.MAX_CURSOR),
    default=None,
)


class Drawn(msgspec.Struct, frozen=True):
    """What a page says: it has drawn this update."""

    drawn: int


_read = msgspec.json.Decoder(Drawn).decode


class MapStreamRoutes:
    """Following the map."""

    def __init__(self, stream: MapStream, live: Live) -> None:
        self._stream = stream
        self._live = live

    def routes(self) -> list[Route]:
        """The table."""
        return [
            Route(
                method="GET",
                path="/api/v1/map/stream",
                handler=self.follow,
                name="follow_map",
                summary="A WebSocket: all that stands on the map, then what changes; see map.md.",
                params=(_AFTER,),
                status=101,
                problems=(426,),
            ),
            Route(
                method="GET",
                path="/api/v1/map/about",
                handler=self.about,
                name="get_map_about",
                summary="What a page needs to draw the map: tiles, their datum, patrol grids.",
                answer=MapAbout,
            ),
        ]

    async def about(self, _: web.Request) -> web.Response:
        """Settings."""
        return json_answer(self._stream.about)

    async def follow(self, request: web.Request) -> web.StreamResponse:
        """Until either side has enough."""
        check_origin(request)
        after = _AFTER.read(request)
        socket = web.WebSocketResponse(
            heartbeat=HEARTBEAT_S, compress=False, max_msg_size=MAX_WORD_BYTES
        )
        if not socket.can_prepare(request):
            raise Problem(426, "a WebSocket is needed", headers={"Upgrade": "websocket"})
        try:
            with self._stream.watch() as page:
                await socket.prepare(request)
                cursor = self._live.last_cursor if after is None else after
                await socket.send_str(msgspec.json.encode(self._stream.hello(cursor)).decode())
                await _Follower(socket, page, self._live, cursor, request).run()
        except TooManyPages as error:
            raise Problem(503, str(error)) from error
        return socket


class _Follower:
    """One page: some things at a time, until one of them ends."""

    def __init__(
        self,
        socket: web.WebSocketResponse,
        page: MapPage,
        live: Live,
        cursor: int,
        request: web.Request,
    ) -> None:
        self._socket, self._page, self._live, self._cursor = socket, page, live, cursor
        self._request = request
        self._room = asyncio.Semaphore(IN_FLIGHT)
        self._sent: list[int] = []

    async def run(self) -> None:
        works = (self._rows(), self._events(), self._words(), self._while_let_in())
        tasks = [asyncio.create_task(work, name="map page") for work in works]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            ended = await asyncio.gather(*tasks, return_exceptions=True)
            await self._socket.close(code=WSCloseCode.GOING_AWAY)
        for error in ended:
            if isinstance(error, Exception) and not isinstance(error, ConnectionError):
                raise error

    async def _rows(self) -> None:
        while True:
            await self._room.acquire()
            update = await self._page.next()
            if update is None:
                return
            self._sent.append(update.number)
            for text in update.facts:
                await self._socket.send_str(text.decode())
            for frame in update.rows:
                await self._socket.send_bytes(frame)

    async def _events(self) -> None:
        while True:
            events, self._cursor = await self._live.beyond(self._cursor, TYPES)
            for event in events:
                told = '{"type":"event","cursor":%s,"event":%s}'
                await self._socket.send_str(told % (event.sequence, to_json(event).decode()))

    async def _while_let_in(self) -> None:
        while is_still_let_in(self._request):
            await asyncio.sleep(LOOK_S)

    async def _words(self) -> None:
        async for message in self._socket:
            if message.type is not WSMsgType.TEXT:
                continue
            try:
                drawn = _read(message.data).drawn
            except msgspec.DecodeError:
                return  # it does not speak as a page does
            while self._sent and self._sent[0] <= drawn:
                self._sent.pop(0)
                self._room.release()
