"""A full device: the real agent, its satellites and its camera, on a real broker."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path

import pytest

from protocols.model import Fix, MediaChunk, Position, Stage
from protocols.native import media
from simulators import camera, ledger
from simulators.devices.full import FullDevice
from simulators.ledger import Ledger, Pressed, Receipted, now_ms
from simulators.link import Address
from simulators.scenario import Reports, Unit
from simulators.tally import Tally
from tests.simulators.gateway import Gateway

CAR = Unit(device="full-0001", kind="vehicle_terminal", name="Car 1", grid=0, full=True)


@pytest.mark.slow
async def test_its_fixes_alarm_and_picture_arrive_and_it_survives_a_reboot(
    broker_port: int, tmp_path: Path
) -> None:
    broker, tally, began_ms = Address("127.0.0.1", broker_port), Tally(), now_ms()

    def picture() -> bytes | None:
        """The first picture that is whole."""
        chunks = [m for m in gateway.messages.values() if isinstance(m, MediaChunk)]
        for head in (chunk for chunk in chunks if chunk.n == 0):
            parts = {chunk.n: chunk.data for chunk in chunks if chunk.id == head.id}
            if len(parts) == head.of:
                return media.join(head.id, head.size, head.of, parts)
        return None

    async with Gateway(broker) as gateway, Ledger(tmp_path / "ledger.jsonl") as book:
        device = FullDevice(
            CAR,
            password="",
            broker=broker,
            folder=tmp_path / "spool",
            book=book,
            tally=tally,
            reports=Reports(),
            sense=lambda _: Position(lat=24.5, lon=117.6, fix=3, src="gnss"),
            prefix="field",
        )
        living = asyncio.create_task(device.run())
        await gateway.until(lambda: any(isinstance(m, Fix) for m in gateway.messages.values()))
        await device.press("panic", presses=3)
        await gateway.until(lambda: gateway.alarms() and picture())
        first_boot = gateway.alarms()[0].boot
        async with asyncio.timeout(5):
            while not tally.stages[Stage.STORED]:  # noqa: ASYNC110  # the tally has no event
                await asyncio.sleep(0.02)
        await device.reboot(0)
        await gateway.until(lambda: gateway.presence[-1][1].boot > first_boot)
        living.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await living
    shown = picture()
    assert shown is not None
    assert began_ms <= camera.read_stamp(shown).millis <= now_ms()
    (alarm,) = gateway.alarms()
    assert alarm.kind == "panic"
    lines = [
        line for line in ledger.read(tmp_path / "ledger.jsonl")
        if isinstance(line, Pressed | Receipted)
    ]  # fmt: skip
    assert [line.id for line in lines] == [f"full-0001:{alarm.boot}:p:{alarm.seq}"] * 2
