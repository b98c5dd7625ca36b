"""The last of an answer: its ETag, 304 for who knows it, and gzip or brotli for who takes it."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
from collections.abc import Callable

import brotli
from aiohttp import web

from gateway.api.problems import Handler

LEAST_BYTES = 1024
"""Shorter ones are sent as they are."""

LARGE_BYTES = 64 * 1024
"""Larger ones are worked on in a thread: alarms come first."""

PACKED: dict[str, Callable[[bytes], bytes]] = {
    "br": lambda body: bytes(brotli.compress(body, quality=4)),
    "gzip": lambda body: gzip.compress(body, 5, mtime=0),
}
"""What we speak, the better first."""


def finished(handler: Handler) -> Handler:
    """The handler; what it answers with is finished."""

    async def finish(request: web.Request) -> web.StreamResponse:
        answer = await handler(request)
        if not isinstance(answer, web.Response) or not isinstance(answer.body, bytes):
            return answer
        if "json" not in answer.content_type and not answer.content_type.startswith("text/"):
            return answer
        body, headers = answer.body, answer.headers
        is_large = len(body) > LARGE_BYTES
        if request.method in {"GET", "HEAD"} and answer.status == 200:
            if "ETag" not in headers:
                tag = await asyncio.to_thread(_tag, body) if is_large else _tag(body)
                headers["ETag"] = f'W/"{tag}"'  # weak: it is the same, however it is packed
                headers.setdefault("Cache-Control", "private, no-cache")
            if _is_known(request, headers["ETag"]):
                kept = ("ETag", "Cache-Control", "Vary")
                alike = {name: headers[name] for name in kept if name in headers}
                return web.Response(status=304, headers=alike)
        if len(body) >= LEAST_BYTES and "Content-Encoding" not in headers:
            headers["Vary"] = "Accept-Encoding"
            encoding = taken(request.headers.get("Accept-Encoding", ""))
            if encoding is not None:
                pack = PACKED[encoding]
                answer.body = await asyncio.to_thread(pack, body) if is_large else pack(body)
                headers["Content-Encoding"] = encoding
        return answer

    return finish


def taken(accepted: str) -> str | None:
    """The best of our encodings that the caller takes."""
    takes = set()
    for each in accepted.lower().split(","):
        name, _, weight = each.replace(" ", "").partition(";q=")
        if weight.rstrip("0.") or not weight:
            takes.add(name)
    return next((name for name in PACKED if name in takes), None)


def _tag(body: bytes) -> str:
    return hashlib.blake2b(body, digest_size=12).hexdigest()


def _is_known(request: web.Request, tag: str) -> bool:
    known = request.if_none_match or ()
    value = tag.removeprefix("W/").strip('"')
    return any(each.value in (value, "*") for each in known)
