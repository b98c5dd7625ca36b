"""The panel's page in Chromium, by touch: duty keys, SOS, the network cut, the agent killed."""

from __future__ import annotations

import asyncio
import shutil
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import get_args

import pytest
from playwright.async_api import Browser

from edge.agent import Agent
from edge.panel import server
from protocols.model import DutyAct, Stage
from protocols.native.topics import Up
from tests import parts
from tests.edge.panel_parts import (
    Screen,
    needs_chromium,
    page_of,
    panelled,
    screen,
    settings,
    until_open,
)
from tests.edge.stand_in import DEVICE, StandInGateway, config

pytestmark = [needs_chromium, pytest.mark.slow]
ASKED_FIRST = ("on_duty", "off_duty")


@pytest.fixture
async def agent(tmp_path: Path) -> AsyncIterator[Agent]:
    """An agent with a panel and without a network."""
    about = config(parts.free_port(), tmp_path, panel=settings())
    async with panelled(about) as agent:
        yield agent


@pytest.fixture
async def panel(agent: Agent, chromium: Browser) -> AsyncIterator[Screen]:
    """Its page on the car's screen."""
    async with screen(chromium) as shown:
        await shown.open(page_of(agent))
        yield shown


def pressed(agent: Agent) -> list[tuple[str, int]]:
    return [(track.kind, track.count) for track in agent.alarms()]


async def sign_on(panel: Screen, *officers: str, camera: str = "") -> None:
    await panel.tap("[data-act=on_duty]")
    for officer in officers:
        for digit in officer:
            await panel.tap(f".keys [data-face='{digit}']")
        await panel.tap(".keys [data-face=add]")
    if camera:
        await panel.tap("[data-field=body_camera]")
        await panel.tap(".keys [data-face=next]")
        for letter in camera:
            await panel.tap(f".keys [data-face='{letter}']")
    await panel.tap("#sheet .main")
    await panel.at("[data-act=on_duty][aria-pressed=true]").wait_for()


# -- duty -------------------------------------------------------------------------------------


async def test_every_duty_key_reports_with_one_touch(
    broker_port: int, tmp_path: Path, chromium: Browser
) -> None:
    async with (
        StandInGateway(broker_port) as gateway,
        panelled(config(broker_port, tmp_path, panel=settings())) as agent,
        screen(chromium) as panel,
    ):
        await panel.open(page_of(agent))
        await sign_on(panel, "012345", "067890", camera="cam")
        acts = [act for act in get_args(DutyAct) if act not in ASKED_FIRST]
        for act in acts:
            await panel.tap(f"[data-act={act}]")
            await panel.at(f"[data-act={act}][aria-pressed=true]").wait_for()
            assert await panel.at("#duty [aria-pressed=true]").count() == 1
        await panel.tap("[data-act=off_duty]")
        await panel.tap("#sheet .main")
        await panel.at("[data-act=off_duty][aria-pressed=true]").wait_for()
        await gateway.until(lambda: len(gateway.of(Up.DUTY)) == len(acts) + 2)
        reports = gateway.of(Up.DUTY)
        assert [report.act for report in reports] == ["on_duty", *acts, "off_duty"]
        assert reports[0].crew == ["012345", "067890", "cam"]


async def test_a_touch_on_the_key_in_force_reports_nothing_again(
    agent: Agent, panel: Screen
) -> None:
    for _ in range(3):
        await panel.tap("[data-act=parked]")
    await panel.at("[data-act=parked][aria-pressed=true]").wait_for()
    await panel.tap("[data-act=parked]")
    await panel.tap("[data-act=clear]")
    await panel.at("[data-act=clear][aria-pressed=true]").wait_for()
    assert agent._spool.count[Up.DUTY] == 2


async def test_what_is_asked_first_can_be_left(agent: Agent, panel: Screen) -> None:
    for act in ASKED_FIRST:
        await panel.tap(f"[data-act={act}]")
        await panel.at("#sheet").wait_for()
        await panel.tap("#sheet button >> nth=0")
        await panel.at("#sheet").wait_for(state="hidden")
    await panel.tap("[data-act=on_duty]")
    assert await panel.at("#sheet .main").is_disabled()  # nobody has signed on
    assert agent._spool.count[Up.DUTY] == 0


