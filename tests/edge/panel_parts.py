"""An agent with its panel, and a browser with a touch screen, for tests."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import (
    Browser,
    CDPSession,
    Locator,
    Page,
    ViewportSize,
    async_playwright,
)

from edge.agent import Agent, PositionSource
from edge.config import Config, PanelSettings
from protocols.model import Position
from tests import parts
from tests.edge.stand_in import config as agent_config

SCREEN: ViewportSize = {"width": 1024, "height": 600}
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
ARGUMENTS = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking")
needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")


CHECKLIST = {
    "id": "theft",
    "title": {"zh": "盗窃（正在发生）", "en": "Theft in progress"},
    "steps": [{"zh": f"第{n}步：控制出口", "en": f"Step {n}: hold the exits"} for n in range(1, 8)],
}
INCIDENT = {
    "incident": "110-4711",
    "kind": "theft",
    "address": "芗城区新华北路 108 号金德利超市二楼仓库（近延安北路口）",
    "lat": 24.5230,
    "lon": 117.6471,
    "caller": "138 5960 0471",
    "text": "报警人称两名男子撬门进入仓库，一人手持撬棍。",
    "checklist": CHECKLIST,
}
HERE = Position(lat=24.5130, lon=117.6471, fix=3, spd=9.0, hdg=90.0)


def settings() -> PanelSettings:
    """On a free port."""
    return PanelSettings(port=parts.free_port())


@contextlib.asynccontextmanager
async def panelled(config: Config, *, gps: PositionSource | None = None) -> AsyncIterator[Agent]:
    """An agent whose panel answers."""
    async with Agent(config, gps=gps) as agent:
        await until_open(port_of(agent))
        yield agent


async def until_open(port: int) -> None:
    """Wait until the panel listens."""
    async with asyncio.timeout(30):
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.02)  # nothing tells when it listens
                continue
            writer.close()
            await writer.wait_closed()
            return


def port_of(agent: Agent) -> int:
    """The port of its panel."""
    assert agent.config.panel_settings is not None
    return agent.config.panel_settings.port


def page_of(agent: Agent) -> str:
    """Where its page is."""
    return f"http://127.0.0.1:{port_of(agent)}"


@contextlib.asynccontextmanager
async def browser(*arguments: str) -> AsyncIterator[Browser]:
    """A real Chromium. Tests share one: the fixture ``chromium``."""
    async with async_playwright() as playwright:
        arguments = arguments or ARGUMENTS
        running = await playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)
        yield running
        await running.close()


class Screen:
    """One page on a touch screen; it fails a test in which the page's own code failed."""

    def __init__(self, page: Page, touches: CDPSession) -> None:
        self.page, self._touches = page, touches
        self.errors: list[str] = []
        page.on("pageerror", lambda error: self.errors.append(str(error)))

    async def open(self, url: str) -> None:
        """Show the panel there, and wait until it has its state."""
        await self.page.goto(url)
        await self.page.wait_for_selector("#duty button:not([disabled])")

    def at(self, selector: str) -> Locator:
        """An element."""
        return self.page.locator(selector)

    async def tap(self, selector: str) -> None:
        """A short touch."""
        await self.page.locator(selector).tap()

    async def until(self, expression: str, argument: Any = None) -> Any:
        """Wait until the page says so."""
        handle = await self.page.wait_for_function(expression, arg=argument, timeout=30_000)
        return await handle.json_value()

    async def until_text(self, selector: str, text: str) -> None:
        """Wait until an element that is seen holds that text."""
        await self.page.locator(selector, has_text=text).first.wait_for(timeout=30_000)

    async def middle(self, selector: str) -> tuple[float, float]:
        """Where its middle is."""
        box = await self.page.locator(selector).bounding_box()
        assert box is not None
        return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2

    async def fingers(self, *places: tuple[float, float], moved: bool = False) -> None:
        """These fingers are on the screen now; none: all are lifted."""
        kind = "touchMove" if moved else "touchStart" if places else "touchEnd"
        points = [{"x": x, "y": y, "id": n} for n, (x, y) in enumerate(places)]
        await self._touches.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    async def hold(self, selector: str) -> None:
        """A finger on it, and there until it shows that the time is up."""
        await self.fingers(await self.middle(selector))
        await self.until("() => document.querySelector('#sos').dataset.state !== 'held'")
        await self.fingers()


@contextlib.asynccontextmanager
async def screen(in_browser: Browser) -> AsyncIterator[Screen]:
    """A touch screen of its own, as the car has it."""
    context = await in_browser.new_context(viewport=SCREEN, has_touch=True, locale="zh-CN")
    page = await context.new_page()
    shown = Screen(page, await context.new_cdp_session(page))
    yield shown
    await context.close()
    assert shown.errors == []


class StandingGps:
    """A receiver that says where the car is, once."""

    state = "ok"

    def __init__(self, position: Position) -> None:
        self._position = position

    async def run(self, on_fix: Callable[[Position], None]) -> None:
        on_fix(self._position)
        await asyncio.Event().wait()


@contextlib.asynccontextmanager
async def on_patrol(
    in_browser: Browser, port: int, folder: Path, position: Position = HERE
) -> AsyncIterator[tuple[Agent, Screen]]:
    """An agent with a position, and its page."""
    about = agent_config(port, folder, panel=settings())
    async with (
        panelled(about, gps=StandingGps(position)) as agent,
        screen(in_browser) as panel,
    ):
        await panel.open(page_of(agent))
        yield agent, panel


def later() -> int:
    """When a command that is given now expires (ms)."""
    return time.time_ns() // 1_000_000 + 600_000
