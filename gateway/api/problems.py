"""How the API says that something is wrong: problem details (RFC 9457)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from typing import Any

import msgspec
import structlog
from aiohttp import web

from protocols.errors import FieldInvalid

CONTENT_TYPE = "application/problem+json"

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

log = structlog.get_logger()


class Problem(Exception):
    """What to answer instead: a status, a sentence, and facts as members of their own."""

    def __init__(
        self, status: int, detail: str, *, headers: Mapping[str, str] | None = None, **facts: Any
    ) -> None:
        super().__init__(detail)
        self.status, self.detail, self.headers, self.facts = status, detail, headers, facts

    def response(self) -> web.Response:
        """The answer."""
        members = {
            "type": "about:blank",
            "title": HTTPStatus(self.status).phrase,
            "status": self.status,
            "detail": self.detail,
            **self.facts,
        }
        return web.Response(
            status=self.status,
            body=msgspec.json.encode(members),
            content_type=CONTENT_TYPE,
            headers=self.headers,
        )


@web.middleware
async def problems(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer every error as a problem."""
    try:
        return await handler(request)
    except Problem as problem:
        return problem.response()
    except FieldInvalid as error:
        return Problem(400, str(error), parameter=error.field, value=error.value).response()
    except web.HTTPMethodNotAllowed as error:
        allowed = ", ".join(sorted(error.allowed_methods))
        detail = f"{request.method} is not allowed on {request.path}; allowed: {allowed}"
        return Problem(405, detail, headers={"Allow": allowed}).response()
    except web.HTTPException as error:
        if error.status < 400:
            raise
        return Problem(error.status, f"{request.path}: {error.reason}").response()
    except Exception:
        log.exception("request_failed", method=request.method, path=request.path)
        return Problem(500, "the gateway failed to answer; its log says why").response()
