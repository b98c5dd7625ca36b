"""The page: its files as they lie, open to all, since they say nothing of the field."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from urllib.parse import urlsplit

from aiohttp import web

from gateway.api.problems import Handler

STATIC = Path(__file__).parents[1] / "web" / "static"

MAPLIBRE = ("maplibre-gl.js", "maplibre-gl.css")

POLICY = (
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "img-src 'self' blob: data:",  # live pictures; the map's signs
    "worker-src 'self' blob:",  # MapLibre makes its workers from its own text
    "font-src 'self'",
    "manifest-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
)
"""No script or style but the gateway's own, and nothing from elsewhere but the operator's tiles."""

HEADERS = {
    "Cache-Control": "no-cache",  # ask whether it is still the same: a new gateway, a new page
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}
TYPES = {
    ".css": "text/css",
    ".html": "text/html",
    ".js": "text/javascript",
    ".json": "application/json",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".webmanifest": "application/manifest+json",
}
"""What the page is made of. Any other file lies there for nobody."""


def add_page(app: web.Application, *, tiles: str | None = None) -> None:
    """Serve the page's files, at the root ``index.html``, and MapLibre's below ``/maplibre/``.

    The files are looked up now: no name in a request ever becomes a path.
    ``tiles``: URL of the operator's own, which the map may fetch.
    """
    host = urlsplit(tiles or "")
    elsewhere = f" {host.scheme}://{host.netloc}" if host.netloc else ""
    policy = "; ".join((*POLICY, f"connect-src 'self'{elsewhere}"))
    headers = {**HEADERS, "Content-Security-Policy": policy}
    for path in sorted(STATIC.rglob("*")):
        if path.suffix in TYPES and path.is_file():
            app.router.add_get("/" + path.relative_to(STATIC).as_posix(), _file(path, headers))
            if path == STATIC / "index.html":
                app.router.add_get("/", _file(path, headers))
            elif path == STATIC / "docs" / "index.html":
                app.router.add_get("/docs", _file(path, headers))
    for path in maplibre():
        app.router.add_get(f"/maplibre/{path.name}", _file(path, headers))


def maplibre() -> list[Path]:
    """MapLibre's files, from the package that carries them; none where it is not installed."""
    found = importlib.util.find_spec("maplibre")  # to import it would take a second
    if found is None or not found.submodule_search_locations:
        return []
    folder = Path(found.submodule_search_locations[0]) / "srcjs"
    return [folder / name for name in MAPLIBRE if (folder / name).is_file()]


def _file(path: Path, headers: dict[str, str]) -> Handler:
    kind = TYPES[path.suffix]
    charset = "" if kind == "image/png" else "; charset=utf-8"

    async def handler(_: web.Request) -> web.StreamResponse:
        return web.FileResponse(path, headers={**headers, "Content-Type": kind + charset})

    return handler
