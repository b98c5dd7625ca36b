"""What the gateway orders of a real box, through the front door, and what the box does then."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from simulators.firmware import FirmwareBox
from tests.firmware.test_on_micropython import registered
from tests.scenarios.whole import Gateway

pytestmark = pytest.mark.slow


async def ended(gateway: Gateway, command: str, *ends: str) -> dict[str, Any]:
    """The command once it has come to one of these states."""
    view: dict[str, Any] = await gateway.get(f"/api/v1/commands/{command}")
    async with asyncio.timeout(30):
        while view["state"] not in ends:
            known = len(view["timeline"])
            path = f"/api/v1/commands/{command}?wait_s=5&beyond={known}"
            view = await gateway.get(path)
    return view


def states(view: dict[str, Any]) -> list[str]:
    return [moment["state"] for moment in view["timeline"]]


async def test_a_box_blinks_rings_and_is_configured_on_order_each_once(
    gateway: Gateway, tmp_path: Path, built: Path
) -> None:
    box = FirmwareBox(tmp_path / "box", built)
    box.provision(**await registered(gateway))
    orders: list[dict[str, Any]] = [
        {"id": "o1", "act": "identify"},
        {"id": "o2", "act": "ring_back"},
        {"id": "o3", "act": "config", "args": {"status_every_s": 5, "version": "v7"}},
        {"id": "o4", "act": "config", "args": {"status_every_s": 1}},
        {"id": "o5", "act": "text", "args": {"text": "a box cannot read"}},
    ]
    waiting = await gateway.post("/api/v1/devices/box-1/commands", **orders[0])
    assert waiting["state"] == "created"  # the box is not there yet
    async with box:
        blinked = await ended(gateway, "o1", "done")
        await box.told("light", look="identify")
        for order in orders[1:]:
            await gateway.post("/api/v1/devices/box-1/commands", **order)
        rung = await ended(gateway, "o2", "done")
        configured = await ended(gateway, "o3", "done")
        wrong = await ended(gateway, "o4", "refused")
        unknown = await ended(gateway, "o5", "refused")
        again = await gateway.post("/api/v1/devices/box-1/commands", **orders[1])
        assert again["state"] == "done"
        assert box.tunes().count("ringing") == 1
        await box.kill()
        await box.start()
        async with asyncio.timeout(30):  # what it was told is kept, and told in its status
            while not any(
                event["data"].get("cfg") == "v7" for event in await gateway.events("status")
            ):
                await asyncio.sleep(0.2)
    assert states(blinked) == ["created", "sent", "delivered", "shown", "done"]
    assert states(rung) == ["created", "sent", "delivered", "shown", "done"]
    assert states(configured) == ["created", "sent", "delivered", "done"]
    assert wrong["timeline"][-1]["detail"] == "status_every_s"
    assert unknown["timeline"][-1]["detail"] == "unknown act"
    told = [event["data"]["state"] for event in await gateway.events("command")]
    assert told.count("done") == 3
