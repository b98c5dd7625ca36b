"""Signing in over HTTP: a token becomes a session, whose cookie no script can read."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

from aiohttp import web
from msgspec import Meta, Struct

from gateway.api import params
from gateway.api.body import body_of
from gateway.api.problems import Problem
from gateway.api.routes import BEARER, COOKIE, PAGE_HEADER, Route, json_answer
from gateway.registry import SESSION_MS, Registry, Role, Token

_PAGE = params.fixed(PAGE_HEADER, "That the gateway's own page asks: `1`.")


class SignIn(Struct, frozen=True, forbid_unknown_fields=True):
    """A bearer token, as `fieldgate tokens add` shows it."""

    token: Annotated[str, Meta(min_length=1, max_length=256)]


class SessionView(Struct, frozen=True, kw_only=True):
    """Who is signed in. ``now``: the gateway's clock (ms), by which a page shows ages."""

    name: str
    role: Role
    now: int


class SignedOut(Struct, frozen=True):
    """Nobody is, any more."""

    signed_in: bool = False


class SessionRoutes:
    """Signing in, asking who one is, signing out."""

    def __init__(self, registry: Registry, now_ms: Callable[[], int]) -> None:
        self._registry = registry
        self._now_ms = now_ms

    def routes(self) -> list[Route]:
        """The table."""
        path = "/api/v1/session"
        return [
            Route(
                method="POST",
                path=path,
                handler=self.sign_in,
                name="sign_in",
                summary="Sign a page in: the answer sets a cookie, which stands for the token."
                f" With it, all but GET needs the header {PAGE_HEADER}.",
                role=None,
                body=SignIn,
                act="session.open",
                is_secret=True,
                answer=SessionView,
                headers=(_PAGE,),
                problems=(401, 403),
                example={"token": "fgt_…"},
            ),
            Route(
                method="GET",
                path=path,
                handler=self.show,
                name="get_session",
                summary="Whose token or session this is, and what it may do. A session is renewed.",
                answer=SessionView,
            ),
            Route(
                method="DELETE",
                path=path,
                handler=self.sign_out,
                name="sign_out",
                summary="Sign the page out: its session is over.",
                answer=SignedOut,
                act="session.close",
            ),
        ]

    async def sign_in(self, request: web.Request) -> web.Response:
        """A session for a token."""
        if PAGE_HEADER not in request.headers:  # another site could sign its own user in here
            raise Problem(403, f"signing in needs {PAGE_HEADER}")
        body = await body_of(request, SignIn)
        bearer = self._registry.bearer(body.token.strip())
        if bearer is None:
            raise Problem(401, "the token is unknown or revoked")
        request[BEARER] = bearer
        secret, _ = self._registry.open_session(bearer)
        return self._kept(request, bearer, secret)

    async def show(self, request: web.Request) -> web.Response:
        """Who is signed in. A page that asks is open: its session begins anew."""
        bearer, secret = request[BEARER], request.cookies.get(COOKIE)
        if secret is None or "Authorization" in request.headers:
            return json_answer(self._view(bearer))
        self._registry.renew_session(secret)
        return self._kept(request, bearer, secret)

    async def sign_out(self, request: web.Request) -> web.Response:
        """The end of the session."""
        if (secret := request.cookies.get(COOKIE)) is not None:
            self._registry.close_session(secret)
        answer = json_answer(SignedOut())
        answer.del_cookie(COOKIE)
        return answer

    def _kept(self, request: web.Request, bearer: Token, secret: str) -> web.Response:
        """Who is signed in, with the cookie that says so for a shift from now."""
        answer = json_answer(self._view(bearer))
        answer.set_cookie(
            COOKIE,
            secret,
            max_age=SESSION_MS // 1000,
            httponly=True,
            samesite="Strict",
            secure=request.headers.get("X-Forwarded-Proto", request.scheme) == "https",
        )
        return answer

    def _view(self, bearer: Token) -> SessionView:
        return SessionView(name=bearer.name, role=bearer.role, now=self._now_ms())
