"""Orders through the whole system: a gateway, its broker and an agent, each killed in between."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path
from typing import Any

import pytest

from edge.control_client import NotTaken
from protocols.model import DeviceKind
from simulators.dispatch_core import DispatchCore
from simulators.ledger import Ledger, now_ms
from simulators.link import Address
from tests.scenarios.test_agent import DEVICE, Agent, until
from tests.scenarios.whole import Gateway, Terminal

pytestmark = pytest.mark.slow

RECEIVER = '[gps]\nhost = "127.0.0.1"\nport = 9'  # nobody answers there


async def ended(gateway: Gateway, command: str, *ends: str) -> dict[str, Any]:
    """The command once it has come to one of these states."""
    view: dict[str, Any] = await gateway.get(f"/api/v1/commands/{command}")
    async with asyncio.timeout(30):
        while view["state"] not in ends:
            known = len(view["timeline"])
            view = await gateway.get(f"/api/v1/commands/{command}?wait_s=5&beyond={known}")
    return view


def states(view: dict[str, Any]) -> list[str]:
    return [moment["state"] for moment in view["timeline"]]


async def held(agent: Agent, command: str) -> dict[str, Any]:
    """The order, once the agent holds it."""

    async def found() -> dict[str, Any] | None:
        with contextlib.suppress(NotTaken):  # it is on its way
            return await agent.call("GET", f"/orders/{command}")
        return None

    answer: dict[str, Any] = await until(found)
    return answer


async def test_an_instruction_is_answered_without_a_network_over_kills_of_both_sides(
    tmp_path: Path,
) -> None:
    """It brings the checklist of its kind; each answer arrives once, in order, with its time."""
    async with Gateway(tmp_path / "data") as gateway, Agent(tmp_path, gateway) as agent:
        args = {
            "incident": "I-7",
            "kind": "knife",
            "address": "8 Harbour Road",
            "text": "back door",
        }
        order = {"id": "o1", "act": "instruct", "args": args, "by": "dispatcher 3"}
        await gateway.post(f"/api/v1/devices/{DEVICE}/commands", **order)
        shown = await held(agent, "o1")
        assert shown["args"]["checklist"]["title"] == {
            "zh": "持刀人员",
            "en": "Person with a knife",
        }
        await ended(gateway, "o1", "delivered")
        await gateway.kill()
        for state in ("shown", "accepted"):
            await agent.call("POST", "/orders/o1", {"state": state})
        await agent.call("POST", "/orders/o1/step", {"step": 2})
        await agent.kill()
        await agent.start()
        ticked = await agent.call("POST", "/orders/o1/step", {"step": 0})
        assert ticked is not None
        await agent.call("POST", "/orders/o1", {"state": "done", "detail": "one arrest"})
        await gateway.start()
        view = await ended(gateway, "o1", "done")
        assert states(view) == [
            *("created", "sent", "delivered", "shown", "accepted", "step", "step", "done")
        ]
        ticks = [moment for moment in view["timeline"] if moment["state"] == "step"]
        assert [tick["step"] for tick in ticks] == [2, 0]
        assert [tick["device_t"] for tick in ticks] == [tick["t"] for tick in ticked["ticks"]]
        assert view["timeline"][-1]["detail"] == "one arrest"


async def test_what_waited_too_long_does_not_fire_and_what_was_under_way_does_not_fire_twice(
    tmp_path: Path,
) -> None:
    async with Gateway(tmp_path / "data") as gateway, Agent(tmp_path, gateway, RECEIVER) as agent:
        path = f"/api/v1/devices/{DEVICE}/commands"
        locate = {"id": "o1", "act": "locate", "args": {"seconds": 600}}
        await gateway.post(path, **locate)
        await ended(gateway, "o1", "accepted")
        await agent.kill()
        await gateway.post(path, id="o2", act="text", args={"text": "stale"}, expires_s=1)
        await gateway.post(path, id="o3", act="text", args={"text": "fresh"})
        await ended(gateway, "o2", "expired")
        await agent.start()
        failed = await ended(gateway, "o1", "failed")
        assert failed["timeline"][-1]["detail"] == "restarted"
        await held(agent, "o3")
        orders = await agent.call("GET", "/orders")
        assert orders is not None
        assert [order["id"] for order in orders["orders"]] == ["o1", "o3"]
        await gateway.post("/api/v1/commands/o3/cancel", by="dispatcher 3")
        await until(lambda: is_closed(agent, "o3"))
        called_back = await ended(gateway, "o3:cancel", "done")
        assert states(called_back)[-1] == "done"


async def is_closed(agent: Agent, command: str) -> bool:
    return not (await held(agent, command))["open"]


async def test_the_dispatch_core_sends_the_nearest_car_that_is_free(tmp_path: Path) -> None:
    """Two cars stand near the bank; the nearer one has a break."""
    async with contextlib.AsyncExitStack() as stack:
        gateway = await stack.enter_async_context(Gateway(tmp_path / "data"))
        terminals: dict[str, Terminal] = {}
        kinds: dict[str, DeviceKind] = {
            "bank": "alarm_box",
            "near": "vehicle_terminal",
            "far": "vehicle_terminal",
        }
        for device, kind in kinds.items():
            terminal = Terminal(gateway.mqtt_port, device, await gateway.add(device, kind))
            terminals[device] = await stack.enter_async_context(terminal)
        book = await stack.enter_async_context(Ledger(tmp_path / "core.jsonl"))
        core = DispatchCore(
            listen=Address("127.0.0.1", 0),
            gateway=gateway.url,
            token=gateway.token,
            secret="",
            folder=tmp_path,
            book=book,
            source="stream",
            accept_after_s=0.0,
            instructs=True,
        )
        await stack.enter_async_context(core)
        now = now_ms()
        for device, act, lat in (("near", "break", 24.501), ("far", "vehicle_patrol", 24.51)):
            keys = {"boot": 1, "seq": 1, "t": now}
            terminals[device].send("presence", {"online": True, "boot": 1}, retain=True)
            terminals[device].send("pos", {**keys, "lat": lat, "lon": 117.6, "fix": 3})
            terminals[device].send("duty", {**keys, "act": act})
            await terminals[device].receipt(p=1)

        async def both_are_seen() -> bool:
            near = await gateway.get("/api/v1/nearest?lat=24.5&lon=117.6")
            return len(near["units"]) == 2

        await until(both_are_seen)
        place = {"lat": 24.5, "lon": 117.6, "fix": 3, "src": "fixed"}
        alarm = {"boot": 1, "seq": 1, "t": now, "kind": "hold_up", "pos": place}
        terminals["bank"].send("alarm", alarm)
        order = await terminals["far"].command()
        assert (order["args"]["incident"], order["args"]["kind"]) == ("bank:1:p:1", "robbery")
        assert order["args"]["checklist"]["title"]["en"] == "Robbery"
        assert (order["args"]["lat"], order["args"]["lon"]) == (24.5, 117.6)
        page = await gateway.get("/api/v1/commands")
        assert [command["device"] for command in page["commands"]] == ["far"]
