"""How busy does a map with moving units keep its page and the gateway, and with how many bytes?"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from fieldgate.bench.figures import Figure, figure_of
from fieldgate.bench.parts import Process
from fieldgate.bench.scale import Scale
from fieldgate.bench.usage import Meter

UNITS = (100, 1_000, 10_000)
SECONDS = 8.0
PAGE_GOAL, SERVER_GOAL, BYTES_GOAL = 20.0, 10.0, 16.0
AGAINST = "bare circles: all units as GeoJSON by server-sent events, setData"
START_S = 60.0

Say = Callable[[str], None]


class _Way(NamedTuple):
    """One way of showing them: in percent of the main thread and of a core; bytes a unit."""

    main: list[float]
    server: list[float]
    bytes: list[float]


def map_(folder: Path, scale: Scale, say: Say) -> list[Figure]:
    """The page's main thread, the gateway's processor, bytes: at 100, 1,000, 10,000 units."""
    figures: list[Figure] = []
    counts = list(dict.fromkeys(scale.devices(units) for units in UNITS))
    for count in counts:
        ours, usual = _shown(folder, count, scale, say)
        what = f"{count:,} units moving at 1 Hz"
        is_largest = count == counts[-1]
        figures += [
            figure_of(
                "map", f"{what}: the page's main thread, all drawn", ours.main, "%",
                reference=usual.main, against=AGAINST,
                goal=f"under {PAGE_GOAL:g} %" if is_largest else None,
                at_most=PAGE_GOAL if is_largest else None,
            ),
            figure_of(
                "map", f"{what}: the gateway's part of a core for the first page", ours.server,
                "%", reference=usual.server, against=AGAINST,
                goal=f"under {SERVER_GOAL:g} %" if is_largest else None,
                at_most=SERVER_GOAL if is_largest else None,
            ),
            figure_of(
                "map", f"{what}: bytes for a moved unit", ours.bytes, "B",
                reference=usual.bytes, against=AGAINST,
                goal=f"{BYTES_GOAL:g}, beside 24 for a frame" if is_largest else None,
                at_most=BYTES_GOAL + 24 / count if is_largest else None,
            ),
        ]  # fmt: skip
    return scale.judged(figures)


def _shown(folder: Path, count: int, scale: Scale, say: Say) -> tuple[_Way, _Way]:
    from fieldgate.bench.map_pages import OURS, USUAL, Chromium  # noqa: PLC0415 - needs Playwright

    place = folder / str(count)
    place.mkdir()
    command = [sys.executable, "-m", "fieldgate.bench.map_server", str(place), str(count)]
    ways = _Way([], [], []), _Way([], [], [])
    with Process(command, folder / f"map-{count}.log", talks=True) as server, Chromium() as browser:
        url = server.line(START_S)["url"]
        for _ in range(scale.runs(3)):
            moving = _moving_cores(server, scale)
            for way, script in zip(ways, (OURS, USUAL), strict=True):
                seen = browser.watch(url, script, count, server.process, scale.seconds(SECONDS))
                way.main.append(100 * seen.main_thread)
                way.server.append(100 * max(0.0, seen.server - moving))
                way.bytes.append(seen.bytes_an_update / count)
                say(
                    f"  {count:,}: main thread {way.main[-1]:.1f} % (scripts"
                    f" {100 * seen.script:.1f}), gateway {way.server[-1]:.1f} %,"
                    f" {way.bytes[-1]:.2f} B, {seen.updates} updates in {seen.seconds:.1f} s"
                )
    return ways


def _moving_cores(server: Process, scale: Scale) -> float:
    """What the server takes to move the units, with nobody looking."""
    meter = Meter({"server": [server.process]})
    time.sleep(scale.seconds(5.0))
    return meter.stop().cores()["server"]
