"""A shift at the panel, by touch, through the whole system: gateway, broker, agent, Chromium."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.async_api import Browser

from tests.edge.panel_parts import needs_chromium, screen, settings, until_open
from tests.scenarios.test_agent import DEVICE, Agent
from tests.scenarios.test_orders import ended, states
from tests.scenarios.whole import Gateway

pytestmark = [needs_chromium, pytest.mark.slow]


async def test_a_shift_at_the_panel_with_the_gateway_killed_in_the_middle(
    tmp_path: Path, chromium: Browser
) -> None:
    port = settings().port
    table = f"[panel]\nport = {port}"
    async with (
        Gateway(tmp_path / "data") as gateway,
        Agent(tmp_path, gateway, table),
        screen(chromium) as panel,
    ):
        await until_open(port)
        await panel.open(f"http://127.0.0.1:{port}")
        await panel.tap("[data-act=on_duty]")
        for digit in "012345":
            await panel.tap(f".keys [data-face='{digit}']")
        await panel.tap("#sheet .main")
        await panel.tap("[data-act=vehicle_patrol]")
        args = {"incident": "I-7", "kind": "knife", "address": "漳州市新华北路 8 号"}
        order = {"id": "o1", "act": "instruct", "args": args, "by": "dispatcher 3"}
        await gateway.post(f"/api/v1/devices/{DEVICE}/commands", **order)
        await panel.until_text("#view-instruction h2", "持刀人员")
        await panel.tap(".accept")
        await panel.until_text(".tag", "已接受")
        await ended(gateway, "o1", "accepted")

        await gateway.kill()  # and its broker with it
        await panel.until_text(".notice", "无网络")
        for act in ("en_route", "on_scene"):
            await panel.tap(f"[data-act={act}]")
            await panel.at(f"[data-act={act}][aria-pressed=true]").wait_for()
        await panel.tap("[data-view=checklist]")
        await panel.tap(".steps li[data-key='1'] button")
        await panel.hold("#sos")
        await panel.until_text(".alarm .latest", "本机已存")
        await panel.until_text(".notice .count", "待发上报 4 条")

        await gateway.start()
        await panel.until_text(".alarm .latest", "平台已收")
        await panel.at(".notice").wait_for(state="detached")
        [alarm] = await gateway.wait_for(1, "alarm.raised")
        for answer in ("accept", "acknowledge"):
            await gateway.post(f"/api/v1/alarms/{alarm['id']}/{answer}", by="指挥长")
        await panel.until_text(".alarm .latest", "已确认")
        await panel.until_text(".alarm", "指挥长")
        await panel.tap("[data-act=clear]")
        view = await ended(gateway, "o1", "done")
        assert states(view) == [
            *("created", "sent", "delivered", "shown", "accepted", "step", "done")
        ]
        reports = [event["data"] for event in await gateway.wait_for(5, "duty")]
        assert [(report["act"], report.get("ref")) for report in reports] == [
            ("on_duty", None),
            ("vehicle_patrol", None),
            ("en_route", "I-7"),
            ("on_scene", "I-7"),
            ("clear", "I-7"),
        ]
        unit = await gateway.get(f"/api/v1/units/{DEVICE}")
        assert (unit["state"], unit["officers"]) == ("clear", ["012345"])
