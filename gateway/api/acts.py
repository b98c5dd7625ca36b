"""Acts over HTTP: each is written to the audit log, and the log can be read."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Callable
from typing import Any

import msgspec
import structlog
from aiohttp import web
from msgspec import Struct

from gateway.api import params
from gateway.api.problems import Handler, Problem
from gateway.api.routes import BEARER, Route, caller, large_json_answer
from gateway.audit import AuditLog, Entry, Query
from gateway.registry import Role
from protocols.errors import FieldInvalid

REFUSED_EVERY_S = 60.0
"""Refusals are counted, and written once in a while: whoever knocks must not fill the disk."""

MAX_REFUSED = 1000
"""So many kinds of them at a time; the rest are counted together."""

KEPT = ("by", "note", "act", "args", "to", "id", "devices", "officers", "settings", "exp")
"""What of a body is kept: what was asked for, never a secret."""

SAFE = frozenset({"GET", "HEAD", "OPTIONS"})

_WHO = params.text("who", "Of this token's name.")
_ACT = params.text("act", "Of this act: `alarm.accept`, say.")
_TARGET = params.text("target", "Done to this: an alarm's id, say.")
_FROM = params.moment("from", "At this time or later.", default=params.EARLIEST_MS)
_TO = params.moment("to", "Before this time.", default=params.LATEST_MS)
_BEFORE = params.before("what was done")
_LIMIT = params.integer("limit", "How many at most.", default=100, low=1, high=1000)

log = structlog.get_logger()


class AuditPage(Struct, frozen=True):
    """Acts, newest first; give ``next`` as ``before`` for older ones; null at the end."""

    audit: list[Entry]
    next: int | None


class Acts:
    """What is done, and who was not let do it."""

    def __init__(self, audit: AuditLog, now_ms: Callable[[], int]) -> None:
        self._audit = audit
        self._now_ms = now_ms
        self._waiting: list[Entry] = []
        self._lock = asyncio.Lock()
        self._refused: Counter[tuple[str, str, str, str]] = Counter()
        self._counting: asyncio.Task[None] | None = None

    def routes(self) -> list[Route]:
        """The table."""
        return [
            Route(
                method="GET",
                path="/api/v1/audit",
                handler=self.page,
                name="list_audit",
                summary="Who did what, when, from where, newest first.",
                role=Role.ADMIN,
                params=(_WHO, _ACT, _TARGET, _FROM, _TO, _BEFORE, _LIMIT),
                answer=AuditPage,
            ),
        ]

    async def page(self, request: web.Request) -> web.Response:
        """A page."""
        query = Query(
            who=_WHO.read(request),
            act=_ACT.read(request),
            target=_TARGET.read(request),
            since_ms=_FROM.read(request),
            until_ms=_TO.read(request),
            before=_BEFORE.read(request),
            limit=_LIMIT.read(request),
        )
        found = await asyncio.to_thread(self._audit.page, query)
        return await large_json_answer(
            AuditPage(found, found[-1].no if len(found) == query.limit else None)
        )

    def recording(self, route: Route) -> Handler:
        """The route's handler; what it does is on disk before it is answered."""
        if route.act is None and route.method in SAFE:
            return route.handler

        async def handler(request: web.Request) -> web.StreamResponse:
            if route.method in SAFE:  # it goes on for long
                await self._keep(await self._entry(request, route, "begun"))
                return await route.handler(request)
            outcome = "500"
            try:
                answer = await route.handler(request)
                outcome = "done"
            except Problem as problem:
                outcome = "" if problem.status == 401 else f"{problem.status} {problem.detail}"
                raise
            except FieldInvalid as error:
                outcome = f"400 {error}"
                raise
            finally:
                if outcome:
                    await self._keep(await self._entry(request, route, outcome[:300]))
            return answer

        return handler

    def counting(self, route: Route, handler: Handler) -> Handler:
        """The handler; who is not let in is counted."""

        async def counted(request: web.Request) -> web.StreamResponse:
            try:
                return await handler(request)
            except Problem as problem:
                if problem.status in (401, 403):
                    self._refuse(request, route, problem)
                raise

        return counted

    async def running(self, _: web.Application) -> AsyncIterator[None]:
        """The log is open meanwhile; what was counted is written at the end."""
        with self._audit:
            yield
            if self._counting is not None:
                self._counting.cancel()
                await asyncio.wait([self._counting])
            await self._write_refused()

    async def _entry(self, request: web.Request, route: Route, outcome: str) -> Entry:
        bearer = request.get(BEARER)
        facts = await _asked(request)
        if forwarded := request.headers.get("X-Forwarded-For"):
            facts["forwarded_for"] = forwarded[:200]
        return Entry(
            act=route.audited,
            t=self._now_ms(),
            who=caller(request) or "",
            role="" if bearer is None else bearer.role,
            source=request.remote or "",
            target=request.match_info.get("id", ""),
            outcome=outcome,
            facts=facts,
        )

    async def _keep(self, *entries: Entry) -> None:
        """On disk when it returns. Who comes meanwhile is written by one commit."""
        self._waiting += entries
        async with self._lock:
            batch, self._waiting = self._waiting, []
            if batch:
                try:
                    await asyncio.to_thread(self._audit.append, batch)
                except Exception:  # the act is done, and its journal has it
                    log.exception("audit_failed", entries=msgspec.to_builtins(batch))

    def _refuse(self, request: web.Request, route: Route, problem: Problem) -> None:
        who = (caller(request) or "")[:64]
        kind = (who, request.remote or "", route.audited, f"{problem.status} {problem.detail}")
        if kind not in self._refused and len(self._refused) >= MAX_REFUSED:
            kind = ("", "", "", "refused, of many kinds")
        self._refused[kind] += 1
        if self._counting is None or self._counting.done():
            self._counting = asyncio.create_task(self._write_later(), name="refusals")

    async def _write_later(self) -> None:
        await asyncio.sleep(REFUSED_EVERY_S)
        await self._write_refused()

    async def _write_refused(self) -> None:
        counted, self._refused = self._refused, Counter()
        now = self._now_ms()
        await self._keep(
            *(
                Entry(act=act, t=now, who=who, source=source, outcome=outcome, count=count)
                for (who, source, act, outcome), count in counted.items()
            )
        )


async def _asked(request: web.Request) -> dict[str, Any]:
    """What was asked for, if it can be read."""
    with contextlib.suppress(ValueError, msgspec.DecodeError, web.HTTPException):
        keys = msgspec.json.decode(await request.read() or b"{}")  # which is read once
        if isinstance(keys, dict):
            return {name: keys[name] for name in KEPT if keys.get(name) is not None}
    return {}
