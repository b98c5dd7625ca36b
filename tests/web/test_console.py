"""The map page at work: an alarm taken up, its pictures, who is sent, a unit's card, the wall."""

from __future__ import annotations

import asyncio
import hashlib
import time
import urllib.error
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser

from fieldgate.map.build import of_seed
from gateway.registry import Device, Role
from tests.edge.panel_parts import needs_chromium
from tests.gateway.photographs import encoded
from tests.scenarios.whole import Gateway, Terminal
from tests.web.console_parts import BOX, Console, console, field, tokens

pytestmark = [needs_chromium, pytest.mark.slow]
CAR = Device(id="car-1", kind="vehicle_terminal", name="闽E·1101警")
RESTING = Device(id="car-9", kind="vehicle_terminal", name="闽E·1109警")
HOSTILE = "<img src=x onerror=window.hit=1>\u202egpj.exe\u202c" + "长" * 1000


BAR_HAS_ROOM = """() => {
  const box = (found) => document.querySelector(found).getBoundingClientRect();
  const pages = [...document.querySelectorAll("#bar nav > *")].at(-1).getBoundingClientRect();
  return box("#sign-out").right <= innerWidth && pages.right <= box("#bar .link").left;
}"""


def now_ms() -> int:
    return time.time_ns() // 1_000_000


@pytest.fixture
async def around(tmp_path: Path) -> AsyncIterator[tuple[Gateway, Terminal, Terminal]]:
    async with field(tmp_path, BOX, CAR) as (gateway, [box, car]):
        car.send("presence", {"online": True, "boot": 1, "t": now_ms()}, retain=True)
        car.send("pos", fix(1))
        car.send("duty", {"boot": 1, "seq": 1, "t": now_ms(), "act": "on_duty", "crew": ["061234"]})
        car.send("status", {"boot": 1, "seq": 2, "t": now_ms(), "batt": 15, "net": "4g",
                            "cam": "covered"})  # fmt: skip
        await gateway.wait_for(1, "status")
        yield gateway, box, car


def fix(seq: int) -> dict[str, Any]:
    return {"boot": 1, "seq": seq, "t": now_ms(), "lat": 24.5150, "lon": 117.6480, "fix": 3}


def alarm(seq: int = 1, **keys: Any) -> dict[str, Any]:
    return {"boot": 1, "seq": seq, "t": now_ms(), "kind": "hold_up", **keys}


def send_picture(
    box: Terminal,
    data: bytes,
    ref: str,
    *,
    seq: int = 100,
    reason: str = "pre_alarm",
    age_ms: int = 3000,
) -> str:
    """All chunks of a picture, by default as a box sends those of before an alarm."""
    name, pieces = hashlib.sha256(data).hexdigest(), range(0, len(data), 8192)
    for n, at in enumerate(pieces):
        about = {"taken": now_ms() - age_ms, "reason": reason, "ref": ref} if n == 0 else {}
        box.send("media", {
            "boot": 1, "seq": seq + n, "t": now_ms(), "id": name, "mime": "image/jpeg",
            "size": len(data), "n": n, "of": len(pieces), "data": data[at : at + 8192], **about,
        })  # fmt: skip
    return name


async def signed_in(page: Console, gateway: Gateway, role: Role = Role.DISPATCHER) -> None:
    await page.sign_in(tokens(gateway.folder)[role], "#/map")
    await page.at("#console").wait_for()


async def until_reach_is_known(gateway: Gateway, unit: str) -> None:
    """Wait until the gateway has read its map, and the unit's first position."""
    async with asyncio.timeout(20):
        while True:
            try:
                await gateway.get(f"/api/v1/reach?unit={unit}")
            except urllib.error.HTTPError as error:
                error.close()
                await asyncio.sleep(0.1)  # no event tells
            else:
                return


async def on_shift(car: Terminal, lat: float, *acts: str) -> None:
    """A car that is somewhere, and has done these things."""
    car.send("presence", {"online": True, "boot": 1, "t": now_ms()}, retain=True)
    car.send("pos", {**fix(1), "lat": lat})
    for seq, act in enumerate(acts, start=1):
        car.send("duty", {"boot": 1, "seq": seq, "t": now_ms(), "act": act})
        await car.receipt(p=seq)


