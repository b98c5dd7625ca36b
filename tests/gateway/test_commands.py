"""Commands: when each is sent, what becomes of it, and that nothing is done twice or too late."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from gateway.commands import MOST_WAITING
from gateway.journal.base import CommandRecord, Event
from gateway.order import (
    Addressed,
    CommandExists,
    Ended,
    Order,
    TooManyWaiting,
    UnknownCommand,
)
from gateway.sending import (
    AGAIN_FIRST_S,
    ANSWER_S,
    AT_ONCE,
    PER_S,
    TURN_S,
    UNANSWERED,
)
from protocols.commands import Checklist, Words
from protocols.errors import FieldInvalid
from protocols.model import Command, Presence
from protocols.native import codec
from tests.gateway.house import NOW, House, as_json, house
from tests.gateway.terminal import Car, settle

THEFT = Checklist(
    id="theft",
    title=Words(zh="盗窃", en="Theft"),
    steps=(Words(zh="疏散", en="Evacuate"), Words(zh="取证", en="Secure evidence")),
)


@pytest.fixture
async def gateway(tmp_path: Path) -> AsyncIterator[House]:
    async with house(tmp_path) as started:
        yield started


async def states(gateway: House, command_id: str) -> list[str]:
    await settle(gateway)
    record = await gateway.journal.command(command_id)
    assert record is not None
    return [step.state.value for step in record.steps]


async def fed(gateway: House, command_id: str) -> list[Event]:
    return [e for e in await gateway.events("command") if e.data["cmd"] == command_id]


async def test_a_command_goes_its_way_and_each_step_is_told(gateway: House) -> None:
    car = Car(gateway)
    await car.connects()
    record = await gateway.commands.send("car-1", "text", {"text": "come back"}, by="Li")
    (sent,) = car.got()
    assert (sent.id, sent.act, sent.args) == (record.id, "text", {"text": "come back"})
    assert (sent.t, sent.sent, sent.exp) == (NOW, NOW, NOW + 3_600_000)
    gateway.now += 100
    for state in ("delivered", "shown", "accepted", "done"):
        await car.says(record.id, state)
    assert await states(gateway, record.id) == [
        "created", "sent", "delivered", "shown", "accepted", "done",
    ]  # fmt: skip
    kept = await gateway.journal.command(record.id)
    assert kept is not None
    assert (kept.steps[0].by, kept.steps[-1].device_t) == ("Li", NOW + 100)
    events = await fed(gateway, record.id)
    assert [e.id for e in events[:3]] == [
        f"{record.id}/created", f"{record.id}/sent", "car-1:1:p:1",
    ]  # fmt: skip
    assert events[0].data["args"] == {"text": "come back"}
    assert [e.data["state"] for e in events] == await states(gateway, record.id)
    assert gateway.commands.waiting_count == 0
    sample = gateway.metrics.registry.get_sample_value
    labels = {"act": "text", "state": "done"}
    assert sample("fieldgate_commands_total", labels) == 1
    assert sample("fieldgate_command_delivered_seconds_sum", {"act": "text"}) == 0.1


async def test_a_command_is_sent_in_the_form_that_the_device_speaks(gateway: House) -> None:
    car = Car(gateway)
    await car.connects(payload=as_json(online=True, boot=1))
    await gateway.commands.send("car-1", "locate", {})
    (down,) = [d for d in gateway.sent if d.topic.endswith("/cmd")]
    assert down.payload.startswith(b"{")
    assert (down.expiry_s, down.is_retained) == (60, False)


async def test_an_offline_device_gets_it_when_it_is_back(gateway: House) -> None:
    car = Car(gateway)
    await car.connects()
    await car.leaves()
    record = await gateway.commands.send("car-1", "text", {"text": "1"})
    gateway.commands.look()
    assert car.got() == []
    assert await states(gateway, record.id) == ["created"]
    await car.connects(boot=2)
    assert [c.id for c in car.got()] == [record.id]


async def test_a_device_that_is_connected_and_silent_gets_it(gateway: House) -> None:
    box = Car(gateway, "box-1")
    await box.connects()
    gateway.now += 3_600_000
    assert gateway.twins.state(gateway.twins.of("box-1")) == "stale"
    await gateway.commands.send("box-1", "ring_back", {})
    assert [c.act for c in box.got()] == ["ring_back"]


async def test_nothing_stale_is_sent(gateway: House) -> None:
    car = Car(gateway)
    record = await gateway.commands.send("car-1", "snapshot", {})
    gateway.now += 30_000
    gateway.commands.look()
    await car.connects()
    assert car.got() == []
    assert await states(gateway, record.id) == ["created", "expired"]
    (step,) = [e for e in await fed(gateway, record.id) if e.data["state"] == "expired"]
    assert step.data["cause"] == "not online in time"


async def test_what_expired_unanswered_may_have_been_done_all_the_same(gateway: House) -> None:
    car = Car(gateway)
    await car.connects()
    record = await gateway.commands.send("car-1", "snapshot", {})
    gateway.now += 30_000
    gateway.commands.look()
    assert await states(gateway, record.id) == ["created", "sent", "expired"]
    await car.says(record.id, "done")
    assert await states(gateway, record.id) == ["created", "sent", "expired", "done"]
    assert (await fed(gateway, record.id))[-1].flags == ("late",)


async def test_it_is_sent_again_until_the_device_has_it_with_the_same_id(gateway: House) -> None:
    car = Car(gateway)
    await car.connects()
    record = await gateway.commands.send("car-1", "text", {"text": "1"})
    await settle(gateway)
    for at_s, count in ((4.9, 1), (5, 2), (14.9, 2), (15, 3), (34.9, 3), (35, 4)):
        gateway.clock_s = at_s
        gateway.commands.look()
        assert len(car.got()) == count, at_s
    await car.connects(boot=2)
    assert len(car.got()) == 5
    await car.says(record.id, "delivered")
    gateway.clock_s = 1000
    gateway.commands.look()
    assert [c.id for c in car.got()] == [record.id] * 5
    assert await states(gateway, record.id) == ["created", "sent", "delivered"]


async def test_order_is_kept_and_none_that_is_stuck_keeps_the_rest_for_ever(
    gateway: House,
) -> None:
    car = Car(gateway)
    await car.connects()
    first, second, third = [
        (await gateway.commands.send("car-1", "text", {"text": str(n)})).id for n in range(3)
    ]
    assert [c.id for c in car.got()] == [first]
    await car.says(first, "delivered")
    assert [c.id for c in car.got()] == [first, second]
    gateway.clock_s = TURN_S
    gateway.commands.look()
    assert [c.id for c in car.got()] == [first, second, second, third]


async def test_what_is_urgent_waits_for_nothing(gateway: House) -> None:
    car = Car(gateway)
    await car.connects()
    for number in range(20):
        await gateway.commands.send("car-1", "text", {"text": str(number)})
    urgent = await gateway.commands.send("car-1", "snapshot", {})
    assert [c.act for c in car.got()] == ["text", "snapshot"]
    assert car.got()[-1].id == urgent.id


async def test_answers_that_change_nothing_are_kept_with_why(gateway: House) -> None:
    car, other = Car(gateway), Car(gateway, "box-1")
    await car.connects()
    record = await gateway.commands.send("car-1", "identify", {})
    for state in ("shown", "delivered", "shown", "done", "failed"):
        await car.says(record.id, state)
    await car.says("nobody's", "done")
    await other.says(record.id, "refused")
    replies = [e for e in await gateway.events("command") if "seq" in e.data]
    assert [(e.data["state"], *e.flags) for e in replies] == [
        ("shown",),
        ("delivered", "overtaken"),
        ("shown", "repeated"),
        ("done",),
        ("failed", "late"),
        ("done", "command_unknown"),
        ("refused", "command_other"),
    ]
    assert await states(gateway, record.id) == ["created", "sent", "shown", "done"]


async def test_a_reply_that_is_sent_again_counts_once(gateway: House) -> None:
    car = Car(gateway)
    await car.connects()
    record = await gateway.commands.send("car-1", "identify", {})
    for _ in range(3):
        car.seq = 0
        await car.says(record.id, "delivered")
    assert await states(gateway, record.id) == ["created", "sent", "delivered"]
    assert gateway.ledger.of("car-1").counts.duplicates == 2


async def test_an_instruction_gets_its_kinds_checklist_and_its_steps_are_ticked(
    gateway: House,
) -> None:
    gateway.checklists["theft"] = THEFT
    car = Car(gateway)
    await car.connects()
    args = {"incident": "i-1", "kind": "theft"}
    record = await gateway.commands.send("car-1", "instruct", args)
    steps = car.got()[0].args["checklist"]["steps"]  # type: ignore[index]
    assert steps == [{"zh": "疏散", "en": "Evacuate"}, {"zh": "取证", "en": "Secure evidence"}]
    gateway.now += 5
    await car.says(record.id, "step", step=1, t=NOW - 1000)
    await car.says(record.id, "step", step=1)
    await car.says(record.id, "step", step=2)
    await car.says(record.id, "accepted")
    await car.says(record.id, "step", step=0)
    kept = await gateway.journal.command(record.id)
    assert kept is not None
    assert [(t.step, t.device_t) for t in kept.ticks] == [(1, NOW - 1000), (0, NOW + 5)]
    assert await states(gateway, record.id) == ["created", "sent", "delivered", "accepted"]
    flags = [e.flags for e in await gateway.events("command") if "step" in e.data]
    assert flags == [(), ("repeated",), ("step_unknown",), ()]


async def test_what_was_not_sent_is_called_back_in_silence(gateway: House) -> None:
    car = Car(gateway)
    record = await gateway.commands.send("car-1", "text", {"text": "1"})
    after = await gateway.commands.cancel(record.id, by="Li")
    assert [(s.state, s.by) for s in after.steps][-1] == ("cancelled", "Li")
    await car.connects()
    assert car.got() == []
    assert (await gateway.commands.cancel(record.id)).steps == after.steps


async def test_what_may_have_been_sent_is_called_back_at_the_device(gateway: House) -> None:
    car = Car(gateway)
    await car.connects()
    record = await gateway.commands.send("car-1", "live", {"seconds": 60})
    await car.says(record.id, "accepted")
    await gateway.commands.cancel(record.id)
    assert [(c.act, c.args) for c in car.got()][1:] == [("cancel", {"id": record.id})]
    await car.says(f"{record.id}:cancel", "done")
    await car.says(record.id, "done")
    assert await states(gateway, record.id) == [
        "created", "sent", "accepted", "cancelled", "done",
    ]  # fmt: skip
    with pytest.raises(Ended, match="has ended: done"):
        await gateway.commands.cancel(record.id)
    with pytest.raises(UnknownCommand, match="nothing"):
        await gateway.commands.cancel("nothing")


async def test_the_same_request_under_an_id_is_one_command(gateway: House) -> None:
    ask = {"text": "1"}
    both = await asyncio.gather(
        *(gateway.commands.send("car-1", "text", ask, command_id="mine") for _ in range(2))
    )
    assert both[0] == both[1]
    assert len(await fed(gateway, "mine")) == 1
    with pytest.raises(CommandExists, match="mine"):
        await gateway.commands.send("car-1", "text", {"text": "2"}, command_id="mine")
    with pytest.raises(CommandExists):
        await gateway.commands.send("box-1", "text", ask, command_id="mine")


@pytest.mark.parametrize(
    ("act", "how", "field"),
    [
        ("dance", {}, "act"),
        ("cancel", {"args": {"id": "x"}}, "act"),
        ("live", {"args": {"fps": 50}}, "args.fps"),
        ("text", {"args": {"txt": "a"}}, "args.txt"),
        ("locate", {"exp_ms": NOW}, "exp"),
        ("locate", {"expires_s": 1e9}, "expires_s"),
        ("locate", {"expires_s": 5, "exp_ms": NOW + 1}, "expires_s"),
        ("locate", {"command_id": "a b"}, "id"),
        ("locate", {"command_id": "c1:cancel"}, "id"),
        ("config", {"args": {str(n): "x" * 100 for n in range(1000)}}, "args"),
    ],
)
async def test_an_order_that_is_wrong_says_which_field(
    gateway: House, act: str, how: dict[str, Any], field: str
) -> None:
    with pytest.raises(FieldInvalid) as error:
        await gateway.commands.send("car-1", act, how.pop("args", {}), **how)
    assert error.value.field == field
    assert await gateway.events() == []


async def test_a_device_that_takes_nothing_has_a_bound(gateway: House) -> None:
    sends = [gateway.commands.send("car-1", "identify", {}) for _ in range(MOST_WAITING)]
    await asyncio.gather(*sends)
    with pytest.raises(TooManyWaiting, match="car-1"):
        await gateway.commands.send("car-1", "identify", {})
    await gateway.commands.send("box-1", "identify", {})


async def test_all_of_a_group_are_ordered_or_none(gateway: House) -> None:
    order = Order(act="text", args={"text": "to all"}, by="Li")
    target = {"unit": "u-1"}

    def whom() -> Addressed:
        return Addressed(["box-1", "car-1"], [{"device": "car-9", "why": "not registered"}])

    ask = {"addressed": whom, "group": "g1"}
    records = await gateway.commands.send_to_all(target, order, **ask)  # type: ignore[arg-type]
    assert [r.id for r in records] == ["g1:box-1", "g1:car-1"]
    assert [r.left_out for r in records] == [({"device": "car-9", "why": "not registered"},), ()]
    again = await gateway.commands.send_to_all(target, order, **ask)  # type: ignore[arg-type]
    assert again == records
    with pytest.raises(CommandExists):
        await gateway.commands.send_to_all({"unit": "u-2"}, order, **ask)  # type: ignore[arg-type]


async def test_one_that_takes_nothing_keeps_an_order_from_nobody_else(gateway: House) -> None:
    sends = [gateway.commands.send("car-1", "identify", {}) for _ in range(MOST_WAITING)]
    await asyncio.gather(*sends)
    records = await gateway.commands.send_to_all(
        {"unit": "u-1"},
        Order(act="text", args={"text": "to all"}),
        addressed=lambda: Addressed(["car-1", "box-1"]),
    )
    assert [r.device for r in records] == ["box-1"]
    assert records[0].left_out == ({"device": "car-1", "why": "too many commands wait"},)
    with pytest.raises(TooManyWaiting, match="car-1"):
        await gateway.commands.send_to_all(
            {"unit": "u-1"},
            Order(act="text", args={"text": "to all"}),
            addressed=lambda: Addressed(["car-1"]),
        )


async def test_a_wrong_order_to_nobody_is_wrong_all_the_same(gateway: House) -> None:
    with pytest.raises(FieldInvalid, match=r"args\.txt"):
        await gateway.commands.send_to_all(
            {"grid": "North"},
            Order(act="text", args={"txt": "a"}),
            addressed=lambda: Addressed([]),
        )


async def test_after_a_restart_all_goes_on(tmp_path: Path) -> None:
    async with house(tmp_path) as gateway:
        car = Car(gateway)
        await car.connects()
        sent = await gateway.commands.send("car-1", "text", {"text": "1"})
        done = await gateway.commands.send("car-1", "identify", {})
        await car.says(sent.id, "delivered")
        await car.says(done.id, "done")
        unanswered = await gateway.commands.send("car-1", "text", {"text": "2"})
        await settle(gateway)
        unsent = await gateway.commands.send("box-1", "text", {"text": "3"})
    async with house(tmp_path) as gateway:
        assert gateway.commands.waiting_count == 2
        car, box = Car(gateway), Car(gateway, "box-1")
        car.seq = 2
        await car.connects(boot=2)
        await box.connects()
        assert [c.id for c in car.got()] == [unanswered.id]
        assert [c.id for c in box.got()] == [unsent.id]
        await car.says(sent.id, "done")
        assert await states(gateway, sent.id) == ["created", "sent", "delivered", "done"]
        assert await states(gateway, unanswered.id) == ["created", "sent"]


async def test_what_was_on_its_way_when_the_gateway_died_is_called_back_too(
    tmp_path: Path,
) -> None:
    async with house(tmp_path) as gateway:
        record = await gateway.commands.send("car-1", "text", {"text": "1"})
    async with house(tmp_path) as gateway:
        await gateway.commands.cancel(record.id)
        await settle(gateway)
        car = Car(gateway)
        await car.connects()
        assert [(c.act, c.args) for c in car.got()] == [("cancel", {"id": record.id})]


async def test_who_watches_sees_the_newest_state(gateway: House) -> None:
    car = Car(gateway)
    await car.connects()
    record = await gateway.commands.send("car-1", "identify", {})
    async with gateway.commands.watch(record.id) as news:
        await car.says(record.id, "delivered")
        await car.says(record.id, "done")
        newest: CommandRecord = await news.get()
        assert newest.state == "done"
        assert news.empty()


def test_the_first_wait_is_shorter_than_a_turn() -> None:
    assert AGAIN_FIRST_S < TURN_S


async def test_an_order_to_many_goes_out_by_and_by_and_holds_up_no_other(gateway: House) -> None:
    many = [f"car-{number:03}" for number in range(250)]
    for device in ("car-1", *many):
        twin = gateway.twins.of(device)
        twin.take_presence(Presence(online=True, boot=1))
        twin.heard(gateway.now)

    def told(act: str) -> list[str]:
        got = (codec.decode(each.payload, Command) for each in gateway.sent if "/cmd" in each.topic)
        return [command.id for command in got if command.act == act]

    await gateway.commands.send_to_all(
        {"grid": "North"},
        Order(act="text", args={"text": "All to the square"}),
        addressed=lambda: Addressed(many),
        group="all",
    )
    await settle(gateway)
    assert told("text") == [f"all:{device}" for device in many[:AT_ONCE]]
    await gateway.commands.send("car-200", "instruct", {"incident": "I-7", "kind": "theft"})
    await gateway.commands.send("car-1", "text", {"text": "You too"}, command_id="own")
    assert (len(told("instruct")), told("text")[-1]) == (1, "own")
    gateway.clock_s += 50 / PER_S
    gateway.commands.look()
    assert len(told("text")) == AT_ONCE + 1 + 50
    gateway.clock_s += 0.5
    gateway.commands.look()
    assert len(told("text")) == UNANSWERED + 1  # nobody has answered so far
    for device in many[:20]:
        await Car(gateway, device).says(f"all:{device}", "delivered")
    gateway.commands.look()
    assert len(told("text")) == UNANSWERED + 1 + 20
    gateway.clock_s += ANSWER_S
    gateway.commands.look()
    texts = [each for each in told("text") if each != "own"]
    assert texts == [f"all:{device}" for device in many]
