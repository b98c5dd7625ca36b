"""Parts are killed while a city reports: nothing is lost, nothing is twice."""

from __future__ import annotations

import asyncio
import base64
import json
import random
import signal
from collections.abc import Awaitable, Callable
from pathlib import Path

import psutil
import pytest

from fieldgate.processes import Child
from fieldgate.verification import Proof, verify
from gateway.registry import Device, Registry
from simulators import ledger, scenario
from simulators.run import city_of
from tests.parts import free_port
from tests.scenarios.whole import Gateway, Terminal, dispatch_core

DAY = """
seed = 5
duration_s = 60
[devices]
cars = 20
officers = 5
boxes = 5
[reports]
position_period_s = 0.2
duty_per_minute = 120
pictures_per_minute = 30
[alarms]
per_minute = 600
hammered_share = 0.2
[troubles]
offline = { share = 0.2, every_s = 4, length_s = 1 }
"""
SECRET = "whsec_" + base64.b64encode(b"0123456789abcdef01234567").decode()


async def _a_day_with_crashes(
    folder: Path, crash: Callable[[Gateway, Child], Awaitable[None]], *, times: int
) -> Proof:
    """Play eight seconds; ``crash`` happens so many times at random moments."""
    day_file, data = folder / "day.toml", folder / "data"
    day_file.write_text(DAY)
    day = scenario.load(str(day_file))
    with Registry(data) as registry:
        passwords = registry.add_many(
            Device(id=unit.device, kind=unit.kind, lat=unit.lat, lon=unit.lon)
            for unit in scenario.roster(day, city_of(day))
        )
    credentials = folder / "credentials.jsonl"
    credentials.write_text(
        "".join(json.dumps({"user": u, "password": p}) + "\n" for u, p in passwords.items())
    )
    core_port = free_port()
    settings = folder / "gateway.toml"
    settings.write_text(
        f'[[webhooks]]\nurl = "http://127.0.0.1:{core_port}/events"\nsecret = "{SECRET}"\n'
    )
    gateway = Gateway(data, "--config", str(settings))
    ledgers = [folder / "city.jsonl", data / "core.jsonl"]
    rng = random.Random(7)
    async with dispatch_core(gateway.url, data, core_port, SECRET) as core, gateway:
        city = Child(
            "city", "sim", "run", str(day_file), "--json",
            "--mqtt", f"127.0.0.1:{gateway.mqtt_port}",
            "--credentials", str(credentials), "--ledger", str(ledgers[0]), "--seconds", "8",
            "--drain", "60", logs=data / "logs",
        )  # fmt: skip
        async with city:
            await city.ready()
            for _ in range(times):
                await asyncio.sleep(rng.uniform(0.2, 6 / times))  # a random moment is the point
                await crash(gateway, core)
            await city.exited.wait()
            assert city.newest["phase"] == "done", city.failure()
        async with asyncio.timeout(60):
            while _lost(ledgers):
                await asyncio.sleep(0.1)
    return await verify(data, ledgers)


def _lost(ledgers: list[Path]) -> frozenset[str]:
    return ledger.verdict((each for path in ledgers for each in ledger.read(path)), ()).lost


def _check(proof: Proof) -> None:
    assert proof.pressed > 30
    assert proof.clean, proof
    assert proof.positions_sent > 500
    assert proof.positions_missing == 0


@pytest.mark.slow
@pytest.mark.timeout(300)
async def test_the_gateway_is_killed(tmp_path: Path) -> None:
    async def crash(gateway: Gateway, core: Child) -> None:
        await gateway.kill()
        await gateway.start()

    _check(await _a_day_with_crashes(tmp_path, crash, times=3))


@pytest.mark.slow
async def test_a_disk_that_takes_no_more_costs_no_alarm(tmp_path: Path) -> None:
    """What cannot be kept is not receipted; the journal is read anew; the device sends again."""
    async with Gateway(tmp_path / "data") as gateway:
        password = await gateway.add("box-1", "alarm_box")
        async with Terminal(gateway.mqtt_port, "box-1", password) as box:
            alarm = {"boot": 1, "seq": 1, "t": 0, "kind": "panic"}
            process = psutil.Process(gateway.pid)
            process.rlimit(psutil.RLIMIT_FSIZE, (1, psutil.RLIM_INFINITY))
            box.send("alarm", alarm)
            async with asyncio.timeout(30):
                while "the journal has failed" not in await gateway.wrong():
                    await asyncio.sleep(0.05)
            assert box.receipts.empty()
            process.rlimit(psutil.RLIMIT_FSIZE, (psutil.RLIM_INFINITY, psutil.RLIM_INFINITY))
            async with asyncio.timeout(30):
                while box.receipts.empty():
                    box.send("alarm", alarm)
                    await asyncio.sleep(0.5)
            (event,) = await gateway.wait_for(1, "alarm.raised")
            assert event["id"] == "box-1:1:p:1"


@pytest.mark.slow
@pytest.mark.timeout(300)
async def test_the_broker_is_killed(tmp_path: Path) -> None:
    async def crash(gateway: Gateway, core: Child) -> None:
        gateway.kill_broker()

    _check(await _a_day_with_crashes(tmp_path, crash, times=3))


@pytest.mark.slow
@pytest.mark.timeout(300)
async def test_the_dispatch_core_is_killed(tmp_path: Path) -> None:
    async def crash(gateway: Gateway, core: Child) -> None:
        psutil.Process(core.pid).send_signal(signal.SIGKILL)
        await core.exited.wait()
        await core.__aexit__()
        core.exited.clear()
        await core.__aenter__()

    _check(await _a_day_with_crashes(tmp_path, crash, times=2))
