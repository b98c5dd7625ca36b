"""What was kept, over HTTP: the ledger of what came and what is missing, and quarantine."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import msgspec
from aiohttp import web
from msgspec import Struct

from gateway.api import params
from gateway.api.parts import Ledger
from gateway.api.problems import Problem
from gateway.api.routes import Route, json_answer, large_json_answer
from gateway.explained import Explanation
from gateway.journal.base import Quarantined, Reader
from protocols.cloudevents import finite
from protocols.model import Lane

BREATH = 200
"""After so many devices the loop is let go: alarms come first."""

COUNTED = ("missing", "duplicates", "conflicts", "refused", "given_up")

_DEVICE = params.text("device", "This device alone.")
_REASON = params.text("reason", "What was refused for this reason alone.")
_Q = params.text("q", "Devices whose id has this in it, in any case of letters.", longest=64)
_WITH = params.any_of("with", "Devices that have any of these; all if not given.", COUNTED)
_AFTER = params.after("devices")
_DEVICES = params.all_or("devices")
_BEFORE = params.before("what was refused")
_LIMIT = params.integer("limit", "How many at most.", default=100, low=1, high=1000)


class LaneLedger(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One boot's lane: up to ``held_to`` there is no gap; ``ranges``: the first 100 gaps.

    Nothing of the ledger's own view is left out: a key that is not known here is an error.
    """

    boot: int
    lane: Lane
    held_to: int
    highest: int
    missing: int
    missing_today: int
    ranges: list[tuple[int, int]]
    given_up: int


class DeviceLedger(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What of a device's messages is held, and what came twice, in other words, or not at all."""

    device: str
    duplicates: int
    conflicts: int
    refused: int
    given_up: int
    lanes: list[LaneLedger]


class LedgerTotals(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The sums over all devices."""

    held: int
    missing: int
    missing_today: int
    duplicates: int
    conflicts: int
    refused: int
    given_up: int


class LedgerView(Struct, frozen=True):
    """For each device, boot and lane what is held and what is missing; the sums over all.

    ``next``: what to give as ``after`` for the following devices; null at the end.
    """

    devices: list[DeviceLedger]
    totals: LedgerTotals
    next: str | None = None


class QuarantinePage(Struct, frozen=True):
    """What was refused, newest first (``payload`` in base64); give ``next`` as ``before``."""

    quarantine: list[Quarantined]
    next: int | None


class QuarantineView(Struct, frozen=True):
    """What was refused, and what its bytes say field by field, as `fieldgate explain` has it."""

    item: Quarantined
    explanation: Explanation


class RecordRoutes:
    """Reading what was kept. ``explain``: what bytes on a topic say."""

    def __init__(
        self, reader: Reader, ledger: Ledger, explain: Callable[[str, bytes], Explanation]
    ) -> None:
        self._reader = reader
        self._ledger = ledger
        self._explain = explain

    def routes(self) -> list[Route]:
        """The table."""
        return [
            Route(
                method="GET",
                path="/api/v1/ledger",
                handler=self.ledger,
                name="list_ledger",
                summary="What each device has sent, and what of it is missing.",
                params=(_DEVICE, _Q, _WITH, _AFTER, _DEVICES),
                answer=LedgerView,
                problems=(404,),
            ),
            Route(
                method="GET",
                path="/api/v1/quarantine",
                handler=self.quarantine,
                name="list_quarantine",
                summary="What was refused, with its bytes and why, newest first.",
                params=(_DEVICE, _REASON, _BEFORE, _LIMIT),
                answer=QuarantinePage,
            ),
            Route(
                method="GET",
                path="/api/v1/quarantine/{id}",
                handler=self.explained,
                name="get_quarantined",
                summary="What was refused, its bytes taken apart field by field.",
                answer=QuarantineView,
            ),
        ]

    async def ledger(self, request: web.Request) -> web.Response:
        """All devices, or one."""
        device = _DEVICE.read(request)
        if device is None:
            return await self._ledger_page(request)
        view = self._ledger.view(device)
        if view is None:
            raise Problem(404, f"device {device} has sent nothing", device=device)
        return await large_json_answer(self._view([view], None))

    async def _ledger_page(self, request: web.Request) -> web.Response:
        sought, wanted = (_Q.read(request) or "").casefold(), _WITH.read(request)
        after, limit = _AFTER.read(request) or "", _DEVICES.read(request)
        views: list[dict[str, Any]] = []
        for at, view in enumerate(self._ledger.views()):
            if at % BREATH == BREATH - 1:
                await asyncio.sleep(0)
            device = view["device"]
            if device <= after or sought not in device.casefold():
                continue
            if wanted and not _count(view, wanted):
                continue
            views.append(view)
            if len(views) > limit:
                break
        following = views[limit - 1]["device"] if len(views) > limit else None
        return await large_json_answer(self._view(views[:limit], following))

    def _view(self, devices: list[dict[str, Any]], following: str | None) -> LedgerView:
        totals = msgspec.convert(self._ledger.totals(), LedgerTotals)
        return LedgerView(msgspec.convert(devices, list[DeviceLedger]), totals, following)

    async def quarantine(self, request: web.Request) -> web.Response:
        """A page."""
        limit = _LIMIT.read(request)
        found = await self._reader.quarantine(
            _BEFORE.read(request), limit, device=_DEVICE.read(request), reason=_REASON.read(request)
        )
        return json_answer(QuarantinePage(found, found[-1].no if len(found) == limit else None))

    async def explained(self, request: web.Request) -> web.Response:
        """One of them."""
        text = request.match_info["id"]
        number = int(text) if text.isascii() and text.isdigit() and len(text) < 19 else -1
        found = await self._reader.quarantine(number + 1, 1)
        if not found or found[0].no != number:
            raise Problem(404, f"there is no number {text} in quarantine", id=text)
        [item] = found
        # In a thread: the bytes are hostile, and may be 64 KiB of anything.
        plain = await asyncio.to_thread(_plain, self._explain, item)
        return await large_json_answer(QuarantineView(item, plain))


def _count(view: dict[str, Any], name: str) -> int:
    if name == "missing":
        return sum(lane["missing"] for lane in view.get("lanes", ()))
    return int(view.get(name, 0))


def _plain(explain: Callable[[str, bytes], Explanation], item: Quarantined) -> Explanation:
    found = explain(item.topic, item.payload)
    plain, _ = finite(msgspec.to_builtins(found, str_keys=True, enc_hook=repr))
    return msgspec.convert(plain, Explanation)
