"""Units and arrivals through the whole gateway: crews of another maker, a kill, a second count."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from protocols.model import DeviceKind
from tests.scenarios.recount import recount
from tests.scenarios.whole import Gateway, Terminal

pytestmark = pytest.mark.slow  # whole processes, real time

DEG_PER_M = 1 / 111_195
SCENE = {"lat": 24.5, "lon": 117.6}
SETTINGS = """
timezone = "Asia/Shanghai"

[[grids]]
name = "north"
polygon = [[24.49, 117.59], [24.49, 117.61], [24.51, 117.61], [24.51, 117.59]]
"""


@pytest.fixture
async def gateway(tmp_path: Path) -> AsyncIterator[Gateway]:
    config = tmp_path / "gateway.toml"
    config.write_text(SETTINGS)
    async with Gateway(tmp_path / "data", "--config", str(config)) as gateway:
        yield gateway


class Crew:
    """Terminals of one crew that number what they send."""

    def __init__(self, *terminals: Terminal) -> None:
        self.terminals = {terminal.device: terminal for terminal in terminals}
        self._seq = dict.fromkeys([(d, lane) for d in self.terminals for lane in "pt"], 0)

    async def send(self, device: str, channel: str, **keys: Any) -> None:
        """Something happens; return when the gateway has it, on the priority lane."""
        lane = "p" if channel in ("duty", "reply") else "t"
        self._seq[device, lane] += 1
        seq, t = self._seq[device, lane], int(time.time() * 1000)
        terminal = self.terminals[device]
        terminal.send(channel, {"boot": 1, "seq": seq, "t": t, **keys})
        if lane == "p":
            await terminal.receipt(boot=1, p=seq)

    async def at(self, device: str, north_m: float) -> None:
        """The device reports where it is."""
        lat = SCENE["lat"] + north_m * DEG_PER_M
        await self.send(device, "pos", lat=lat, lon=SCENE["lon"], fix=3, acc=4.0, spd=9.0)

    def online(self) -> None:
        """Each says that it is there, and what its clock shows."""
        for terminal in self.terminals.values():
            keys = {"online": True, "boot": 1, "t": int(time.time() * 1000)}
            terminal.send("presence", keys, retain=True)


async def test_a_crew_is_sent_comes_and_is_counted_twice_to_the_same_figures(
    gateway: Gateway,
) -> None:
    passwords = {}
    for device in ("car-1", "cam-1", "car-2"):
        kind: DeviceKind = "body_camera" if device == "cam-1" else "vehicle_terminal"
        passwords[device] = await gateway.add(device, kind)
    port = gateway.mqtt_port
    async with (
        Terminal(port, "car-1", passwords["car-1"]) as car,
        Terminal(port, "cam-1", passwords["cam-1"], as_json=True) as camera,
        Terminal(port, "car-2", passwords["car-2"]) as other,
    ):
        crew = Crew(car, camera, other)
        crew.online()
        await gateway.wait_for(3, "presence")
        await crew.send("car-1", "duty", act="on_duty", crew=["031234", "cam-1"])
        await crew.send("car-1", "duty", act="vehicle_patrol")
        for north_m in (900, 500):
            await crew.at("car-1", north_m)
        unit = await gateway.get("/api/v1/units/car-1")
        assert [each["id"] for each in unit["devices"]] == ["car-1", "cam-1"]

        for target, incident in (("car-1", "110-7"), ("car-2", "110-8")):
            await gateway.post(
                "/api/v1/commands", act="instruct", by="desk",
                args={"incident": incident, "kind": "theft", **SCENE}, to={"unit": target},
            )  # fmt: skip
        order = await car.command()
        await crew.send("car-1", "reply", cmd=order["id"], state="delivered")
        await crew.send("car-1", "duty", act="en_route")
        for north_m in (300, 150, 99, 40):
            await crew.at("car-1", north_m)
        await crew.send("cam-1", "duty", act="on_scene")
        await crew.at("cam-1", 5)
        # Another one presses the key without ever being seen near, and is clear.
        await crew.send("car-2", "duty", act="on_scene", ref="110-8")
        await crew.send("car-2", "duty", act="clear")
        await gateway.wait_for(7, "position")

        before = await gateway.get("/api/v1/units/car-1")
        assert (before["state"], before["incident"]) == ("on_scene", "110-7")
        assert before["officers"] == ["031234"]
        (arrival,) = await gateway.wait_for(1, "unit.arrival")
        assert (arrival["data"]["unit"], arrival["data"]["incident"]) == ("car-1", "110-7")

        await gateway.kill()
        await gateway.start()
        again = await gateway.get("/api/v1/units/car-1")
        same = ("state", "since", "incident", "officers", "instruction", "bound_at")
        assert {key: again[key] for key in same} == {key: before[key] for key in same}

        events = await gateway.events()
        report = await gateway.get("/api/v1/reports/arrivals")
        assert {each["incident"]: each["duration_ms"] for each in report["incidents"]} == recount(
            events
        )
        assert [each["grid"] for each in report["by_grid"]] == ["north"]
        ways = {each["incident"]: each["units"][0] for each in report["incidents"]}
        assert ways["110-7"]["near"]["distance_m"] == 99.0
        assert ways["110-7"]["on_scene"]["device"] == "cam-1"
        assert "key_only" in ways["110-8"]["doubts"]
        total = report["total"]
        assert (total["incidents"], total["arrived"], total["share_5_min"]) == (2, 2, 1.0)

        # The command line tells the same, from the running gateway and from its folder.
        for how in ((), ("--offline", "--config", str(gateway.folder.parent / "gateway.toml"))):
            told = await gateway.command(
                "report", "arrivals", "--csv", str(gateway.folder / "arrivals.csv"),
                "--plot", str(gateway.folder / "arrivals.svg"), *how,
            )  # fmt: skip
            assert (told["total"], told["incidents"]) == (total, report["incidents"])
        lines = (gateway.folder / "arrivals.csv").read_text().splitlines()
        assert len(lines) == 3
        assert b"<svg" in (gateway.folder / "arrivals.svg").read_bytes()
        units = (await gateway.command("units"))["units"]
        assert [each["unit"] for each in units] == ["car-1", "car-2"]


async def test_a_spool_that_comes_late_changes_no_state_and_counts_when_it_happened(
    gateway: Gateway,
) -> None:
    password = await gateway.add("car-1")
    await gateway.post(
        "/api/v1/devices/car-1/commands", act="instruct",
        args={"incident": "110-7", "kind": "theft", **SCENE},
    )  # fmt: skip
    await asyncio.sleep(1.5)  # nothing tells that time has passed
    async with Terminal(gateway.mqtt_port, "car-1", password) as car:
        now = int(time.time() * 1000)
        lane = {"boot": 1, "ref": "110-7"}
        car.send("presence", {"online": True, "boot": 1, "t": now}, retain=True)
        await gateway.wait_for(1, "presence")
        car.send("duty", {**lane, "seq": 2, "t": now, "act": "clear"})
        await gateway.wait_for(1, "duty")
        car.send("duty", {**lane, "seq": 1, "t": now - 700, "act": "on_scene"})
        late = (await gateway.wait_for(2, "duty"))[-1]
        assert late["data"]["flags"] == ["duty_superseded"]
        assert (await gateway.get("/api/v1/units/car-1"))["state"] == "clear"
        report = await gateway.get("/api/v1/reports/arrivals")
        (found,) = report["incidents"]
        assert found["duration_ms"] == recount(await gateway.events())["110-7"]
        assert found["arrived"] == late["data"]["t"]


async def test_a_kill_among_keys_loses_no_change_and_tells_none_twice(gateway: Gateway) -> None:
    password = await gateway.add("car-1")
    now, acts = int(time.time() * 1000), ("vehicle_patrol", "foot_patrol")
    keys = [{"boot": 1, "seq": n, "t": now - 60 + n, "act": acts[n % 2]} for n in range(1, 61)]
    async with Terminal(gateway.mqtt_port, "car-1", password) as car:
        Crew(car).online()
        for key in keys:
            car.send("duty", key)
        await gateway.wait_for(20, "duty")
        await gateway.kill()
    await gateway.start()
    async with Terminal(gateway.mqtt_port, "car-1", password) as car:
        Crew(car).online()
        for key in keys:  # no receipt covers them all: the device sends them again
            car.send("duty", key)
        await car.receipt(boot=1, p=60)
        changes = await gateway.events("unit.changed")
        assert [each["id"] for each in changes] == [
            f"car-1:1:p:{n}/unit/car-1" for n in range(1, 61)
        ]
        assert [each["data"]["was"] for each in changes][1:] == [
            each["data"]["state"] for each in changes
        ][:-1]
        unit = await gateway.get("/api/v1/units/car-1")
        assert (unit["state"], unit["since"]) == ("vehicle_patrol", now)
