"""The agent on a device in the whole system: its track is gpsd's, its presses come once."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import itertools
import json
import random
import shutil
import signal
import sqlite3
import sys
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.client import HTTPException
from pathlib import Path
from typing import Any

import aiohttp
import cv2
import numpy as np
import psutil
import pytest

from edge.control_client import call
from fieldgate.processes import Child
from gateway.app import admin_token
from protocols.model import message_id
from protocols.native.topics import LANES, Up
from tests.edge.gpsd_parts import (
    FakeGpsd,
    as_due,
    patrol_log,
    places_of,
    real_gpsd,
    track_of,
    watch,
)
from tests.scenarios.whole import Gateway

DEVICE = "car-017"
VECTORS = Path(__file__).parents[3] / "shared" / "vectors" / "gpsd"
STARTED_MS = time.time_ns() // 1_000_000
EVERY_FIX = "[report]\ninterval_s = 0\n"


class Agent:
    """`fieldgate edge` of a device that is registered. Killed and started again, it goes on."""

    def __init__(self, folder: Path, gateway: Gateway, *tables: str) -> None:
        self.config, self.socket = folder / "agent.toml", folder / "edge.sock"
        self.spool = folder / "spool"
        self._gateway, self._tables = gateway, tables
        self._child: Child

    async def __aenter__(self) -> Agent:
        password = await self._gateway.add(DEVICE)
        keys = [
            f'device = "{DEVICE}"\nkind = "vehicle_terminal"',
            f'[broker]\nhost = "127.0.0.1"\nport = {self._gateway.mqtt_port}',
            f'password = "{password}"',
            f'[spool]\nfolder = "{self.spool}"\n[control]\nsocket = "{self.socket}"',
        ]
        self.config.write_text("\n".join([*keys, *self._tables]))
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._child.__aexit__()

    async def start(self) -> None:
        """Start it and wait until its control socket answers."""
        logs = self.config.parent
        self._child = Child("agent", "edge", "--config", str(self.config), logs=logs)
        await self._child.__aenter__()
        await until(self.status)

    async def kill(self) -> None:
        """Kill it as a power cut would."""
        self.process.send_signal(signal.SIGKILL)
        await self._child.exited.wait()
        await self._child.__aexit__()

    @property
    def process(self) -> psutil.Process:
        """Its process."""
        return psutil.Process(self._child.pid)

    async def call(self, method: str, target: str, body: object = None) -> dict[str, Any] | None:
        """The answer of its control socket, or None if there is no agent."""
        try:
            (answer,) = await asyncio.to_thread(
                lambda: list(call(self.socket, method, target, body))
            )
        except (OSError, HTTPException, ValueError):  # gone before, or in the middle of it
            return None
        return answer

    async def status(self) -> dict[str, Any] | None:
        """How it is."""
        return await self.call("GET", "/status")

    async def command(self, *arguments: str) -> asyncio.subprocess.Process:
        """A running `fieldgate edge … --json` that speaks to it."""
        return await asyncio.create_subprocess_exec(
            sys.executable, "-m", "fieldgate", "edge", *arguments,
            "--config", str(self.config), "--json", stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip

    def spooled(self, copy: Path) -> set[str]:
        """The message ids in the spool of an agent that is dead, which stays as it is."""
        shutil.copytree(self.spool, copy)
        with contextlib.closing(sqlite3.connect(copy / "spool.db")) as db:
            rows = db.execute("SELECT boot, channel, seq FROM message").fetchall()
        return {message_id(DEVICE, boot, LANES[Up(channel)], seq) for boot, channel, seq in rows}


async def until(condition: Callable[[], Awaitable[Any]], timeout_s: float = 30) -> Any:
    """Wait for something in another process; what it gave."""
    async with asyncio.timeout(timeout_s):
        while not (value := await condition()):
            await asyncio.sleep(0.05)
    return value


@pytest.fixture
async def gateway(tmp_path: Path) -> AsyncIterator[Gateway]:
    async with Gateway(tmp_path / "data") as gateway:
        yield gateway


# -- a receiver, played by a real gpsd -------------------------------------------


async def _replayed(
    log: Path, folder: Path, gateway: Gateway
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """What gpsd says to a client of the test's own, and the track that the gateway serves."""
    with real_gpsd(log, folder, seconds_per_sentence=0.005, held=True) as player:
        gps = f"[gps]\nport = {player.port}\n"
        async with Agent(folder, gateway, gps, EVERY_FIX) as agent:

            async def listens() -> bool:
                peers = [each.raddr for each in agent.process.net_connections()]
                return any(peer and peer.port == player.port for peer in peers)

            async def track() -> list[dict[str, Any]] | None:
                answer = await gateway.get(f"/api/v1/devices/{DEVICE}/track")
                fixes = [feature["properties"] for feature in answer["features"]]
                is_whole = {(f["lat"], f["lon"]) for f in fixes} >= set(places_of(said))
                return fixes if is_whole and len(fixes) >= len(track_of(said)) else None

            await until(listens)
            said = await watch(player.port, player.go)
            return said, await until(track)


