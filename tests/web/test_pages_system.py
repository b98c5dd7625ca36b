"""The pages of alarms, arrivals, the feed, health and the audit log; all pages as axe sees them."""

from __future__ import annotations

import csv
import json
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Browser, ViewportSize

from gateway.registry import Device, Role
from tests.edge.panel_parts import needs_chromium
from tests.scenarios.whole import Gateway, Terminal
from tests.web.console_parts import BOX, SCREEN, Console, console, field, tokens

pytestmark = [needs_chromium, pytest.mark.slow]

CAR = Device(id="car-1", kind="vehicle_terminal", name="=HYPERLINK(1)")
LAPTOP: ViewportSize = {"width": 1280, "height": 800}
PHONE: ViewportSize = {"width": 390, "height": 844}
PAGES = (
    "alarms",
    "devices",
    "orders",
    "pictures",
    "arrivals",
    "ledger",
    "quarantine",
    "feed",
    "health",
    "audit",
)
DETAILS = ("alarms/box-1%3A1%3Ap%3A1", "devices/box-1", "quarantine/1")


def now() -> int:
    return time.time_ns() // 1_000_000


@pytest.fixture
async def around(tmp_path: Path) -> AsyncIterator[tuple[Gateway, Terminal, Terminal]]:
    async with field(tmp_path, BOX, CAR) as (gateway, [box, car]):
        for seq, kind in enumerate(("hold_up", "fire", "test"), 1):
            box.send("alarm", {"boot": 1, "seq": seq, "t": now(), "kind": kind, "text": "=1+1"})
        car.send("pos", b"\xc1\x00")
        await gateway.wait_for(3, "alarm.raised")
        yield gateway, box, car


async def saved(page: Console, selector: str) -> str:
    """The file that a click has the browser keep."""
    async with page.page.expect_download() as download:
        await page.at(selector).click()
    path = await (await download.value).path()
    return path.read_text(encoding="utf-8-sig")


async def test_alarms_are_looked_for_followed_and_kept(
    around: tuple[Gateway, Terminal, Terminal], chromium: Browser
) -> None:
    gateway, _, _ = around
    async with console(chromium, gateway.url, language="en-US") as page:
        await page.sign_in(tokens(gateway.folder)[Role.DISPATCHER], "#/alarms")
        await page.at("#alarms tbody tr").nth(2).wait_for()
        await page.at("select").nth(1).select_option("fire")
        await page.until("() => document.querySelectorAll('#alarms tbody tr').length === 1")
        rows = list(csv.DictReader((await saved(page, "[data-save=csv]")).splitlines()))
        assert [(row["kind"], row["text"]) for row in rows] == [("fire", "'=1+1")]
        [alarm] = json.loads(await saved(page, "[data-save=json]"))
        assert alarm["stages"][0]["stage"] == "stored"
        await page.at("#alarms tbody a").first.click()
        await page.at("#advance").click()
        await page.at(".steps li", has_text="officer dispatcher").wait_for()
        [stage] = await gateway.wait_for(1, "alarm.stage")
        assert stage["data"]["stage"] == "accepted"
        await page.page.keyboard.press("Escape")
        await page.until("() => location.hash === '#/alarms'")
        await page.open("alarms/device/nobody")
        await page.at(".empty").wait_for()


async def test_arrivals_are_reported_and_kept(
    around: tuple[Gateway, Terminal, Terminal], chromium: Browser
) -> None:
    gateway, _, car = around
    place = {"lat": 24.5130, "lon": 117.6471}
    order = {"incident": "110-7", "kind": "theft", "address": "North Road", "text": "", **place}
    known = await gateway.post("/api/v1/devices/car-1/commands", act="instruct", args=order)
    await car.command()
    reply = {"boot": 1, "seq": 1, "t": now(), "cmd": known["id"], "state": "accepted"}
    car.send("reply", reply)
    car.send("duty", {"boot": 1, "seq": 2, "t": now(), "act": "on_scene", "ref": "110-7"})
    await gateway.wait_for(1, "duty")
    async with console(chromium, gateway.url) as page:
        await page.sign_in(tokens(gateway.folder)[Role.VIEWER], "#/arrivals")
        await page.at("#arrivals td", has_text="110-7").wait_for()
        await page.at("#arrivals svg.plot[aria-label*='0–1 分钟：1 起']").wait_for()
        [row] = csv.DictReader((await saved(page, "[data-save=csv]")).splitlines())
        assert (row["incident"], row["arrived_unit"], row["unit"]) == ("110-7", "car-1", "car-1")
        await page.at("select").first.select_option("own")
        await page.at(".own input").first.fill("2001-01-01T00:00")
        await page.at(".own input").last.fill("2001-01-02T00:00")
        await page.at(".empty", has_text="没有出警").wait_for()


