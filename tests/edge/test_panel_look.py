"""The look of the panel's page, measured in Chromium: sizes, overflow, contrast, languages."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.async_api import Browser

from tests.edge.panel_parts import INCIDENT, later, needs_chromium, on_patrol
from tests.edge.stand_in import StandInGateway

pytestmark = [needs_chromium, pytest.mark.slow]
THEMES = ("night", "dim", "day")
JUDGE = Path(__file__).with_name("panel_look.js").read_text()


async def test_nothing_overflows_every_key_is_large_and_every_word_can_be_read(
    broker_port: int, tmp_path: Path, chromium: Browser
) -> None:
    """Each view and sheet, in both languages and all themes."""
    async with (
        StandInGateway(broker_port) as gateway,
        on_patrol(chromium, broker_port, tmp_path) as (_, panel),
    ):
        await gateway.presence(online=True)
        found: dict[str, list[str]] = {}

        async def judge(what: str) -> None:
            for _ in THEMES:
                faults = await panel.page.evaluate(JUDGE)
                theme = await panel.page.evaluate("() => document.documentElement.dataset.theme")
                found[f"{what} {theme}"] = faults
                await panel.tap("#theme")

        async def judge_all(when: str) -> None:
            for _ in ("zh", "en"):
                language = await panel.page.evaluate("() => document.documentElement.lang")
                for view in ("instruction", "checklist", "messages", "reports"):
                    await panel.tap(f"[data-view={view}]")
                    await judge(f"{when} {view} {language}")
                await panel.tap("#language")

        await judge_all("empty")
        for language in ("zh", "en"):
            await panel.tap("[data-act=off_duty]")
            await judge(f"off duty {language}")
            await panel.tap("#sheet button >> nth=0")
            await panel.tap("[data-act=on_duty]")
            await panel.tap("[data-field=phone]")
            for _ in range(3):
                await judge(f"sign-on {language}")
                await panel.tap("[data-face=next]")
            await panel.tap("#sheet button >> nth=0")
            await panel.tap("#language")
        for act in ("vehicle_patrol", "clear", "foot_patrol"):
            await panel.tap(f"[data-act={act}]")
        for number in range(2):
            gateway.command(f"i-{number}", later(), "instruct", **INCIDENT)
            gateway.command(f"m-{number}", later(), "text", text="请注意：" + "很长的消息" * 30)
        await panel.until_text(".more", "2 / 2")
        await panel.at(".accept:not([disabled])").wait_for()
        await panel.hold("#sos")
        await panel.until_text(".alarm .latest", "平台已收")
        await judge_all("full")
        for language in ("zh", "en"):
            await panel.tap("[data-view=instruction]")
            await panel.tap(".refuse")
            await judge(f"refusal {language}")
            await panel.tap("#sheet > button")
            await panel.tap("#language")
        assert {what: faults for what, faults in found.items() if faults} == {}


async def test_the_choice_of_language_and_theme_is_kept(
    broker_port: int, tmp_path: Path, chromium: Browser
) -> None:
    async with on_patrol(chromium, broker_port, tmp_path) as (_, panel):
        await panel.until_text("[data-act=on_duty]", "上岗")
        await panel.tap("#language")
        await panel.tap("#theme")
        await panel.until_text("[data-act=on_duty]", "On duty")
        await panel.page.reload()
        await panel.until_text("[data-act=on_duty]", "On duty")
        assert await panel.at("html[lang=en][data-theme=dim]").count() == 1
