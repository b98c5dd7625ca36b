"""Who may see the panel's page, and what may it ask of the agent?

The page is served on 127.0.0.1 alone. The same browser may show other pages: theirs are refused
by the name they call us by (a name of theirs that points here is none of ours), by their origin,
and by what no other page can send without asking first, which nobody is allowed.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
import mimetypes
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeAlias

import msgspec
from aiohttp import web

from edge.config import PanelSettings
from edge.panel.view import view
from edge.requests import MAX_BODY_BYTES, Device, Refusal, answer, shown

HOST = "127.0.0.1"
BEAT_S = 1.0  # the page takes an agent that is silent for longer than a few of these for dead
BEAT = b"event: beat\ndata: 1\n\n"
MAX_STREAMS = 8
STOP_TIMEOUT_S = 0.5
FILES = Path(__file__).parent / "static"
HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
Handler: TypeAlias = Callable[[web.Request], Awaitable[web.StreamResponse]]
log = logging.getLogger(__name__)


class Panel:
    """The page of one device, while `run` runs."""

    def __init__(self, settings: PanelSettings, device: Device) -> None:
        self._settings, self._device = settings, device
        self._hosts = {f"{name}:{settings.port}" for name in (HOST, "localhost")}
        self._files = _files()
        content = b"".join(body for body, _ in self._files.values())
        self._version = hashlib.sha256(content).hexdigest()[:16]
        self._streams = 0

    async def run(self) -> None:
        """Serve until cancelled; raise OSError if the port is taken."""
        app = web.Application(middlewares=[self._guard], client_max_size=MAX_BODY_BYTES)
        app.router.add_get("/api/stream", self._stream)
        app.router.add_route("*", "/api/{path:.*}", self._ask)
        app.router.add_get("/{name:.*}", self._file)
        runner = web.AppRunner(
            app, access_log=None, shutdown_timeout=STOP_TIMEOUT_S, handler_cancellation=True
        )
        await runner.setup()
        try:
            await web.TCPSite(runner, HOST, self._settings.port).start()
            log.info("panel_up url=http://%s:%d/", HOST, self._settings.port)
            await asyncio.Event().wait()
        finally:
            await runner.cleanup()

    @web.middleware
    async def _guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Refuse other pages; every answer tells the browser what this page may do."""
        try:
            self._check(request)
            response = await handler(request)
        except Refusal as refusal:
            response = _problem(refusal)
        except web.HTTPException as error:
            response = _problem(Refusal(error.status, error.reason))
        if not response.prepared:
            response.headers.update(HEADERS)
        return response

    def _check(self, request: web.Request) -> None:
        host, origin = request.headers.get("Host", ""), request.headers.get("Origin")
        if host not in self._hosts:
            raise Refusal(421, "not a name of this panel", host=host)
        is_ours = origin == f"http://{host}"
        site = request.headers.get("Sec-Fetch-Site", "none")
        if (origin is not None and not is_ours) or site not in ("same-origin", "none"):
            raise Refusal(403, "asked by another page", origin=origin, site=site)
        if request.method not in ("GET", "HEAD"):
            if not is_ours:
                raise Refusal(403, "only the panel's own page may do this", origin=origin)
            if request.content_type != "application/json":
                raise Refusal(415, "JSON, please", content_type=request.content_type)

    async def _file(self, request: web.Request) -> web.Response:
        name = request.match_info["name"] or "index.html"
        if name not in self._files:
            raise Refusal(404, f"nothing at /{name}")
        body, kind = self._files[name]
        return web.Response(body=body, content_type=kind, charset="utf-8")

    async def _ask(self, request: web.Request) -> web.Response:
        """What the control socket takes too."""
        path = request.rel_url.raw_path.removeprefix("/api")
        found = answer(self._device, request.method, path, request.query, await request.read())
        return _json(200, shown(found))

    async def _stream(self, request: web.Request) -> web.StreamResponse:
        """All that the page shows, then each part of it that changes; a beat in between."""
        if self._streams >= MAX_STREAMS:
            raise Refusal(503, "too many pages", limit=MAX_STREAMS)
        self._streams += 1
        try:
            response = web.StreamResponse(headers=HEADERS)
            response.content_type = "text/event-stream"
            await response.prepare(request)
            with contextlib.suppress(ConnectionError):
                await self._tell(response)
            return response
        finally:
            self._streams -= 1

    async def _tell(self, response: web.StreamResponse) -> None:
        told: dict[str, bytes] = {}
        async with contextlib.aclosing(self._device.news.follow()) as news:
            heard = asyncio.ensure_future(anext(news))
            try:
                while True:
                    if heard.done():
                        heard = asyncio.ensure_future(anext(news))
                    now = self._state()
                    changed = {
                        name: msgspec.Raw(value)
                        for name, value in now.items()
                        if told.get(name) != value
                    }
                    told = now
                    await response.write(_event(changed) if changed else BEAT)
                    await asyncio.wait([heard], timeout=BEAT_S)
            finally:
                heard.cancel()
                await asyncio.wait([heard])

    def _state(self) -> dict[str, bytes]:
        """Each part of what the page shows, as JSON."""
        about = {"page": self._version, "lang": self._settings.lang}
        parts = {**about, **view(self._device)}
        return {name: msgspec.json.encode(value) for name, value in parts.items()}


def _event(changed: dict[str, msgspec.Raw]) -> bytes:
    return b"event: state\ndata: %b\n\n" % msgspec.json.encode(changed)


def _files() -> dict[str, tuple[bytes, str]]:
    """The files of the page and their kinds: these, and nothing else, are given out."""
    kinds = mimetypes.MimeTypes(filenames=())  # what the system says of .js is not always so
    kinds.add_type("text/javascript", ".js")
    return {
        path.name: (path.read_bytes(), kinds.guess_type(path.name)[0] or "text/plain")
        for path in sorted(FILES.iterdir())
    }


def _json(status: int, value: object) -> web.Response:
    kind = "application/json" if status == 200 else "application/problem+json"
    return web.Response(status=status, body=msgspec.json.encode(value), content_type=kind)


def _problem(refusal: Refusal) -> web.Response:
    return _json(refusal.status, refusal.problem)