async def test_the_feed_is_paused_sifted_and_goes_on_after_a_cut(
    around: tuple[Gateway, Terminal, Terminal], chromium: Browser
) -> None:
    gateway, box, car = around
    async with console(chromium, gateway.url, language="en-US") as page:
        await page.sign_in(tokens(gateway.folder)[Role.VIEWER], "#/feed")
        await page.at("#feed tr", has_text="Hold-up").wait_for()  # from before it was opened
        assert await page.at("#feed tbody tr", has_text="Alarm raised").count() == 3
        await page.at("header .tag.good", has_text="Live").wait_for()
        box.send("alarm", {"boot": 1, "seq": 4, "t": now(), "kind": "medical"})
        await page.at("#feed tr", has_text="Medical").wait_for()
        await page.at("#pause").click()
        box.send("alarm", {"boot": 1, "seq": 5, "t": now(), "kind": "duress"})
        await page.at("#page", has_text="Paused: 1 wait").wait_for()
        assert await page.at("#feed tr", has_text="Duress").count() == 0
        await page.at("#pause").click()
        await page.at("#feed tr", has_text="Duress").wait_for()
        await page.at("[data-type='status']").click()
        await page.at("header .tag.good", has_text="Live").wait_for()
        await page.at("select").select_option("0")
        await page.at(".empty", has_text="Waiting for events").wait_for()
        await page.at("header .tag.good", has_text="Live").wait_for()
        await gateway.kill()
        await page.at("header .tag.care", has_text="Cut off").wait_for()
        await gateway.start()
        box.send("alarm", {"boot": 1, "seq": 6, "t": now(), "kind": "panic"})
        await page.at("#feed tr", has_text="Panic").wait_for()
        assert await page.at("#feed tr", has_text="Duress").count() == 0
        car.send("presence", {"online": True, "boot": 1, "fw": "+1", "t": now()}, retain=True)
        await page.at("#feed tr a", has_text="=HYPERLINK(1)").wait_for()
        rows = list(csv.DictReader((await saved(page, "[data-save=csv]")).splitlines()))
        assert [row["name"] for row in rows] == ["'=HYPERLINK(1)", BOX.name]
        assert json.loads(rows[1]["data"])["kind"] == "panic"
        await page.at("#feed a", has_text="Alarm raised").click()
        await page.at("dialog h2", has_text="Panic").wait_for()


async def test_health_says_what_is_wrong(
    around: tuple[Gateway, Terminal, Terminal], chromium: Browser
) -> None:
    gateway, _, _ = around
    async with console(chromium, gateway.url, language="en-US") as page:
        await page.sign_in(tokens(gateway.folder)[Role.VIEWER], "#/health")
        await page.at("#readiness", has_text="Ready for alarms").wait_for()
        assert await page.at(".tile", has_text="Open alarms").locator("dd").inner_text() == "3"
        await gateway.kill()
        await page.at("#readiness.wrong", has_text="does not answer").wait_for()
        await gateway.start()
        await page.at("#readiness", has_text="Ready for alarms").wait_for()


async def test_the_audit_log_is_for_administrators(
    around: tuple[Gateway, Terminal, Terminal], chromium: Browser
) -> None:
    gateway, _, _ = around
    known = tokens(gateway.folder)
    async with console(chromium, gateway.url, language="en-US") as page:
        await page.sign_in(known[Role.DISPATCHER], "#/audit")
        told = await page.at("#not-for-role [role=alert]").inner_text()
        assert "administrator" in told
        assert "dispatcher" in told
        assert await page.at("#bar nav a[data-page=audit]").count() == 0
        await page.page.keyboard.press("Shift+Slash")
        assert "Audit log" not in await page.at("dialog .keys").inner_text()
    async with console(chromium, gateway.url, language="en-US") as page:
        await page.sign_in(known[Role.ADMIN], "#/audit")
        await page.at("#audit tr", has_text="officer dispatcher").wait_for()
        await page.at("select").nth(1).select_option("session.open")
        await page.until("() => document.querySelectorAll('#audit tbody tr').length === 2")
        await page.at("#audit td", has_text="sign in").first.wait_for()
        await page.at("#bar nav summary").click()
        await page.at("#bar nav .more a", has_text="Health").click()
        await page.at("#readiness").wait_for()


@pytest.mark.parametrize(
    ("theme", "language", "screen"),
    [("dark", "zh-CN", SCREEN), ("light", "en-US", LAPTOP), ("light", "zh-CN", PHONE)],
)
async def test_axe_finds_nothing_serious_and_nothing_is_too_wide(
    around: tuple[Gateway, Terminal, Terminal],
    chromium: Browser,
    theme: str,
    language: str,
    screen: ViewportSize,
) -> None:
    gateway, _, _ = around
    found: list[str] = []
    async with console(chromium, gateway.url, language=language, screen=screen) as page:
        await page.page.goto(gateway.url)
        await page.page.evaluate("t => localStorage.setItem('fieldgate.theme', t)", theme)
        await page.page.reload()
        await page.sign_in(tokens(gateway.folder)[Role.ADMIN])
        for at in (*PAGES, *DETAILS):
            await page.open(at)
            shown = "dialog.detail" if "/" in at else f"[data-page={at}][aria-current]"
            await page.at(shown).wait_for(state="attached")
            await page.at("#page .sheet h1").wait_for()
            await page.until("() => !/正在读取|Loading/.test(document.body.innerText)")
            wide = "() => document.querySelector('#page').scrollWidth - innerWidth"
            assert await page.page.evaluate(wide) <= 0, at
            cut = "bar => bar.scrollWidth - bar.clientWidth"
            assert await page.at("#bar nav").evaluate(cut) <= 0, at
            found += await wrongs(page, at)
    assert found == []


async def wrongs(page: Console, at: str) -> list[str]:
    results = await Axe().run(page.page)
    return [
        f"{at}: {wrong['id']} {node['target']} {node['failureSummary']}"
        for wrong in results.response["violations"]
        if wrong["impact"] in {"serious", "critical"}
        for node in wrong["nodes"]
    ]
