"""Does a press on the firmware reach the real gateway, and do its stages reach the lamp?"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from simulators.firmware import FirmwareBox, running
from tests.scenarios.whole import Gateway

pytestmark = pytest.mark.slow


async def registered(gateway: Gateway, device: str = "box-1") -> dict[str, Any]:
    """Register a box; what it is to be set up with."""
    told = await gateway.command("device", "add", device, "--kind", "alarm_box")
    return {
        "device": told["user"],
        "password": told["password"],
        "brokers": [f"127.0.0.1:{gateway.mqtt_port}"],
    }


async def test_a_press_is_stored_accepted_acknowledged_and_closed(
    gateway: Gateway, tmp_path: Path, built: Path
) -> None:
    settings = await registered(gateway)
    async with running(FirmwareBox(tmp_path / "box", built), **settings) as box:
        await box.told("link_up")
        since = len(box.lines)
        box.do("press 60")
        await box.shows("stored")
        (raised,) = await gateway.wait_for(1, "alarm.raised")
        for act, look in (("accept", "accepted"), ("acknowledge", "acknowledged"), ("close", "closed")):
            await gateway.post(f"/api/v1/alarms/{raised['id']}/{act}", by="desk 3")
            await box.shows(look)
        assert box.looks(since)[:1] == ["pressed"]
        assert box.tunes(since)[-4:] == ["one_long", "two_high", "three_high", "falling"]
        print(box.lines, await box.report())