def _check(said: list[dict[str, Any]], track: list[dict[str, Any]]) -> None:
    """Fix by fix. One that the receiver does not date has the device's time."""
    keys = ("t", "lat", "lon", "fix", "spd", "hdg", "alt")
    undated = range(STARTED_MS, STARTED_MS + 3_600_000)
    served = [tuple(fix.get(key) for key in keys) for fix in track if fix["t"] not in undated]
    assert served == [as_due(report) for report in track_of(said)]
    assert {(fix["lat"], fix["lon"]) for fix in track} == set(places_of(said))


@pytest.mark.slow
async def test_the_track_of_a_patrol_is_what_gpsd_reported(
    tmp_path: Path, gateway: Gateway
) -> None:
    log = tmp_path / "patrol.log"
    log.write_text(patrol_log())
    said, track = await _replayed(log, tmp_path, gateway)
    assert len(track) == 16
    _check(said, track)
    assert {fix["sats"] for fix in track} == {6}


@pytest.mark.slow
@pytest.mark.skipif(not VECTORS.exists(), reason="the recorded receivers of ../shared are not here")
@pytest.mark.parametrize("receiver", ["beidou-bd", "bu353-glonass", "quectel"])
async def test_the_track_of_a_recorded_receiver_is_what_gpsd_reported(
    receiver: str, tmp_path: Path, gateway: Gateway
) -> None:
    said, track = await _replayed(VECTORS / f"{receiver}.log", tmp_path, gateway)
    _check(said, track)


# -- a press ---------------------------------------------------------------------


@pytest.mark.slow
async def test_the_one_who_pressed_is_told_each_stage(tmp_path: Path, gateway: Gateway) -> None:
    async with Agent(tmp_path, gateway) as agent:
        process = await agent.command("press", "--wait", "stored")
        output, _ = await process.communicate()
        assert process.returncode == 0
        *_, stored = [json.loads(line) for line in output.splitlines()]
        (event,) = await gateway.events("alarm.raised")
        assert (stored["stage"], stored["id"]) == ("stored", event["id"])

        following = await agent.command("press", "--kind", "fire", "--follow")
        assert following.stdout is not None
        stages = []
        async for line in following.stdout:
            step = json.loads(line)
            stages.append((step["stage"], step.get("by")))
            alarm = f"/api/v1/alarms/{step['id']}"
            if step["stage"] == "stored":
                await gateway.post(f"{alarm}/accept", by="Li")
            elif step["stage"] == "accepted":
                await gateway.post(f"{alarm}/acknowledge", by="Wang")
            elif step["stage"] == "acknowledged":
                await gateway.post(f"{alarm}/close", by="Li")
        assert await following.wait() == 0
        assert stages[-4:] == [
            ("stored", None), ("accepted", "Li"), ("acknowledged", "Wang"), ("closed", "Li"),
        ]  # fmt: skip


@pytest.mark.slow
async def test_the_picture_of_an_alarm_arrives_whole(tmp_path: Path, gateway: Gateway) -> None:
    noise = np.random.default_rng(7).integers(0, 256, (480, 640, 3), np.uint8)
    scene = cv2.GaussianBlur(noise, (25, 25), 0)
    assert cv2.imwrite(str(tmp_path / "scene.png"), scene)
    headers = {"Authorization": f"Bearer {admin_token(gateway.folder)}"}
    async with (
        Agent(tmp_path, gateway, f'[camera]\nsource = "{tmp_path}/scene.png"') as agent,
        aiohttp.ClientSession(gateway.url, headers=headers) as session,
    ):
        pressed = await agent.call("POST", "/press", {"kind": "hold_up"})
        assert pressed is not None
        (event,) = await gateway.wait_for(1, "media")
        about = event["data"]
        assert about["ref"] == pressed["id"]
        assert about["reason"] in {"alarm", "pre_alarm"}  # a still: nothing has changed since
        assert (about["w"], about["h"], about["complete"]) == (640, 480, True)
        async with session.get(f"/api/v1/media/{about['id']}") as answer:
            jpeg = await answer.read()
    assert hashlib.sha256(jpeg).hexdigest() == about["id"]
    shown = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
    assert shown is not None
    assert np.abs(shown.astype(int) - scene).mean() < 4


# -- crashes ---------------------------------------------------------------------


