"""The agent against a real broker and a stand-in gateway."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from edge.agent import Agent
from edge.config import CameraSettings, Place, StatusSettings
from edge.sources.camera import USUAL, Picture, Wish
from protocols.commands import CommandState
from protocols.model import Position, Stage
from protocols.native import media
from protocols.native.topics import Up
from tests import parts
from tests.edge.stand_in import DEVICE, StandInGateway, config

pytestmark = pytest.mark.slow  # whole processes, real time

FAR_FUTURE_MS = 2**53


class Drive:
    """A position source that goes where the test says."""

    state = "ok"

    def __init__(self) -> None:
        self.on_fix: asyncio.Future[Callable[[Position], None]] = asyncio.Future()

    async def run(self, on_fix: Callable[[Position], None]) -> None:
        self.on_fix.set_result(on_fix)
        await asyncio.Event().wait()


class Broken:
    """A position source that dies whenever it is started."""

    state = "no_device"

    def __init__(self) -> None:
        self.died = asyncio.Event()

    async def run(self, on_fix: Callable[[Position], None]) -> None:
        self.died.set()
        raise ZeroDivisionError("a source that dies")


class Counting:
    """A camera whose pictures begin with their number."""

    def __init__(self) -> None:
        self.health = "ok"
        self.taken: list[bytes] = []

    def take(self, wish: Wish = USUAL) -> Picture | None:
        self.taken.append(len(self.taken).to_bytes(4) + bytes(range(256)) * 100)
        return Picture(self.taken[-1], 64, 48, 1_790_000_000_000 + len(self.taken))

    def close(self) -> None:
        pass


async def test_a_press_is_sent_at_once_and_its_stages_come_back(
    broker_port: int, tmp_path: Path
) -> None:
    async with (
        StandInGateway(broker_port) as gateway,
        Agent(config(broker_port, tmp_path)) as agent,
    ):
        track = agent.press("panic", text="help")
        assert track.stage == "spooled"
        [alarm] = await gateway.alarms()
        assert (alarm.boot, alarm.seq, alarm.kind, alarm.count) == (agent.boot, 1, "panic", 1)
        assert track.id == f"{DEVICE}:{agent.boot}:p:1"
        gateway.stage(alarm, Stage.ACCEPTED, by="dispatcher 3")
        gateway.stage(alarm, Stage.CLOSED)
        steps = [step async for step in track.follow()]
    reached = [step.stage for step in steps]
    assert reached[0] == "spooled"
    assert reached[-2:] == ["accepted", "closed"]
    assert "stored" in reached
    assert [step.by for step in steps if step.stage == "accepted"] == ["dispatcher 3"]


async def test_presence_tells_kind_and_boot_and_a_clean_stop_says_offline(
    broker_port: int, tmp_path: Path
) -> None:
    async with StandInGateway(broker_port) as gateway:
        async with Agent(config(broker_port, tmp_path), firmware="test 1") as agent:
            online = await gateway.presence(online=True)
            assert (online.boot, online.kind, online.fw) == (
                agent.boot,
                "vehicle_terminal",
                "test 1",
            )
        offline = await gateway.presence(online=False)
        assert offline.boot == agent.boot


async def test_a_live_position_goes_out_at_qos_0_and_is_forgotten_when_receipted(
    broker_port: int, tmp_path: Path
) -> None:
    drive = Drive()
    async with (
        StandInGateway(broker_port) as gateway,
        Agent(config(broker_port, tmp_path), gps=drive) as agent,
    ):
        await gateway.presence(online=True)
        on_fix = await drive.on_fix
        on_fix(Position(lat=24.5, lon=117.6, fix=3, t=123, spd=5.0, src="gnss"))
        [fix] = await gateway.until(lambda: gateway.of(Up.POS))
        assert (fix.t, fix.lat, fix.lon, fix.spd) == (123, 24.5, 117.6, 5.0)
        assert [taken.qos for taken in gateway.taken if taken.channel is Up.POS] == [0]
        agent.press()
        [alarm] = await gateway.alarms()
        assert alarm.pos == Position(lat=24.5, lon=117.6, fix=3, t=123, spd=5.0, src="gnss")
        await _until(lambda: not agent._spool.count.total())


async def test_a_fixed_box_reports_its_registered_position(
    broker_port: int, tmp_path: Path
) -> None:
    settings = config(broker_port, tmp_path, kind="alarm_box", position=Place(lat=24.5, lon=117.6))
    async with StandInGateway(broker_port) as gateway, Agent(settings) as agent:
        [fix] = await gateway.until(lambda: gateway.of(Up.POS))
        assert (fix.lat, fix.lon, fix.src) == (24.5, 117.6, "fixed")
        agent.press()
        [alarm] = await gateway.alarms()
        assert alarm.pos is not None
        assert alarm.pos.src == "fixed"


async def test_status_tells_the_health(broker_port: int, tmp_path: Path) -> None:
    settings = config(broker_port, tmp_path, status=StatusSettings(period_s=0.05))
    async with StandInGateway(broker_port) as gateway, Agent(settings, firmware="test 1"):
        await gateway.until(lambda: len(gateway.of(Up.STATUS)) >= 3)
        status = gateway.of(Up.STATUS)[0]
        assert status.fw == "test 1"
        assert status.cam == "none"
        assert status.clock in ("ntp", "free")


async def test_an_alarm_brings_a_picture_and_the_period_another(
    broker_port: int, tmp_path: Path
) -> None:
    settings = config(broker_port, tmp_path, camera=CameraSettings(source="unused", period_s=0.5))
    camera = Counting()
    async with (
        StandInGateway(broker_port) as gateway,
        Agent(settings, camera=camera) as agent,
    ):
        track = agent.press()
        await gateway.until(
            lambda: {c.reason for c in gateway.of(Up.MEDIA)} >= {"alarm", "periodic"}
        )
        chunks = await gateway.until(
            lambda: list(gateway.of(Up.MEDIA)) if len(gateway.of(Up.MEDIA)) >= 8 else []
        )
    assert {chunk.ref for chunk in chunks if chunk.reason == "alarm"} == {track.id}
    first = chunks[0]
    by_index = {chunk.n: chunk.data for chunk in chunks if chunk.id == first.id}
    assert media.join(first.id, first.size, first.of, by_index) in camera.taken


async def test_a_change_of_the_camera_s_health_is_told_at_once(
    broker_port: int, tmp_path: Path
) -> None:
    settings = config(broker_port, tmp_path, camera=CameraSettings(source="unused", per_s=5))
    camera = Counting()
    async with StandInGateway(broker_port) as gateway, Agent(settings, camera=camera):
        await gateway.until(lambda: any(s.cam == "ok" for s in gateway.of(Up.STATUS)))
        camera.health = "covered"
        await gateway.until(lambda: any(s.cam == "covered" for s in gateway.of(Up.STATUS)))


async def test_a_hammered_button_is_one_alarm_with_a_count(
    broker_port: int, tmp_path: Path
) -> None:
    async with (
        StandInGateway(broker_port) as gateway,
        Agent(config(broker_port, tmp_path)) as agent,
    ):
        for _ in range(50):
            track = agent.press("panic")
        other = agent.press("fire")
        assert (track.seq, track.count, other.seq) == (1, 50, 2)
        await gateway.until(lambda: any(a.of == 1 and a.count == 50 for a in gateway.of(Up.ALARM)))
        raised = [alarm for alarm in gateway.of(Up.ALARM) if alarm.of is None]
        assert [alarm.kind for alarm in raised] == ["panic", "fire"]
        assert len([alarm for alarm in gateway.of(Up.ALARM) if alarm.of == 1]) == 1


async def test_a_closed_alarm_lets_go_of_its_button(broker_port: int, tmp_path: Path) -> None:
    async with (
        StandInGateway(broker_port) as gateway,
        Agent(config(broker_port, tmp_path)) as agent,
    ):
        first = agent.press()
        agent.press()
        [alarm] = await gateway.alarms()
        gateway.stage(alarm, Stage.CLOSED)
        [_ async for _ in first.follow()]
        assert agent.press().seq == 3  # 2 told the last count
        alarms = await gateway.alarms(3)
        assert [(a.seq, a.of, a.count) for a in alarms] == [(1, None, 1), (2, 1, 2), (3, None, 1)]


async def test_a_command_is_answered_once(broker_port: int, tmp_path: Path) -> None:
    async with (
        StandInGateway(broker_port) as gateway,
        Agent(config(broker_port, tmp_path)) as agent,
    ):
        await gateway.presence(online=True)
        gateway.command("c1", FAR_FUTURE_MS, text="come home")
        gateway.command("c1", FAR_FUTURE_MS, text="come home")
        gateway.command("c2", 1, text="too late")
        gateway.command("c3", FAR_FUTURE_MS, act="dance")
        await gateway.replies("c3", "refused")
        assert [(r.cmd, r.state, r.detail) for r in gateway.of(Up.REPLY)] == [
            ("c1", "delivered", None),
            ("c2", "refused", "expired"),
            ("c3", "refused", "unknown act"),
        ]
        agent.orders.answer("c1", CommandState.DONE)
        assert [r.state for r in await gateway.replies("c1", "done")] == ["delivered", "done"]


async def test_a_source_that_dies_does_not_stop_an_alarm(broker_port: int, tmp_path: Path) -> None:
    gps = Broken()
    async with (
        StandInGateway(broker_port) as gateway,
        Agent(config(broker_port, tmp_path), gps=gps) as agent,
    ):
        await gps.died.wait()
        agent.press()
        await gateway.alarms()


async def test_what_was_pressed_without_a_network_arrives_later(tmp_path: Path) -> None:
    port = parts.free_port()
    drive = Drive()
    async with Agent(config(port, tmp_path), gps=drive) as agent:
        agent.press()
        agent.duty("on_scene", ref="I-7")
        on_fix = await drive.on_fix
        for n in range(450):
            on_fix(Position(lat=24.5 + n / 1000, lon=117.6, fix=3, t=n))
        with parts.mosquitto(tmp_path, port=port):
            async with StandInGateway(port) as gateway:
                agent.press("fire")  # does not wait for the backoff to end
                await gateway.until(lambda: len(gateway.of(Up.POS)) >= 450)
                await _until(lambda: not agent._spool.count.total())
        channels = [t.channel for t in gateway.taken if t.channel is not Up.PRESENCE]
        assert channels[0] is Up.ALARM
        assert channels.index(Up.DUTY) < channels.index(Up.POS)
        sizes: dict[int, int] = {}
        for taken in gateway.taken:
            if taken.channel is Up.POS and taken.qos == 1:
                sizes[taken.batch] = sizes.get(taken.batch, 0) + 1
        assert max(sizes.values()) > 50


async def test_a_gateway_that_does_not_receipt_gets_the_alarm_again(
    broker_port: int, tmp_path: Path
) -> None:
    async with (
        StandInGateway(broker_port, receipting=False) as gateway,
        Agent(config(broker_port, tmp_path)) as agent,
    ):
        track = agent.press()
        first, again = (await gateway.alarms(2))[:2]
        assert first == again
        assert track.stage == "sent"
        gateway.receipt(agent.boot)
        await _until(lambda: track.stage == "stored")


async def test_a_receipt_for_an_alarm_never_sent_is_no_acknowledgement(
    broker_port: int, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    from protocols.model import Lane

    async with (
        StandInGateway(broker_port, receipting=False) as gateway,
        Agent(config(broker_port, tmp_path)) as agent,
    ):
        await gateway.presence(online=True)
        gateway.receipt(agent.boot, held={Lane.PRIORITY: 5})
        await _until(lambda: "receipt_beyond" in caplog.text)
        track = agent.press()
        await gateway.alarms()
        assert track.stage in ("spooled", "sent")
        assert agent._spool.count[Up.ALARM] == 1


async def _until(holds: Callable[[], object], timeout_s: float = 30) -> None:
    """Wait for something inside the agent that tells nobody."""
    async with asyncio.timeout(timeout_s):
        while not holds():
            await asyncio.sleep(0.01)
