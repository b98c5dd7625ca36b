"""An agent with its panel, and a browser with a touch screen, for tests."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
from collections.abc import AsyncIterator
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

from edge.agent import Agent
from edge.config import Config, PanelSettings
from tests import parts

SCREEN: ViewportSize = {"width": 1024, "height": 600}
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
ARGUMENTS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]
needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")


def settings() -> PanelSettings:
    """On a free port."""
    return PanelSettings(port=parts.free_port())


@contextlib.asynccontextmanager
async def panelled(config: Config) -> AsyncIterator[Agent]:
    """An agent whose panel answers."""
    async with Agent(config) as agent:
        await until_open(port_of(agent))
        yield agent


async def until_open(port: int) -> None:
    """Wait until the panel listens."""
    async with asyncio.timeout(20):
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
async def browser() -> AsyncIterator[Browser]:
    """A real Chromium."""
    async with async_playwright() as playwright:
        running = await playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
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
        handle = await self.page.wait_for_function(expression, arg=argument, timeout=20_000)
        return await handle.json_value()

    async def until_text(self, selector: str, text: str) -> None:
        """Wait until an element that is seen holds that text."""
        await self.page.locator(selector, has_text=text).first.wait_for(timeout=20_000)

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