async def test_an_accepted_alarm_opens_with_its_pictures_and_somebody_is_sent(
    tmp_path: Path, chromium: Browser
) -> None:
    async with (
        field(tmp_path, BOX, CAR, RESTING) as (gateway, [box, car, resting]),
        console(chromium, gateway.url) as page,
    ):
        await on_shift(car, 24.5150, "on_duty")
        await on_shift(resting, 24.5131, "on_duty", "break")
        await signed_in(page, gateway)
        await page.at(".force [data-group=free] b", has_text="1").wait_for()
        await page.page.keyboard.press("KeyU")
        await page.at(".force [data-unit=car-1]", has_text="在岗").wait_for()
        await page.page.keyboard.press("KeyU")
        await page.at(".force ul").wait_for(state="hidden")
        box.send("alarm", alarm())
        await page.at(".alarm-list .row.stored.turn").wait_for()
        picture = send_picture(box, encoded(".jpg", 640, 480), "box-1:1:p:1")
        await page.page.keyboard.press("KeyA")
        await page.at(".card .ladder .reached", has_text="已接警").wait_for()
        await page.at(".card .strip img").wait_for()
        await page.until("() => document.querySelector('.card .strip img').naturalWidth > 0")
        about = await page.at(".card .strip .about").inner_text()
        assert picture[:8] in about
        assert "报警前" in about
        assert "完整" in about
        await page.at(".near [data-send=car-9]").wait_for()  # it is nearer, and not free
        assert await page.at(".near li [data-send]").first.get_attribute("data-send") == "car-1"
        await page.page.keyboard.press("Digit1")
        command = await car.command()
        assert command["act"] == "instruct"
        assert command["args"]["incident"] == "box-1:1:p:1"
        assert command["args"]["kind"] == "robbery"
        assert command["args"]["lat"] == pytest.approx(BOX.lat)
        assert len(command["args"]["checklist"]["steps"]) > 1
        car.send("reply", {"boot": 1, "seq": 2, "t": now_ms(), "cmd": command["id"],
                           "state": "accepted"})  # fmt: skip
        await page.at(".orders .tag", has_text="已接受").wait_for()
        await page.at(".near button:disabled", has_text="已派").wait_for()
        await page.at(".near .sent .order", has_text="指令已接受").wait_for()


async def test_a_picture_opens_with_its_whole_hash_and_keys_go_on(
    around: tuple[Gateway, Terminal, Terminal], chromium: Browser
) -> None:
    gateway, box, _ = around
    async with console(chromium, gateway.url) as page:
        await signed_in(page, gateway)
        box.send("alarm", alarm())
        first = send_picture(box, encoded(".jpg", 640, 480), "box-1:1:p:1")
        second = send_picture(box, encoded(".jpg", 320, 240), "box-1:1:p:1", seq=500)
        await page.at("#turn .what").wait_for()
        await page.page.keyboard.press("KeyA")
        await page.until("() => document.querySelectorAll('.card .strip img').length === 2")
        await page.page.click(".card .strip .shot >> nth=0")
        shown = {await page.at(".viewer dd.mono").inner_text()}
        await page.page.keyboard.press("ArrowRight")
        shown.add(await page.at(".viewer dd.mono").inner_text())
        assert shown == {first, second}


async def test_a_unit_s_card_says_how_it_is_and_takes_a_message(
    around: tuple[Gateway, Terminal, Terminal], chromium: Browser
) -> None:
    gateway, _, car = around
    async with console(chromium, gateway.url) as page:
        await signed_in(page, gateway)
        await page.page.keyboard.press("Slash")
        await page.page.keyboard.type("car-1")
        await page.page.keyboard.press("Enter")
        card = page.at(".card")
        for text in ("061234", "在岗", "15 %", "被遮挡", "4G", "0，无缺失"):
            await card.get_by_text(text).first.wait_for()
        await page.page.click("#message")
        await page.page.fill("#message-words", "请速回所")
        await page.page.click("dialog button[type=submit]")
        command = await car.command()
        assert command["args"] == {"text": "请速回所"}
        await page.at(".orders", has_text="请速回所").wait_for()


async def test_a_unit_s_reach_is_shown_by_key_and_goes_with_its_card(
    tmp_path: Path, chromium: Browser
) -> None:
    await asyncio.to_thread(of_seed, 1, tmp_path / "map")
    async with (
        field(tmp_path, CAR) as (gateway, [car]),
        console(chromium, gateway.url) as page,
    ):
        car.send("pos", fix(1))
        await until_reach_is_known(gateway, "car-1")
        await signed_in(page, gateway, Role.VIEWER)
        await page.open("map/unit/car-1")
        button = page.at("#unit-reach")
        await button.wait_for()
        await page.at(".map-legend").wait_for()
        for state in ("true", "false"):
            await page.page.keyboard.press("KeyR")
            await page.at(f"#unit-reach[aria-pressed={state}]").wait_for()
        async with page.page.expect_response("**/api/v1/reach?unit=car-1") as answer:
            await button.click()
        assert len((await (await answer.value).json())["features"]) == 3
        await page.page.keyboard.press("Escape")
        await page.at("#console:not(.has-card)").wait_for()


