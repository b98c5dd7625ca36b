"""Does the firmware do on MicroPython, in little memory, what it does under CPython?"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from simulators import firmware
from simulators.firmware import FirmwareBox, running
from simulators.link import Address, Relay
from tests import parts
from tests.scenarios.whole import Gateway

pytestmark = pytest.mark.slow


async def registered(gateway: Gateway, device: str = "box-1") -> dict[str, Any]:
    """Register a box; what it is to be set up with."""
    password = await gateway.add(device, "alarm_box")
    address = f"127.0.0.1:{gateway.mqtt_port}"
    return {"device": device, "password": password, "brokers": [address, address]}


@pytest.fixture
async def box(gateway: Gateway, tmp_path: Path, built: Path) -> AsyncIterator[FirmwareBox]:
    """A box of the gateway's that has its link."""
    settings = await registered(gateway)
    async with running(FirmwareBox(tmp_path / "box", built), **settings) as each:
        await each.told("link_up")
        yield each


def test_the_way_of_a_press_allocates_nothing(built: Path, tmp_path: Path) -> None:
    (tmp_path / "box.json").write_text('{"device": "b", "brokers": ["127.0.0.1:9"], "zone": "z"}')
    script = firmware.SOURCES.parent / "checks/press_without_heap.py"
    run = subprocess.run(
        [Path(sys.executable).with_name("micropython"), "-X", "heapsize=192k", script, tmp_path],
        env={**os.environ, "MICROPYPATH": f"{built}:.frozen"},
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert run.stdout.endswith("no allocation ready\n"), run.stdout + run.stderr


async def test_a_press_is_stored_accepted_acknowledged_and_closed(
    gateway: Gateway, box: FirmwareBox
) -> None:
    since = len(box.lines)
    box.do("press 60")
    await box.shows("stored")
    (raised,) = await gateway.wait_for(1, "alarm.raised")
    assert raised["data"]["kind"] == "panic"
    assert "clock_skewed" not in raised["data"]["flags"]
    for act, look in (
        ("accept", "accepted"), ("acknowledge", "acknowledged"), ("close", "closed"),
    ):  # fmt: skip
        await gateway.post(f"/api/v1/alarms/{raised['id']}/{act}", by="desk 3")
        await box.shows(look)
    assert box.looks(since) == [
        "pressed", "sent", "stored", "accepted", "acknowledged", "closed",
    ]  # fmt: skip
    await box.told("sound", since, tune="falling")  # light and sound are told one by one
    assert box.tunes(since) == [
        "click", "click", "one_long", "two_high", "three_high", "falling",
    ]  # fmt: skip
    devices = await gateway.get("/api/v1/devices/box-1")
    assert devices["state"] == "online"
    assert (await box.report())["failures"] == 0


async def test_a_duress_is_raised_and_shows_nothing(gateway: Gateway, box: FirmwareBox) -> None:
    await box.shows("ready")
    since = len(box.lines)
    box.do("duress 60")
    (raised,) = await gateway.wait_for(1, "alarm.raised")
    assert raised["data"]["silent"] is True
    await gateway.post(f"/api/v1/alarms/{raised['id']}/accept", by="desk 3")
    await box.report()
    assert box.looks(since) + box.tunes(since) == []


@pytest.mark.timeout(600)
async def test_killed_a_hundred_times_in_the_middle_of_a_press_each_arrives_once(
    gateway: Gateway, tmp_path: Path, built: Path
) -> None:
    settings = await registered(gateway)
    box = FirmwareBox(tmp_path / "box", built)
    box.provision(**settings)
    rng = random.Random(4)
    async with box:
        for _ in range(100):
            await box.told("link_up")
            box.do("press 50")
            await box.told("light", look="pressed")
            await asyncio.sleep(rng.uniform(0, 0.02))  # the moment of the cut is what is tried
            os.kill(box.pid, signal.SIGKILL)
            await box.kill()
            box.lines.clear()
            await box.start()
        await box.told("link_up")
        while (await box.report())["waiting"]:
            await asyncio.sleep(0.05)
        boot = (await box.report())["boot"]
    raised = await gateway.events("alarm.raised")
    ids = [event["id"] for event in raised]
    assert len(ids) == len(set(ids)) <= 100
    # Each press was on the flash before its light could be told: none is missing.
    assert {int(id_.split(":")[1]) for id_ in ids} == set(range(boot - 100, boot))
    ledger = await gateway.get("/api/v1/ledger?device=box-1")
    assert ledger["totals"]["missing"] == 0


async def test_broker_and_gateway_killed_and_back(gateway: Gateway, box: FirmwareBox) -> None:
    await gateway.kill()
    await box.told("link_down")
    box.do("press 60")
    await box.shows("nobody_has_it_yet")
    await box.told("sound", tune="two_low")
    await gateway.start()
    await box.shows("stored")
    assert len(await gateway.wait_for(1, "alarm.raised")) == 1


async def test_the_second_network_takes_over_and_the_first_comes_back(
    gateway: Gateway, tmp_path: Path, built: Path
) -> None:
    settings = await registered(gateway)
    async with Relay(Address("127.0.0.1", gateway.mqtt_port)) as first:
        settings["brokers"][0] = f"127.0.0.1:{first.address[1]}"
        async with running(FirmwareBox(tmp_path / "box", built), **settings) as box:
            await box.told("link_up", net=0)
            since = len(box.lines)
            await first.cut()
            down = await box.told("link_down", since)
            up = await box.told("link_up", since, net=1)
            assert up["at"] - down["at"] < 5000
            await box.shows("ready_second_network")
            box.do("press 60")
            await box.shows("stored")


async def test_the_heap_that_is_claimed_is_enough_for_an_hour_of_work(
    gateway: Gateway, tmp_path: Path, built: Path
) -> None:
    """Every message that a box sends and gets, again and again, in the heap of the docs."""
    settings = await registered(gateway)
    box = FirmwareBox(tmp_path / "box", built, heap_kb=firmware.HEAP_KB)
    async with running(box, **settings, status_every_s=5):
        await box.told("link_up")
        for n in range(1, 31):
            await box.press()
            await box.shows("stored")
            raised = (await gateway.wait_for(n, "alarm.raised"))[-1]
            await gateway.post(f"/api/v1/alarms/{raised['id']}/acknowledge", by="desk " * 10)
            await box.shows("acknowledged")
        report = await box.report()
        assert (report["failures"], report["dropped"], report["waiting"]) == (0, 0, 0)


@pytest.mark.parametrize(
    ("line", "look"),
    [("flash fail", "flash_worn"), ("clock off", "clock_unset"), ("break status", "ready"),
     ("break clock", "ready"), ("break settings", "ready"), ("break commands", "ready")],
)  # fmt: skip
async def test_the_alarm_goes_out_whatever_has_failed(
    gateway: Gateway, box: FirmwareBox, line: str, look: str
) -> None:
    box.do(line)
    await box.report()
    box.do("press 60")
    await box.shows("stored")
    box.do("key 60")
    await box.shows(look)
    assert len(await gateway.wait_for(1, "alarm.raised")) == 1


def certificate(folder: Path) -> None:
    """An authority and a broker's certificate from it."""

    def openssl(*arguments: str) -> None:
        subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)

    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    openssl(
        "req", "-x509", *key, "-subj", "/CN=ca", "-days", "2", "-keyout", "ca.key", "-out", "ca.crt"
    )
    for name in ("gateway", "box-1"):
        openssl(
            "req", *key, "-subj", f"/CN={name}", "-keyout", f"{name}.key", "-out", f"{name}.csr"
        )
        openssl("x509", "-req", "-in", f"{name}.csr", "-CA", "ca.crt", "-CAkey", "ca.key",
                "-CAcreateserial", "-days", "2", "-out", f"{name}.crt")  # fmt: skip
    # MicroPython reads DER alone.
    for name in ("ca", "box-1"):
        openssl("x509", "-in", f"{name}.crt", "-outform", "der", "-out", f"{name}.der")
    openssl("ec", "-in", "box-1.key", "-outform", "der", "-out", "box-1.key.der")


