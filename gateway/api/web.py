"""The page: its files as they lie, open to all, since they say nothing of the field."""

from __future__ import annotations

from pathlib import Path

from aiohttp import web

from gateway.api.problems import Handler

STATIC = Path(__file__).parents[1] / "web" / "static"

POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' blob: data:",  # live pictures; the map's signs
        "connect-src 'self'",
        "worker-src 'self' blob:",  # MapLibre makes its workers from its own text
        "font-src 'self'",
        "manifest-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)
"""No script or style but the gateway's own, and nothing from elsewhere."""

HEADERS = {
    "Content-Security-Policy": POLICY,
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


def add_page(app: web.Application, folder: Path = STATIC, at: str = "/") -> None:
    """Serve a folder's files below a path; at its root ``index.html``.

    The files are looked up now: no name in a request ever becomes a path.
    """
    for path in sorted(folder.rglob("*")):
        if path.suffix in TYPES and path.is_file():
            app.router.add_get(at + path.relative_to(folder).as_posix(), _file(path))
            if path == folder / "index.html":
                app.router.add_get(at, _file(path))


def _file(path: Path) -> Handler:
    kind = TYPES[path.suffix]
    charset = "" if kind == "image/png" else "; charset=utf-8"

    async def handler(_: web.Request) -> web.StreamResponse:
        return web.FileResponse(path, headers={**HEADERS, "Content-Type": kind + charset})

    return handler
