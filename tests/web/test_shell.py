"""The page around all pages: signing in by role, languages, themes, an alarm's turn, the cut."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from playwright.async_api import Browser

from gateway.registry import Registry, Role
from tests.edge.panel_parts import needs_chromium
from tests.scenarios.whole import Gateway, Terminal
from tests.web.console_parts import BOX, Console, console, field, tokens

pytestmark = [needs_chromium, pytest.mark.slow]


@pytest.fixture
async def around(tmp_path: Path) -> AsyncIterator[tuple[Gateway, Terminal]]:
    async with field(tmp_path, BOX) as (gateway, [box]):
        yield gateway, box


@pytest.fixture
def gateway(around: tuple[Gateway, Terminal]) -> Gateway:
    return around[0]


@pytest.fixture
def box(around: tuple[Gateway, Terminal]) -> Terminal:
    return around[1]


def panic(seq: int, **keys: object) -> dict[str, object]:
    now = time.time_ns() // 1_000_000
    return {"boot": 1, "seq": seq, "t": now, "kind": "hold_up", **keys}


async def test_each_role_signs_in_and_sees_what_it_may_do(
    gateway: Gateway, box: Terminal, chromium: Browser
) -> None:
    known = tokens(gateway.folder)
    box.send("alarm", panic(1))
    await gateway.wait_for(1, "alarm.raised")
    for role in Role:
        async with console(chromium, gateway.url) as page:
            await page.sign_in(known[role])
            await page.at("#turn .what", has_text="抢劫").wait_for()
            assert await page.at("#accept").count() == (role is not Role.VIEWER)
            assert f"officer {role}" in await page.at("#bar .who").inner_text()
            kept = "JSON.stringify([localStorage, sessionStorage, document.cookie])"
            assert "fgt_" not in await page.page.evaluate(kept)


async def test_a_wrong_token_signs_nobody_in(gateway: Gateway, chromium: Browser) -> None:
    async with console(chromium, gateway.url) as page:
        await page.page.goto(gateway.url)
        await page.page.fill("#token", "fgt_wrong")
        await page.page.click("#sign-in button[type=submit]")
        await page.at("#sign-in .wrong", has_text="令牌无效").wait_for()


async def test_a_session_outlives_a_reload_and_ends_with_signing_out_or_its_token(
    gateway: Gateway, chromium: Browser
) -> None:
    known = tokens(gateway.folder)
    async with console(chromium, gateway.url) as page:
        await page.sign_in(known[Role.VIEWER])
        await page.page.reload()
        await page.live()
        await page.page.click("#sign-out")
        await page.at("#sign-in").wait_for()
        await page.page.reload()
        await page.sign_in(known[Role.VIEWER])
        with Registry(gateway.folder) as registry:
            registry.revoke_token(
                next(t.no for t in registry.tokens() if t.name == "officer viewer")
            )
        await page.open("alarms")
        await page.at("#sign-in .wrong", has_text="登录已失效").wait_for()


async def test_twenty_alarms_in_one_second_each_have_their_turn(
    gateway: Gateway, box: Terminal, chromium: Browser
) -> None:
    async with console(chromium, gateway.url) as page:
        await page.sign_in(tokens(gateway.folder)[Role.DISPATCHER])
        for seq in range(1, 21):
            box.send("alarm", panic(seq))
        await page.at("#turn .rest", has_text="19").wait_for()
        assert (await page.page.title()).startswith("(20)")
        for _ in range(20):
            await page.page.keyboard.press("KeyA")
        await page.until("() => !document.querySelector('#turn .banner')")
        stages = await gateway.wait_for(20, "alarm.stage")
        assert {event["data"]["stage"] for event in stages} == {"accepted"}
        assert len({event["data"]["alarm"] for event in stages}) == 20
        assert {event["data"]["by"] for event in stages} == {"officer dispatcher"}


async def test_a_new_alarm_never_takes_the_place_of_the_one_in_turn(
    gateway: Gateway, box: Terminal, chromium: Browser
) -> None:
    async with console(chromium, gateway.url) as page:
        await page.sign_in(tokens(gateway.folder)[Role.DISPATCHER])
        box.send("alarm", panic(1))
        await page.at("#turn .what", has_text="抢劫").wait_for()
        box.send("alarm", panic(2, kind="fire"))
        await page.at("#turn .rest", has_text="1").wait_for()
        assert await page.at("#turn .what").inner_text() == "抢劫"
        await page.page.keyboard.press("KeyN")
        await page.at("#turn .what", has_text="火灾").wait_for()
        await page.page.keyboard.press("KeyA")
        await page.at("#turn .what", has_text="抢劫").wait_for()
        [stage] = await gateway.wait_for(1, "alarm.stage")
        assert stage["data"]["alarm"] == "box-1:1:p:2"


async def test_self_tests_wait_apart_and_calm(
    gateway: Gateway, box: Terminal, chromium: Browser
) -> None:
    async with console(chromium, gateway.url) as page:
        await page.sign_in(tokens(gateway.folder)[Role.DISPATCHER])
        box.send("alarm", panic(1, kind="test"))
        await page.at("#turn .calm .what", has_text="自检").wait_for()
        box.send("alarm", panic(2))
        await page.at("#turn .alarm .what", has_text="抢劫").wait_for()
        assert (await page.page.title()).startswith("(1)")
        await page.page.keyboard.press("KeyA")
        await page.at("#turn .calm .what", has_text="自检").wait_for()


async def test_a_cut_is_told_and_what_was_missed_is_caught_up_with(
    gateway: Gateway, box: Terminal, chromium: Browser
) -> None:
    async with console(chromium, gateway.url) as page:
        await page.sign_in(tokens(gateway.folder)[Role.DISPATCHER])
        await page.page.evaluate("window.isTheSamePage = true")
        box.send("alarm", panic(1))
        await page.at("#turn .what").wait_for()
        await gateway.kill()
        await page.at("#cut .cut", has_text="与网关断开").wait_for()
        await page.page.keyboard.press("KeyA")
        await page.at(".toast.wrong", has_text="接警未成功").wait_for()
        await page.at("#turn .what").wait_for()  # it still waits
        await gateway.start()
        box.send("alarm", panic(2, kind="fire"))
        await page.at("#cut .good").wait_for(timeout=30_000)
        await page.at("#turn .rest", has_text="1").wait_for()
        assert await page.page.evaluate("window.isTheSamePage")


async def test_language_theme_and_keys(gateway: Gateway, chromium: Browser) -> None:
    async with console(chromium, gateway.url) as page:
        await page.sign_in(tokens(gateway.folder)[Role.VIEWER], "#/alarms")
        await page.at("#bar nav a", has_text="报警").wait_for()
        await page.page.keyboard.press("KeyL")
        await page.at("#bar nav a", has_text="Alarms").wait_for()
        assert await page.page.evaluate("document.documentElement.lang") == "en"
        await page.page.keyboard.press("KeyD")
        assert await page.page.evaluate("document.documentElement.dataset.theme") == "light"
        await page.page.keyboard.press("Shift+Slash")
        await page.at("dialog kbd", has_text="N").wait_for()
        assert await page.at("dialog dd", has_text="Accept").count() == 0  # a viewer may not
        await page.page.keyboard.press("Escape")
        await page.until("() => !document.querySelector('dialog')")


async def test_a_key_in_a_field_is_a_letter(
    gateway: Gateway, box: Terminal, chromium: Browser
) -> None:
    async with console(chromium, gateway.url) as page:
        await page.sign_in(tokens(gateway.folder)[Role.DISPATCHER], "#/alarms")
        box.send("alarm", panic(1))
        await page.at("#accept").wait_for()
        await page.at("select").first.focus()
        await page.page.keyboard.press("KeyA")
        async with asyncio.timeout(30):
            assert not await gateway.events("alarm.stage")


async def test_eight_tabs_of_one_browser_all_hear_of_an_alarm_and_can_act(
    gateway: Gateway, box: Terminal, chromium: Browser
) -> None:
    async with console(chromium, gateway.url) as first:
        await first.sign_in(tokens(gateway.folder)[Role.DISPATCHER], "#/feed")
        context = first.page.context
        tabs = [first, *[Console(await context.new_page(), gateway.url) for _ in range(7)]]
        for tab in tabs[1:]:
            await tab.page.goto(f"{gateway.url}/#/feed")
            await tab.live()
        for tab in tabs:
            await tab.at("#page header .tag.good").wait_for()
        box.send("alarm", panic(1))
        for tab in tabs:
            await tab.at("#turn .what", has_text="抢劫").wait_for()
            await tab.at("#feed tr", has_text="抢劫").wait_for()
        await tabs[-1].at("#accept").click()
        for tab in tabs:
            await tab.until("() => !document.querySelector('#turn .banner')")
        assert [error for tab in tabs for error in tab.errors] == []