@pytest.mark.parametrize("name", ["gateway", "somebody else"])
async def test_tls_with_certificates_of_both_sides(tmp_path: Path, built: Path, name: str) -> None:
    certificate(tmp_path)
    box_folder = tmp_path / "box"
    box_folder.mkdir()
    for file in ("ca.der", "box-1.der", "box-1.key.der"):
        (box_folder / file).write_bytes((tmp_path / file).read_bytes())
    lines = [
        f"cafile {tmp_path}/ca.crt", f"certfile {tmp_path}/gateway.crt",
        f"keyfile {tmp_path}/gateway.key", "require_certificate true",
        "use_identity_as_username true", "allow_anonymous false", "user root",
    ]  # fmt: skip
    with parts.mosquitto(tmp_path, *lines) as (port, _):
        box = FirmwareBox(box_folder, built, heap_kb=firmware.HEAP_TLS_KB)
        async with running(
            box, device="box-1", brokers=[f"127.0.0.1:{port}"],
            tls={"ca": "ca.der", "cert": "box-1.der", "key": "box-1.key.der", "name": name},
        ):  # fmt: skip
            if name == "gateway":
                await box.told("link_up")
                box.do("press 60")
                await box.shows("sent")
            else:
                why = (await box.told("link_failed"))["why"]
                assert "CERT_VERIFY_FAILED" in why or "cert" in why, why
            assert (await box.report())["failures"] == 0
