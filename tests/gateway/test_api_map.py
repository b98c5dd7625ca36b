"""The map over HTTP: base map files, reach as units move, the nearest units."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from fieldgate.bench.town import Street, degrees, town
from gateway.looks import NoGraph
from gateway.outlook import Outlook
from protocols.duty import UnitState
from tests.gateway.outward import NOW_MS, Crews, Outward, outward

ROADS = b'{"type":"FeatureCollection","features":[]}'


def build(folder: Path) -> None:
    """A base map of one straight street, six kilometres from west to east at 10 m/s."""
    (folder / "map").mkdir()
    town([(0.0, 0.0), (6000.0, 0.0)], [Street(0, 1)]).save(folder / "map/graph.npz")
    (folder / "map/map.json").write_text('{"version": 1, "attribution": "somebody"}')
    (folder / "map/roads.geojson.gz").write_bytes(gzip.compress(ROADS, mtime=0))


@pytest.fixture
async def gateway(tmp_path: Path) -> AsyncIterator[Outward]:
    build(tmp_path)
    async with outward(tmp_path) as started:
        yield started


async def answer(gateway: Outward, path: str, status: int) -> Any:
    async with gateway.request("GET", path) as response:
        assert response.status == status, await response.text()
        return await response.json(content_type=None)


async def test_the_manifest_and_layers_are_served(gateway: Outward) -> None:
    manifest = await gateway.get("/api/v1/map/map.json")
    assert manifest["attribution"] == "somebody"
    for how in ("gzip", "identity"):
        headers = {"Accept-Encoding": how}
        async with gateway.request("GET", "/api/v1/map/roads.geojson", headers=headers) as response:
            assert response.status == 200
            assert response.content_type == "application/geo+json"
            assert (response.headers.get("Content-Encoding") == "gzip") == (how == "gzip")
            assert await response.read() == ROADS


async def test_what_has_not_changed_is_not_sent_again(gateway: Outward) -> None:
    await gateway.outlook.look()
    for path in ("map/map.json", "map/roads.geojson", "reach"):
        async with gateway.request("GET", f"/api/v1/{path}") as response:
            tag = response.headers["ETag"]
        headers = {"If-None-Match": tag}
        async with gateway.request("GET", f"/api/v1/{path}", headers=headers) as response:
            assert (response.status, await response.read()) == (304, b"")


@pytest.mark.parametrize(
    "name",
    [
        "graph.npz",
        "water.geojson",
        "..%2Fregistry.db",
        "%2Fetc%2Fpasswd",
        "..%2F..%2Fx.geojson",
        "%00.geojson",
        "a" * 400 + ".geojson",
        "roads.geojson.gz",
        "roads.geojson%0A",
    ],
)
async def test_no_other_file_is_served(gateway: Outward, name: str) -> None:
    async with gateway.request("GET", f"/api/v1/map/{name}") as response:
        assert response.status == 404
        assert response.content_type == "application/problem+json"


async def test_nobody_sees_the_map_without_a_token(gateway: Outward) -> None:
    for path in ("map/map.json", "reach", "nearest?lat=1&lon=1"):
        async with gateway.request("GET", f"/api/v1/{path}", role=None) as response:
            assert response.status == 401


async def test_reach_counts_the_units_that_can_be_sent(gateway: Outward) -> None:
    for name, x, state, age_ms in (
        ("car-1", 1000, UnitState.VEHICLE_PATROL, 0),
        ("car-2", 5000, UnitState.ON_SCENE, 0),
        ("car-3", 5000, UnitState.PARKED, 301_000),
        ("car-4", 5000, None, 0),
        ("officer-1", 5000, UnitState.ON_DUTY, 0),
    ):
        gateway.crews.put(name, *degrees(x, 0), state, age_ms=age_ms)
    await gateway.outlook.look()
    seen = await gateway.get("/api/v1/reach")
    assert seen["units"] == ["car-1", "officer-1"]
    assert seen["at"] == NOW_MS
    kinds = [tuple(feature["properties"].values())[:2] for feature in seen["features"]]
    assert kinds == [("reach", 5), ("reach", 3), ("reach", 1), ("cold", "green"),
                     ("cold", "blue"), ("cold", "red"), ("cold", "black")]  # fmt: skip
    (whole,) = seen["grids"]
    # Four kilometres by car, one of them the street's first; on foot 600 m each way.
    assert whole["within_5"] == pytest.approx((4000 + 1200) / 6000, abs=0.05)


async def test_a_look_is_made_anew_when_a_unit_has_moved(gateway: Outward) -> None:
    shares = []
    for x in (3000, 3005, 0):
        gateway.crews.put("car-1", *degrees(x, 0), UnitState.PARKED)
        await gateway.outlook.look()
        shares.append((await gateway.get("/api/v1/reach"))["grids"][0]["within_5"])
    assert shares[0] == shares[1] == pytest.approx(1, abs=0.02)
    assert shares[2] == pytest.approx(0.5, abs=0.05)


async def test_one_units_own_reach(gateway: Outward) -> None:
    gateway.crews.put("car-1", *degrees(1000, 0), UnitState.BREAK)
    await gateway.outlook.look()
    seen = await gateway.get("/api/v1/reach?unit=car-1")
    assert [feature["properties"]["minutes"] for feature in seen["features"]] == [5, 3, 1]
    assert (await answer(gateway, "/api/v1/reach?unit=nobody", 404))["unit"] == "nobody"


async def test_the_nearest_units_come_with_their_state(gateway: Outward) -> None:
    gateway.crews.put("car-1", *degrees(1000, 0), UnitState.ON_SCENE)
    gateway.crews.put("car-2", *degrees(4000, 0), UnitState.VEHICLE_PATROL, age_ms=4000)
    gateway.crews.put("officer-1", *degrees(2300, 0), UnitState.FOOT_PATROL)
    gateway.crews.put("car-3", *degrees(2000, 0), UnitState.OFF)
    gateway.crews.put("car-4", *degrees(2000, 900), UnitState.CLEAR)
    lat, lon = degrees(2000, 0)
    await gateway.outlook.look()
    found = (await gateway.get(f"/api/v1/nearest?lat={lat}&lon={lon}"))["units"]
    assert [unit["unit"] for unit in found] == ["car-1", "officer-1", "car-2", "car-4"]
    assert [unit["available"] for unit in found] == [False, True, True, True]
    seconds = [unit["seconds"] for unit in found]
    assert seconds[:3] == pytest.approx([100, 150, 200], abs=1)
    assert seconds[3] is None
    assert found[3]["straight_m"] == pytest.approx(900, abs=5)
    assert found[2] == {
        "unit": "car-2", "state": "vehicle_patrol", "available": True, "seconds": seconds[2],
        "straight_m": pytest.approx(2000, abs=10), "on_foot": False, "age_ms": 4000,
        "lat": gateway.crews.at["car-2"][1].lat, "lon": gateway.crews.at["car-2"][1].lon,
    }  # fmt: skip
    few = (await gateway.get(f"/api/v1/nearest?lat={lat}&lon={lon}&limit=1"))["units"]
    assert few == found[:1]


@pytest.mark.parametrize(
    ("query", "parameter"),
    [
        ("lat=24", "lon"),
        ("lon=24", "lat"),
        ("lat=91&lon=1", "lat"),
        ("lat=1&lon=nan", "lon"),
        ("lat=x&lon=1", "lat"),
        ("lat=1&lon=1&limit=0", "limit"),
    ],
)
async def test_a_place_that_is_none_is_named(gateway: Outward, query: str, parameter: str) -> None:
    assert (await answer(gateway, f"/api/v1/nearest?{query}", 400))["parameter"] == parameter


async def test_without_a_map_units_are_near_by_distance(tmp_path: Path) -> None:
    async with outward(tmp_path) as gateway:
        gateway.crews.put("car-1", *degrees(0, 500), UnitState.PARKED)
        gateway.crews.put("car-2", *degrees(0, 200), UnitState.PARKED)
        await gateway.outlook.look()
        lat, lon = degrees(0, 0)
        found = (await gateway.get(f"/api/v1/nearest?lat={lat}&lon={lon}"))["units"]
        assert [(unit["unit"], unit["seconds"]) for unit in found] == [
            ("car-2", None), ("car-1", None)
        ]  # fmt: skip
        said = await answer(gateway, "/api/v1/reach", 404)
        assert "fieldgate map build" in said["detail"]
        await answer(gateway, "/api/v1/map/map.json", 404)
        # Built meanwhile, it is taken up; broken, it is named; gone, so is reach.
        build(tmp_path)
        await gateway.outlook.look()
        assert (await gateway.get("/api/v1/reach"))["units"] == ["car-1", "car-2"]
        graph = tmp_path / "map/graph.npz"
        graph.write_bytes(b"noise")
        await gateway.outlook.look()
        assert "no road graph" in (await answer(gateway, "/api/v1/reach", 404))["detail"]
        graph.unlink()
        await gateway.outlook.look()
        assert "fieldgate map build" in (await answer(gateway, "/api/v1/reach", 404))["detail"]


async def test_a_look_that_fails_is_told_and_ends_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build(tmp_path)
    crews = Crews()
    crews.put("car-1", *degrees(1000, 0), UnitState.PARKED)
    outlook = Outlook(tmp_path / "map", [], crews, now_ms=lambda: NOW_MS, period_s=0.01)
    running = asyncio.create_task(outlook.run())
    for broken in (False, True, False):
        monkeypatch.setattr(crews, "places", _broken if broken else crews.at.values)
        async with asyncio.timeout(30):
            while ("failed" in _said(outlook)) != broken or "no look" in _said(outlook):
                await asyncio.sleep(0.01)  # a look makes no event
    assert b'"units":["car-1"]' in outlook.reach().body
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running


def _broken() -> Any:
    raise RuntimeError("a test's own")


def _said(outlook: Outlook) -> str:
    """Why there is no look, if there is none."""
    try:
        outlook.reach()
    except NoGraph as error:
        return str(error)
    return ""


async def test_the_description_is_that_of_the_answers(gateway: Outward) -> None:
    paths = (await gateway.get("/openapi.json"))["paths"]
    needed = {p["name"]: p["required"] for p in paths["/api/v1/nearest"]["get"]["parameters"]}
    assert needed == {"lat": True, "lon": True, "limit": False}
    assert json.dumps(paths["/api/v1/reach"]).count("geo+json") == 1
