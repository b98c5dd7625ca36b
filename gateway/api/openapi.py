"""The API's own description: OpenAPI 3.1, built from the table of routes."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from importlib import metadata
from typing import Any

import msgspec

from gateway.api.idempotency import KEY
from gateway.api.params import Param
from gateway.api.problems import CONTENT_TYPE
from gateway.api.routes import COOKIE, Route
from protocols.commands import ACTIONS
from protocols.model import DeviceId, Sha256

Json = dict[str, Any]

ABOUT = (
    "What field devices report, and what is ordered of them. Times are ms since 1970 UTC unless"
    " they say otherwise. Lists come in pages: give `next` of one as the cursor of the following;"
    " `null` is the end. Errors are problem details (RFC 9457). See docs/api.md."
)
TAGS: Mapping[str, str] = {
    "alarms": "Alarms and their stages.",
    "audit": "Who did what, when.",
    "commands": "What is ordered of devices.",
    "devices": "Devices as registered, and as they are now.",
    "events": "The feed: what happened, in the order of its commits.",
    "holds": "What nothing is deleted of.",
    "ledger": "What came, and what is missing.",
    "map": "The base map, and who reaches what.",
    "media": "Pictures.",
    "quarantine": "What was refused, with its bytes.",
    "reports": "What the journal shows of a time.",
    "session": "Signing a page in.",
    "units": "Crews: what each is doing, and where.",
    "system": "The gateway itself.",
}
"""Parts of the API, by the first word of a path below ``/api/v1``; the rest is ``system``."""

_MOVED = {
    "reach": "map",
    "playback": "map",
    "nearest": "map",
    "groups": "commands",
    "checklists": "commands",
}

IDS: Mapping[str, tuple[Any, str]] = {
    "devices": (DeviceId, "car-007"),
    "units": (DeviceId, "car-007"),
    "media": (Sha256, "2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae"),
    "alarms": (str, "car-007:1:p:1"),
    "commands": (str, "c-1"),
    "groups": (str, "g-1"),
    "map": (str, "map.json"),
    "quarantine": (str, "1"),
}
"""What stands in a path as ``{id}``, by the word before it, and an example."""

ERRORS: Mapping[int, str] = {
    400: "A parameter or the body is wrong; `parameter` and `value` say which and what it was.",
    401: "No token, or one that is unknown or revoked.",
    403: "The token's role may not do this; `needed` and `role` say why.",
    404: "There is no such thing.",
    405: "The path has no such method; `Allow` names those that it has.",
    409: "It cannot be done as things are, or the key or id stands for another request.",
    410: "It was deleted; `deleted` says by whom, and why.",
    413: "The body is larger than 64 KiB.",
    422: "It can be read, and makes no sense.",
    426: "A WebSocket is served here.",
    429: "Too many wait already.",
    500: "The gateway failed; its log says why.",
    502: "The device answered, and not with what was asked for; `why` says what.",
    503: "Not now: not ready, too many connections, or the device is away; the detail says which.",
    504: "The device did not answer in time.",
}

_PROBLEM: Json = {
    "title": "Problem",
    "type": "object",
    "description": "RFC 9457; further members carry facts, such as parameter and value.",
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
    },
    "required": ["type", "title", "status", "detail"],
}
_ETAG: Json = {
    "description": "Send it as If-None-Match: 304 if nothing has changed.",
    "schema": {"type": "string"},
}


def describe(routes: Sequence[Route]) -> Json:
    """The document."""
    types = [kind for route in routes for kind in (route.body, route.answer) if kind is not None]
    kinds = [*types, str, *(kind for kind, _ in IDS.values()), *ACTIONS.values()]
    schemas, components = msgspec.json.schema_components(
        kinds, ref_template="#/components/schemas/{name}"
    )
    by_type = {id(kind): schema for kind, schema in zip(kinds, schemas, strict=True)}
    paths: dict[str, Json] = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route, by_type)
    document: Json = as_json_schema(
        {
            "openapi": "3.1.0",
            "info": {
                "title": "Fieldgate",
                "version": metadata.version("fieldgate"),
                "description": ABOUT,
                "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
            },
            "servers": [{"url": "/"}],
            "tags": [{"name": name, "description": about} for name, about in TAGS.items()],
            "paths": paths,
            "components": {
                "schemas": {**components, "Problem": _PROBLEM},
                "responses": {f"Problem{status}": _problem(status) for status in ERRORS},
                "securitySchemes": {
                    "token": {"type": "http", "scheme": "bearer"},
                    "session": {"type": "apiKey", "in": "cookie", "name": COOKIE},
                    "ticket": {"type": "apiKey", "in": "query", "name": "ticket"},
                },
            },
        }
    )
    return document


def operation_id(route: Route) -> str:
    """Its name for clients that are generated: ``post_alarms_id_accept``."""
    words = re.findall(r"[A-Za-z0-9]+", route.path.removeprefix("/api/v1"))
    return "_".join((route.method.lower(), *words))


def _operation(route: Route, by_type: dict[int, Json]) -> Json:
    content: Json = {media: {"schema": _bytes_or_text(media)} for media in route.media}
    if route.answer is not None:
        content["application/json"] = {"schema": by_type[id(route.answer)]}
    headers: Json = {"ETag": _ETAG} if route.method == "GET" and route.answer is not None else {}
    if route.status == HTTPStatus.CREATED:
        headers["Location"] = {
            "description": "Where one thing that was made is found.",
            "schema": {"type": "string"},
        }
    answers: Json = {
        str(route.status): {
            "description": HTTPStatus(route.status).phrase,
            **({"headers": headers} if headers else {}),
            **({"content": content} if content else {}),
        },
        **({"304": {"description": "Nothing has changed."}} if "ETag" in headers else {}),
        **{
            str(status): {"$ref": f"#/components/responses/Problem{status}"}
            for status in _problems_of(route)
        },
    }
    operation: Json = {
        "operationId": operation_id(route),
        "tags": [_tag(route)],
        "summary": route.summary,
        "parameters": _parameters(route, by_type),
        "responses": answers,
        "security": [],
    }
    if route.body is not None:
        operation["requestBody"] = _body(route, by_type)
    if route.role is not None:
        operation["security"] = [{"token": []}, {"session": []}]
        if route.ticket is not None:
            operation["security"].append({"ticket": []})
        operation["description"] = f"Role: {route.role}."
    return operation


def _tag(route: Route) -> str:
    words = route.path.removeprefix("/api/v1/").split("/") if "/api/" in route.path else [""]
    named = [_MOVED.get(word, word) for word in words]
    if len(named) > 2 and named[2] in TAGS:
        return named[2]  # a device's commands
    return named[0] if named[0] in TAGS else "system"


def _parameters(route: Route, by_type: dict[int, Json]) -> list[Json]:
    found: list[Json] = []
    for before, name in re.findall(r"(\w+)/{(\w+)}", route.path):
        kind, example = IDS.get(before, (str, None))
        shown = {} if example is None else {"example": example}
        schema = by_type[id(kind)]
        found.append({"name": name, "in": "path", "required": True, "schema": schema, **shown})
    found += [_param(param, "query") for param in route.params]
    found += [_param(param, "header") for param in route.headers]
    if route.takes_key:
        found.append(_param(KEY, "header"))
    return found


def _param(param: Param[Any], where: str) -> Json:
    return {
        "name": param.name,
        "in": where,
        "description": param.about,
        "required": param.needed,
        "schema": param.schema,
    }


def _body(route: Route, by_type: dict[int, Json]) -> Json:
    assert route.body is not None
    is_needed = any(field.required for field in msgspec.structs.fields(route.body))
    media: Json = {"schema": by_type[id(route.body)]}
    if route.example is not None:
        media["example"] = route.example
    return {"required": is_needed, "content": {"application/json": media}}


def _problems_of(route: Route) -> list[int]:
    """The statuses of what may be wrong."""
    found = {500, 503, *route.problems}
    if route.params or route.body is not None:
        found.add(400)
    if route.role is not None:
        found |= {401, 403}
    if "{" in route.path:
        found.add(404)
    if route.body is not None:
        found.add(413)
    if route.takes_key:
        found |= {400, 409}
    return sorted(found)


def _problem(status: int) -> Json:
    schema = {"$ref": "#/components/schemas/Problem"}
    return {"description": ERRORS[status], "content": {CONTENT_TYPE: {"schema": schema}}}


def _bytes_or_text(media: str) -> Json:
    if media.endswith("json"):
        return {"type": "object"}
    return {"type": "string"} if media.startswith("text/") else {}


def as_json_schema(value: Any) -> Any:
    r"""The same with patterns as JSON Schema has them: for ``\Z`` it has ``$``."""
    if isinstance(value, dict):
        return {
            name: each.replace(r"\Z", "$")
            if name == "pattern" and isinstance(each, str)
            else as_json_schema(each)
            for name, each in value.items()
        }
    return [as_json_schema(each) for each in value] if isinstance(value, list) else value
