"""Commands to terminals of another maker: slow, rebooting, answering twice or late; and a gateway
that is killed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from paho.mqtt.enums import MQTTProtocolVersion

from tests.scenarios.whole import Gateway, Terminal

pytestmark = pytest.mark.slow  # whole processes, real time

STUCK = 500


@pytest.fixture
async def gateway(tmp_path: Path) -> AsyncIterator[Gateway]:
    async with Gateway(tmp_path / "data") as gateway:
        yield gateway


class Car:
    """What a terminal says, numbered."""

    def __init__(self, gateway: Gateway, password: str) -> None:
        self._gateway, self._password = gateway, password
        self.boot, self.seq = 0, 0
        self.terminal: Terminal

    async def connect(self, **how: Any) -> Terminal:
        """Start anew, and say that it is there."""
        self.boot, self.seq = self.boot + 1, 0
        self.terminal = Terminal(self._gateway.mqtt_port, "car-1", self._password, **how)
        await self.terminal.__aenter__()
        self.terminal.send("presence", {"online": True, "boot": self.boot}, retain=True)
        return self.terminal

    async def leave(self) -> None:
        """Say that it goes, and go."""
        self.terminal.send("presence", {"online": False, "boot": self.boot}, retain=True)
        await self.terminal.__aexit__()

    async def vanish(self) -> None:
        """Go without a word."""
        await self.terminal.__aexit__()

    async def answer(self, command: str, *states: str, **keys: Any) -> None:
        """Say them one after another; return when the gateway has them."""
        for state in states:
            self.seq += 1
            reply = {"boot": self.boot, "seq": self.seq, "t": int(time.time() * 1000)}
            self.terminal.send("reply", reply | {"cmd": command, "state": state} | keys)
        await self.terminal.receipt(boot=self.boot, p=self.seq)


@pytest.fixture
async def car(gateway: Gateway) -> AsyncIterator[Car]:
    car = Car(gateway, await gateway.add("car-1"))
    try:
        yield car
    finally:
        if car.boot:
            await car.vanish()


async def order(gateway: Gateway, act: str = "text", **keys: Any) -> str:
    """The id of a new command."""
    if act == "text":
        keys = {"args": {"text": "come back"}} | keys
    sent = await gateway.post("/api/v1/devices/car-1/commands", act=act, **keys)
    return str(sent["id"])


async def states(gateway: Gateway, command: str) -> list[str]:
    shown = await gateway.get(f"/api/v1/commands/{command}")
    return [moment["state"] for moment in shown["timeline"]]


async def reaches(gateway: Gateway, command: str, state: str) -> Any:
    """The command, once it is in that state."""
    known = 0
    async with asyncio.timeout(30):
        while True:
            shown = await gateway.get(f"/api/v1/commands/{command}?beyond={known}&wait_s=5")
            if shown["state"] == state:
                return shown
            known = len(shown["timeline"])


@pytest.mark.parametrize("as_json", [False, True])
@pytest.mark.parametrize("version", [MQTTProtocolVersion.MQTTv311, MQTTProtocolVersion.MQTTv5])
async def test_an_order_is_carried_out_and_every_step_is_fed(
    gateway: Gateway, car: Car, version: MQTTProtocolVersion, as_json: bool
) -> None:
    terminal = await car.connect(version=version, as_json=as_json)
    command = await order(gateway, expires_s=600, by="Li")
    got = await terminal.command()
    assert (got["id"], got["act"], got["args"]) == (command, "text", {"text": "come back"})
    assert got["exp"] - got["t"] == 600_000
    ((is_retained, expiry_s),) = terminal.how
    assert not is_retained
    if version is MQTTProtocolVersion.MQTTv5:
        assert expiry_s is not None
        assert 590 <= expiry_s <= 600
    await car.answer(command, "delivered", "shown", "accepted", "done")
    way = ["created", "sent", "delivered", "shown", "accepted", "done"]
    assert await states(gateway, command) == way
    fed = await gateway.events("command")
    assert [event["data"]["state"] for event in fed] == way
    assert [event["id"] for event in fed[1:3]] == [f"{command}/sent", "car-1:1:p:1"]
    assert fed[0]["data"]["by"] == "Li"


async def test_a_slow_terminal_is_asked_again_under_the_same_id(gateway: Gateway, car: Car) -> None:
    terminal = await car.connect()
    command = await order(gateway)
    got = [await terminal.command(), await terminal.command()]
    assert [each["id"] for each in got] == [command, command]
    assert got[1]["sent"] > got[0]["sent"]
    await car.answer(command, "delivered", "delivered", "done", "done")
    assert await states(gateway, command) == ["created", "sent", "delivered", "done"]
    fed = await gateway.events("command")
    flags = [event["data"]["flags"] for event in fed if "seq" in event["data"]]
    assert flags == [[], ["repeated"], [], ["repeated"]]


async def test_a_terminal_that_reboots_in_the_middle_gets_it_once_more(
    gateway: Gateway, car: Car
) -> None:
    terminal = await car.connect()
    unanswered, known = await order(gateway), await order(gateway, "snapshot")
    assert {(await terminal.command())["id"] for _ in range(2)} == {unanswered, known}
    await car.answer(known, "delivered")
    await car.vanish()
    terminal = await car.connect()
    assert (await terminal.command())["id"] == unanswered
    await car.answer(unanswered, "delivered", "done")
    await car.answer(known, "failed", detail="restarted")
    assert terminal.commands.empty()  # what it had said that it keeps is not sent again
    assert await states(gateway, unanswered) == ["created", "sent", "delivered", "done"]
    assert await states(gateway, known) == ["created", "sent", "delivered", "failed"]


async def test_offline_it_waits_and_what_is_stale_by_then_never_comes(
    gateway: Gateway, car: Car
) -> None:
    await car.connect()
    await car.leave()
    await gateway.wait_for(2, "presence")
    stale, waits = await order(gateway, expires_s=1), await order(gateway)
    cause = (await reaches(gateway, stale, "expired"))["timeline"][-1]["cause"]
    assert cause == "not online in time"
    assert await states(gateway, waits) == ["created"]
    terminal = await car.connect()
    assert (await terminal.command())["id"] == waits
    await car.answer(waits, "delivered", "done")
    assert terminal.commands.empty()
    assert await states(gateway, stale) == ["created", "expired"]


async def test_an_answer_after_the_end_is_still_what_happened(gateway: Gateway, car: Car) -> None:
    terminal = await car.connect()
    command = await order(gateway, "snapshot", expires_s=1)
    await terminal.command()
    await reaches(gateway, command, "expired")
    await car.answer(command, "refused", detail="expired")
    assert await states(gateway, command) == ["created", "sent", "expired", "refused"]
    last = (await gateway.events("command"))[-1]
    assert last["data"]["flags"] == ["late"]


async def test_answers_to_nobody_are_kept_and_hurt_nothing(gateway: Gateway, car: Car) -> None:
    await car.connect()
    await car.answer("x" * 1000, "done")
    await car.answer("никто", "step", step=4_294_967_295)
    await car.answer("", "refused")
    fed = await gateway.events("command")
    assert [event["data"]["flags"] for event in fed] == [["command_unknown"]] * 3


async def test_called_back_it_is_called_back_at_the_terminal(gateway: Gateway, car: Car) -> None:
    terminal = await car.connect()
    command = await order(gateway, "live", args={"seconds": 600})
    await terminal.command()
    await car.answer(command, "accepted")
    await gateway.post(f"/api/v1/commands/{command}/cancel", by="Li")
    got = await terminal.command()
    assert (got["act"], got["args"]) == ("cancel", {"id": command})
    await car.answer(got["id"], "delivered", "done")
    await car.answer(command, "failed", detail="cancelled")
    assert await states(gateway, command) == [
        "created", "sent", "accepted", "cancelled", "failed",
    ]  # fmt: skip


async def test_a_gateway_killed_before_it_has_sent_sends_after_its_start(
    gateway: Gateway, car: Car
) -> None:
    await car.connect()
    await car.leave()
    await gateway.wait_for(2, "presence")
    command = await order(gateway)
    await gateway.kill()
    await gateway.start()
    assert await states(gateway, command) == ["created"]
    terminal = await car.connect()
    assert (await terminal.command())["id"] == command
    await car.answer(command, "delivered", "done")
    assert await states(gateway, command) == ["created", "sent", "delivered", "done"]


async def test_a_gateway_killed_after_it_has_sent_hears_the_answer(
    gateway: Gateway, car: Car
) -> None:
    terminal = await car.connect()
    command = await order(gateway)
    await terminal.command()
    await reaches(gateway, command, "sent")
    await gateway.kill()
    await gateway.start()
    await car.vanish()
    terminal = await car.connect()
    assert (await terminal.command())["id"] == command
    await car.answer(command, "delivered", "done")
    assert await states(gateway, command) == ["created", "sent", "delivered", "done"]


async def test_commands_that_are_stuck_hold_up_no_alarm_and_nothing_urgent(
    gateway: Gateway, car: Car
) -> None:
    terminal = await car.connect()
    stuck: set[str] = set()
    for _ in range(0, STUCK, 50):
        sends = (order(gateway, "identify", expires_s=3600) for _ in range(50))
        stuck.update(await asyncio.gather(*sends))
    car.seq += 1
    alarm = {"boot": car.boot, "seq": car.seq, "t": int(time.time() * 1000), "kind": "panic"}
    terminal.send("alarm", alarm)
    receipt = await terminal.receipt(boot=car.boot, p=car.seq)
    assert [each["stage"] for each in receipt["alarms"]] == ["stored"]
    urgent = await order(gateway, "ring_back")
    seen: list[str] = []
    while urgent not in seen:
        seen.append((await terminal.command())["id"])
    # One that is stuck goes out every ten seconds: few have, since the first.
    assert len(set(seen) & stuck) < STUCK / 50
    waiting = await gateway.get("/api/v1/commands?state=created&limit=1000")
    assert len(waiting["commands"]) > STUCK * 0.95


async def test_none_is_lost_or_done_twice_however_often_the_gateway_is_killed(
    gateway: Gateway, car: Car
) -> None:
    """Each order is asked for under its id until it is answered; the terminal does each id once,
    and answers again whenever it comes again."""
    executed: list[str] = []

    async def carry_out() -> None:
        while True:
            command = await car.terminal.commands.get()
            if command["id"] not in executed:
                executed.append(command["id"])
            car.seq += 1
            reply = {"boot": car.boot, "seq": car.seq, "t": int(time.time() * 1000)}
            car.terminal.send("reply", reply | {"cmd": command["id"], "state": "done"})

    async def insist(command: str) -> None:
        while True:
            try:
                await order(gateway, "identify", expires_s=600, id=command)
                return
            except OSError:
                await gateway_is_back.wait()

    gateway_is_back = asyncio.Event()
    gateway_is_back.set()
    await car.connect()
    carrying_out = asyncio.create_task(carry_out())
    ids = [f"o-{number}" for number in range(60)]
    for at in range(0, 60, 12):
        orders = [asyncio.create_task(insist(each)) for each in ids[at : at + 12]]
        await asyncio.wait(orders, return_when=asyncio.FIRST_COMPLETED)
        gateway_is_back.clear()
        await gateway.kill()
        await gateway.start()
        carrying_out.cancel()
        await car.vanish()
        await car.connect()
        carrying_out = asyncio.create_task(carry_out())
        gateway_is_back.set()
        await asyncio.gather(*orders)
    for each in ids:
        await reaches(gateway, each, "done")
    carrying_out.cancel()
    assert sorted(executed) == sorted(ids)
    created = [e["data"]["cmd"] for e in await gateway.events("command") if "act" in e["data"]]
    assert sorted(created) == sorted(ids)