async def test_a_box_is_found_by_a_part_of_its_name(
    around: tuple[Gateway, Terminal, Terminal], chromium: Browser
) -> None:
    gateway, _, _ = around
    async with console(chromium, gateway.url) as page:
        await signed_in(page, gateway)
        await page.page.keyboard.press("Slash")
        await page.page.fill("#find", BOX.name[2:5])
        await page.page.keyboard.press("Enter")
        await page.at(".card h2", has_text=BOX.name).wait_for()


async def test_a_picture_of_now_is_shown_with_its_age_or_why_there_is_none(
    around: tuple[Gateway, Terminal, Terminal], chromium: Browser
) -> None:
    gateway, _, car = around
    async with console(chromium, gateway.url) as page:
        await signed_in(page, gateway)
        await page.open("map/unit/car-1")
        await page.page.click("[data-focus=picture-car-1]")
        command = await car.command()
        assert command["act"] == "snapshot"
        about = await gateway.get(f"/api/v1/commands/{command['id']}")
        assert about["by"] == "officer dispatcher"
        send_picture(
            car, encoded(".jpg", 640, 480), command["id"], reason="command", age_ms=0, seq=3
        )
        await page.at(".fresh figcaption", has_text="往返").wait_for()
        await page.until("() => document.querySelector('.fresh img').naturalWidth === 640")
        await page.page.click("[data-focus=picture-car-1]")
        refused = await car.command()
        car.send("reply", {"boot": 1, "seq": 2, "t": now_ms(), "cmd": refused["id"],
                           "state": "refused"})  # fmt: skip
        await page.at(".card .wrong", has_text="设备拒绝").wait_for()


async def test_live_pictures_move_and_say_so_when_they_stop(
    around: tuple[Gateway, Terminal, Terminal], chromium: Browser
) -> None:
    gateway, _, car = around
    async with console(chromium, gateway.url) as page:
        await signed_in(page, gateway)
        await page.open("map/unit/car-1")
        await page.page.click("[data-focus=live-car-1]")
        command = await car.command()
        assert command["act"] == "live"
        send_picture(car, encoded(".jpg", 640, 480), command["id"], reason="live", age_ms=0, seq=3)
        await page.until("() => document.querySelector('.viewer img').naturalWidth === 640")
        await page.at(".viewer [role=status]", has_text="没有新画面").wait_for()
        await page.page.keyboard.press("Escape")
        await page.until("() => !document.querySelector('dialog')")


async def test_missing_messages_and_a_gap_in_the_ledger_are_told(
    around: tuple[Gateway, Terminal, Terminal], chromium: Browser
) -> None:
    gateway, _, car = around
    async with console(chromium, gateway.url) as page:
        await signed_in(page, gateway)
        car.send("pos", fix(12))
        await gateway.wait_for(2, "position")
        await page.open("map/unit/car-1")
        await page.at(".card .care", has_text="9").wait_for()


async def test_a_viewer_sees_the_same_and_can_send_nobody(
    around: tuple[Gateway, Terminal, Terminal], chromium: Browser
) -> None:
    gateway, box, _ = around
    async with console(chromium, gateway.url) as page:
        await signed_in(page, gateway, Role.VIEWER)
        box.send("alarm", alarm())
        await page.page.click(".alarm-list .row")
        await page.at(".near li").wait_for()
        assert await page.at(".near button, .acts button, #accept").count() == 0
        await page.open("map/unit/car-1")
        await page.at(".card .device").wait_for()
        assert await page.at(".card .acts").count() == 0


async def test_hostile_names_and_texts_are_text(tmp_path: Path, chromium: Browser) -> None:
    bad = Device(id="bad-1", kind="alarm_box", name=HOSTILE, lat=24.5, lon=117.6)
    async with field(tmp_path, bad) as (gateway, [box]), console(chromium, gateway.url) as page:
        await signed_in(page, gateway)
        box.send("alarm", alarm(text=HOSTILE[:1000], zone="\u202e" + "<b>"))
        await page.at("#turn .where bdi").get_by_text("<img src=x").wait_for()
        await page.page.keyboard.press("KeyA")
        await page.at(".card .name bdi").get_by_text("<img src=x").wait_for()
        await page.open("alarms")
        await page.at("td bdi").get_by_text("<img src=x").first.wait_for()
        for shown in await page.at("bdi").all_inner_texts():
            assert len(shown) <= 1001
        assert await page.page.evaluate("window.hit") is None
        wide = "document.documentElement.scrollWidth > innerWidth"
        assert not await page.page.evaluate(wide)


