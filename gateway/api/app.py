"""The HTTP side of the gateway: the table of routes, and the server that answers them."""

from __future__ import annotations

import asyncio
import resource
from collections.abc import Callable
from functools import partial
from typing import cast

import msgspec
from aiohttp import web
from prometheus_client import CollectorRegistry, Gauge

from gateway.answered import AnsweredStore
from gateway.api.acts import Acts
from gateway.api.alarms import AlarmRoutes
from gateway.api.commands import CommandRoutes
from gateway.api.config import ConfigRoutes
from gateway.api.devices import DeviceRoutes
from gateway.api.enrolment import EnrolmentRoutes
from gateway.api.event_socket import EventSocketRoutes
from gateway.api.events import Events
from gateway.api.finish import finished
from gateway.api.health import Condition, HealthRoutes
from gateway.api.idempotency import Idempotency
from gateway.api.live import LiveRoutes
from gateway.api.map import MapRoutes
from gateway.api.map_stream import MapStreamRoutes
from gateway.api.openapi import describe
from gateway.api.parts import (
    Alarms,
    Commands,
    Configurations,
    Custody,
    Enrolment,
    Gallery,
    Ledger,
    Live,
    LiveViews,
    MapStream,
    Outlook,
    Playback,
    Reports,
    Snapshots,
    Targets,
    Twins,
    Units,
)
from gateway.api.pictures import PictureRoutes
from gateway.api.playback import PlaybackRoutes
from gateway.api.problems import Problem, problems
from gateway.api.records import RecordRoutes
from gateway.api.reports import ReportRoutes
from gateway.api.routes import Route, guarded
from gateway.api.sessions import SessionRoutes
from gateway.api.tickets import Tickets
from gateway.api.units import UnitRoutes
from gateway.api.web import add_page
from gateway.audit import AuditLog
from gateway.explained import Explanation
from gateway.journal.base import Reader
from gateway.registry import Registry

MAX_BODY_BYTES = 64 * 1024
STOP_TIMEOUT_S = 2.0
FILES_KEPT = 256
"""For the broker's connections, the journal's files, webhooks, and what a restart opens."""

REFUSALS = 16
"""So many connections beyond those are told that there are too many; others are just closed."""


def make_app(
    *,
    registry: Registry,
    audit: AuditLog,
    answered: AnsweredStore,
    reader: Reader,
    live: Live,
    alarms: Alarms,
    commands: Commands,
    configurations: Configurations,
    enrolment: Enrolment,
    targets: Targets,
    twins: Twins,
    units: Units,
    outlook: Outlook,
    map_stream: MapStream,
    playback: Playback,
    reports: Reports,
    ledger: Ledger,
    snapshots: Snapshots,
    live_views: LiveViews,
    now_ms: Callable[[], int],
    gallery: Gallery,
    custody: Custody,
    metrics: CollectorRegistry,
    condition: Callable[[], Condition],
    explain: Callable[[str, bytes], Explanation],
) -> web.Application:
    """All routes. ``condition`` says what keeps alarms from being taken now, if anything does.

    ``explain``: what bytes on a topic say.
    """
    description = b""

    async def openapi(_: web.Request) -> web.Response:
        return web.Response(body=description, content_type="application/json")

    acts, keys = Acts(audit, now_ms), Idempotency(answered)
    sockets = EventSocketRoutes(live)
    routes = [
        *SessionRoutes(registry, now_ms).routes(),
        *Events(live, reader).routes(),
        *sockets.routes(),
        *AlarmRoutes(reader, alarms).routes(),
        *CommandRoutes(registry, reader, commands, targets).routes(),
        *ConfigRoutes(registry, twins, configurations).routes(),
        *DeviceRoutes(registry, twins, reader, ledger).routes(),
        *EnrolmentRoutes(enrolment).routes(),
        *UnitRoutes(units).routes(),
        *MapStreamRoutes(map_stream, live).routes(),  # before the map's files
        *MapRoutes(outlook).routes(),
        *PlaybackRoutes(playback).routes(),
        *ReportRoutes(reports).routes(),
        *LiveRoutes(
            registry=registry,
            twins=twins,
            snapshots=snapshots,
            live=live_views,
            tickets=Tickets(now_ms),
            now_ms=now_ms,
        ).routes(),
        *PictureRoutes(reader, gallery, custody).routes(),
        *RecordRoutes(reader, ledger, explain).routes(),
        *HealthRoutes(metrics, condition).routes(),
        *acts.routes(),
        Route(
            method="GET",
            path="/openapi.json",
            handler=openapi,
            name="get_openapi",
            summary="This description.",
            role=None,
            media=("application/json",),
        ),
    ]
    description = msgspec.json.encode(describe(routes))
    app = web.Application(middlewares=[problems], client_max_size=MAX_BODY_BYTES)
    for route in routes:
        recorded = msgspec.structs.replace(route, handler=acts.recording(route))
        once = msgspec.structs.replace(route, handler=keys.once(route, recorded.handler))
        handler = finished(acts.counting(route, guarded(once, registry)))
        resource = app.router.add_resource(route.path)
        resource.add_route(route.method, handler)
        if route.method == "GET" and route.answer is not None:
            resource.add_route("HEAD", handler)
    app.cleanup_ctx.extend((acts.running, keys.running))
    add_page(app, tiles=map_stream.about.tiles)
    for streams in (live, sockets, live_views, map_stream):
        app.on_shutdown.append(partial(_close, streams))  # else the server waits for them
    return app


