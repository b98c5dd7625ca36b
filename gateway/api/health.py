"""Whether the gateway lives, whether it is ready for the first alarm, and its figures."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from aiohttp import web
from msgspec import Struct
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

from gateway.api.problems import Problem
from gateway.api.routes import Route, json_answer


class Health(Struct, frozen=True):
    """It answers, so it lives."""

    status: str = "ok"


class Readiness(Struct, frozen=True):
    """Ready for an alarm. ``warnings``: what is not as it should be, and costs none."""

    ready: bool = True
    disk: str = "ok"
    warnings: list[str] = []


class Condition(NamedTuple):
    """``wrong``: what keeps alarms from being taken now. ``disk``: how far it has run out."""

    wrong: list[str]
    warnings: list[str]
    disk: str


class HealthRoutes:
    """Open to all: what asks has no token."""

    def __init__(self, metrics: CollectorRegistry, condition: Callable[[], Condition]) -> None:
        self._metrics = metrics
        self._condition = condition

    def routes(self) -> list[Route]:
        """The table."""
        return [
            Route(
                method="GET",
                path="/healthz",
                handler=self.healthz,
                name="get_health",
                summary="Whether the gateway lives.",
                role=None,
                answer=Health,
            ),
            Route(
                method="GET",
                path="/readyz",
                handler=self.readyz,
                name="get_readiness",
                summary="Whether alarms can be taken; 503 says what is wrong.",
                role=None,
                answer=Readiness,
            ),
            Route(
                method="GET",
                path="/metrics",
                handler=self.metrics,
                name="get_metrics",
                summary="Figures for Prometheus.",
                role=None,
                media=("text/plain",),
            ),
        ]

    async def healthz(self, _: web.Request) -> web.Response:
        """Alive."""
        return json_answer(Health())

    async def readyz(self, _: web.Request) -> web.Response:
        """Ready, or what is wrong."""
        wrong, warnings, disk = self._condition()
        if wrong:
            raise Problem(
                503, f"not ready: {'; '.join(wrong)}", wrong=wrong, warnings=warnings, disk=disk
            )
        return json_answer(Readiness(warnings=warnings, disk=disk))

    async def metrics(self, _: web.Request) -> web.Response:
        """All figures."""
        body = generate_latest(self._metrics)
        return web.Response(body=body, headers={"Content-Type": CONTENT_TYPE_LATEST})
