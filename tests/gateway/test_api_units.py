"""Units over HTTP: forming one, reading it, ending it, and who may."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.registry import Device, Role
from tests.gateway.outward import Outward, outward


async def _put(
    out: Outward, unit: str, body: object, role: Role = Role.DISPATCHER
) -> tuple[int, object]:
    async with out.request("PUT", f"/api/v1/units/{unit}", role=role, json=body) as response:
        return response.status, await response.json(content_type=None)


async def test_a_unit_is_formed_read_and_ended(tmp_path: Path) -> None:
    async with outward(tmp_path) as out:
        for device, kind in (("car-1", "vehicle_terminal"), ("cam-1", "body_camera")):
            out.registry.add(Device(id=device, kind=kind))
        body = {"devices": ["car-1", "cam-1"], "officers": ["031234"], "by": "desk 3"}
        assert (await _put(out, "patrol-12", body))[0] == 200
        unit = await out.get("/api/v1/units/patrol-12")
        assert unit["officers"] == ["031234"]
        assert unit["bound_by"] == "desk 3"
        assert unit["devices"] == [
            {"id": "car-1", "kind": "vehicle_terminal", "state": "offline"},
            {"id": "cam-1", "kind": "body_camera", "state": "offline"},
        ]
        assert unit["state"] is None
        assert [each["unit"] for each in (await out.get("/api/v1/units"))["units"]] == ["patrol-12"]

        path = "/api/v1/units/patrol-12"
        async with out.request("DELETE", path, role=Role.DISPATCHER) as response:
            assert response.status == 200
            left = (await response.json())["units"]
        assert [each["unit"] for each in left] == ["car-1", "cam-1"]
        async with out.request("GET", path) as response:
            assert response.status == 404


async def test_units_are_found_by_text_and_state_in_pages(tmp_path: Path) -> None:
    async with outward(tmp_path) as out:
        for device in ("car-1", "car-2", "cam-1"):
            out.registry.add(Device(id=device, kind="vehicle_terminal"))
        await _put(out, "patrol-2", {"devices": ["car-2"], "officers": ["031234"]})
        await _put(out, "patrol-1", {"devices": ["car-1", "cam-1"]})

        async def found(query: str) -> tuple[list[str], str | None]:
            page = await out.get(f"/api/v1/units?{query}")
            return [each["unit"] for each in page["units"]], page["next"]

        assert await found("") == (["patrol-1", "patrol-2"], None)
        assert await found("limit=1") == (["patrol-1"], "patrol-1")
        assert await found("limit=1&after=patrol-1") == (["patrol-2"], None)
        for query in ("q=0312", "q=CAR-2", "q=patrol-2"):
            assert await found(query) == (["patrol-2"], None)
        assert await found("state=on_duty&state=parked") == ([], None)


@pytest.mark.parametrize(
    ("unit", "body", "status"),
    [
        ("patrol-1", {"devices": ["nobody"]}, 400),
        ("patrol-1", {"devices": []}, 400),
        ("patrol-1", {"device": ["box-1"]}, 400),
        ("patrol-1", "car-1", 400),
        ("-bad", {"devices": ["box-1"]}, 400),
    ],
)
async def test_what_can_be_no_unit_is_refused(
    tmp_path: Path, unit: str, body: object, status: int
) -> None:
    async with outward(tmp_path) as out:
        assert (await _put(out, unit, body))[0] == status


async def test_a_viewer_forms_no_unit(tmp_path: Path) -> None:
    async with outward(tmp_path) as out:
        assert (await _put(out, "patrol-1", {"devices": ["car-1"]}, Role.VIEWER))[0] == 403
