"""The API's description as programs that write clients read it: all has a name, and one type."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import pytest

from gateway.api.commands import ORDERED
from tests.gateway.outward import Outward, outward

Json = dict[str, Any]


@pytest.fixture
async def gateway(tmp_path: Path) -> AsyncIterator[Outward]:
    async with outward(tmp_path) as started:
        yield started


def schemas(value: Any, place: str = "") -> Iterator[tuple[str, Json]]:
    """All schemas in a description, and where each stands."""
    if isinstance(value, list):
        for number, each in enumerate(value):
            yield from schemas(each, f"{place}/{number}")
    if isinstance(value, dict):
        if place.endswith(("/schema", "/items", "/additionalProperties")) or re.search(
            r"/(schemas|properties|anyOf|oneOf)/\w+$", place
        ):
            yield place, value
        for name, each in value.items():
            yield from schemas(each, f"{place}/{name}")


async def test_every_operation_has_a_name_of_its_own(gateway: Outward) -> None:
    description = await gateway.get("/openapi.json")
    names = Counter(
        act["operationId"] for acts in description["paths"].values() for act in acts.values()
    )
    assert set(names.values()) == {1}
    assert [name for name in names if not re.fullmatch("[a-z]+(_[a-z]+)+", name)] == []


async def test_whatever_becomes_a_class_has_a_name(gateway: Outward) -> None:
    for place, schema in schemas(await gateway.get("/openapi.json")):
        is_named = re.fullmatch("/components/schemas/[A-Z][A-Za-z]+", place) is not None
        assert is_named or not schema.keys() & {"properties", "enum"}, place
        if "enum" in schema:
            assert schema["type"] in {"string", "integer"}, place
            assert None not in schema["enum"], place
        if schema.get("type") == "object" and "properties" not in schema:
            assert "additionalProperties" in schema, place


async def test_no_schema_is_beyond_what_generators_read(gateway: Outward) -> None:
    for place, schema in schemas(await gateway.get("/openapi.json")):
        assert "prefixItems" not in schema, place
        if schema.get("type") == "array":
            assert isinstance(schema["items"], dict), place
        assert r"\Z" not in str(schema.get("pattern", "")), place


async def test_what_may_go_wrong_is_described_as_a_problem(gateway: Outward) -> None:
    description = await gateway.get("/openapi.json")
    for path, acts in description["paths"].items():
        for method, act in acts.items():
            wrong = {int(status) for status in act["responses"] if int(status) >= 400}
            needed = {500, 503}
            needed |= {401, 403} if act["security"] else set()
            needed |= {404} if "{" in path else set()
            needed |= {400, 413, 415} if "requestBody" in act else set()
            assert wrong >= needed, (method, path)
            for status in wrong:
                answer = act["responses"][str(status)]
                assert answer == {"$ref": f"#/components/responses/Problem{status}"}
    for answer in description["components"]["responses"].values():
        assert list(answer["content"]) == ["application/problem+json"]


async def test_every_post_says_whether_it_takes_a_key(gateway: Outward) -> None:
    description = await gateway.get("/openapi.json")
    for path, acts in description["paths"].items():
        if "post" not in acts:
            continue
        takes = {each["name"] for each in acts["post"]["parameters"]}
        says = "No Idempotency-Key" in acts["post"]["description"]
        assert ("Idempotency-Key" in takes) != says, path


@pytest.mark.parametrize("path", ["/api/v1/commands", "/api/v1/devices/{id}/commands"])
async def test_the_arguments_of_each_action_are_described(gateway: Outward, path: str) -> None:
    description = await gateway.get("/openapi.json")
    body = description["paths"][path]["post"]["requestBody"]["content"]["application/json"]
    assert sorted(body["schema"]["discriminator"]["mapping"]) == ORDERED
    valid = jsonschema.Draft202012Validator(
        {**body["schema"], "components": description["components"]}
    ).is_valid
    to: Json = {} if "{id}" in path else {"to": {"unit": "car-007"}}
    assert valid(body["example"])
    assert valid({"act": "text", "args": {"text": "Come back"}, **to})
    assert valid({"act": "identify", **to})
    assert not valid({"act": "text", "args": {"seconds": 5}, **to})
    assert not valid({"act": "text", **to})
    assert not valid({"act": "locate", "args": {"seconds": 601}, **to})
    assert not valid({"act": "cancel", "args": {"id": "c-1"}, **to})
