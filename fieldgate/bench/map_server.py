"""The gateway's part that serves the map, with units moving at 1 Hz, and the usual way too.

`python -m fieldgate.bench.map_server FOLDER COUNT` says where it answers, and serves until killed.
No broker and no devices: what it takes beyond the moving is what pages cost.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from aiohttp import web

from fieldgate.map.build import of_seed
from gateway.api.app import Server
from gateway.api.map import MapRoutes
from gateway.api.map_stream import MapStreamRoutes
from gateway.api.web import add_page
from gateway.config import Settings
from gateway.directory import Directory
from gateway.feeds.stream import LiveFeed
from gateway.journal.base import AlarmRecord, StageChange
from gateway.journal.sqlite import SqliteJournal
from gateway.map_stream import MapStream
from gateway.outlook import Outlook
from gateway.registry import Device, Registry
from gateway.twins import Twins
from gateway.unit import UnitRecord
from gateway.units import Units
from protocols.duty import UnitState
from protocols.model import Fix, Stage

PERIOD_S = 1.0
ALARMS = 20
NORTH, SOUTH, WEST, EAST = 24.522, 24.497, 117.628, 117.672
"""A box of 2.8 by 4.4 km, which a screen shows at zoom 14: nobody is out of sight."""

STEP_DEG = 1e-4


def now_ms() -> int:
    """Milliseconds since 1970."""
    return time.time_ns() // 1_000_000


class Walk:
    """Units that walk about at random, in the box."""

    def __init__(self, count: int, twins: Twins) -> None:
        self._rng = np.random.default_rng(1)
        self._place = self._rng.uniform((SOUTH, WEST), (NORTH, EAST), (count, 2))
        self._heading = self._rng.uniform(0, 360, count)
        self._twins = [twins.of(f"unit-{number:05}") for number in range(count)]
        self._seq = 0

    def step(self) -> None:
        """A second later."""
        self._seq += 1
        self._heading = (self._heading + self._rng.uniform(-20, 20, len(self._heading))) % 360
        turned = np.radians(self._heading)
        self._place += STEP_DEG * np.stack([np.cos(turned), np.sin(turned)], axis=1)
        np.clip(self._place, (SOUTH, WEST), (NORTH, EAST), out=self._place)
        now, seq = now_ms(), self._seq
        heres = zip(self._twins, self._place.tolist(), self._heading.tolist(), strict=True)
        for twin, (lat, lon), heading in heres:
            fix = Fix(
                boot=1, seq=seq, t=now, lat=lat, lon=lon, fix=3, spd=11.0, hdg=heading, acc=4.0
            )
            twin.take_usual(fix, now)

    def features(self) -> dict[str, Any]:
        """All of them as GeoJSON."""
        return {
            "type": "FeatureCollection",
            "features": [
                {
                    "type": "Feature",
                    "geometry": {"type": "Point", "coordinates": [twin.fix.lon, twin.fix.lat]},
                    "properties": {
                        "id": twin.device,
                        "heading": twin.fix.hdg,
                        "speed": twin.fix.spd,
                        "duty": "vehicle_patrol",
                    },
                }
                for twin in self._twins
                if twin.fix is not None
            ],
        }


async def usual(request: web.Request, walk: Walk) -> web.StreamResponse:
    """What anybody would write first: each second all as GeoJSON, as a server-sent event."""
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    await response.prepare(request)
    while True:
        body = json.dumps(walk.features(), separators=(",", ":"))
        try:
            await response.write(f"data: {body}\n\n".encode())
        except ConnectionError:
            return response
        await asyncio.sleep(PERIOD_S)


async def _walk_for_ever(walk: Walk) -> None:
    due = time.monotonic()
    while True:
        walk.step()
        due += PERIOD_S
        await asyncio.sleep(max(0.0, due - time.monotonic()))


def _alarms(count: int) -> list[AlarmRecord]:
    at = now_ms()
    return [
        AlarmRecord(
            id=f"alarm-{number}",
            device=f"unit-{number:05}",
            boot=1,
            seq=1,
            kind="panic",
            t=at,
            received=at,
            stages=(StageChange(stage=Stage.STORED, t=at),),
        )
        for number in range(min(ALARMS, count))
    ]


async def serve(folder: Path, count: int, say: Callable[[str], None]) -> None:
    """Until cancelled."""
    of_seed(1, folder / "map", None)
    twins = Twins(now_ms=now_ms, stale_after_s=60)
    with Registry(folder) as registry:
        names = [f"unit-{number:05}" for number in range(count)]
        registry.add_many(
            Device(id=name, kind="vehicle_terminal", name=f"Patrol {name[5:]}") for name in names
        )
        async with SqliteJournal(folder / "journal", now_ms=now_ms) as journal:
            units = Units(journal, twins=twins, registered=Directory(registry), now_ms=now_ms)
            states = list(UnitState)
            units.restore(
                UnitRecord(id=name, devices=(name,), state=states[number % len(states)])
                for number, name in enumerate(names)
            )
            alarms, walk = _alarms(count), Walk(count, twins)
            stream = MapStream(Settings(), registry, units, twins, lambda: alarms, now_ms=now_ms)
            outlook = Outlook(folder / "map", [], units, now_ms=now_ms)
            routes = MapStreamRoutes(stream, LiveFeed(journal))
            app = web.Application()
            app.router.add_get("/api/v1/map/stream", routes.follow)
            app.router.add_get("/api/v1/map/about", routes.about)
            app.router.add_get("/api/v1/map/{file}", MapRoutes(outlook).file)
            app.router.add_get("/usual", lambda request: usual(request, walk))
            add_page(app)
            async with Server(app, "127.0.0.1", 0) as server, asyncio.TaskGroup() as group:
                group.create_task(_walk_for_ever(walk), name="walk")
                group.create_task(stream.run(), name="map")
                say(msgspec.json.encode({"url": server.url}).decode())


if __name__ == "__main__":

    def _say(text: str) -> None:
        sys.stdout.write(text + "\n")
        sys.stdout.flush()

    asyncio.run(serve(Path(sys.argv[1]), int(sys.argv[2]), _say))
