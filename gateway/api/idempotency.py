"""The header Idempotency-Key: a POST that comes again under its key has the same answer, once."""

from __future__ import annotations

import asyncio
import hashlib
import re
import sqlite3
from collections.abc import AsyncIterator
from weakref import WeakValueDictionary

import structlog
from aiohttp import web

from gateway.answered import MAX_ANSWER_BYTES, Answered, AnsweredStore
from gateway.api.params import Param
from gateway.api.problems import Handler, Problem
from gateway.api.routes import BEARER, Route
from protocols.errors import FieldInvalid

HEADER = "Idempotency-Key"
REPLAYED = "Idempotency-Replayed"
KEPT_HEADERS = ("Content-Type", "Content-Location", "Location")

_KEY = re.compile(r"[!-~]{1,255}")

KEY: Param[str | None] = Param(
    name=HEADER,
    about="A name for this request, chosen by the caller. The same request again under it is not"
    " done again: it has the same answer, for 24 h. Another one under it is refused with 409.",
    schema={"type": "string", "pattern": r"^[!-~]{1,255}$"},
    parse=str,
    default=None,
)

log = structlog.get_logger()


class Idempotency:
    """Answers by their keys. The same key at once: the second waits for the first."""

    def __init__(self, store: AnsweredStore) -> None:
        self._store = store
        self._under_way: WeakValueDictionary[bytes, asyncio.Lock] = WeakValueDictionary()

    async def running(self, _: web.Application) -> AsyncIterator[None]:
        """The store is open meanwhile."""
        with self._store:
            yield

    def once(self, route: Route, handler: Handler) -> Handler:
        """The handler; asked again under the same key, its answer."""
        if not route.takes_key:
            return handler

        async def answered(request: web.Request) -> web.StreamResponse:
            given = request.headers.get(HEADER)
            if given is None:
                return await handler(request)
            if not _KEY.fullmatch(given):
                raise FieldInvalid(HEADER, "must have 1 to 255 visible ASCII characters", given)
            bearer = request.get(BEARER)
            key = _digest("" if bearer is None else str(bearer.no), given.strip('"'))
            asked = _digest(request.method, request.path_qs, (await request.read()).hex())
            lock = self._under_way.setdefault(key, asyncio.Lock())
            async with lock:
                known = await asyncio.to_thread(self._store.find, key)
                if known is not None:
                    return _again(known, asked, given)
                answer = await handler(request)
                await self._keep(key, asked, answer)
                return answer

        return answered

    async def _keep(self, key: bytes, asked: bytes, answer: web.StreamResponse) -> None:
        """Only what was done: what was refused may be right the next time."""
        body = answer.body if isinstance(answer, web.Response) else None
        if not isinstance(body, bytes) or answer.status >= 300 or len(body) > MAX_ANSWER_BYTES:
            return
        headers = {name: answer.headers[name] for name in KEPT_HEADERS if name in answer.headers}
        kept = Answered(request=asked, status=answer.status, headers=headers, body=body)
        try:
            await asyncio.to_thread(self._store.keep, key, kept)
        except sqlite3.Error as error:  # it is done, and answered
            log.error("answer_not_kept", error=str(error))


def _again(known: Answered, asked: bytes, given: str) -> web.Response:
    if known.request != asked:
        raise Problem(409, f"the key {given} stands for another request", key=given)
    return web.Response(
        status=known.status, body=known.body, headers={**known.headers, REPLAYED: "true"}
    )


def _digest(*texts: str) -> bytes:
    return hashlib.sha256("\n".join(texts).encode()).digest()
