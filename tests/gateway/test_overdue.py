"""A command that its device has and never ends: when, and where, is that told?"""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from gateway.api.commands import CommandView
from gateway.journal.base import CommandRecord, CommandStep
from gateway.journal.follow import created, follow
from gateway.overdue import ANSWER_MS, HANDLING_MS, Overdue, overdue_at
from protocols.commands import CommandState
from tests.gateway.house import NOW, House, house
from tests.gateway.terminal import Car, settle

HOUR_MS = 3_600_000


@pytest.fixture
async def gateway(tmp_path: Path) -> AsyncIterator[House]:
    async with house(tmp_path) as started:
        yield started


def command(act: str, args: dict[str, Any], state: CommandState) -> CommandRecord:
    steps = (CommandStep(state=state, t=NOW),)
    return CommandRecord(
        id="c", device="car-1", act=act, args=args, t=NOW, exp=NOW + 1000, steps=steps
    )


INSTRUCT = {"incident": "I-7", "kind": "theft"}
DUE: list[tuple[str, dict[str, Any], CommandState, int]] = [
    ("text", {"text": "come"}, CommandState.DELIVERED, ANSWER_MS),
    ("text", {"text": "come"}, CommandState.ACCEPTED, ANSWER_MS),
    ("locate", {"seconds": 300}, CommandState.ACCEPTED, ANSWER_MS + 300_000),
    ("live", {}, CommandState.DELIVERED, ANSWER_MS + 30_000),
    ("instruct", INSTRUCT, CommandState.SHOWN, ANSWER_MS),
    ("instruct", INSTRUCT, CommandState.ACCEPTED, ANSWER_MS + HANDLING_MS),
    ("an action of before", {}, CommandState.DELIVERED, ANSWER_MS),
]


@pytest.mark.parametrize(("act", "args", "state", "after_ms"), DUE)
def test_an_end_is_expected_by_what_the_order_takes(
    act: str, args: dict[str, Any], state: CommandState, after_ms: int
) -> None:
    assert overdue_at(command(act, args, state)) == NOW + 1000 + after_ms


async def look(gateway: House, overdue: Overdue | None = None) -> None:
    await (overdue or gateway.overdue).look(gateway.commands.overdue)
    await settle(gateway)


async def view(gateway: House, command_id: str) -> CommandView:
    record = await gateway.commands.find(command_id)
    assert record is not None
    return CommandView.of(record)


async def test_what_was_delivered_and_never_ended_is_told_once_and_stays_open(
    gateway: House,
) -> None:
    car = Car(gateway)
    await car.connects()
    record = await gateway.commands.send("car-1", "text", {"text": "come"})
    await car.says(record.id, "shown")
    await settle(gateway)
    gateway.now = record.exp + ANSWER_MS - 1
    await look(gateway)
    assert (await view(gateway, record.id)).overdue is None
    gateway.now += 1
    for _ in range(2):
        await look(gateway)
    shown = await view(gateway, record.id)
    assert (shown.state, shown.overdue) == ("shown", gateway.now)
    assert [moment.state for moment in shown.timeline] == ["created", "sent", "shown", "overdue"]
    told = [event for event in await gateway.events("command") if "overdue" in event.data]
    assert [event.id for event in told] == [f"{record.id}/overdue"]
    assert (told[0].data["state"], told[0].data["overdue"]) == ("shown", gateway.now)
    assert gateway.overdue.count == 1
    # What the crew says later is what happened.
    gateway.now += 1000
    await car.says(record.id, "done")
    await settle(gateway)
    ended = await view(gateway, record.id)
    assert (ended.state, ended.overdue, gateway.overdue.count) == ("done", None, 0)
    assert [moment.state for moment in ended.timeline][-2:] == ["overdue", "done"]


async def test_what_ended_or_never_arrived_is_not_overdue(gateway: House) -> None:
    car = Car(gateway)
    await car.connects()
    ended = await gateway.commands.send("car-1", "text", {"text": "1"})
    await car.says(ended.id, "done")
    silent = await gateway.commands.send("car-2", "text", {"text": "2"})
    gateway.now += 2 * HOUR_MS
    gateway.commands.look()
    await look(gateway)
    assert gateway.overdue.count == 0
    expired = await view(gateway, silent.id)
    assert (expired.state, expired.overdue) == ("expired", None)


async def test_an_instruction_that_is_accepted_has_a_shift(gateway: House) -> None:
    car = Car(gateway)
    await car.connects()
    record = await gateway.commands.send("car-1", "instruct", INSTRUCT)
    await car.says(record.id, "delivered")
    await car.says(record.id, "accepted")
    await settle(gateway)
    gateway.now = record.exp + ANSWER_MS
    await look(gateway)
    assert gateway.overdue.count == 0
    gateway.now += HANDLING_MS
    await look(gateway)
    assert gateway.overdue.count == 1


async def test_after_a_restart_it_is_known_again(gateway: House) -> None:
    car = Car(gateway)
    await car.connects()
    waiting = await gateway.commands.send("car-1", "text", {"text": "1"})
    told = await gateway.commands.send("car-1", "locate", {})
    for each in (waiting, told):
        await car.says(each.id, "delivered")
    await settle(gateway)
    gateway.now += 10 * 60_000
    await look(gateway)
    again = Overdue(gateway.journal, now_ms=lambda: gateway.now)
    await again.restore()
    assert again.count == 1
    gateway.now += HOUR_MS
    await again.look(gateway.commands.overdue)
    assert (await view(gateway, waiting.id)).overdue == gateway.now
    # A record that is damaged is told from the events; what they tell is the same.
    record = await gateway.journal.command(told.id)
    events = [e for e in await gateway.events("command") if e.data["cmd"] == told.id]
    rebuilt = created(events[0])
    for event in events[1:]:
        rebuilt, _ = follow(rebuilt, event)
    assert record is not None
    assert (rebuilt.overdue, rebuilt.state) == (record.overdue, record.state)
