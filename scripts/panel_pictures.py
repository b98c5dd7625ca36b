"""What does the panel look like? Draws docs/panel-*.png from a real agent, broker and Chromium."""

from __future__ import annotations

import asyncio
import io
import sys
import tempfile
import tomllib
from pathlib import Path

from PIL import Image

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from protocols.model import Position, Stage  # noqa: E402
from tests import parts  # noqa: E402 - the tests' parts are found from here
from tests.edge.panel_parts import (  # noqa: E402
    Screen,
    StandingGps,
    browser,
    later,
    page_of,
    panelled,
    screen,
    settings,
)
from tests.edge.stand_in import StandInGateway, config  # noqa: E402

COLORS = 96
HERE = Position(lat=24.5130, lon=117.6471, fix=3, spd=9.2, hdg=312.0)
THEFT = tomllib.loads((ROOT / "config" / "checklists" / "theft.toml").read_text())
INCIDENT = {
    "incident": "110-20261122-0471",
    "kind": "theft",
    "address": "芗城区新华北路 108 号金德利超市二楼仓库（近延安北路口）",
    "lat": 24.5212,
    "lon": 117.6389,
    "caller": "138 0000 0471",
    "text": "报警人称两名男子撬门进入仓库，正在搬运香烟，一人手持撬棍；"
    "报警人躲在三楼办公室，保持通话。",
    "checklist": {"id": "theft", **THEFT},
}
TEXT = "特警二队 PTU-03 正向你处增援，预计 4 分钟到达。"


async def keep(shown: Screen, name: str) -> None:
    """One picture, small enough for the docs."""
    picture = Image.open(io.BytesIO(await shown.page.screenshot()))
    small = picture.convert("RGB").quantize(COLORS, dither=Image.Dither.NONE)
    await asyncio.to_thread(small.save, ROOT / "docs" / f"panel-{name}.png", optimize=True)


async def draw(folder: Path, port: int, shown: Screen) -> None:
    """With a network, then without."""
    with parts.mosquitto(folder, port=port):
        async with StandInGateway(port) as gateway:
            await gateway.presence(online=True)
            await shown.tap("[data-act=on_duty]")
            for digit in "012345":
                await shown.tap(f".keys [data-face='{digit}']")
            await shown.tap("#sheet .main")
            await shown.at("[data-act=on_duty][aria-pressed=true]").wait_for()
            await shown.tap("[data-act=vehicle_patrol]")
            gateway.command("i-1", later(), "instruct", **INCIDENT)
            await shown.at(".accept:not([disabled])").wait_for()
            await shown.until_text("[data-act=vehicle_patrol]", "起")
            await keep(shown, "instruction")
            await shown.tap("[data-act=en_route]")
            gateway.command("m-1", later(), "text", text=TEXT)
            await shown.until_text("[data-view=messages] .badge", "1")
            await shown.tap("[data-view=checklist]")
            for step in (0, 1):
                await shown.tap(f".steps li[data-key='{step}'] button")
            await shown.until_text("#view-checklist .done", "2 /")
            await shown.tap("#language")
            for _ in range(2):
                await shown.tap("#theme")
            await shown.until_text("[data-act=en_route]", "since")
            await keep(shown, "checklist")
            await shown.tap("#language")
            await shown.tap("#theme")
            await shown.tap("[data-view=instruction]")
            await shown.hold("#sos")
            [alarm] = await gateway.alarms()
            gateway.stage(alarm, Stage.ACCEPTED, by="指挥长")
            await shown.until_text(".alarm", "指挥长")
            await shown.until_text("#sos .how", "再次")
            await keep(shown, "sos")
            gateway.stage(alarm, Stage.CLOSED)
            await shown.at(".alarm").wait_for(state="detached")
    await shown.until_text(".notice", "无网络")
    await shown.tap("[data-act=on_scene]")
    await shown.tap("[data-view=reports]")
    await shown.until_text(".notice .count", "1")
    await shown.fingers(await shown.middle("#sos"))
    await shown.until("() => document.querySelector('.fill').style.transform > 'scaleX(0.5'")
    await keep(shown, "offline")
    await shown.fingers()


async def main() -> None:
    """All of them."""
    port = parts.free_port()
    with tempfile.TemporaryDirectory() as folder:
        about = config(port, Path(folder), panel=settings())
        async with (
            panelled(about, gps=StandingGps(HERE)) as agent,
            browser() as running,
            screen(running) as shown,
        ):
            await shown.open(page_of(agent))
            await draw(Path(folder), port, shown)


asyncio.run(main())
