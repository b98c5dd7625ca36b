"""What a route is: path, handler, who may call it, and what the documentation says of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from aiohttp import web
from msgspec import Struct

from gateway.api.params import Param
from gateway.api.problems import Handler, Problem
from gateway.registry import Registry, Role

_encoder = msgspec.json.Encoder()


class Route(Struct, frozen=True, kw_only=True):
    """One method on one path. ``role`` None: open to all. ``answer``: type of the JSON body.

    ``media``: the other content types it may answer with. ``status``: when all is well.
    ``ticket``: whether a ticket is good for that path's ``id``; a request may have one in place
    of a token.
    """

    method: str
    path: str
    handler: Handler
    summary: str
    role: Role | None = Role.VIEWER
    params: tuple[Param[Any], ...] = ()
    body: type[Struct] | None = None
    answer: type[Struct] | None = None
    media: tuple[str, ...] = ()
    status: int = 200
    ticket: Callable[[str, str], bool] | None = None


def guarded(route: Route, registry: Registry) -> Handler:
    """The route's handler, for bearers of a token with its role alone."""

    async def handler(request: web.Request) -> web.StreamResponse:
        if route.ticket is not None and (ticket := request.query.get("ticket")) is not None:
            if not route.ticket(ticket, request.match_info["id"]):
                raise Problem(401, "the ticket is used up, too old, or another device's")
        elif route.role is not None:
            authorize(request, registry, route.role)
        return await route.handler(request)

    return handler


def authorize(request: web.Request, registry: Registry, needed: Role) -> None:
    """Raise Problem 401 without a valid token, 403 with one whose role is too low."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer":
        raise Problem(
            401,
            "a bearer token is needed: Authorization: Bearer TOKEN",
            headers={"WWW-Authenticate": "Bearer"},
        )
    role = registry.role_of(token.strip())
    if role is None:
        raise Problem(
            401,
            "the bearer token is unknown or revoked",
            headers={"WWW-Authenticate": 'Bearer error="invalid_token"'},
        )
    if not role.includes(needed):
        raise Problem(
            403, f"role {needed} is needed, the token has {role}", needed=needed, role=role
        )


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