@pytest.mark.parametrize(
    ("width", "height"), [(1280, 720), (1920, 1080), (3840, 2160), (390, 844), (920, 700)]
)
async def test_every_width_has_room_for_an_alarm(
    around: tuple[Gateway, Terminal, Terminal], chromium: Browser, width: int, height: int
) -> None:
    gateway, box, _ = around
    screen = {"width": width, "height": height}
    async with console(chromium, gateway.url, screen=screen, language="en-US") as page:  # type: ignore[arg-type]
        await signed_in(page, gateway)
        assert await page.page.evaluate(BAR_HAS_ROOM)
        box.send("alarm", alarm())
        await page.page.click("#accept")
        await page.at(".near button").wait_for()
        for at in ("map/alarm/box-1%3A1%3Ap%3A1", "map/unit/car-1", "map", "alarms", "wall"):
            await page.open(at)
            await page.at("#page > *").first.wait_for()
            wide = await page.page.evaluate("document.documentElement.scrollWidth - innerWidth")
            assert wide <= 0, at


async def test_the_wall_shows_the_alarm_in_turn_and_escape_leaves(
    around: tuple[Gateway, Terminal, Terminal], chromium: Browser
) -> None:
    gateway, box, car = around
    async with console(chromium, gateway.url) as page:
        await signed_in(page, gateway)
        asked: list[str] = []
        page.page.on("request", lambda request: asked.append(request.url))
        await page.page.keyboard.press("Shift+Digit0")
        await page.at("#wall .figures .good dd", has_text="1").wait_for()
        car.send("duty", {"boot": 1, "seq": 2, "t": now_ms(), "act": "en_route", "ref": "110-1"})
        await page.at("#wall .figures > div:nth-child(4) dd", has_text="1").wait_for()
        assert await page.at("#wall .figures .good").count() == 0
        assert len([url for url in asked if url.endswith("/units")]) == 1  # then by events
        box.send("alarm", alarm())
        await page.at("#wall .now h2", has_text="抢劫").wait_for()
        await page.page.keyboard.press("Escape")
        await page.at("#console").wait_for()


async def test_a_map_whose_graphics_are_lost_is_drawn_anew(
    around: tuple[Gateway, Terminal, Terminal], chromium: Browser
) -> None:
    gateway, box, _ = around
    lose = """() => new Promise((told) => {
      new MutationObserver((_, watch) => {
        const shown = document.querySelector("#map-lost");
        if (!shown) return;
        watch.disconnect();
        told(shown.textContent);
      }).observe(document.body, { childList: true, subtree: true });
      document.querySelector("canvas.maplibregl-canvas").getContext("webgl2")
        .getExtension("WEBGL_lose_context").loseContext();
    })"""
    async with console(chromium, gateway.url) as page:
        await signed_in(page, gateway)
        await page.open("map/unit/car-1")
        await page.page.click(".layers summary")
        await page.at(".layers label", has_text="警力冰点").click()
        for _ in range(2):
            assert "正在重画" in await page.page.evaluate(lose)
            await page.at("#map-lost").wait_for(state="detached")
            await page.at(".layers label:has(:checked)", has_text="警力冰点").wait_for()
        box.send("alarm", alarm())
        await page.at(".map-pulse.waiting").wait_for(state="attached")
        await page.page.keyboard.press("Escape")  # the card no longer lies over the map
        said = ""
        async with asyncio.timeout(20):
            while CAR.name not in said:
                await page.at("canvas.maplibregl-canvas").press("Period")
                said = await page.at(".map-said").text_content() or ""


async def test_without_webgl_the_page_says_so_and_alarms_go_on(
    around: tuple[Gateway, Terminal, Terminal], chromium: Browser
) -> None:
    gateway, box, car = around
    none = """const get = HTMLCanvasElement.prototype.getContext;
      HTMLCanvasElement.prototype.getContext = function (kind, ...more) {
        return kind.startsWith("webgl") ? null : get.call(this, kind, ...more);
      };"""
    async with console(chromium, gateway.url, language="en-GB") as page:
        await page.page.add_init_script(none)
        await signed_in(page, gateway)
        await page.at("#no-map", has_text="no WebGL 2").wait_for()
        box.send("alarm", alarm())
        await page.at(".alarm-list .row.stored.turn").wait_for()
        await page.page.keyboard.press("KeyA")
        await page.page.click(".near [data-send=car-1]")
        assert (await car.command())["act"] == "instruct"
        await page.open("wall")
        await page.at("#wall #no-map").wait_for()
        await page.open("playback")
        await page.at("#past #no-map").wait_for()


async def test_another_console_s_answer_ends_the_turn_here(
    around: tuple[Gateway, Terminal, Terminal], chromium: Browser
) -> None:
    gateway, box, _ = around
    async with console(chromium, gateway.url) as page:
        await signed_in(page, gateway)
        box.send("alarm", alarm())
        await page.at("#turn .what").wait_for()
        await gateway.post("/api/v1/alarms/box-1:1:p:1/accept", by="desk 2")
        async with asyncio.timeout(30):
            await page.until("() => !document.querySelector('#turn .banner')")
        await page.at(".alarm-list .row.accepted").wait_for()
