"""Do live pictures fall with the link and say so, end by themselves, and delay nothing?"""

from __future__ import annotations

import asyncio
import contextlib
import json
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser

from simulators.camera import StampUnreadable, read_stamp
from simulators.ledger import now_ms
from tests.edge.panel_parts import needs_chromium
from tests.scenarios.seeing import CAR, scene

pytestmark = pytest.mark.slow  # whole processes, real time


async def frames(socket: Any, count: int) -> list[tuple[dict[str, Any], bytes]]:
    """So many pictures, each with what is told of it."""
    found: list[tuple[dict[str, Any], bytes]] = []
    async with asyncio.timeout(30):
        while len(found) < count:
            told = json.loads(await socket.receive_str())
            if "seq" in told:
                found.append((told, await socket.receive_bytes()))
    return found


async def test_on_a_good_link_they_are_what_was_asked_for(tmp_path: Path) -> None:
    async with scene(tmp_path) as there:
        async with there.watch("?fps=5&seconds=100") as socket:
            shown = await frames(socket, 6)
            while (shown[-1][0]["quality"], shown[-1][0]["limited"]) != (80, None):
                shown += await frames(socket, 1)
            told, jpeg = shown[-1]
            assert told["w"] == 640
            assert told["fps"] > 1
            counts = [each["seq"] for each, _ in shown]
            assert counts == sorted(set(counts))
            stamps = [read_stamp(jpeg).frame for _, jpeg in shown]
            assert stamps == sorted(set(stamps))
            assert abs(told["taken"] - read_stamp(jpeg).millis) < 2000
        [command] = await there.commands("live")
        assert command["state"] in {"cancelled", "failed"}, "the viewer has gone"


async def test_with_the_link_their_rate_and_quality_fall_and_they_say_so(tmp_path: Path) -> None:
    async with scene(tmp_path) as there, there.watch("?fps=5&seconds=60") as socket:
        while (best := (await frames(socket, 1))[0][0])["limited"] is not None:
            pass
        there.relay.bytes_per_s, there.relay.latency_s = 12_000, 0.02
        worse = (await frames(socket, 8))[-1][0]
        assert worse["limited"] == "link"
        assert worse["quality"] < best["quality"]
        assert worse["w"] < best["w"]
        assert worse["fps"] < best["fps"]
        assert worse["age_ms"] < 10_000
        there.relay.bytes_per_s, there.relay.latency_s = float("inf"), 0.0
        while (await frames(socket, 1))[0][0]["limited"] is not None:
            pass


async def test_without_a_link_nothing_piles_up_and_silence_is_told(tmp_path: Path) -> None:
    async with scene(tmp_path, before_s=0) as there, there.watch("?fps=5&seconds=60") as socket:
        await frames(socket, 6)
        await there.relay.cut()
        async with asyncio.timeout(30):
            while (told := json.loads(await socket.receive_str())).get("device") != "offline":
                if "seq" in told:
                    await socket.receive_bytes()
        assert told["silent_ms"] >= 2000
        cut_ms = now_ms()
        assert there.chunks <= 60, "one picture, and what no receipt covers yet"
        there.relay.restore()
        fresh = await frames(socket, 3)
        assert read_stamp(fresh[-1][1]).millis > cut_ms


async def test_they_end_by_themselves(tmp_path: Path) -> None:
    async with scene(tmp_path) as there:
        async with there.watch("?fps=5&seconds=2") as socket:
            told: dict[str, Any] = {}
            async with asyncio.timeout(30):
                while "end" not in told:
                    told = json.loads(await socket.receive_str())
                    if "seq" in told:
                        await socket.receive_bytes()
            assert told["end"] == "over"
        [command] = await there.commands("live")
        assert command["state"] in {"cancelled", "failed"}
        over_ms = now_ms()
        await there.camera.takes(25)
        for _ in range(2):  # what was still on its way comes before these
            assert (await there.snapshot())[0] == 200
        pictures = [event["data"] for event in await there.gateway.events("media")]
        assert all(each["taken"] <= over_ms for each in pictures if each["reason"] == "live")


async def test_a_snapshot_and_an_alarm_pass_them_on_a_slow_link(tmp_path: Path) -> None:
    async with scene(tmp_path, before_s=0) as there:
        there.relay.bytes_per_s = 30_000
        async with there.watch("?fps=5&seconds=60") as socket:
            await frames(socket, 4)
            pressed = now_ms()
            track = there.agent.press()
            shown = 0
            alarm: list[Any] = []
            while not alarm:
                alarm = await there.gateway.events("alarm.raised")
                shown += len(await frames(socket, 1)) if not alarm else 0
            assert alarm[0]["id"] == track.id
            assert shown <= 3, "it waits for no picture"
            assert alarm[0]["data"]["received"] - pressed < 5000
            requested = now_ms()
            status, _, jpeg = await there.snapshot("?timeout_ms=30000")
            assert status == 200
            assert read_stamp(jpeg).millis >= requested


@needs_chromium
async def test_a_page_shows_them_with_a_ticket(tmp_path: Path, chromium: Browser) -> None:
    """A browser's <img> sends no token; each picture takes the place of the one before."""
    async with scene(tmp_path) as there:
        live = f"/api/v1/devices/{CAR}/live"
        ticket = (await there.gateway.post(f"{live}/ticket"))["ticket"]
        page = await chromium.new_page()
        source = f"{there.gateway.url}{live}.mjpeg?seconds=30&ticket={ticket}"
        await page.set_content(f'<img src="{source}">', wait_until="commit")
        await page.wait_for_function("document.querySelector('img').naturalWidth === 640")
        frames: set[int] = set()
        async with asyncio.timeout(30):
            while len(frames) < 3:
                shown = await page.locator("img").screenshot(type="png")
                with contextlib.suppress(StampUnreadable):  # between two pictures
                    frames.add(read_stamp(shown).frame)
        await page.close()
        [command] = await there.commands("live")
        assert command["state"] in {"cancelled", "failed"}, "the page has gone"
