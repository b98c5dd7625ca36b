"""Who may do what, and that it is written down: over every operation of the API's description."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from gateway.registry import Role
from tests.gateway.outward import NOW_MS, Outward, outward
from tests.web.test_words import known

READS = {"get", "head"}
UNHEARD = {"sign_in"}
"""Whoever is not signed in signs in: it has its own tests."""


class Operation(NamedTuple):
    """One of the description. ``role`` None: open to all."""

    name: str
    method: str
    path: str
    target: str
    role: Role | None


@pytest.fixture
async def gateway(tmp_path: Path) -> AsyncIterator[Outward]:
    async with outward(tmp_path) as started:
        yield started


async def operations(gateway: Outward) -> list[Operation]:
    document: dict[str, Any] = await gateway.get("/openapi.json")
    found = []
    for path, methods in document["paths"].items():
        for method, about in methods.items():
            examples = {p["name"]: p["example"] for p in about["parameters"] if p["in"] == "path"}
            said = re.match(r"Role: (\w+)\.", about.get("description", ""))
            found.append(
                Operation(
                    name=about["operationId"],
                    method=method.upper(),
                    path=path.format(**examples),
                    target=examples.get("id", ""),
                    role=Role(said[1]) if said else None,
                )
            )
    return found


async def status(gateway: Outward, operation: Operation, role: Role | None) -> int:
    body: dict[str, Any] = {} if operation.method == "GET" else {"json": {}}
    async with gateway.request(
        operation.method, operation.path, role=role, **body
    ) as response:  # some never end
        return response.status


async def test_each_role_may_what_the_description_says_and_nothing_else(gateway: Outward) -> None:
    for operation in await operations(gateway):
        for role in (None, *Role):
            found = await status(gateway, operation, role)
            if operation.name in UNHEARD:
                assert found == 403  # it needs the page's header
            elif operation.role is None:
                assert found not in (401, 403), operation
            elif role is None:
                assert found == 401, operation
            else:
                assert (found == 403) is not role.includes(operation.role), (operation, role)
                assert found != 401, (operation, role)


async def test_whatever_changes_anything_is_for_no_viewer(gateway: Outward) -> None:
    acts = [each for each in await operations(gateway) if each.method.lower() not in READS]
    assert len(acts) > 15
    free = {each.name for each in acts if each.role in (None, Role.VIEWER)}
    assert free == {"sign_in", "sign_out"}


async def test_every_act_is_in_the_log_with_who_when_what_and_what_became_of_it(
    gateway: Outward,
) -> None:
    acts = [
        each
        for each in await operations(gateway)
        if each.method.lower() not in READS and each.name not in UNHEARD
    ]
    answers = [await status(gateway, each, Role.ADMIN) for each in acts]
    page = await gateway.get("/api/v1/audit?limit=1000", role=Role.ADMIN)
    for operation, answer, entry in zip(acts, answers, reversed(page["audit"]), strict=True):
        assert (entry["who"], entry["role"]) == ("admin 1", "admin"), operation
        assert (entry["source"], entry["t"]) == ("127.0.0.1", NOW_MS), operation
        assert entry["target"] == operation.target, operation
        assert f"did.{entry['act']}" in known(), operation
        outcome = "done" if answer < 400 else f"{answer} "
        assert entry["outcome"].startswith(outcome), operation
