"""The HTTP side of the gateway: the table of routes, and the server that answers them."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
from aiohttp import web
from prometheus_client import CollectorRegistry

from gateway.api.alarms import AlarmRoutes
from gateway.api.devices import DeviceRoutes
from gateway.api.events import Events
from gateway.api.health import Condition, HealthRoutes
from gateway.api.openapi import describe
from gateway.api.parts import Alarms, Ledger, Live, Media, Twins
from gateway.api.problems import Problem, problems
from gateway.api.records import RecordRoutes
from gateway.api.routes import Route, guarded
from gateway.journal.base import Reader
from gateway.registry import Registry

MAX_BODY_BYTES = 64 * 1024
STOP_TIMEOUT_S = 2.0


def make_app(
    *,
    registry: Registry,
    reader: Reader,
    live: Live,
    alarms: Alarms,
    twins: Twins,
    ledger: Ledger,
    media: Media,
    metrics: CollectorRegistry,
    condition: Callable[[], Condition],
) -> web.Application:
    """All routes. ``condition`` says what keeps alarms from being taken now, if anything does."""
    description = b""

    async def openapi(_: web.Request) -> web.Response:
        return web.Response(body=description, content_type="application/json")

    routes = [
        *Events(live).routes(),
        *AlarmRoutes(reader, alarms).routes(),
        *DeviceRoutes(registry, twins, reader).routes(),
        *RecordRoutes(reader, media, ledger).routes(),
        *HealthRoutes(metrics, condition).routes(),
        Route(
            method="GET",
            path="/openapi.json",
            handler=openapi,
            summary="This description.",
            role=None,
            media=("application/json",),
        ),
    ]
    description = msgspec.json.encode(describe(routes))
    app = web.Application(middlewares=[problems], client_max_size=MAX_BODY_BYTES)
    for route in routes:
        app.router.add_route(route.method, route.path, guarded(route, registry))
    app.on_shutdown.append(lambda _: live.close())  # else the server waits for its streams
    return app


def make_unready_app(condition: Callable[[], Condition]) -> web.Application:
    """What is answered while the gateway cannot work: that it lives, and why it is not ready."""

    async def unready(_: web.Request) -> web.Response:
        raise Problem(503, "; ".join(condition().wrong))

    app = web.Application(middlewares=[problems])
    health = HealthRoutes(CollectorRegistry(), condition)
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

    async def __aenter__(self) -> Server:
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, self.host, self.port).start()
        except OSError:
            await self._runner.cleanup()
            raise
        self.port = self._runner.addresses[0][1]
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()

    @property
    def url(self) -> str:
        """Where it answers."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}"
