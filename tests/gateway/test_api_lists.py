"""What an operator looks for over HTTP: devices, alarms, the ledger, quarantine; who may report."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgpack
import pytest

from gateway.journal.base import Change, Quarantined
from gateway.registry import Device, Role
from protocols.model import Stage
from tests.gateway.outward import NOW_MS, Outward, alarm_change, outward


@pytest.fixture
async def gateway(tmp_path: Path) -> AsyncIterator[Outward]:
    async with outward(tmp_path) as started:
        yield started


async def answer(
    gateway: Outward, method: str, path: str, status: int, body: Any = None
) -> dict[str, Any]:
    async with gateway.request(method, path, role=Role.ADMIN, json=body) as response:
        assert response.status == status, await response.text()
        found: dict[str, Any] = await response.json(content_type=None)
        return found


async def ids(gateway: Outward, query: str) -> list[str]:
    page = await gateway.get(f"/api/v1/devices?{query}")
    return [device["id"] for device in page["devices"]]


async def test_devices_are_found_by_text_kind_and_state_in_pages(gateway: Outward) -> None:
    gateway.registry.add(Device(id="box-1", kind="alarm_box", name="延安北路工行"))
    gateway.registry.add(Device(id="box-2", kind="alarm_box", site="North Gate"))
    gateway.registry.add(Device(id="car-1", kind="vehicle_terminal"))
    gateway.registry.revoke("car-1")
    assert await ids(gateway, "") == ["box-1", "box-2", "car-1", "stranger"]
    assert await ids(gateway, "q=工行") == ["box-1"]
    assert await ids(gateway, "q=north+g") == ["box-2"]
    assert await ids(gateway, "kind=vehicle_terminal") == ["car-1"]
    assert await ids(gateway, "state=revoked") == ["car-1"]
    assert await ids(gateway, "state=unregistered") == ["stranger"]
    first = await gateway.get("/api/v1/devices?limit=3")
    assert first["counts"] == {
        "online": 1, "stale": 0, "offline": 1, "revoked": 1, "unregistered": 1
    }  # fmt: skip
    assert first["devices"][0]["missing"] == 1
    assert await ids(gateway, f"limit=3&after={first['next']}") == ["stranger"]


async def test_a_device_is_registered_over_http_and_revoked(gateway: Outward) -> None:
    new = {"id": "box-9", "kind": "alarm_box", "name": "Bank", "lat": 24.5, "lon": 117.6}
    known = await answer(gateway, "POST", "/api/v1/devices", 201, new)
    assert known["user"] == "box-9"
    assert len(known["password"]) == 48
    assert known["password"] not in str(await gateway.get("/api/v1/devices/box-9"))
    assert (await answer(gateway, "POST", "/api/v1/devices", 409, new))["device"] == "box-9"
    path = "/api/v1/devices/box-9/revoke"
    assert await answer(gateway, "POST", path, 200) == {"revoked": "box-9"}
    assert (await gateway.get("/api/v1/devices/box-9"))["revoked"]
    await answer(gateway, "POST", path, 200)
    again = await answer(gateway, "POST", "/api/v1/devices", 201, new)
    assert again["password"] != known["password"]
    await answer(gateway, "POST", "/api/v1/devices/none/revoke", 404)


@pytest.mark.parametrize(
    "wrong",
    [
        {"id": "a b"},
        {"id": "gateway-1"},
        {"kind": "toaster"},
        {"lat": 24.5},
        {"lat": 91, "lon": 0},
        {"colour": "red"},
    ],
)
async def test_what_cannot_be_registered_is_refused(
    gateway: Outward, wrong: dict[str, Any]
) -> None:
    body = {"id": "box-9", "kind": "alarm_box"} | wrong
    await answer(gateway, "POST", "/api/v1/devices", 400, body)
    assert gateway.registry.devices() == []


@pytest.mark.parametrize("role", [Role.VIEWER, Role.DISPATCHER])
async def test_only_an_administrator_says_who_may_report(gateway: Outward, role: Role) -> None:
    for path in ("/api/v1/devices", "/api/v1/devices/box-1/revoke"):
        async with gateway.request("POST", path, role=role, json={}) as response:
            assert response.status == 403


async def test_alarms_are_found_by_kind_and_time_in_pages(gateway: Outward) -> None:
    for seq in range(1, 8):
        await gateway.journal.commit(alarm_change(seq))

    async def found(query: str) -> list[int]:
        page = await gateway.get(f"/api/v1/alarms?{query}")
        numbers = [alarm["seq"] for alarm in page["alarms"]]
        while page["next"] is not None:
            page = await gateway.get(f"/api/v1/alarms?{query}&before={page['next']}")
            numbers += [alarm["seq"] for alarm in page["alarms"]]
        return numbers

    since, until = NOW_MS + 3 + 20, NOW_MS + 6 + 20
    assert await found(f"from={since}&to={until}") == [5, 4, 3]
    assert await found(f"from={since}&to={until}&limit=2") == [5, 4, 3]
    assert await found("kind=panic,fire&limit=3") == [7, 6, 5, 4, 3, 2, 1]
    assert await found("kind=panic&kind=fire&limit=3") == [7, 6, 5, 4, 3, 2, 1]
    assert await found("kind=fire") == []
    assert await found(f"stage={Stage.STORED}&limit=7") == [7, 6, 5, 4, 3, 2, 1]


async def test_the_ledger_is_read_in_pages_and_by_what_is_wrong(gateway: Outward) -> None:
    first = await gateway.get("/api/v1/ledger?limit=1")
    assert ([d["device"] for d in first["devices"]], first["next"]) == (["box-1"], "box-1")
    rest = await gateway.get("/api/v1/ledger?limit=1&after=box-1")
    assert ([d["device"] for d in rest["devices"]], rest["next"]) == (["car-1"], None)
    missing = await gateway.get("/api/v1/ledger?with=missing")
    assert [d["device"] for d in missing["devices"]] == ["box-1"]
    assert [d["device"] for d in (await gateway.get("/api/v1/ledger?q=CAR"))["devices"]] == [
        "car-1"
    ]


async def test_quarantine_is_explained_field_by_field(gateway: Outward) -> None:
    for device, reason, payload in (
        (
            "car-1",
            "field_invalid",
            msgpack.packb({"boot": 1, "seq": 2, "t": 3, "lat": float("nan")}),
        ),
        ("car-2", "malformed", b"\xc1\x00"),
    ):
        refused = Quarantined(
            topic=f"field/v1/{device}/up/pos", device=device, reason=reason, detail="wrong",
            payload=payload, first_ms=NOW_MS, last_ms=NOW_MS,
        )  # fmt: skip
        await gateway.journal.commit(Change(quarantined=[refused]))
    [item] = (await gateway.get("/api/v1/quarantine?device=car-1"))["quarantine"]
    [other] = (await gateway.get("/api/v1/quarantine?reason=malformed"))["quarantine"]
    assert (item["device"], other["device"]) == ("car-1", "car-2")
    view = await gateway.get(f"/api/v1/quarantine/{item['no']}")
    assert view["item"] == item
    [message] = view["explanation"]["messages"]
    assert message["verdict"] == "refused"
    assert {field["name"] for field in message["fields"]} == {"boot", "seq", "t", "lat"}
    assert {problem["field"] for problem in message["problems"]} >= {"lat", "lon"}
    bytes_alone = await gateway.get(f"/api/v1/quarantine/{other['no']}")
    assert bytes_alone["explanation"]["messages"][0]["problems"]
    for unknown in ("0", "99", "x", "9" * 30):
        await answer(gateway, "GET", f"/api/v1/quarantine/{unknown}", 404)
