"""From a map file to who comes first: base map, units on duty, reach and the nearest of them."""

from __future__ import annotations

import asyncio
import time
import urllib.error
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from fieldgate.cli import app
from tests.scenarios.whole import Gateway, Terminal

pytestmark = pytest.mark.slow  # whole processes, real time

PATROLS = {"car-1": (24.500, 117.640), "car-2": (24.520, 117.670)}
SCENE = "lat=24.502&lon=117.641"


async def test_units_on_duty_cover_the_city(tmp_path: Path) -> None:
    async with Gateway(tmp_path / "data") as gateway:
        with pytest.raises(urllib.error.HTTPError, match="404"):
            await gateway.get("/api/v1/map/map.json")
        made = await gateway.command("map", "build", "--seed", "1")
        assert await gateway.get("/api/v1/map/map.json") == made
        roads = await gateway.get("/api/v1/map/roads.geojson")
        assert len(roads["features"]) == made["layers"][0]["features"]
        for car, (lat, lon) in PATROLS.items():
            await on_patrol(gateway, car, lat, lon)
        seen = await reach(gateway, {"car-1", "car-2"})
        whole = seen["grids"][0]
        assert 0 < whole["within_1"] < whole["within_3"] < whole["within_5"] <= 1
        assert sum(whole["cold"].values()) == pytest.approx(1 - whole["within_5"], abs=0.001)
        near = (await gateway.get(f"/api/v1/nearest?{SCENE}"))["units"]
        assert [unit["unit"] for unit in near] == ["car-1", "car-2"]
        assert near[0]["seconds"] < 90 < near[1]["seconds"]
        assert near[0]["state"] == "vehicle_patrol"
        shown = CliRunner().invoke(app, ["map", "nearest", "24.502", "117.641", "--data",
                                         str(gateway.folder), "--limit", "1"])  # fmt: skip
        assert shown.exit_code == 0, shown.output
        assert "car-1" in shown.output
        assert "can be sent" in shown.output
        assert "car-2" not in shown.output
        shown = CliRunner().invoke(app, ["map", "reach", "--data", str(gateway.folder)])
        assert shown.exit_code == 0, shown.output
        assert "2 units can be sent" in shown.output


async def on_patrol(gateway: Gateway, car: str, lat: float, lon: float) -> None:
    """A car reports that it patrols there, and the gateway knows it."""
    password = await gateway.add(car)
    now = int(time.time() * 1000)
    place = {"lat": lat, "lon": lon, "fix": 3}
    async with Terminal(gateway.mqtt_port, car, password) as terminal:
        terminal.send("duty", {"boot": 1, "seq": 1, "t": now, "act": "vehicle_patrol"})
        terminal.send("pos", {"boot": 1, "seq": 1, "t": now, **place})
        await terminal.receipt(p=1, t=1)


async def reach(gateway: Gateway, units: set[str]) -> Any:
    """The first look that counts these units."""
    async with asyncio.timeout(30):
        while True:
            try:
                seen = await gateway.get("/api/v1/reach")
            except urllib.error.HTTPError as error:
                assert error.code == 404  # noqa: PT017  not looked yet
                error.close()
            else:
                if set(seen["units"]) == units:
                    return seen
            await asyncio.sleep(0.1)  # a look makes no event
