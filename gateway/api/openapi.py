"""The API's own description: OpenAPI 3.1, built from the table of routes."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from importlib import metadata
from typing import Any, get_args

import msgspec
from msgspec import Struct

from gateway.api.commands import MOMENTS
from gateway.api.devices import DeviceState
from gateway.api.events import EVENT_NAMES
from gateway.api.idempotency import KEY
from gateway.api.params import Param
from gateway.api.problems import CONTENT_TYPE
from gateway.api.records import COUNTED
from gateway.api.routes import COOKIE, Route
from gateway.api.schemas import PREFIX, Json, Names, always_sent, reference
from gateway.api.track import FORMATS
from gateway.map_views import MapDatum
from gateway.pictures import Scope
from protocols.commands import ACTIONS
from protocols.model import (
    AlarmKind,
    CameraHealth,
    ClockSource,
    DeviceId,
    DeviceKind,
    DutyAct,
    FixKind,
    GnssHealth,
    MediaReason,
    Network,
    PositionSource,
    Sha256,
)

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

IDS: Mapping[str, tuple[Any, str | int]] = {
    "devices": (DeviceId, "car-007"),
    "units": (DeviceId, "car-007"),
    "media": (Sha256, "2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae"),
    "alarms": (str, "car-007:1:p:1"),
    "commands": (str, "c-1"),
    "groups": (str, "g-1"),
    "map": (str, "map.json"),
    "quarantine": (int, 1),
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
    415: "The body is not `application/json`.",
    422: "It can be read, and makes no sense.",
    426: "A WebSocket is served here.",
    429: "Too many wait already.",
    500: "The gateway failed; its log says why.",
    502: "The device answered, and not with what was asked for; `why` says what.",
    503: "Not now: not ready, too many connections, or the device is away; the detail says which.",
    504: "The device did not answer in time.",
}

OURS: Mapping[str, Json] = {
    "Problem": {
        "title": "Problem",
        "type": "object",
        "description": "RFC 9457. Further members carry facts: which device it is of, say.",
        "properties": {
            "type": {"type": "string"},
            "title": {"type": "string"},
            "status": {"type": "integer"},
            "detail": {"type": "string", "description": "A sentence for people."},
            "parameter": {"type": "string", "description": "The parameter or key that is wrong."},
            "value": {"description": "What it was."},
            "why": {"type": "string", "description": "A word for programs."},
        },
        "required": ["type", "title", "status", "detail"],
        "additionalProperties": True,
    },
    "FeatureCollection": {
        "title": "FeatureCollection",
        "type": "object",
        "description": "GeoJSON (RFC 7946).",
        "properties": {
            "type": {"const": "FeatureCollection"},
            "features": {"type": "array", "items": {"$ref": PREFIX + "Feature"}},
        },
        "required": ["type", "features"],
        "additionalProperties": True,
    },
    "Feature": {
        "title": "Feature",
        "type": "object",
        "properties": {
            "type": {"const": "Feature"},
            "id": {"type": "string"},
            "geometry": {"$ref": PREFIX + "Geometry"},
            "properties": {"type": "object", "additionalProperties": True},
        },
        "required": ["type", "geometry", "properties"],
        "additionalProperties": True,
    },
    "Geometry": {
        "title": "Geometry",
        "type": "object",
        "properties": {"type": {"type": "string"}, "coordinates": {"type": "array", "items": {}}},
        "required": ["type", "coordinates"],
    },
    "Document": {
        "title": "Document",
        "type": "object",
        "description": "JSON that is described elsewhere: OpenAPI, or docs/map.md.",
        "additionalProperties": True,
    },
}
"""Schemas that no type of ours stands for."""

_LITERALS: Mapping[str, Any] = {
    "AlarmKind": AlarmKind,
    "CameraHealth": CameraHealth,
    "ClockSource": ClockSource,
    "DeviceKind": DeviceKind,
    "DeviceState": DeviceState,
    "DutyAct": DutyAct,
    "FixKind": FixKind,
    "GnssHealth": GnssHealth,
    "MapDatum": MapDatum,
    "MediaReason": MediaReason,
    "Network": Network,
    "PositionSource": PositionSource,
    "Scope": Scope,
}
ENUMS: Mapping[str, Sequence[Any]] = {
    **{name: get_args(kind) for name, kind in _LITERALS.items()},
    "Action": tuple(ACTIONS),
    "EventName": EVENT_NAMES,
    "LedgerFinding": COUNTED,
    "MomentState": MOMENTS,
    "TrackFormat": tuple(FORMATS),
}
"""What an enum is called that has no type of its own, by its values."""

_ETAG: Json = {
    "description": "Send it as If-None-Match: 304 if nothing has changed.",
    "schema": {"type": "string"},
}


def describe(routes: Sequence[Route]) -> Json:
    """The document."""
    answers = [route.answer for route in routes if route.answer is not None]
    bodies: list[type[Struct]] = []
    for route in routes:
        bodies += [route.body] if route.body is not None and route.bodies is None else []
        bodies += [] if route.bodies is None else route.bodies[1].values()
    kinds: list[Any] = [str, int, *(kind for kind, _ in IDS.values()), *answers, *bodies]
    schemas, components = msgspec.json.schema_components(kinds, ref_template=PREFIX + "{name}")
    by_type = {id(kind): schema for kind, schema in zip(kinds, schemas, strict=True)}
    paths: dict[str, Json] = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route, by_type)
    asked = always_sent(bodies)
    for name, keys in always_sent(answers).items():
        if keys and name not in asked:
            components[name]["required"] = list(keys)
    names = Names(components, ENUMS)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Fieldgate",
            "version": metadata.version("fieldgate"),
            "description": ABOUT,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "tags": [{"name": name, "description": about} for name, about in TAGS.items()],
        "paths": names.mended(paths),
        "components": {
            "schemas": {**names.components, **OURS},
            "responses": {f"Problem{status}": _problem(status) for status in ERRORS},
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer"},
                "session": {"type": "apiKey", "in": "cookie", "name": COOKIE},
                "ticket": {"type": "apiKey", "in": "query", "name": "ticket"},
            },
        },
    }


def _operation(route: Route, by_type: dict[int, Json]) -> Json:
    content: Json = {media: {"schema": _media(media)} for media in route.media}
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
        "operationId": route.name,
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
    if route.method == "POST" and not route.takes_key:
        said = operation.get("description", "")
        why = "No Idempotency-Key: its answer is a secret, and not kept."
        operation["description"] = f"{said} {why}".strip()
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
    if route.bodies is None:
        media: Json = {"schema": by_type[id(route.body)]}
    else:
        key, kinds = route.bodies
        mapping = {word: by_type[id(kind)]["$ref"] for word, kind in kinds.items()}
        choice = [{"$ref": each} for each in mapping.values()]
        told_by = {"propertyName": key, "mapping": mapping}
        media = {"schema": {"oneOf": choice, "discriminator": told_by}}
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
        found |= {413, 415}
    if route.takes_key:
        found |= {400, 409}
    return sorted(found)


def _problem(status: int) -> Json:
    content = {CONTENT_TYPE: {"schema": reference("Problem")}}
    return {"description": ERRORS[status], "content": content}


def _media(media: str) -> Json:
    """What stands in an answer of that type."""
    if media.endswith("json"):
        return reference("FeatureCollection" if "geo" in media else "Document")
    is_text = media.startswith("text/")
    return {"type": "string"} if is_text else {"type": "string", "format": "binary"}