# -- SOS --------------------------------------------------------------------------------------


async def test_a_second_on_sos_raises_one_alarm_and_shows_how_far_it_gets(
    broker_port: int, tmp_path: Path, chromium: Browser
) -> None:
    async with (
        StandInGateway(broker_port) as gateway,
        panelled(config(broker_port, tmp_path, panel=settings())) as agent,
        screen(chromium) as panel,
    ):
        await panel.open(page_of(agent))
        await panel.fingers(await panel.middle("#sos"))
        await panel.at("#sos[data-state=held]").wait_for()
        await panel.at(".alarm").wait_for()  # the finger is still there
        [alarm] = await gateway.alarms()
        assert (alarm.kind, alarm.zone, alarm.of) == ("panic", "panel", None)
        await panel.until_text(".alarm .latest", "平台已收")
        for stage, word in ((Stage.ACCEPTED, "已受理"), (Stage.ACKNOWLEDGED, "已确认")):
            gateway.stage(alarm, stage, by="指挥长")
            await panel.until_text(".alarm .latest", word)
        await panel.until_text(".alarm", "指挥长")
        await panel.fingers()
        await panel.hold("#sos")  # once more: the same alarm, counted
        await panel.until_text(".alarm", "共按 2 次")
        gateway.stage(alarm, Stage.CLOSED)
        await panel.at(".alarm").wait_for(state="detached")
        assert pressed(agent) == [("panic", 2)]


async def test_a_short_touch_does_nothing(agent: Agent, panel: Screen) -> None:
    for _ in range(5):
        await panel.tap("#sos")
    await panel.until_text("#sos .how", "需按住 1 秒")
    assert await panel.at("#sos[data-state]").count() == 0
    assert pressed(agent) == []


async def test_a_finger_that_slides_off_cancels(agent: Agent, panel: Screen) -> None:
    x, y = await panel.middle("#sos")
    await panel.fingers((x, y))
    await panel.at("#sos[data-state=held]").wait_for()
    await panel.fingers((x + 30, y), moved=True)  # still on it
    assert await panel.at("#sos[data-state=held]").count() == 1
    await panel.fingers((x, y - 200), moved=True)
    await panel.until_text("#sos .how", "手指移开")
    await panel.fingers((x, y), moved=True)  # back again is too late
    await held_for_longer(panel)
    await panel.fingers()
    assert pressed(agent) == []


async def test_more_than_one_finger_fires_nothing(agent: Agent, panel: Screen) -> None:
    x, y = await panel.middle("#sos")
    for first, second in (((x, y), (x + 60, y)), ((x, y), (700, 300)), ((700, 300), (x, y))):
        await panel.fingers(first)
        await panel.fingers(first, second)
        await panel.until_text("#sos .how", "一根手指")
        await held_for_longer(panel)
        await panel.fingers()
    assert pressed(agent) == []
    await panel.hold("#sos")
    await panel.at(".alarm").wait_for()
    assert pressed(agent) == [("panic", 1)]


async def test_a_touch_that_is_held_on_fires_once(agent: Agent, panel: Screen) -> None:
    await panel.fingers(await panel.middle("#sos"))
    await panel.at(".alarm").wait_for()
    await held_for_longer(panel)
    await held_for_longer(panel)
    assert pressed(agent) == [("panic", 1)]
    await panel.fingers()
    assert pressed(agent) == [("panic", 1)]


async def test_a_release_that_the_page_sees_late_is_no_alarm(agent: Agent, panel: Screen) -> None:
    """The page stands still while the finger is lifted after a moment."""
    await panel.fingers(await panel.middle("#sos"))
    await panel.at("#sos[data-state=held]").wait_for()
    block = "() => { const end = performance.now() + 2000; while (performance.now() < end); }"
    await asyncio.gather(panel.page.evaluate(block), panel.fingers())
    await panel.until_text("#sos .how", "需按住 1 秒")
    assert pressed(agent) == []


async def held_for_longer(panel: Screen) -> None:
    """More than the second that SOS wants, by the page's own clock."""
    await panel.until(
        "([until]) => performance.now() > until",
        [await panel.page.evaluate("() => performance.now() + 1300")],
    )


# -- without network, without agent -----------------------------------------------------------