async def _close(
    streams: Live | EventSocketRoutes | LiveViews | MapStream, _: web.Application
) -> None:
    await streams.close()


def make_unready_app(condition: Callable[[], Condition]) -> web.Application:
    """What is answered while the gateway cannot work: that it lives, and why it is not ready."""

    async def unready(_: web.Request) -> web.Response:
        raise Problem(503, "; ".join(condition().wrong))

    app = web.Application(middlewares=[problems])
    metrics = CollectorRegistry()
    Gauge("fieldgate_ready", "Whether alarms are taken", registry=metrics).set(0)
    health = HealthRoutes(metrics, condition)
    for route in health.routes():
        app.router.add_route(route.method, route.path, route.handler)
    app.router.add_route("*", "/{path:.*}", unready)
    return app


class Server:
    """Serves an application on one address. ``async with`` binds and ends it; port 0 picks one."""

    def __init__(self, app: web.Application, host: str, port: int) -> None:
        self.host = host
        self.port = port
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=STOP_TIMEOUT_S)
        self._listening: asyncio.Server
        self._refusals: set[asyncio.Transport] = set()

    async def __aenter__(self) -> Server:
        await self._runner.setup()
        try:
            self._listening = await asyncio.get_running_loop().create_server(
                self._accept, self.host, self.port
            )
        except OSError:
            await self._runner.cleanup()
            raise
        self.port = self._listening.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        loop = asyncio.get_running_loop()
        for listening in self._listening.sockets:
            loop.remove_reader(listening)  # it accepts no more;
        for _turn in range(2):
            await asyncio.sleep(0)  # what it has accepted gets its transport, and is known
        self._listening.close()
        for refusal in list(self._refusals):
            refusal.close()
        await self._runner.cleanup()

    def _accept(self) -> asyncio.BaseProtocol:
        """One more connection; none that would take a file descriptor that alarms may need."""
        server = self._runner.server
        assert server is not None
        if len(server.connections) >= most_connections():
            return _Refusal(self._refusals)
        loop = asyncio.get_running_loop()
        return _Speaker(server, loop=loop, access_log=None)  # type: ignore[arg-type]

    @property
    def url(self) -> str:
        """Where it answers."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}"


class _Speaker(web.RequestHandler):
    """One connection. What is no HTTP is answered with a problem too, and closed."""

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        told = super().handle_error(request, status, exc, message)
        why = " ".join((message or told.reason or "").split())
        answer = Problem(told.status, f"the request cannot be read: {why}").response()
        answer.force_close()
        return answer


class _Refusal(asyncio.Protocol):
    """Answers whatever is asked with 503, and closes. Left alone, it would be offered for ever."""

    def __init__(self, under_way: set[asyncio.Transport]) -> None:
        self._under_way = under_way

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is not derived from it
        self._under_way.add(self._transport)
        if len(self._under_way) > REFUSALS:
            transport.close()
        else:  # one that asks nothing does not stay
            asyncio.get_running_loop().call_later(STOP_TIMEOUT_S, transport.close)

    def data_received(self, data: bytes) -> None:
        why = f"all {most_connections()} connections are taken"
        problem = {"type": "about:blank", "title": "Service Unavailable", "status": 503}
        body = msgspec.json.encode({**problem, "detail": why, "wrong": [why]})
        self._transport.write(
            b"HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\n"
            b"Content-Type: application/problem+json\r\n"
            b"Content-Length: %d\r\n\r\n%b" % (len(body), body)
        )
        self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self._under_way.discard(self._transport)


def most_connections() -> int:
    """How many there may be at once: all file descriptors but those that are kept for the rest."""
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return max(limit - FILES_KEPT, limit // 4)
