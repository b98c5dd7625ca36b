"""A request's JSON body as a typed value, or which field of it is wrong."""

from __future__ import annotations

from typing import TypeVar

import msgspec
from aiohttp import web
from msgspec import Struct

from gateway.api.problems import Problem
from protocols.fields import convert

B = TypeVar("B", bound=Struct)


async def body_of(request: web.Request, kind: type[B]) -> B:
    """The body; an empty one has no fields. Problem 400 if it is no JSON, or FieldInvalid."""
    text = await request.read()
    try:
        keys = msgspec.json.decode(text) if text.strip() else {}
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Problem(400, f"body: {error}") from error
    if not isinstance(keys, dict):
        raise Problem(400, "body: must be a JSON object")
    return convert(keys, kind)
