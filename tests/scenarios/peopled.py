"""A gateway that has something of everything, under the ids of the API's examples."""

from __future__ import annotations

import contextlib
import hashlib
import time
from collections.abc import AsyncIterator
from pathlib import Path

from tests.scenarios.whole import Gateway, Terminal

PICTURE = b"foo"  # the id of which is the description's example


@contextlib.asynccontextmanager
async def peopled(folder: Path) -> AsyncIterator[Gateway]:
    """It runs, with a car that is there."""
    async with Gateway(folder) as gateway:
        password = await gateway.add("car-007")
        async with Terminal(gateway.mqtt_port, "car-007", password) as car:
            now = int(time.time() * 1000)
            lane = {"boot": 1, "t": now}
            fix = {"lat": 24.5, "lon": 117.6, "fix": 3}
            told = {"online": True, "boot": 1, "kind": "vehicle_terminal", "caps": ["camera"]}
            car.send("presence", told, retain=True)
            car.send("alarm", {**lane, "seq": 1, "kind": "panic"})
            car.send("duty", {**lane, "seq": 2, "act": "on_duty", "crew": ["035001"]})
            car.send("pos", [{**lane, "seq": n, **fix} for n in (1, 2)])
            car.send("pos", b"\xc1")
            chunk = {"mime": "image/jpeg", "size": 3, "n": 0, "of": 1, "data": PICTURE}
            name = hashlib.sha256(PICTURE).hexdigest()
            car.send("media", {**lane, "seq": 3, "id": name, **chunk, "reason": "periodic"})
            await gateway.wait_for(1, "media")
            await gateway.wait_for(1, "unit.changed")
            await gateway.post("/api/v1/devices/car-007/commands", act="identify", id="c-1")
            yield gateway
