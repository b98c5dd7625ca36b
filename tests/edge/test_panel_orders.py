"""Orders on the panel's page: read, accepted, ticked off, refused, in Chromium, by touch."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.async_api import Browser

from protocols.model import Position
from protocols.native.topics import Up
from tests import parts
from tests.edge.panel_parts import CHECKLIST, HERE, INCIDENT, later, needs_chromium, on_patrol
from tests.edge.stand_in import StandInGateway

pytestmark = [needs_chromium, pytest.mark.slow]


async def test_an_instruction_is_read_accepted_and_ticked_off_without_network(
    tmp_path: Path, chromium: Browser
) -> None:
    port = parts.free_port()
    async with on_patrol(chromium, port, tmp_path) as (_, panel):
        with parts.mosquitto(tmp_path, port=port):
            async with StandInGateway(port) as before:
                await before.presence(online=True)
                await panel.tap("[data-view=reports]")
                before.command("i-1", later(), "instruct", **INCIDENT)
                await panel.until_text(".instruction h2", "盗窃（正在发生）")
                for text in (INCIDENT["address"], INCIDENT["caller"], INCIDENT["text"]):
                    await panel.until_text(".instruction", str(text))
                await panel.until_text(".way", "1.1 公里 · 北")
                await panel.until_text(".way", "24.52300, 117.64710")
                await before.replies("i-1", "shown")
        await panel.until_text(".notice", "无网络")
        await panel.tap(".accept")
        await panel.until_text(".tag", "已接受")
        await panel.tap("[data-act=en_route]")
        await panel.tap("[data-view=checklist]")
        for step in (0, 2):
            await panel.tap(f".steps li[data-key='{step}'] button")
        await panel.until_text("#view-checklist .done", "2 / 7")
        assert await panel.at(".step[aria-pressed=true]").count() == 2
        await panel.until_text(".notice .count", "待发上报 4 条")
        with parts.mosquitto(tmp_path, port=port):
            async with StandInGateway(port) as gateway:
                gateway.windows = before.windows
                await panel.tap("[data-act=on_scene]")  # which hurries the link
                await panel.at(".notice").wait_for(state="detached", timeout=60_000)
                await panel.tap("[data-act=clear]")
                replies = await gateway.replies("i-1", "done")
                told = [(reply.state, reply.step) for reply in replies]
                assert sorted(told[:-1], key=str) == sorted(
                    [("accepted", None), ("step", 0), ("step", 2)], key=str
                )
                duties = {(report.act, report.ref) for report in gateway.of(Up.DUTY)}
                assert duties == {(act, "110-4711") for act in ("en_route", "on_scene", "clear")}
                await panel.tap("[data-view=instruction]")
                await panel.until_text("#view-instruction", "暂无指令")


async def test_who_sets_out_has_accepted(
    broker_port: int, tmp_path: Path, chromium: Browser
) -> None:
    async with (
        StandInGateway(broker_port) as gateway,
        on_patrol(chromium, broker_port, tmp_path) as (_, panel),
    ):
        await gateway.presence(online=True)
        gateway.command("i-1", later(), "instruct", incident="110-1", kind="fire")
        await panel.until_text("#view-instruction h2", "火灾")
        await panel.tap("[data-act=en_route]")
        await gateway.replies("i-1", "accepted")
        await gateway.until(lambda: gateway.of(Up.DUTY))
        assert gateway.of(Up.DUTY)[0].ref == "110-1"


async def test_a_refusal_says_why(broker_port: int, tmp_path: Path, chromium: Browser) -> None:
    async with (
        StandInGateway(broker_port) as gateway,
        on_patrol(chromium, broker_port, tmp_path) as (_, panel),
    ):
        await gateway.presence(online=True)
        gateway.command("i-1", later(), "instruct", **INCIDENT)
        await panel.tap(".refuse")
        await panel.tap("#sheet .choices button >> nth=2")
        [*_, refused] = await gateway.replies("i-1", "refused")
        assert refused.detail == "车辆故障"
        await panel.until_text("#view-instruction", "暂无指令")


async def test_the_newest_unanswered_comes_first_and_the_others_are_a_touch_away(
    broker_port: int, tmp_path: Path, chromium: Browser
) -> None:
    async with (
        StandInGateway(broker_port) as gateway,
        on_patrol(chromium, broker_port, tmp_path) as (agent, panel),
    ):
        await gateway.presence(online=True)
        gateway.command("i-1", later(), "instruct", incident="110-1", kind="fire")
        await panel.tap(".accept")
        await panel.until_text(".tag", "已接受")
        gateway.command("i-2", later(), "instruct", incident="110-2", kind="robbery")
        await panel.until_text("#view-instruction h2", "抢劫")
        await panel.tap("[data-act=on_scene]")  # is about the one in hand
        await gateway.until(lambda: gateway.of(Up.DUTY))
        assert gateway.of(Up.DUTY)[0].ref == "110-1"
        assert agent.orders.find("i-2").state == "shown"
        await panel.tap(".more")
        await panel.until_text("#view-instruction h2", "火灾")


async def test_messages_are_counted_until_they_are_answered(
    broker_port: int, tmp_path: Path, chromium: Browser
) -> None:
    async with (
        StandInGateway(broker_port) as gateway,
        on_patrol(chromium, broker_port, tmp_path) as (_, panel),
    ):
        await gateway.presence(online=True)
        for number in (1, 2):
            gateway.command(f"m-{number}", later(), "text", text=f"<b>第{number}条</b> & 消息")
        await panel.until_text("[data-view=messages] .badge", "2")
        assert [r.state for r in await gateway.replies("m-1", "delivered")] == ["delivered"]
        await panel.tap("[data-view=messages]")
        await gateway.replies("m-1", "shown")
        await panel.until_text(".letters li:first-child p", "<b>第2条</b> & 消息")
        await panel.tap(".letters li:first-child button")
        await gateway.replies("m-2", "done")
        await panel.until_text("[data-view=messages] .badge", "1")


@pytest.mark.parametrize(
    ("position", "turn", "words"),
    [
        (HERE, 270, "上为车头方向"),  # north of it, and it drives east: to the left
        (Position(lat=24.5130, lon=117.6471, fix=3, spd=0.2, hdg=90.0), 0, "上为北"),
        (Position(lat=24.5130, lon=117.6471, fix=3), 0, "上为北"),
        (Position(lat=24.5230, lon=117.6371, fix=3, spd=5.0, hdg=180.0), 270, "上为车头方向"),
        (Position(lat=0, lon=0, fix=0), None, "本车无定位"),
    ],
)
async def test_the_arrow_points_to_the_caller(  # noqa: PLR0917  a row of the table
    broker_port: int,
    tmp_path: Path,
    position: Position,
    turn: int | None,
    words: str,
    chromium: Browser,
) -> None:
    async with (
        StandInGateway(broker_port) as gateway,
        on_patrol(chromium, broker_port, tmp_path, position) as (_, panel),
    ):
        await gateway.presence(online=True)
        gateway.command("i-1", later(), "instruct", **INCIDENT)
        await panel.until_text(".way", words)
        arrow = panel.at(".way .icon")
        assert await arrow.is_visible() is (turn is not None)
        if turn is not None:
            assert int(await arrow.get_attribute("data-turn") or -1) == turn


async def test_a_call_is_seen_and_an_instruction_comes_before_what_is_asked(
    broker_port: int, tmp_path: Path, chromium: Browser
) -> None:
    async with (
        StandInGateway(broker_port) as gateway,
        on_patrol(chromium, broker_port, tmp_path) as (_, panel),
    ):
        await gateway.presence(online=True)
        gateway.command("c-1", later(), "identify", seconds=600)
        await panel.until_text(".notice.call", "平台正在呼叫本机")
        await panel.tap("[data-act=on_duty]")
        await panel.at("#sheet").wait_for()
        gateway.command("i-1", later(), "instruct", **INCIDENT)
        await panel.until_text("#view-instruction h2", "盗窃（正在发生）")
        await panel.at("#sheet").wait_for(state="hidden")
        await panel.tap("[data-act=on_duty]")
        await panel.hold("#sos")
        await panel.at(".alarm").wait_for()
        await panel.at("#sheet").wait_for(state="hidden")


async def test_a_checklist_that_came_by_itself_is_done_with_its_last_step(
    broker_port: int, tmp_path: Path, chromium: Browser
) -> None:
    async with (
        StandInGateway(broker_port) as gateway,
        on_patrol(chromium, broker_port, tmp_path) as (_, panel),
    ):
        await gateway.presence(online=True)
        gateway.command("c-1", later(), "checklist", **CHECKLIST)
        await panel.until_text("[data-view=checklist] .badge", "7")
        await panel.tap("[data-view=checklist]")
        for step in range(7):
            await panel.tap(f".steps li[data-key='{step}'] button")
        replies = await gateway.replies("c-1", "done")
        assert sorted(r.step for r in replies if r.step is not None) == list(range(7))
        await panel.until_text("#view-checklist", "暂无处置清单")


async def test_an_instruction_that_comes_while_sos_is_held_does_not_cancel_it(
    broker_port: int, tmp_path: Path, chromium: Browser
) -> None:
    async with (
        StandInGateway(broker_port) as gateway,
        on_patrol(chromium, broker_port, tmp_path) as (agent, panel),
    ):
        await gateway.presence(online=True)
        long = {**INCIDENT, "text": "很长的说明" * 100}
        gateway.command("i-1", later(), "instruct", **long)
        await panel.until_text("#view-instruction h2", "盗窃（正在发生）")
        await panel.page.evaluate("() => document.querySelector('.about').scrollBy(0, 100)")
        await panel.fingers(await panel.middle("#sos"))
        await panel.at("#sos[data-state=held]").wait_for()
        gateway.command("i-2", later(), "instruct", **{**long, "incident": "110-2"})
        await panel.until_text(".more", "2 / 2")
        await panel.until("() => document.querySelector('.about').scrollTop === 0")
        await panel.at(".alarm").wait_for()
        await panel.fingers()
        assert len(agent.alarms()) == 1