async def test_without_network_it_says_so_and_queues(tmp_path: Path, chromium: Browser) -> None:
    port = parts.free_port()
    async with (
        panelled(config(port, tmp_path, panel=settings())) as agent,
        screen(chromium) as panel,
    ):
        with parts.mosquitto(tmp_path, port=port):
            async with StandInGateway(port) as before:
                await panel.open(page_of(agent))
                await panel.until_text("#lamps", "正常")
                await panel.tap("[data-act=vehicle_patrol]")
                await panel.until("() => document.querySelector('.notice') === null")
        await panel.until_text(".notice", "无网络")
        await panel.tap("[data-act=en_route]")
        await panel.until_text(".notice .count", "待发上报 1 条")
        await panel.hold("#sos")
        await panel.until_text(".alarm .latest", "本机已存")
        await panel.until_text(".notice .count", "待发上报 2 条")
        with parts.mosquitto(tmp_path, port=port):
            async with StandInGateway(port) as gateway:
                gateway.windows = before.windows  # it knows what it held
                await panel.until_text(".alarm .latest", "平台已收")
                await panel.at(".notice").wait_for(state="detached")
                await gateway.until(lambda: gateway.of(Up.DUTY))
                assert gateway.of(Up.DUTY)[-1].act == "en_route"
                assert len(gateway.of(Up.ALARM)) == 1


async def test_a_newer_page_waits_for_the_alarm_that_is_being_raised(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chromium: Browser
) -> None:
    """An agent is stopped for an update while SOS is held; the newer one takes the alarm."""
    about = config(parts.free_port(), tmp_path, panel=settings())
    async with screen(chromium) as panel:
        async with panelled(about) as agent:
            await panel.open(page_of(agent))
            await panel.page.evaluate("() => { window.isOld = true; }")
        await panel.hold("#sos")
        await panel.until_text("#lost", "报警未发出")
        newer = tmp_path / "static"
        shutil.copytree(server.FILES, newer)
        with (newer / "themes.css").open("a") as themes:
            themes.write("/* newer */")
        monkeypatch.setattr(server, "FILES", newer)
        async with panelled(about) as agent:
            await panel.until("() => !window.isOld && document.querySelector('.alarm')")
            assert pressed(agent) == [("panic", 1)]


async def test_a_killed_agent_is_told_of_loudly_and_comes_back(
    tmp_path: Path, chromium: Browser
) -> None:
    about = settings()
    toml = tmp_path / "agent.toml"
    toml.write_text(
        f'device = "{DEVICE}"\nkind = "vehicle_terminal"\n'
        f'broker = {{ host = "127.0.0.1", port = {parts.free_port()} }}\n'
        f'spool = {{ folder = "{tmp_path}/spool" }}\npanel = {{ port = {about.port} }}\n'
    )

    def start() -> subprocess.Popen[bytes]:
        log = (tmp_path / "agent.log").open("ab")
        with log:
            return subprocess.Popen([sys.executable, "-m", "edge", str(toml)], stderr=log)

    process = start()
    try:
        async with screen(chromium) as panel:
            await until_open(about.port)
            await panel.open(f"http://127.0.0.1:{about.port}")
            await panel.tap("[data-act=foot_patrol]")
            await panel.at("[data-act=foot_patrol][aria-pressed=true]").wait_for()
            process.send_signal(signal.SIGKILL)
            process.wait(30)
            await panel.until_text("#gone", "本机程序无响应")
            assert await panel.at("#duty button:disabled").count() == len(get_args(DutyAct))
            await panel.until("() => document.querySelector('#gone use').getBBox().width > 0")
            await panel.hold("#sos")
            await panel.until_text("#lost", "报警未发出")
            process = start()
            await panel.at(".alarm").wait_for(timeout=30_000)  # it went on trying
            await panel.at("#lost").wait_for(state="hidden")
            await panel.at("#gone").wait_for(state="hidden")
            await panel.at("[data-act=foot_patrol][aria-pressed=true]").wait_for()
            process.send_signal(signal.SIGSTOP)  # it is there, and says nothing
            await panel.until_text("#gone", "本机程序无响应")
            process.send_signal(signal.SIGCONT)
            await panel.at("#gone").wait_for(state="hidden", timeout=30_000)
    finally:
        process.kill()
        process.wait(30)
