"""The page of playback: a time that has passed, its units, alarms and tracks."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path
from xml.etree import ElementTree

import pytest
from playwright.async_api import Browser

from gateway.registry import Device, Role
from tests.edge.panel_parts import needs_chromium
from tests.scenarios.whole import Gateway, Terminal
from tests.web.console_parts import BOX, Console, console, field, tokens

pytestmark = [needs_chromium, pytest.mark.slow]
CAR = Device(id="car-1", kind="vehicle_terminal", name="<img src=x onerror=window.hit=1>闽E")
FIXES = 60


class Past:
    """Ten minutes in which a car drove north, and an alarm at their end."""

    def __init__(self, gateway: Gateway, box: Terminal, car: Terminal) -> None:
        self.gateway = gateway
        now = time.time_ns() // 1_000_000
        self.since, self.until = now - FIXES * 10_000, now + 60_000
        self.path = f"#/playback/{self.since}/{self.until}"
        car.send("presence", {"online": True, "boot": 1, "t": now}, retain=True)
        for seq in range(1, FIXES + 1):
            t = self.since + seq * 10_000 - 1
            lat = 24.5 + seq / 5000
            car.send("pos", {"boot": 1, "seq": seq, "t": t, "lat": lat, "lon": 117.65, "fix": 3})
        pos = {"t": now, "lat": BOX.lat, "lon": BOX.lon, "fix": 3}
        box.send("alarm", {"boot": 1, "seq": 1, "t": now, "kind": "hold_up", "pos": pos})

    async def open(self, page: Console, more: str = "") -> None:
        await page.sign_in(tokens(self.gateway.folder)[Role.VIEWER], self.path + more)
        await page.at("#past .map-said").wait_for(state="attached")
        await page.until(
            "() => /360|每步|steps/.test(document.querySelector('#past-said').textContent)"
        )

    async def seek(self, page: Console, t: int) -> None:
        """As a hand on the slider does."""
        await page.page.evaluate(
            "t => { const s = document.querySelector('#past-slider'); s.value = t;"
            " s.dispatchEvent(new Event('input')); }",
            t,
        )


@pytest.fixture
async def past(tmp_path: Path) -> AsyncIterator[Past]:
    async with field(tmp_path, BOX, CAR) as (gateway, [box, car]):
        shown = Past(gateway, box, car)
        await gateway.wait_for(1, "alarm.raised")
        await gateway.wait_for(FIXES, "position")
        yield shown


async def test_units_and_alarms_stand_where_and_when_they_were(
    past: Past, chromium: Browser
) -> None:
    async with console(chromium, past.gateway.url) as page:
        await past.open(page)
        assert "过去" in await page.at("#past-banner").inner_text()
        await page.at("#past-events .empty").wait_for()
        canvas = page.at("#past canvas.maplibregl-canvas")
        await past.seek(page, past.since + 560_000)
        await canvas.focus()
        async with asyncio.timeout(30):
            while "闽E" not in (await page.at(".map-said").text_content() or ""):
                await page.page.keyboard.press("Period")  # the box, and the car once it is drawn
        assert await page.page.evaluate("window.hit") is None
        await past.seek(page, past.until)
        await page.at("#past-events strong", has_text="抢劫").wait_for()
        await page.at(".map-pulse.waiting").wait_for(state="attached")
        await past.seek(page, past.since)
        await page.at("#past-events .empty").wait_for()


async def test_it_plays_by_keys_and_stops(past: Past, chromium: Browser) -> None:
    async with console(chromium, past.gateway.url, language="en-GB") as page:
        await past.open(page)
        assert "the past, not now" in await page.at("#past-banner").inner_text()
        begun = int(await page.at("#past-slider").input_value())
        for key in ("BracketRight", "BracketRight", "KeyP"):
            await page.page.keyboard.press(key)
        assert await page.at("#past-speed").input_value() == "60"
        await page.until(
            "from => Number(document.querySelector('#past-slider').value) > from + 30000", begun
        )
        await page.page.keyboard.press("KeyP")
        stood = await page.at("#past-slider").input_value()
        await page.page.keyboard.press("KeyB")
        assert int(await page.at("#past-slider").input_value()) < int(stood)
        assert "Play" in await page.at("#past-play").inner_text()


async def test_a_track_is_kept_as_a_file(past: Past, chromium: Browser) -> None:
    async with console(chromium, past.gateway.url) as page:
        await past.open(page, "/car-1")
        async with page.page.expect_download() as started:
            await page.at("#past-tracks a", has_text="GPX").click()
        download = await started.value
        assert download.suggested_filename.startswith("car-1-")
        gpx = ElementTree.fromstring(Path(await download.path()).read_text())
        assert len(list(gpx.iter("{http://www.topografix.com/GPX/1/1}trkpt"))) == FIXES


async def test_a_time_that_makes_no_sense_is_refused_in_words(
    past: Past, chromium: Browser
) -> None:
    async with console(chromium, past.gateway.url) as page:
        await past.open(page)
        await page.page.fill("#past-to", "2020-01-01T00:00")
        await page.page.click("#past-form button[type=submit]")
        await page.at("#past-said", has_text="开始时间须早于").wait_for()
