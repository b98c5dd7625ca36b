"""The API's own description: OpenAPI 3.1, built from the table of routes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from http import HTTPStatus
from importlib import metadata
from typing import Any

import msgspec

from gateway.api.problems import CONTENT_TYPE
from gateway.api.routes import COOKIE, Route

_PROBLEM = {
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


def describe(routes: Sequence[Route]) -> dict[str, Any]:
    """The document."""
    types = [kind for route in routes for kind in (route.body, route.answer) if kind is not None]
    schemas, components = msgspec.json.schema_components(
        types, ref_template="#/components/schemas/{name}"
    )
    by_type = dict(zip(types, schemas, strict=True))
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        operation = _operation(route, by_type)
        paths.setdefault(route.path, {})[route.method.lower()] = operation
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Fieldgate",
            "version": metadata.version("fieldgate"),
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "paths": paths,
        "components": {
            "schemas": {**components, "Problem": _PROBLEM},
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer"},
                "session": {"type": "apiKey", "in": "cookie", "name": COOKIE},
            },
        },
    }


def _operation(route: Route, by_type: dict[Any, dict[str, Any]]) -> dict[str, Any]:
    content: dict[str, Any] = {media: {} for media in route.media}
    if route.answer is not None:
        content["application/json"] = {"schema": by_type[route.answer]}
    operation: dict[str, Any] = {
        "summary": route.summary,
        "parameters": [
            {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
            for name in re.findall(r"{(\w+)}", route.path)
        ]
        + [
            {
                "name": p.name,
                "in": "query",
                "description": p.about,
                "required": p.needed,
                "schema": p.schema,
            }
            for p in route.params
        ],
        "responses": {
            str(route.status): {
                "description": HTTPStatus(route.status).phrase,
                "content": content,
            },
            "default": {
                "description": "A problem",
                "content": {CONTENT_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
            },
        },
    }
    if route.body is not None:
        schema = by_type[route.body]
        operation["requestBody"] = {"content": {"application/json": {"schema": schema}}}
    if route.role is not None:
        operation["security"] = [{"token": []}, {"session": []}]
        operation["description"] = f"Role: {route.role}."
    return operation
