"""The audit log: who did what, sealed; acts over HTTP, refusals, and what cannot be changed."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from gateway.audit import FILE, MAX_FACTS_BYTES, AuditLog, Entry, Query
from gateway.registry import Device, Role
from tests.gateway.outward import Outward, alarm_change, outward

ALL = Query(since_ms=0, until_ms=2**62, before=2**53, limit=100)


@pytest.fixture
async def gateway(tmp_path: Path) -> AsyncIterator[Outward]:
    async with outward(tmp_path) as gateway:
        yield gateway


async def entries(gateway: Outward, query: str = "") -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await gateway.get(f"/api/v1/audit?{query}", role=Role.ADMIN))[
        "audit"
    ]
    return found


async def test_an_answer_to_an_alarm_stands_with_who_and_what(gateway: Outward) -> None:
    token = gateway.registry.add_token(Role.DISPATCHER, "desk 3")
    await gateway.journal.commit(alarm_change(1))
    headers = {"Authorization": f"Bearer {token}", "X-Forwarded-For": "10.1.2.3"}
    path = "/api/v1/alarms/box-1:1:p:1/accept"
    body = {"by": "Li", "token": "fgt_secret"}
    async with gateway.request("POST", path, role=None, headers=headers, json=body) as response:
        assert response.status == 200
    (entry,) = await entries(gateway)
    assert (entry["act"], entry["target"]) == ("alarm.accept", "box-1:1:p:1")
    assert (entry["who"], entry["role"], entry["outcome"]) == ("desk 3", "dispatcher", "done")
    assert entry["source"] == "127.0.0.1"
    assert entry["facts"] == {"by": "Li", "forwarded_for": "10.1.2.3"}


async def test_what_could_not_be_done_stands_with_why(gateway: Outward) -> None:
    async with gateway.request("POST", "/api/v1/commands/c9/cancel", role=Role.ADMIN) as response:
        assert response.status == 404
    (entry,) = await entries(gateway, "act=command.cancel")
    assert entry["outcome"] == "404 there is no command c9"


async def test_signing_in_and_out_stand_without_the_token(gateway: Outward) -> None:
    token = gateway.registry.add_token(Role.VIEWER, "wall")
    page = {"X-Fieldgate": "1"}
    for _ in range(2):
        async with gateway.request(
            "POST", "/api/v1/session", role=None, headers=page, json={"token": token}
        ) as response:
            cookie = response.cookies["fieldgate_session"].value
    async with gateway.request(
        "DELETE",
        "/api/v1/session",
        role=None,
        headers=page | {"Cookie": f"fieldgate_session={cookie}"},
    ) as response:
        assert response.status == 200
    found = await entries(gateway, "who=wall")
    assert [entry["act"] for entry in found] == ["session.close", "session.open", "session.open"]
    assert token not in str(found)


async def test_it_is_read_in_pages_by_administrators_alone(gateway: Outward) -> None:
    gateway.registry.add(Device(id="car-1", kind="vehicle_terminal"))
    for act in ("locate", "identify", "reboot"):
        async with gateway.request(
            "POST", "/api/v1/devices/car-1/commands", role=Role.ADMIN, json={"act": act}
        ) as response:
            assert response.status == 201
    first = await gateway.get("/api/v1/audit?limit=2", role=Role.ADMIN)
    assert [entry["facts"]["act"] for entry in first["audit"]] == ["reboot", "identify"]
    rest = await entries(gateway, f"before={first['next']}&target=car-1")
    assert [entry["facts"]["act"] for entry in rest] == ["locate"]
    async with gateway.request("GET", "/api/v1/audit", role=Role.DISPATCHER) as response:
        assert response.status == 403


async def test_who_is_not_let_in_is_counted(tmp_path: Path) -> None:
    async with outward(tmp_path) as gateway:
        for role in (None, None, Role.VIEWER):
            async with gateway.request("POST", "/api/v1/alarms/a/accept", role=role) as response:
                assert response.status in (401, 403)
    with AuditLog(tmp_path) as audit:
        found = audit.page(ALL)
    counts = {entry.outcome[:3]: entry.count for entry in found}
    assert counts == {"401": 2, "403": 1}
    assert {entry.act for entry in found} == {"alarm.accept"}


def test_entries_are_sealed_and_never_changed(tmp_path: Path) -> None:
    with AuditLog(tmp_path, now_ms=lambda: 7) as audit:
        audit.append([Entry(act="a", who="x"), Entry(act="b", facts={"long": "y" * 9999})])
        audit.append([Entry(act="c")])
        newest, longer, _ = audit.page(ALL)
        assert (newest.no, newest.t) == (3, 7)
        assert longer.facts == {"too_long_bytes": 10010, "keys": ["long"]}
        assert MAX_FACTS_BYTES < 9999
        good = audit.verify()
        assert (good.entries, good.newest, good.broken) == (3, newest.seal, None)
    with sqlite3.connect(tmp_path / FILE) as db:
        for change in ("UPDATE entry SET who = 'z'", "DELETE FROM entry"):
            with pytest.raises(sqlite3.IntegrityError, match="never"):
                db.execute(change)
        db.execute("DROP TRIGGER no_change")
        db.execute("UPDATE entry SET who = 'z' WHERE no = 2")
    db.close()
    with AuditLog(tmp_path) as audit:
        assert audit.verify().broken == 2


def test_a_damaged_log_is_put_aside_and_a_new_one_begun(tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(b"no database" * 1000)
    with AuditLog(tmp_path) as audit:
        audit.append([Entry(act="a")])
        assert audit.verify().entries == 1
    (kept,) = tmp_path.glob(f"{FILE}.damaged-*")
    assert kept.read_bytes().startswith(b"no database")


def test_two_may_write_at_once(tmp_path: Path) -> None:
    with AuditLog(tmp_path) as gateway, AuditLog(tmp_path) as command_line:
        gateway.append([Entry(act="a")])
        command_line.append([Entry(act="b")])
        gateway.append([Entry(act="c")])
        assert [entry.act for entry in gateway.page(ALL)] == ["c", "b", "a"]
        assert gateway.verify().broken is None
