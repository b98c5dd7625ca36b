"""What a route is: path, handler, who may call it, and what the documentation says of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import msgspec
from aiohttp import web
from msgspec import Struct

from gateway.api.params import Param
from gateway.api.problems import Handler, Problem
from gateway.registry import Registry, Role, Token

COOKIE = "fieldgate_session"
"""Holds the session of a page; its scripts cannot read it."""

PAGE_HEADER = "X-Fieldgate"
"""Our page sends it with everything that it asks."""

_TICKET_OF = web.RequestKey("ticket_of", str)
MAX_NAME = 64
"""Characters of who acts."""

_STILL = web.RequestKey("still", partial)
BEARER = web.RequestKey("bearer", Token)
"""In a request: whose token or session it has."""

_encoder = msgspec.json.Encoder()


class Route(Struct, frozen=True, kw_only=True):
    """One method on one path. ``role`` None: open to all. ``answer``: type of the JSON body.

    ``name``: what clients that are generated call it: it stays, wherever the path goes.
    ``bodies``: where a key of the body decides on the others, its name and a type for each value.
    ``media``: the other content types it may answer with. ``status``: when all is well.
    ``ticket``: to whom a ticket was given that is good for that path's ``id``, else None; a
    request may have one in place of a token. ``problems``: statuses of what may go wrong beyond
    the usual. ``example``: a body. ``headers``: what it reads beside the usual, for the
    description alone. ``act``: its name in the audit log.
    ``is_secret``: its answer must not be kept.
    """

    method: str
    path: str
    handler: Handler
    name: str
    summary: str
    role: Role | None = Role.VIEWER
    params: tuple[Param[Any], ...] = ()
    body: type[Struct] | None = None
    bodies: tuple[str, Mapping[str, type[Struct]]] | None = None
    answer: type[Struct] | None = None
    media: tuple[str, ...] = ()
    status: int = 200
    ticket: Callable[[str, str], str | None] | None = None
    problems: tuple[int, ...] = ()
    example: Any = None
    headers: tuple[Param[Any], ...] = ()
    act: str | None = None
    is_secret: bool = False

    @property
    def takes_key(self) -> bool:
        """Whether its answer is kept under an Idempotency-Key."""
        return self.method == "POST" and not self.is_secret

    @property
    def audited(self) -> str:
        """Its name in the audit log."""
        return self.act or f"{self.method} {self.path}"


def guarded(route: Route, registry: Registry) -> Handler:
    """The route's handler, for bearers of a token with its role, or of a session."""

    async def handler(request: web.Request) -> web.StreamResponse:
        if route.ticket is not None and (ticket := request.query.get("ticket")) is not None:
            name = route.ticket(ticket, request.match_info["id"])
            if name is None:
                raise Problem(401, "the ticket is used up, too old, or another device's")
            request[_TICKET_OF] = name
        elif route.role is not None:
            authorize(request, registry, route.role)
        return await route.handler(request)

    return handler


def caller(request: web.Request) -> str | None:
    """The name of the request's token: who acts, where the request itself does not say."""
    bearer = request.get(BEARER)
    name = request.get(_TICKET_OF, "") if bearer is None else bearer.name
    return name[:MAX_NAME] or None


def authorize(request: web.Request, registry: Registry, needed: Role) -> None:
    """Raise Problem 401 without a valid token or session, 403 with one whose role is too low.

    Who it is stands in the request under ``BEARER`` then.
    """
    bearer = _bearer(request, registry)
    if not bearer.role.includes(needed):
        raise Problem(
            403,
            f"role {needed} is needed, the token has {bearer.role}",
            needed=needed,
            role=bearer.role,
        )
    request[BEARER] = bearer
    request[_STILL] = partial(_bearer, request, registry)


def is_still_let_in(request: web.Request) -> bool:
    """Whether the token or session of a request that goes on for long still holds.

    What is open to all, as the bench's map is, stays so.
    """
    still = request.get(_STILL)
    try:
        if still is not None:
            still()
    except Problem:
        return False
    return True


def _bearer(request: web.Request, registry: Registry) -> Token:
    """Whose token the request has, or whose session."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        bearer = registry.bearer(token.strip())
        if bearer is None:
            raise Problem(
                401,
                "the bearer token is unknown or revoked",
                headers={"WWW-Authenticate": 'Bearer error="invalid_token"'},
            )
        return bearer
    secret = request.cookies.get(COOKIE)
    if secret is None:
        raise Problem(
            401,
            "a bearer token is needed: Authorization: Bearer TOKEN",
            headers={"WWW-Authenticate": "Bearer"},
        )
    check_page(request)
    bearer = registry.session(secret)
    if bearer is None:
        raise Problem(401, "the session is over", headers={"WWW-Authenticate": "Bearer"})
    return bearer


def check_page(request: web.Request) -> None:
    """Raise Problem 403 for what a cookie comes with, but not from our page.

    A browser sends the cookie whoever asks. No other site can set a header here without our
    leave; at a WebSocket, where none can be set, the browser says which site asks.
    """
    if request.headers.get("Upgrade", "").lower() == "websocket":
        if urlsplit(request.headers.get("Origin", "")).netloc != request.host:
            raise Problem(403, "a WebSocket with a cookie is for the gateway's own page")
    elif request.method not in {"GET", "HEAD"} and PAGE_HEADER not in request.headers:
        raise Problem(403, f"with a cookie, a request that changes anything needs {PAGE_HEADER}")


def check_origin(request: web.Request) -> None:
    """A browser opens WebSockets for any page, with its cookies: only for our own, then."""
    origin = request.headers.get("Origin")
    if origin is not None and urlsplit(origin).netloc.lower() != request.host.lower():
        raise Problem(403, "a page of another origin may not listen here", origin=origin)


def json_answer(
    value: Struct, *, status: int = 200, headers: Mapping[str, str] | None = None
) -> web.Response:
    """A value as JSON."""
    body = _encoder.encode(value)
    return web.Response(body=body, content_type="application/json", status=status, headers=headers)


async def large_json_answer(value: Struct) -> web.Response:
    """A value as JSON, encoded in a thread: for answers that may have megabytes."""
    body = await asyncio.to_thread(msgspec.json.encode, value)
    return web.Response(body=body, content_type="application/json")
