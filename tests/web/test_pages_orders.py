"""The pages of commands and of pictures: what was ordered, what came, what is held."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from playwright.async_api import Browser

from gateway.registry import Role
from tests.edge.panel_parts import needs_chromium
from tests.gateway.photographs import encoded
from tests.web.console_parts import BOX, console, field, tokens
from tests.web.test_console import CAR, send_picture

pytestmark = [needs_chromium, pytest.mark.slow]


async def test_a_command_is_followed_and_called_back(tmp_path: Path, chromium: Browser) -> None:
    async with field(tmp_path, CAR) as (gateway, [car]):
        known = tokens(gateway.folder)
        car.send("presence", {"online": True, "boot": 1, "t": 0}, retain=True)
        text = {"text": "call <b>back</b>"}
        order = await gateway.post("/api/v1/devices/car-1/commands", act="text", args=text)
        await car.command()
        async with console(chromium, gateway.url, language="en-US") as page:
            await page.sign_in(known[Role.DISPATCHER], "#/orders")
            await page.at("#orders tr", has_text="<b>back</b>").locator("a").first.click()
            await page.at(".steps li", has_text="sent").wait_for()
            delivered = {"boot": 1, "seq": 1, "t": 0, "cmd": order["id"], "state": "delivered"}
            car.send("reply", delivered)
            await page.at(".steps li", has_text="delivered").wait_for()
            await page.at("#call-back").click()
            async with asyncio.timeout(30):
                while (await car.command())["act"] != "cancel":
                    pass  # the text may come twice: it was sent again when the car was online
        async with console(chromium, gateway.url, language="en-US") as page:
            await page.sign_in(known[Role.VIEWER], f"#/orders/{order['id']}")
            await page.at(".steps li").first.wait_for()
            assert await page.at("#call-back").count() == 0


async def test_a_picture_is_found_seen_and_held(tmp_path: Path, chromium: Browser) -> None:
    async with field(tmp_path, BOX) as (gateway, [box]):
        box.send("alarm", {"boot": 1, "seq": 1, "t": 0, "kind": "panic"})
        picture = send_picture(box, encoded(".jpg"), "box-1:1:p:1")
        await gateway.wait_for(1, "media")
        known = tokens(gateway.folder)
        async with console(chromium, gateway.url) as page:
            await page.sign_in(known[Role.ADMIN], "#/pictures")
            await page.at("#pictures img").wait_for()
            await page.at("#pictures a").click()
            await page.at("dialog .mono", has_text=picture).wait_for()
            await page.until("() => document.querySelector('dialog img').naturalWidth > 0")
            await page.at("dialog input").fill("案号 7")
            await page.at("#hold").click()
            await page.at("dialog li", has_text="案号 7").wait_for()
            [hold] = (await gateway.get("/api/v1/holds"))["holds"]
            assert (hold["id"], hold["note"]) == (picture, "案号 7")
            await page.at("#hold").click()
            await page.until("() => !document.querySelector('dialog li')")
            await page.page.keyboard.press("Escape")
            await page.at("select").first.select_option("live")
            await page.at(".empty", has_text="没有符合条件的图像").wait_for()
        async with console(chromium, gateway.url) as page:
            await page.sign_in(known[Role.VIEWER], f"#/pictures/{picture}")
            await page.at("dialog img").wait_for()
            assert await page.at("#hold").count() == 0
