"""A request's JSON body as a typed value, or which field of it is wrong."""

from __future__ import annotations

from typing import TypeVar

import msgspec
from aiohttp import web
from msgspec import Struct

from gateway.api.problems import Problem
from protocols.fields import convert

JSON = "application/json"

B = TypeVar("B", bound=Struct)


async def body_of(request: web.Request, kind: type[B]) -> B:
    """The body; an empty one has no fields. Problem 415 or 400 if it is no JSON, or FieldInvalid.

    Who names no type at all is believed to send the only one there is.
    """
    text = await request.read()
    if text.strip() and "Content-Type" in request.headers:
        media = request.content_type
        if media != JSON and not (media.startswith("application/") and media.endswith("+json")):
            detail = f"the body must be {JSON}, it says that it is {media}"
            raise Problem(415, detail, headers={"Accept": JSON}, content_type=media)
    try:
        keys = msgspec.json.decode(text) if text.strip() else {}
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Problem(400, f"body: {error}") from error
    if not isinstance(keys, dict):
        raise Problem(400, "body: must be a JSON object")
    return convert(keys, kind)
