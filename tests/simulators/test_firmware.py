"""A box that runs the firmware: pressed, its power cut, and all of it in the ledger."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path

import pytest

from protocols.model import Stage
from simulators import ledger, scenario, town_plan
from simulators.devices.firmware import FirmwareDevice
from simulators.ledger import Ledger, Pressed, Receipted
from simulators.link import Address, Relay
from simulators.scenario import Reports, Unit
from simulators.tally import Tally
from tests.simulators.gateway import Gateway

BOX = Unit(device="box-0001", kind="alarm_box", name="Bank", grid=0, firmware=True)


def test_the_last_boxes_of_a_scenario_run_the_firmware() -> None:
    day = scenario.parse("seed = 1\nduration_s = 1\n[devices]\nboxes = 3\nfirmware = 2\n", "x")
    units = scenario.roster(day, town_plan.draw(1))
    assert [unit.firmware for unit in units] == [False] * 3 + [True] * 2
    assert {unit.kind for unit in units} == {"alarm_box"}
    assert all(unit.lat for unit in units)


@pytest.mark.slow
async def test_its_presses_arrive_over_a_power_cut_and_stand_in_the_ledger(
    broker_port: int, tmp_path: Path
) -> None:
    broker, tally = Address("127.0.0.1", broker_port), Tally()
    async with (
        Gateway(broker) as gateway,
        Ledger(tmp_path / "ledger.jsonl") as book,
        Relay(broker) as relay,
    ):
        device = FirmwareDevice(
            BOX,
            password="",
            relay=relay,
            folder=tmp_path / "box",
            compiling=asyncio.Lock(),
            book=book,
            tally=tally,
            reports=Reports(),
            prefix="field",
        )
        living = asyncio.create_task(device.run())
        await gateway.until(lambda: gateway.presence)
        await device.press("hold_up", presses=3)  # its one button says panic
        await gateway.until(lambda: len(gateway.alarms()) == 1)
        first_boot = gateway.alarms()[0].boot
        await device.reboot(0)
        await gateway.until(lambda: gateway.presence[-1][1].boot > first_boot)
        await device.press("duress")
        await gateway.until(lambda: len(gateway.alarms()) == 2)
        async with asyncio.timeout(30):
            while device.waiting or tally.stages[Stage.STORED] < 2:  # nothing tells
                await asyncio.sleep(0.02)
        living.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await living
    lines = list(ledger.read(tmp_path / "ledger.jsonl"))
    pressed = {line.id: line.kind for line in lines if isinstance(line, Pressed)}
    assert sorted(pressed.values()) == ["duress", "panic"]
    assert {line.id for line in lines if isinstance(line, Receipted)} == set(pressed)
    assert pressed.keys() == {
        f"box-0001:{alarm.boot}:p:{alarm.seq}" for alarm in gateway.alarms()
    }  # fmt: skip
