"""The operator's own tiles under the map: fetched from there and from nowhere else, shifted."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from aiohttp import web
from playwright.async_api import Browser

from gateway.api.app import Server
from gateway.registry import Device, Registry, Role
from protocols.gcj02 import Wgs84, to_gcj02
from tests.edge.panel_parts import needs_chromium
from tests.scenarios.whole import Gateway, Terminal
from tests.web.console_parts import Console, console, tokens

pytestmark = [needs_chromium, pytest.mark.slow]
CAR = Device(id="car-1", kind="vehicle_terminal")
HERE = Wgs84(24.5130, 117.6471)
SIDE_PX, DOT_PX = 256, 14
SHIFTED = {True: "gcj02", False: "wgs84"}


def tile(zoom: int, x: int, y: int, lat: float, lon: float) -> bytes:
    """A white tile, as web maps are cut, with a red dot where that place is."""
    across = 2**zoom * SIDE_PX
    turned = np.log(np.tan(np.pi / 4 + np.radians(lat) / 2))
    there = (lon / 360 + 0.5) * across, (0.5 - turned / (2 * np.pi)) * across
    picture = np.full((SIDE_PX, SIDE_PX, 3), 255, np.uint8)
    middle = round(there[0] - x * SIDE_PX), round(there[1] - y * SIDE_PX)
    cv2.circle(picture, middle, DOT_PX, (0, 0, 220), -1)
    return cv2.imencode(".png", picture)[1].tobytes()


@contextlib.asynccontextmanager
async def tile_server(lat: float, lon: float) -> AsyncIterator[str]:
    """Where the operator's tiles are."""

    async def handler(request: web.Request) -> web.Response:
        z, x, y = (int(request.match_info[name]) for name in ("z", "x", "y"))
        headers = {"Access-Control-Allow-Origin": "*"}
        return web.Response(body=tile(z, x, y, lat, lon), content_type="image/png", headers=headers)

    app = web.Application()
    app.router.add_get("/{z}/{x}/{y}.png", handler)
    async with Server(app, "127.0.0.1", 0) as server:
        yield server.url


async def middle_of(page: Console) -> tuple[int, ...]:
    """What colour the middle of the map has: blue, green, red."""
    box = await page.at("canvas.maplibregl-canvas").bounding_box()
    assert box is not None
    picture = cv2.imdecode(np.frombuffer(await page.page.screenshot(), np.uint8), 1)
    assert picture is not None
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    return tuple(picture[round(y), round(x)].tolist())


@pytest.mark.parametrize("is_shifted", [True, False])
async def test_a_place_stands_on_the_operator_s_tiles_where_they_have_it(
    tmp_path: Path, chromium: Browser, is_shifted: bool
) -> None:
    lat, lon = to_gcj02(HERE) if is_shifted else HERE
    data, settings = tmp_path / "data", tmp_path / "gateway.toml"
    data.mkdir()
    with Registry(data) as registry:
        password = registry.add(CAR)
    async with tile_server(lat, lon) as tiles, tile_server(0, 0) as elsewhere:
        settings.write_text(
            f'[map]\ntiles = "{tiles}/{{z}}/{{x}}/{{y}}.png"\ncrs = "{SHIFTED[is_shifted]}"\n'
        )
        async with (
            Gateway(data, "--config", str(settings)) as gateway,
            Terminal(gateway.mqtt_port, CAR.id, password) as car,
            console(chromium, gateway.url) as page,
        ):
            now = time.time_ns() // 1_000_000
            fix = {"boot": 1, "seq": 1, "t": now, "lat": HERE.lat, "lon": HERE.lon, "fix": 3}
            car.send("pos", fix)
            await gateway.wait_for(1, "position")
            await page.sign_in(tokens(data)[Role.VIEWER], "#/map/unit/car-1")
            await page.page.click(".layers summary")
            for layer in ("警力", "名称"):
                await page.at(".layers").get_by_text(layer, exact=True).click()
            await page.at("#unit-reach").wait_for()
            await page.page.keyboard.press("Escape")  # the chosen one is drawn whatever is off
            async with asyncio.timeout(30):
                while (await middle_of(page))[2] - (await middle_of(page))[0] < 150:
                    await asyncio.sleep(0.1)  # nothing tells when tiles are drawn
            ask = "url => fetch(url).then(() => 'came', () => 'refused')"
            assert await page.page.evaluate(ask, f"{tiles}/1/1/1.png") == "came"
            assert await page.page.evaluate(ask, f"{elsewhere}/1/1/1.png") == "refused"