@dataclass
class Shift:
    """What was done on a device during a shift, and what the gateway's feed tells of it."""

    tried: set[str] = field(default_factory=set)  # zones whose button was pressed
    pressed: dict[str, str] = field(default_factory=dict)  # those that were answered: id, zone
    driven: list[int] = field(default_factory=list)  # times of the fixes that gpsd gave out (ms)
    raised: list[Any] = field(default_factory=list)
    telemetry: list[Any] = field(default_factory=list)
    is_over: bool = False

    @property
    def ids(self) -> set[str]:
        """Every message that the feed tells of."""
        return {event["id"] for event in self.raised + self.telemetry}

    def check(self) -> None:
        """Every press once, and of each boot all telemetry without a gap."""
        zones = [event["data"]["zone"] for event in self.raised]
        assert len(self.pressed) > 10
        assert len(zones) == len(set(zones))
        assert self.tried >= set(zones) >= set(self.pressed.values())
        assert {event["id"] for event in self.raised} >= self.pressed.keys()
        seqs = defaultdict(list)
        for event in self.telemetry:
            seqs[event["data"]["boot"]].append(event["data"]["seq"])
        for held in seqs.values():
            assert sorted(held) == list(range(1, len(held) + 1))

    @property
    def fix_times(self) -> list[int]:
        """Of the positions in the feed."""
        return [event["data"]["t"] for event in self.telemetry if "lat" in event["data"]]


async def _press(agent: Agent, shift: Shift) -> None:
    """A button after the other, each of a zone of its own; whether or not an agent is there."""
    for n in itertools.count():
        if shift.is_over:
            return
        zone = f"room {n}"
        shift.tried.add(zone)
        answer = await agent.call("POST", "/press", {"zone": zone})
        if answer is not None:
            shift.pressed[answer["id"]] = zone
        await asyncio.sleep(0.05)


async def _drive(gpsd: FakeGpsd, shift: Shift) -> None:
    """A car that reports 20 times a second, to those that listen."""
    for n in itertools.count():
        if shift.is_over:
            return
        now = datetime.now(UTC)
        said = now.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        tpv = {"class": "TPV", "mode": 3, "time": said, "lat": 24.5 + n * 1e-5, "lon": 117.65}
        if gpsd.say(json.dumps({**tpv, "speed": 20.0, "track": 0.0})):
            shift.driven.append(round(datetime.fromisoformat(said).timestamp() * 1000))
        await asyncio.sleep(0.05)


async def _a_shift_with_crashes(
    folder: Path, crash: Callable[[Gateway, Agent], Awaitable[None]], *, times: int
) -> Shift:
    """Presses and positions go on while ``crash`` happens so many times at random moments."""
    shift, rng = Shift(), random.Random(11)
    async with Gateway(folder / "data") as gateway, FakeGpsd() as gpsd:
        gps = f"[gps]\nport = {gpsd.port}"
        async with Agent(folder, gateway, gps, EVERY_FIX) as agent:
            going_on = [
                asyncio.create_task(_press(agent, shift), name="presses"),
                asyncio.create_task(_drive(gpsd, shift), name="drive"),
            ]
            for _ in range(times):
                await asyncio.sleep(rng.uniform(0.3, 1.2))  # a random moment is the point
                await crash(gateway, agent)
            await asyncio.sleep(0.5)
            shift.is_over = True
            await asyncio.gather(*going_on)
            gpsd.hang_up()  # the fix of the last epoch is reported

            async def empty() -> bool:
                status = await agent.status()
                return status is not None and not status["spool"] and status["connected"]

            await until(empty)
        shift.raised = await gateway.events("alarm.raised")
        shift.telemetry = await gateway.events("position", "status")
        (ledger,) = (await gateway.get(f"/api/v1/ledger?device={DEVICE}"))["devices"]
        assert ledger["conflicts"] == 0
    return shift


@pytest.mark.slow
async def test_a_killed_agent_loses_nothing_that_it_took(tmp_path: Path) -> None:
    spooled: list[set[str]] = []

    async def crash(gateway: Gateway, agent: Agent) -> None:
        broker = psutil.Process(int((gateway.folder / "broker/mosquitto.pid").read_text()))
        broker.suspend()
        await asyncio.sleep(0.3)  # something gathers in the spool
        await agent.kill()
        broker.resume()
        spooled.append(agent.spooled(tmp_path / f"copy-{len(spooled)}"))
        await agent.start()

    shift = await _a_shift_with_crashes(tmp_path, crash, times=2)
    shift.check()
    assert all(len(messages) > 3 for messages in spooled)
    assert shift.ids >= set().union(*spooled)
    assert len(set(shift.fix_times)) == len(shift.fix_times)
    assert len(shift.fix_times) > 30


@pytest.mark.slow
async def test_an_agent_outlives_its_gateway_and_its_broker(tmp_path: Path) -> None:
    async def crash(gateway: Gateway, _: Agent) -> None:
        gateway.kill_broker()
        await gateway.kill()
        await gateway.start()

    shift = await _a_shift_with_crashes(tmp_path, crash, times=1)
    shift.check()
    assert len(shift.pressed) == len(shift.raised)
    assert sorted(shift.fix_times) == shift.driven
