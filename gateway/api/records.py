"""What was kept, over HTTP: the ledger of what came and what is missing, and quarantine."""

from __future__ import annotations

from typing import Any

from aiohttp import web
from msgspec import Struct

from gateway.api import params
from gateway.api.parts import Ledger
from gateway.api.problems import Problem
from gateway.api.routes import Route, json_answer, large_json_answer
from gateway.journal.base import Quarantined, Reader

_DEVICE = params.text("device", "This device alone.")
_BEFORE = params.integer(
    "before",
    "A number: what was refused before it. `next` of the page before.",
    default=params.MAX_CURSOR,
    low=0,
    high=params.MAX_CURSOR,
)
_LIMIT = params.integer("limit", "How many at most.", default=100, low=1, high=1000)


class LedgerView(Struct, frozen=True):
    """For each device, boot and lane what is held and what is missing; the sums over all."""

    devices: list[dict[str, Any]]
    totals: dict[str, int]


class QuarantinePage(Struct, frozen=True):
    """What was refused, newest first (``payload`` in base64); give ``next`` as ``before``."""

    quarantine: list[Quarantined]
    next: int | None


class RecordRoutes:
    """Reading what was kept."""

    def __init__(self, reader: Reader, ledger: Ledger) -> None:
        self._reader = reader
        self._ledger = ledger

    def routes(self) -> list[Route]:
        """The table."""
        return [
            Route(
                method="GET",
                path="/api/v1/ledger",
                handler=self.ledger,
                summary="What each device has sent, and what of it is missing.",
                params=(_DEVICE,),
                answer=LedgerView,
                problems=(404,),
            ),
            Route(
                method="GET",
                path="/api/v1/quarantine",
                handler=self.quarantine,
                summary="What was refused, with its bytes and why, newest first.",
                params=(_BEFORE, _LIMIT),
                answer=QuarantinePage,
            ),
        ]

    async def ledger(self, request: web.Request) -> web.Response:
        """All devices, or one."""
        device = _DEVICE.read(request)
        if device is None:
            views = list(self._ledger.views())
        else:
            view = self._ledger.view(device)
            if view is None:
                raise Problem(404, f"device {device} has sent nothing", device=device)
            views = [view]
        return await large_json_answer(LedgerView(views, self._ledger.totals()))

    async def quarantine(self, request: web.Request) -> web.Response:
        """A page."""
        limit = _LIMIT.read(request)
        found = await self._reader.quarantine(_BEFORE.read(request), limit)
        return json_answer(QuarantinePage(found, found[-1].no if len(found) == limit else None))
