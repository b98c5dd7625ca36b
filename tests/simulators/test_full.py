"""A full device: the real agent, its satellites and its camera, on a real broker."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from pathlib import Path

import pytest

from protocols.model import (
    Alarm,
    Command,
    DutyReport,
    Fix,
    Lane,
    MediaChunk,
    Position,
    Reply,
    Stage,
)
from protocols.native import media
from protocols.native.topics import Down
from simulators import camera, ledger
from simulators.devices.full import FullDevice
from simulators.ledger import Ledger, Pressed, Receipted, now_ms
from simulators.link import Address, Relay
from simulators.scenario import Crews, Reports, Unit
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

    async with (
        Gateway(broker) as gateway,
        Ledger(tmp_path / "ledger.jsonl") as book,
        Relay(broker) as relay,
    ):
        device = FullDevice(
            CAR,
            password="",
            relay=relay,
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
        async with asyncio.timeout(30):
            while not tally.stages[Stage.STORED]:  # the tally has no event
                await asyncio.sleep(0.02)
        await device.reboot(0)
        await gateway.until(lambda: gateway.presence[-1][1].boot > first_boot)
        device.making = False
        async with asyncio.timeout(30):
            while device.waiting:  # nor has the device
                await asyncio.sleep(0.02)
        living.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await living
    shown = picture()
    assert shown is not None
    assert began_ms <= camera.read_stamp(shown).millis <= now_ms()
    (alarm,) = gateway.alarms()
    assert alarm.kind == "panic"
    fixes = Counter(m.boot for m in gateway.messages.values() if isinstance(m, Fix))
    assert {account.boot: account.fixes for account in device.account()} == fixes
    lines = [
        line for line in ledger.read(tmp_path / "ledger.jsonl")
        if isinstance(line, Pressed | Receipted)
    ]  # fmt: skip
    assert [line.id for line in lines] == [f"full-0001:{alarm.boot}:p:{alarm.seq}"] * 2


class SlowLedger(Ledger):
    """Looks what the gateway has while the press is on its way to the disk."""

    def __init__(self, path: Path, gateway: Gateway) -> None:
        super().__init__(path)
        self._gateway = gateway
        self.too_early: list[Alarm] = []

    async def write(self, line: ledger.Line) -> None:
        if isinstance(line, Pressed):
            before = len(self._gateway.messages)
            with contextlib.suppress(TimeoutError):  # what never comes has no event
                await self._gateway.until(lambda: len(self._gateway.messages) > before, 0.5)
            self.too_early = self._gateway.alarms()
        await super().write(line)


@pytest.mark.slow
async def test_no_alarm_leaves_it_before_the_press_is_in_the_ledger(
    broker_port: int, tmp_path: Path
) -> None:
    broker = Address("127.0.0.1", broker_port)
    async with (
        Gateway(broker) as gateway,
        SlowLedger(tmp_path / "ledger.jsonl", gateway) as book,
        Relay(broker) as relay,
    ):
        device = FullDevice(
            CAR,
            password="",
            relay=relay,
            folder=tmp_path / "spool",
            book=book,
            tally=Tally(),
            reports=Reports(),
            sense=lambda _: None,
            prefix="field",
        )
        living = asyncio.create_task(device.run())
        await gateway.until(lambda: gateway.presence)
        await device.press("panic")
        await gateway.until(gateway.alarms)
        living.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await living
    assert book.too_early == []
    (window,) = (w for (_, _, lane), w in gateway.windows.items() if lane is Lane.PRIORITY)
    assert window.held_to == 1


class Way:
    """What takes the crew to its incident: it is there when the test says so."""

    def __init__(self) -> None:
        self.arrived = asyncio.Event()
        self.called_to: list[tuple[float, float]] = []

    def call_to(self, lat: float, lon: float) -> None:
        self.called_to.append((lat, lon))

    def let_go(self) -> None:
        self.arrived.clear()

    def stand(self, is_standing: bool) -> None:
        """It has no way of its own."""

    def alight(self, within_m: float) -> None:
        """Nobody walks."""


@pytest.mark.slow
async def test_its_crew_drives_to_an_incident_and_goes_on_with_it_after_a_reboot(
    broker_port: int, tmp_path: Path
) -> None:
    broker, way = Address("127.0.0.1", broker_port), Way()

    def duties() -> list[tuple[str, str | None]]:
        found = [m for m in gateway.messages.values() if isinstance(m, DutyReport)]
        return [(report.act, report.ref) for report in found]

    def states() -> list[str]:
        return [m.state for m in gateway.messages.values() if isinstance(m, Reply)]

    async with (
        Gateway(broker) as gateway,
        Ledger(tmp_path / "ledger.jsonl") as book,
        Relay(broker) as relay,
    ):
        device = FullDevice(
            CAR,
            password="",
            relay=relay,
            folder=tmp_path / "spool",
            book=book,
            tally=Tally(),
            reports=Reports(),
            sense=lambda _: None,
            prefix="field",
            crews=Crews(answer_s=0.02, refuse_share=0.0, on_scene_s=0.05),
            driver=way,
            clock_offset_s=-86_400,
        )
        living = asyncio.create_task(device.run())
        await gateway.until(lambda: gateway.presence)
        args: dict[str, object] = {"incident": "I-7", "kind": "theft", "lat": 24.5, "lon": 117.6}
        now = now_ms()
        command = Command(id="c1", act="instruct", t=now, exp=now + 60_000, args=args, sent=now)
        gateway.publish("full-0001", Down.CMD, command)
        await gateway.until(lambda: duties() == [("en_route", "I-7")])
        device.duty("parked")  # it has an incident: that goes on
        await device.reboot(0)
        await gateway.until(lambda: duties() == [("en_route", "I-7")] * 2)
        way.arrived.set()
        await gateway.until(lambda: "done" in states() and len(duties()) >= 4)
        living.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await living
    assert way.called_to == [(24.5, 117.6)] * 2
    assert duties()[2:4] == [("on_scene", "I-7"), ("clear", "I-7")]
    assert states() == ["delivered", "shown", "accepted", "done"]
