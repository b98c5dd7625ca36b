"""A gateway in a process of its own, and its page in a real Chromium, for tests."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from playwright.async_api import Browser, Locator, Page, ViewportSize

from gateway.registry import Device, Registry, Role
from tests.scenarios.whole import Gateway, Terminal

SCREEN: ViewportSize = {"width": 1440, "height": 900}
BOX = Device(id="box-1", kind="alarm_box", name="延安北路工行", lat=24.5130, lon=117.6471)


class Console:
    """One page of a gateway; it fails a test in which the page's own code failed."""

    def __init__(self, page: Page, url: str) -> None:
        self.page, self.url = page, url
        self.errors: list[str] = []
        page.on("pageerror", lambda error: self.errors.append(str(error)))

    async def sign_in(self, token: str, at: str = "") -> None:
        """Type the token in, and wait for the page that opens."""
        await self.page.goto(f"{self.url}/{at}")
        await self.page.fill("#token", token)
        await self.page.click("#sign-in button[type=submit]")
        await self.page.wait_for_selector("#bar")
        await self.live()

    async def live(self) -> None:
        """Wait until events come as they happen."""
        await self.page.wait_for_selector("#bar .link[data-state=live]", state="attached")

    async def open(self, name: str) -> None:
        """Go to a page of it."""
        await self.page.evaluate("name => { location.hash = `#/${name}`; }", name)

    def at(self, selector: str, **having: Any) -> Locator:
        """An element."""
        return self.page.locator(selector, **having)

    async def until(self, expression: str, argument: Any = None) -> Any:
        """Wait until the page says so."""
        handle = await self.page.wait_for_function(expression, arg=argument, timeout=30_000)
        return await handle.json_value()


@contextlib.asynccontextmanager
async def console(
    in_browser: Browser, url: str, *, screen: ViewportSize = SCREEN, language: str = "zh-CN"
) -> AsyncIterator[Console]:
    """A browser of its own, with nothing kept from before."""
    context = await in_browser.new_context(viewport=screen, locale=language)
    shown = Console(await context.new_page(), url)
    yield shown
    await context.close()
    assert shown.errors == []


def tokens(folder: Path) -> dict[Role, str]:
    """A new token for each role, named as it."""
    with Registry(folder) as registry:
        return {role: registry.add_token(role, f"officer {role}") for role in Role}


@contextlib.asynccontextmanager
async def field(folder: Path, *devices: Device) -> AsyncIterator[tuple[Gateway, list[Terminal]]]:
    """A gateway, and registered devices that are connected to it."""
    with Registry(folder) as registry:
        passwords = registry.add_many(devices)
    async with contextlib.AsyncExitStack() as stack:
        gateway = await stack.enter_async_context(Gateway(folder))
        terminals = [
            await stack.enter_async_context(Terminal(gateway.mqtt_port, device, password))
            for device, password in passwords.items()
        ]
        yield gateway, terminals
