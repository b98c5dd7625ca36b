"""Light devices on a real broker: nothing lost, nothing invented, whatever the link does."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

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
from simulators.devices.light import LightDevice
from simulators.ledger import Ledger, Pressed, Receipted, now_ms
from simulators.link import Address, Relay
from simulators.scenario import Crews, Reports, Unit
from simulators.tally import Tally
from tests.simulators.gateway import Gateway

pytestmark = pytest.mark.slow  # whole processes, real time

CAR = Unit(device="car-1", kind="vehicle_terminal", name="Car 1", grid=0)
HERE = Position(lat=24.5, lon=117.6, fix=3, spd=8.0)


class Street:
    """One device between a broker and a stand-in gateway, with a ledger."""

    def __init__(self, broker: Address, book: Ledger, **settings: Any) -> None:
        self.tally = Tally()
        self.device = LightDevice(
            settings.pop("unit", CAR),
            password="",
            broker=broker,
            book=book,
            tally=self.tally,
            reports=settings.pop("reports", Reports(position_period_s=0.05)),
            sense=lambda _: HERE,
            rng=random.Random(1),
            boot=7,
            **settings,
        )

    @contextlib.asynccontextmanager
    async def alive(self) -> AsyncIterator[LightDevice]:
        task = asyncio.create_task(self.device.run())
        try:
            yield self.device
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task


@pytest.fixture
def broker(broker_port: int) -> Address:
    return Address("127.0.0.1", broker_port)


@pytest.fixture
async def book(tmp_path: Path) -> AsyncIterator[Ledger]:
    async with Ledger(tmp_path / "ledger.jsonl") as opened:
        yield opened


async def soon(holds: Callable[[], object], timeout_s: float = 30) -> None:
    """Wait for what happens inside the device, where no event tells."""
    async with asyncio.timeout(timeout_s):
        while not holds():  # the device has no event for tests
            await asyncio.sleep(0.02)


async def emptied(device: LightDevice) -> None:
    """Stop making and wait until every message is receipted."""
    device.making = False
    await soon(lambda: not device.waiting)


async def test_presence_is_retained_and_the_will_carries_the_boot(
    broker: Address, book: Ledger
) -> None:
    async with Gateway(broker) as gateway:
        async with Street(broker, book).alive() as device:
            await gateway.until(lambda: gateway.presence)
            await device.reboot(0)
            await gateway.until(lambda: len(gateway.presence) == 3)
        await gateway.until(lambda: len(gateway.presence) >= 4)
    # A broker that cannot write to a device that has left sends the will after its goodbye.
    assert [*dict.fromkeys((p.online, p.boot) for _, p in gateway.presence)] == [
        (True, 7), (False, 7), (True, 8), (False, 8),
    ]  # fmt: skip


async def test_an_alarm_is_in_the_ledger_before_it_is_sent_and_receipted_after(
    broker: Address, book: Ledger, tmp_path: Path
) -> None:
    async with Gateway(broker) as gateway, Street(broker, book).alive() as device:
        await gateway.until(lambda: gateway.messages)
        await device.press("panic")
        await gateway.until(gateway.alarms)
        await emptied(device)
    (alarm,) = gateway.alarms()
    assert (alarm.kind, alarm.count, alarm.boot, alarm.seq) == ("panic", 1, 7, 1)
    assert alarm.pos is not None
    assert alarm.pos.lat == 24.5
    await book.write(ledger.Acknowledged(id="the last line", at=0))
    lines = list(ledger.read(tmp_path / "ledger.jsonl"))
    assert [type(line).__name__ for line in lines] == [
        "Pressed",
        "Sent",
        "Receipted",
        "Acknowledged",
    ]
    assert isinstance(lines[0], Pressed)
    assert lines[0].online
    assert {line.id for line in lines[:3] if isinstance(line, Pressed | Receipted)} == {
        "car-1:7:p:1"
    }


async def test_a_hammered_button_is_one_alarm_and_one_update(broker: Address, book: Ledger) -> None:
    async with Gateway(broker) as gateway, Street(broker, book).alive() as device:
        await device.press("panic", presses=50)
        await gateway.until(
            lambda: any(isinstance(m, Alarm) and m.of for m in gateway.messages.values())
        )
    assert len(gateway.alarms()) == 1
    (update,) = (m for m in gateway.messages.values() if isinstance(m, Alarm) and m.of)
    assert (update.of, update.count) == (1, 50)


@pytest.mark.slow
async def test_an_alarm_without_receipt_is_sent_again_under_the_same_id(
    broker: Address, book: Ledger
) -> None:
    async with Gateway(broker) as gateway, Street(broker, book).alive() as device:
        gateway.silent = True
        await device.press("panic")
        await gateway.until(lambda: gateway.ids["car-1:7:p:1"] == 2)
        gateway.silent = False
        await emptied(device)
    assert len(gateway.alarms()) == 1


async def test_live_fixes_that_the_network_lost_arrive_when_missed(
    broker: Address, book: Ledger
) -> None:
    async with Gateway(broker, lose_live=3) as gateway, Street(broker, book).alive() as device:
        await gateway.until(lambda: gateway.windows["car-1", 7, Lane.TELEMETRY].held_to >= 20)
        await emptied(device)
    window = gateway.windows["car-1", 7, Lane.TELEMETRY]
    (account,) = device.account()
    assert (window.held_to, window.has_gap) == (account.seq, False)
    assert account.fixes == sum(isinstance(m, Fix) for m in gateway.messages.values())


async def test_repeated_and_reordered_fixes_end_as_one_unbroken_lane(
    broker: Address, book: Ledger
) -> None:
    street = Street(broker, book, duplicates=0.5, reordering=0.3)
    async with Gateway(broker) as gateway, street.alive() as device:
        await gateway.until(lambda: gateway.windows["car-1", 7, Lane.TELEMETRY].held_to >= 20)
        await emptied(device)
    assert max(gateway.ids.values()) > 1
    assert not gateway.windows["car-1", 7, Lane.TELEMETRY].has_gap


async def test_pressed_in_a_tunnel_and_rebooted_there_the_alarm_still_arrives(
    broker: Address, book: Ledger, tmp_path: Path
) -> None:
    async with (
        Gateway(broker) as gateway,
        Relay(broker) as relay,
        Street(relay.address, book).alive() as device,
    ):
        await gateway.until(lambda: len(gateway.messages) >= 3)
        await relay.cut()
        await gateway.until(lambda: not gateway.presence[-1][1].online)
        await soon(lambda: not device.online)
        await device.press("duress")
        await device.reboot(0)
        await device.press("panic")
        relay.restore()
        await gateway.until(lambda: len(gateway.alarms()) == 2)
        await emptied(device)
    assert gateway.messages["car-1:7:p:1"].kind == "duress"
    assert gateway.messages["car-1:8:p:1"].kind == "panic"
    pressed = [line for line in ledger.read(tmp_path / "ledger.jsonl") if isinstance(line, Pressed)]
    assert [line.online for line in pressed] == [False, False]
    accounts = {account.boot: account for account in device.account()}
    for boot, account in accounts.items():
        assert gateway.windows["car-1", boot, Lane.TELEMETRY].held_to == account.seq


async def test_more_alarms_than_the_broker_takes_at_once_all_arrive(
    broker: Address, book: Ledger
) -> None:
    street = Street(broker, book, first_connect_within_s=0.0)
    for _ in range(60):
        await street.device.press("panic")
    async with Gateway(broker) as gateway, street.alive() as device:
        await gateway.until(lambda: len(gateway.alarms()) == 60)
        await emptied(device)


async def test_a_picture_arrives_whole_through_a_slow_link_and_an_alarm_overtakes_it(
    broker: Address, book: Ledger
) -> None:
    quiet = Reports(position_period_s=60)
    async with (
        Gateway(broker) as gateway,
        Relay(broker, latency_s=0.01, bytes_per_s=40_000) as relay,
        Street(relay.address, book, reports=quiet).alive() as device,
    ):
        await gateway.until(lambda: gateway.presence)
        device.take_picture("periodic")
        await device.press("panic")
        await gateway.until(gateway.alarms)
        chunks_before = sum(isinstance(m, MediaChunk) for m in gateway.messages.values())
        await emptied(device)
    chunks = [m for m in gateway.messages.values() if isinstance(m, MediaChunk)]
    assert chunks_before <= 1 < len(chunks)
    picture = media.join(chunks[0].id, chunks[0].size, chunks[0].of, {c.n: c.data for c in chunks})
    first = next(chunk for chunk in chunks if chunk.n == 0)
    assert camera.read_stamp(picture).millis == first.taken


async def test_a_box_sends_what_it_saw_before_the_press(broker: Address, book: Ledger) -> None:
    box = Unit(device="box-1", kind="alarm_box", name="Box 1", grid=0, lat=24.5, lon=117.6)
    street = Street(broker, book, unit=box, alarm_pictures=2)
    async with Gateway(broker) as gateway, street.alive() as device:
        await device.press("hold_up")
        await emptied(device)
    firsts = [m for m in gateway.messages.values() if isinstance(m, MediaChunk) and m.n == 0]
    assert {(first.reason, first.ref) for first in firsts} == {("pre_alarm", "box-1:7:p:1")}
    (alarm,) = gateway.alarms()
    ages_s = sorted(round((alarm.t - (first.taken or 0)) / 1000) for first in firsts)
    assert ages_s == [4, 8]


QUICK = Crews(answer_s=0.02, refuse_share=0.0, on_scene_s=0.1)
CHECKLIST = {
    "id": "theft",
    "title": {"zh": "盗窃", "en": "Theft"},
    "steps": [{"zh": "保护现场", "en": "Keep the scene"}, {"zh": "询问", "en": "Ask"}],
}
INSTRUCT: dict[str, Any] = {"incident": "I-7", "kind": "theft", "checklist": CHECKLIST}


def order(gateway: Gateway, id_: str, act: str, life_ms: int = 60_000, **args: Any) -> None:
    now = now_ms()
    command = Command(id=id_, act=act, t=now, exp=now + life_ms, args=args, sent=now)
    gateway.publish("car-1", Down.CMD, command)


def states(gateway: Gateway, id_: str) -> list[str]:
    replies = [m for m in gateway.messages.values() if isinstance(m, Reply) and m.cmd == id_]
    return [m.state if m.detail is None else f"{m.state}: {m.detail}" for m in replies]


async def test_a_command_runs_once_and_not_past_its_time(broker: Address, book: Ledger) -> None:
    street = Street(broker, book, crews=QUICK)
    async with Gateway(broker) as gateway, street.alive():
        await gateway.until(lambda: gateway.presence)
        for _ in range(2):
            order(gateway, "c1", "text", text="come home")
        order(gateway, "c2", "text", -1, text="come home")
        order(gateway, "c3", "dance")
        order(gateway, "c4", "text", text="")
        await gateway.until(lambda: "done" in states(gateway, "c1") and states(gateway, "c4"))
    assert states(gateway, "c1") == ["delivered", "shown", "done"]
    assert states(gateway, "c2") == ["refused: expired"]
    assert states(gateway, "c3") == ["refused: unknown act"]
    assert states(gateway, "c4")[0].startswith("refused: args.text")


async def test_a_crew_drives_to_its_incident_works_off_the_list_and_takes_one_at_a_time(
    broker: Address, book: Ledger
) -> None:
    def duties() -> list[str]:
        return [m.act for m in gateway.messages.values() if isinstance(m, DutyReport)]

    async with (
        Gateway(broker) as gateway,
        Street(broker, book, crews=QUICK).alive() as device,
    ):
        await gateway.until(lambda: gateway.presence)
        order(gateway, "c1", "instruct", **INSTRUCT)
        await gateway.until(lambda: "accepted" in states(gateway, "c1"))
        device.duty("parked")  # it has an incident: that goes on
        order(gateway, "c2", "instruct", **{**INSTRUCT, "incident": "I-8"})
        await gateway.until(
            lambda: "done" in states(gateway, "c1") and len(states(gateway, "c2")) > 2
        )
        await gateway.until(lambda: len(duties()) == 4)

    assert states(gateway, "c1") == ["delivered", "shown", "accepted", "step", "step", "done"]
    assert states(gateway, "c2") == ["delivered", "shown", "refused: on another incident"]
    assert duties() == ["en_route", "on_scene", "clear", "vehicle_patrol"]
    reports = [m for m in gateway.messages.values() if isinstance(m, DutyReport)]
    assert [report.ref for report in reports] == ["I-7", "I-7", "I-7", None]


async def test_a_crew_signs_on_with_who_it_is(broker: Address, book: Ledger) -> None:
    street = Street(broker, book, members=["camera-1", "王磊 110001"])
    async with Gateway(broker) as gateway, street.alive() as device:
        device.duty("on_duty")
        device.duty("vehicle_patrol")
        await emptied(device)
    reports = [m for m in gateway.messages.values() if isinstance(m, DutyReport)]
    assert {report.act: report.crew for report in reports} == {
        "on_duty": ["camera-1", "王磊 110001"],
        "vehicle_patrol": None,
    }


async def test_a_box_has_no_crew_and_no_camera(broker: Address, book: Ledger) -> None:
    box = Unit(device="car-1", kind="alarm_box", name="Box 1", grid=0, lat=24.5, lon=117.6)
    async with Gateway(broker) as gateway, Street(broker, book, unit=box).alive():
        await gateway.until(lambda: gateway.presence)
        order(gateway, "c1", "ring_back")
        order(gateway, "c2", "live")
        order(gateway, "c3", "instruct", **INSTRUCT)
        await gateway.until(lambda: states(gateway, "c3"))
    assert states(gateway, "c1") == ["delivered", "done"]
    assert states(gateway, "c2") == states(gateway, "c3") == ["refused: unknown act"]


async def test_pictures_on_order_a_cancel_and_a_crew_that_refuses(
    broker: Address, book: Ledger
) -> None:
    crews = Crews(answer_s=0.02, refuse_share=1.0)
    async with Gateway(broker) as gateway, Street(broker, book, crews=crews).alive():
        await gateway.until(lambda: gateway.presence)
        order(gateway, "c1", "snapshot")
        order(gateway, "c2", "locate", seconds=600)
        order(gateway, "c3", "instruct", **INSTRUCT)
        await gateway.until(lambda: "accepted" in states(gateway, "c2"))
        order(gateway, "x2", "cancel", id="c2")
        await gateway.until(lambda: "done" in states(gateway, "x2"))
        await gateway.until(lambda: len(states(gateway, "c3")) > 2)
        await gateway.until(
            lambda: any(isinstance(m, MediaChunk) for m in gateway.messages.values())
        )
    assert states(gateway, "c1") == ["delivered", "done"]
    assert states(gateway, "c2") == ["delivered", "accepted", "failed: cancelled"]
    assert states(gateway, "c3") == ["delivered", "shown", "refused: on another incident"]
    pictures = [m for m in gateway.messages.values() if isinstance(m, MediaChunk) and m.n == 0]
    assert [(picture.reason, picture.ref) for picture in pictures] == [("command", "c1")]


async def test_a_snapshot_shows_what_was_after_the_order(broker: Address, book: Ledger) -> None:
    async with Gateway(broker) as gateway, Street(broker, book).alive():
        await gateway.until(lambda: gateway.presence)
        now = now_ms()
        order = Command(id="snapshot", act="snapshot", t=now, exp=now + 60_000)
        gateway.publish("car-1", Down.CMD, order)

        def replies() -> list[Reply]:
            return [m for m in gateway.messages.values() if isinstance(m, Reply)]

        def firsts() -> list[MediaChunk]:
            chunks = [m for m in gateway.messages.values() if isinstance(m, MediaChunk)]
            return [chunk for chunk in chunks if chunk.n == 0]

        await gateway.until(lambda: "done" in {reply.state for reply in replies()})
        await gateway.until(firsts)
    first = firsts()[0]
    assert (first.ref, first.reason) == ("snapshot", "command")
    assert first.taken is not None
    assert first.taken >= now


async def test_bytes_that_are_no_receipt_are_counted_and_harm_nothing(
    broker: Address, book: Ledger
) -> None:
    street = Street(broker, book)
    async with Gateway(broker) as gateway, street.alive() as device:
        await gateway.until(lambda: gateway.presence)
        gateway._client.publish("field/v1/car-1/dn/receipt", b"\xc1noise", qos=1)
        await device.press("panic")
        await gateway.until(gateway.alarms)
        await emptied(device)
    assert street.tally.refused == 1
    assert street.tally.stages[Stage.STORED] == 1
