"""Can everybody use the page? axe-core looks at each page, in both themes and both languages."""

from __future__ import annotations

from pathlib import Path

import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Browser

from gateway.registry import Role
from tests.edge.panel_parts import needs_chromium
from tests.web.console_parts import BOX, console, field, tokens
from tests.web.test_console import CAR, alarm, fix

pytestmark = [needs_chromium, pytest.mark.slow]
GRAVE = {"serious", "critical"}
AT = (
    "map",
    "map/alarm/box-1%3A1%3Ap%3A1",
    "map/unit/car-1",
    "map/unit/box-1",
    "alarms",
    "playback",
    "wall",
)


@pytest.mark.parametrize(("theme", "language"), [("dark", "zh-CN"), ("light", "en-US")])
async def test_axe_finds_nothing_serious(
    tmp_path: Path, chromium: Browser, theme: str, language: str
) -> None:
    async with field(tmp_path, BOX, CAR) as (gateway, [box, car]):
        car.send("pos", fix(1))
        box.send("alarm", alarm())
        box.send("alarm", alarm(2, kind="fire"))
        await gateway.wait_for(2, "alarm.raised")
        found: list[str] = []
        async with console(chromium, gateway.url, language=language) as page:
            await page.page.goto(gateway.url)
            await page.page.evaluate("t => localStorage.setItem('fieldgate.theme', t)", theme)
            await page.page.reload()
            await page.at("#sign-in").wait_for()
            found += await wrongs(page.page, "sign-in")
            await page.sign_in(tokens(gateway.folder)[Role.DISPATCHER])
            for at in AT:
                await page.open(at)
                await page.at("#page > *").first.wait_for()
                await page.at("#turn .what").wait_for()
                if "map/" in at:
                    await page.at(".card .facts dd").first.wait_for()
                found += await wrongs(page.page, at)
            await page.page.keyboard.press("Shift+Slash")
            await page.at("dialog").wait_for()
            found += await wrongs(page.page, "shortcuts")
        assert found == []


async def wrongs(page: object, at: str) -> list[str]:
    """What is wrong with what is shown, as far as it is grave."""
    results = await Axe().run(page)
    return [
        f"{at}: {wrong['id']} {node['target']} {node['failureSummary']}"
        for wrong in results.response["violations"]
        if wrong["impact"] in GRAVE
        for node in wrong["nodes"]
    ]
