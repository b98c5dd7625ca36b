"""What does the console look like? Draws docs/console-*.png and docs/map-page.png from a demo."""

from __future__ import annotations

import asyncio
import contextlib
import io
import sys
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
from PIL import Image
from playwright.async_api import Browser, Page

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from fieldgate.demo import Parts, play  # noqa: E402
from gateway.registry import Registry, Role  # noqa: E402
from tests.edge.panel_parts import browser  # noqa: E402 - the tests' parts are found from here
from tests.web.console_parts import Console  # noqa: E402

COLORS = 256
LEAVE_ALL_S = 86_400.0
"""So long the stand-in core leaves alarms to the one who draws."""

DAY = """
seed = 110
duration_s = 3600
[devices]
cars = 36
officers = 20
boxes = 24
[reports]
status_period_s = 5
duty_per_minute = 30
[alarms]
per_minute = 6
pictures = 3
kinds = { panic = 4, hold_up = 3, duress = 1, medical = 1, fire = 1 }
[crews]
answer_s = 2
refuse_share = 0
"""
SEEN = "() => [...document.querySelectorAll('.card .strip img')].filter(i => i.naturalWidth).length"


async def keep(page: Page, name: str) -> None:
    """One picture, small enough for the docs."""
    picture = Image.open(io.BytesIO(await page.screenshot()))
    small = picture.convert("RGB").quantize(COLORS, dither=Image.Dither.NONE)
    await asyncio.to_thread(small.save, ROOT / "docs" / f"{name}.png", optimize=True)


@contextlib.asynccontextmanager
async def console(
    running: Browser, url: str, token: str, *, language: str, theme: str, at: str
) -> AsyncIterator[Console]:
    """A console that is signed in, its map drawn."""
    context = await running.new_context(
        viewport={"width": 1280, "height": 800}, locale=language, timezone_id="Asia/Shanghai"
    )
    shown = Console(await context.new_page(), url)
    await shown.page.add_init_script(f"localStorage.setItem('fieldgate.theme', '{theme}')")
    await shown.sign_in(token, at)
    await drawn(shown)
    yield shown
    await context.close()
    assert shown.errors == []


async def drawn(shown: Console) -> None:
    """Wait until the map has stood still."""
    await shown.page.wait_for_selector("#map canvas")
    await shown.page.wait_for_timeout(4000)  # flights, tiles and labels; nothing tells of all


async def waiting(url: str, token: str) -> list[dict[str, Any]]:
    """Alarms that wait, once a box's hold-up is among them and four others."""
    headers = {"Authorization": f"Bearer {token}"}
    async with aiohttp.ClientSession(headers=headers) as http, asyncio.timeout(300):
        while True:
            async with http.get(f"{url}/api/v1/alarms?stage=stored&limit=50") as answer:
                found: list[dict[str, Any]] = (await answer.json())["alarms"]
            held_up = [each for each in found if each["device"].startswith("box")]
            if len(found) >= 5 and held_up:
                return held_up
            await asyncio.sleep(1)  # the city presses when it presses


async def draw(url: str, token: str, running: Browser) -> None:
    """All pictures."""
    alarm, *_ = await waiting(url, token)
    async with console(
        running, url, token, language="zh-CN", theme="dark", at=f"#/map/alarm/{alarm['id']}"
    ) as shown:
        await shown.page.click(".card .acts .main")
        await shown.at(".card .ladder .reached", has_text="已接警").wait_for()
        await shown.until(f"() => ({SEEN})() === 3")
        await shown.page.keyboard.press("Digit1")
        await shown.at(".near .sent .order", has_text="已接受").wait_for()
        sent = await shown.at(".near .sent [data-send]").get_attribute("data-send")
        await shown.page.wait_for_timeout(7000)  # until the word that it was sent has gone
        await keep(shown.page, "console-alarm")
    async with console(
        running, url, token, language="en-US", theme="light", at=f"#/map/unit/{sent}"
    ) as shown:
        await shown.page.click("[data-focus^=picture]")
        await shown.at(".fresh figcaption").wait_for()
        await shown.page.click("#unit-reach")
        await drawn(shown)
        await shown.page.eval_on_selector(".fresh", "shown => shown.scrollIntoView(false)")
        await keep(shown.page, "console-unit")
    async with console(running, url, token, language="zh-CN", theme="dark", at="#/wall") as shown:
        await keep(shown.page, "console-wall")
    async with console(running, url, token, language="en-US", theme="dark", at="#/map") as shown:
        await shown.page.click(".layers summary")
        for layer in ("Reach", "Cold"):
            box = shown.at(".layers label", has_text=layer).locator("input")
            await box.dispatch_event("click")  # the map draws: nothing here is ever still
        await drawn(shown)
        await keep(shown.page, "map-page")


async def main() -> None:
    """A demo that plays until all is drawn."""
    stop, begun = asyncio.Event(), asyncio.get_running_loop().create_future()
    with tempfile.TemporaryDirectory() as kept:
        day, folder = Path(kept) / "day.toml", Path(kept) / "demo"
        day.write_text(DAY)
        folder.mkdir()

        def on_start(parts: Parts) -> None:
            begun.set_result(parts)

        demo = asyncio.create_task(
            play(
                str(day),
                folder,
                seconds=None,
                accept_after_s=LEAVE_ALL_S,
                stop=stop,
                on_start=on_start,
            )
        )
        await asyncio.wait([demo, begun], return_when=asyncio.FIRST_COMPLETED)
        try:
            with Registry(folder) as registry:
                token = registry.add_token(Role.DISPATCHER, "陈建国 值班长")
            async with browser() as running:
                await draw(begun.result().url, token, running)
        finally:
            stop.set()
            await demo


asyncio.run(main())
