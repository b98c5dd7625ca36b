"""The pages of devices, the ledger and quarantine: looked for, registered, revoked, explained."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from playwright.async_api import Browser, ViewportSize

from gateway.registry import Device, Registry, Role
from tests.edge.panel_parts import needs_chromium
from tests.scenarios.whole import Gateway, Terminal
from tests.web.console_parts import BOX, Console, console, field, tokens

pytestmark = [needs_chromium, pytest.mark.slow]

HOSTILE = '<img src=x onerror="window.pwned = 1">\u202e' + "长" * 150
CAMERA = Device(id="cam-1", kind="body_camera", name=HOSTILE)
PHONE: ViewportSize = {"width": 390, "height": 844}


@pytest.fixture
async def around(tmp_path: Path) -> AsyncIterator[tuple[Gateway, Terminal, Terminal]]:
    with Registry(tmp_path) as registry:
        registry.add_many([Device(id=f"old-{n:03}", kind="alarm_box") for n in range(60)])
    async with field(tmp_path, BOX, CAMERA) as (gateway, [box, camera]):
        now = time.time_ns() // 1_000_000
        box.send("presence", {"online": True, "boot": 1, "fw": "1.4.2", "t": now}, retain=True)
        for seq in (1, 2, 5):
            box.send("status", {"boot": 1, "seq": seq, "t": now, "batt": 77})
        camera.send("pos", {"boot": 1, "seq": 1, "t": now, "lat": "north", "lon": 999, "fix": 3})
        await box.receipt()
        yield gateway, box, camera


async def no_overflow(page: Console) -> None:
    """Nothing is wider than the screen."""
    wide = "() => document.querySelector('#page').scrollWidth - innerWidth"
    assert await page.page.evaluate(wide) <= 0


async def test_devices_are_looked_for(
    around: tuple[Gateway, Terminal, Terminal], chromium: Browser
) -> None:
    gateway, _, _ = around
    async with console(chromium, gateway.url) as page:
        await page.sign_in(tokens(gateway.folder)[Role.VIEWER], "#/devices")
        await page.at("#devices tbody tr").nth(49).wait_for()
        assert await page.at("#add-device").count() == 0
        await page.at(".more").last.click()
        await page.at("#devices tbody tr").nth(61).wait_for()
        await page.at("[data-state=online]").click()
        await page.until("() => document.querySelectorAll('#devices tbody tr').length <= 2")
        row = page.at("#devices tbody tr", has_text="1.4.2")
        await row.locator(".tag.care", has_text="2").wait_for()  # 3 and 4 are missing
        await page.at("[data-state='']").click()
        await page.at("input[type=search]").fill("onerror")
        await page.until("() => document.querySelectorAll('#devices tbody tr').length === 1")
        await page.at("#devices tbody tr", has_text="<img").wait_for()
        assert await page.page.evaluate("window.pwned") is None
        await page.at("input[type=search]").fill("nobody")
        await page.at(".empty", has_text="没有符合条件的设备").wait_for()
        await page.open("devices/box-1")
        await page.at("dialog .mono", has_text="3–4").wait_for()
        assert await page.at("#revoke").count() == 0


async def test_a_device_is_registered_connects_and_is_revoked(
    around: tuple[Gateway, Terminal, Terminal], chromium: Browser
) -> None:
    gateway, _, _ = around
    async with console(chromium, gateway.url, language="en-US") as page:
        await page.sign_in(tokens(gateway.folder)[Role.ADMIN], "#/devices")
        await page.at("#add-device").click()
        await page.at("#register [name=id]").fill("box-1")
        await page.at("#register [type=submit]").click()
        await page.at("#register .problem", has_text="409 Conflict").wait_for()
        await page.at("#register [name=id]").fill("car-new")
        await page.at("#register [name=kind]").select_option("vehicle_terminal")
        await page.at("#register [type=submit]").click()
        password = await page.at("#credentials input").nth(1).input_value()
        await page.page.keyboard.press("Escape")  # not closed by accident
        await page.at("#kept").click()
        await page.at("dialog.detail .tag", has_text="Offline").wait_for()
        async with Terminal(gateway.mqtt_port, "car-new", password) as car:
            car.send("alarm", {"boot": 1, "seq": 1, "t": 0, "kind": "panic"})
            await car.receipt(p=1)
            await page.at("#revoke").click()
            await page.at("#revoke-sure").click()
            await page.at(".toast.good", has_text="car-new is revoked").wait_for()
        await page.open("devices/car-new")
        await page.at("dialog.detail .tag", has_text="Revoked").wait_for()
        assert (await gateway.get("/api/v1/devices/car-new"))["revoked"]


async def test_the_ledger_says_what_is_missing_and_that_nothing_is(
    around: tuple[Gateway, Terminal, Terminal], chromium: Browser
) -> None:
    gateway, box, _ = around
    async with console(chromium, gateway.url, screen=PHONE) as page:
        await page.sign_in(tokens(gateway.folder)[Role.VIEWER], "#/ledger")
        await page.at("#missing-today.care", has_text="今日：缺失 2 条").wait_for()
        await page.at("#missing-today", has_text="此前各日没有缺失").wait_for()
        await no_overflow(page)
        await page.at("#show-missing").click()
        await page.until("() => document.querySelectorAll('#ledger tbody tr').length === 1")
        await page.at("#ledger a", has_text=BOX.name).wait_for()
        for seq in (3, 4):
            box.send("status", {"boot": 1, "seq": seq, "t": 0})
        await page.at("#missing-today.good", has_text="今日：缺失 0 条").wait_for()


async def test_quarantine_shows_bytes_and_what_they_say(
    around: tuple[Gateway, Terminal, Terminal], chromium: Browser
) -> None:
    gateway, _, camera = around
    camera.send("pos", b"\xc1\x00" + bytes(range(256)) * 4)
    async with asyncio.timeout(30):
        while len((await gateway.get("/api/v1/quarantine"))["quarantine"]) < 2:
            await asyncio.sleep(0.05)
    async with console(chromium, gateway.url, language="en-US") as page:
        await page.sign_in(tokens(gateway.folder)[Role.VIEWER], "#/quarantine")
        await page.at("#quarantine tbody tr", has_text="invalid field").locator("a").first.click()
        await page.at("dialog td.bad", has_text="lat").wait_for()
        assert (
            "6c 61 74 a5 6e 6f 72 74" in await page.at("dialog pre.hex").inner_text()
        )  # lat, nort
        await page.page.keyboard.press("Escape")
        await page.at("dialog").wait_for(state="detached")
        await page.at("#quarantine tbody tr", has_text="malformed").locator("a").first.click()
        await page.at("dialog button", has_text="1026").click()
        assert "0400  fe ff" in await page.at("dialog pre.hex").inner_text()
        await page.page.keyboard.press("Escape")
        await page.at("dialog").wait_for(state="detached")
        await page.page.keyboard.press("KeyL")
        await (
            page.at("#quarantine tr", has_text="lat：类型应为 float，实为 str")
            .locator("a")
            .first.click()
        )
        await page.at("dialog td", has_text="纬度，WGS-84").wait_for()
        await page.at("dialog", has_text="发回执：这个编号已用掉").wait_for()
        await page.open("quarantine/99")
        await page.at("dialog .problem", has_text="404").wait_for()


async def test_a_gateway_that_does_not_answer_is_told_and_asked_again(
    around: tuple[Gateway, Terminal, Terminal], chromium: Browser
) -> None:
    gateway, _, _ = around
    async with console(chromium, gateway.url) as page:
        await page.sign_in(tokens(gateway.folder)[Role.VIEWER], "#/alarms")
        await gateway.kill()
        await page.open("quarantine")
        await page.until("() => document.querySelector('#page .problem, #page .wrong')")
        await gateway.start()
