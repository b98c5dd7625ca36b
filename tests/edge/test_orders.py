"""Orders: each at most once, over restarts too; expiry, answers, ticks, cancelling, bounds."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from edge import orders as orders_module
from edge import orders_file
from edge.order import Order
from edge.orders import OrderFailed, OrderRefused, Orders, UnknownOrder
from protocols.commands import CommandState
from protocols.errors import FieldInvalid, ProtocolError
from protocols.model import Command

NOW_MS = 1_795_000_000_000
CHECKLIST = {
    "id": "theft",
    "title": {"zh": "盗窃", "en": "Theft"},
    "steps": [{"zh": f"第{n}步", "en": f"step {n}"} for n in range(3)],
}
INSTRUCT = {"incident": "I-7", "kind": "theft", "address": "8 Harbour Road", "checklist": CHECKLIST}


def command(id_: str, act: str = "text", **more: Any) -> Command:
    args = more.pop("args", {"text": "come home"} if act == "text" else {})
    exp = more.pop("exp", NOW_MS + 60_000)
    return Command(id=id_, act=act, t=NOW_MS, exp=exp, args=args, sent=NOW_MS, **more)


class Bench:
    """Orders whose replies are caught, with clocks that the test sets."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.replies: list[dict[str, Any]] = []
        self.now_ms, self.steady_ms, self.is_set = NOW_MS, 0, True
        self.changes = 0
        self.acted: list[str] = []

    def orders(self, *acts: str) -> Orders:
        orders = Orders(
            self.folder,
            lambda _, keys: self.replies.append(keys),
            now_ms=lambda: self.now_ms,
            steady_ms=lambda: self.steady_ms,
            is_set=lambda: self.is_set,
            changed=self._count,
        )
        for act in acts:
            orders.on(act, self._act)
        return orders

    def told(self, id_: str) -> list[str]:
        return [reply["state"] for reply in self.replies if reply["cmd"] == id_]

    def last(self) -> tuple[str, str, str | None]:
        reply = self.replies[-1]
        return reply["cmd"], reply["state"], reply.get("detail")

    def _count(self) -> None:
        self.changes += 1

    async def _act(self, order: Order) -> str | None:
        self.acted.append(order.id)
        await asyncio.Event().wait()
        return None


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path / "spool")


@pytest.fixture
async def orders(bench: Bench) -> AsyncIterator[Orders]:
    async with bench.orders() as orders:
        yield orders


async def test_an_order_for_a_person_is_held_and_each_answer_is_told(
    bench: Bench, orders: Orders
) -> None:
    orders.take(command("c1", "instruct", args=INSTRUCT))
    for state in (CommandState.SHOWN, CommandState.ACCEPTED):
        orders.answer("c1", state)
    orders.answer("c1", CommandState.ACCEPTED)  # once more: told once
    orders.answer("c1", CommandState.DONE, "one arrest")
    assert bench.told("c1") == ["delivered", "shown", "accepted", "done"]
    assert bench.last() == ("c1", "done", "one arrest")
    [order] = orders.held()
    assert (order.state, order.is_open) == (CommandState.DONE, False)
    assert bench.changes == 4


async def test_an_answer_that_leads_nowhere_is_refused(orders: Orders) -> None:
    orders.take(command("c1"))
    orders.answer("c1", CommandState.DONE)
    with pytest.raises(FieldInvalid, match="state: the order is done, got 'accepted'"):
        orders.answer("c1", CommandState.ACCEPTED)
    with pytest.raises(UnknownOrder):
        orders.answer("c2", CommandState.DONE)


async def test_a_command_that_comes_again_changes_nothing(bench: Bench) -> None:
    async with bench.orders() as orders:
        orders.take(command("c1"))
        orders.take(command("c1"))
        orders.answer("c1", CommandState.DONE)
        orders.take(command("c1"))
    async with bench.orders() as orders:
        orders.take(command("c1"))
    assert bench.told("c1") == ["delivered", "done"]


async def test_what_was_under_way_at_a_restart_has_failed_and_does_not_begin_again(
    bench: Bench,
) -> None:
    async with bench.orders("locate") as orders:
        orders.take(command("c1", "locate"))
        await asyncio.sleep(0)
    async with bench.orders("locate") as orders:
        orders.take(command("c1", "locate"))
        await asyncio.sleep(0)
    assert bench.acted == ["c1"]
    assert bench.told("c1") == ["delivered", "failed"]
    assert bench.last() == ("c1", "failed", "restarted")


async def test_an_agent_that_died_before_it_acted_says_so_and_does_not_act(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It dies when the id is on disk, and nothing has been done or said."""

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    async with bench.orders("locate") as orders:
        monkeypatch.setattr(orders, "_reach", die)
        for id_, act in (("c1", "locate"), ("c2", "text")):
            with pytest.raises(KeyboardInterrupt):
                orders.take(command(id_, act))
    assert not bench.replies
    async with bench.orders("locate") as orders:
        orders.take(command("c1", "locate"))
        orders.take(command("c2"))
        await asyncio.sleep(0)
        assert orders.find("c2").is_open
    assert not bench.acted
    assert bench.told("c1") == ["failed"]
    assert bench.told("c2") == ["delivered"]


async def test_a_tick_is_told_once_with_its_step_and_kept(bench: Bench) -> None:
    async with bench.orders() as orders:
        orders.take(command("c1", "instruct", args=INSTRUCT))
        bench.now_ms += 5_000
        orders.tick("c1", 1)
        orders.tick("c1", 1)
        with pytest.raises(FieldInvalid, match="3 steps, counted from 0, got 3"):
            orders.tick("c1", 3)
    assert bench.replies[1:] == [{"cmd": "c1", "state": "step", "step": 1}]
    async with bench.orders() as orders:
        assert orders.find("c1").shown()["ticks"] == [{"step": 1, "t": NOW_MS + 5_000}]
        orders.answer("c1", CommandState.FAILED)
        with pytest.raises(FieldInvalid, match="the order is failed"):
            orders.tick("c1", 0)


async def test_an_order_without_a_checklist_has_no_step(orders: Orders) -> None:
    orders.take(command("c1"))
    with pytest.raises(FieldInvalid, match="0 steps"):
        orders.tick("c1", 0)


@pytest.mark.parametrize(
    ("wrong", "detail"),
    [
        (command("c1", exp=NOW_MS - 1), "expired"),
        (command("c1", "dance"), "unknown act"),
        (command("c1", "locate"), "unknown act"),  # nothing here carries it out
        (
            command("c1", "instruct", args={**INSTRUCT, "lat": 91.0}),
            "args.lat: Expected `float` <= 90.0, got 91.0",
        ),
        (command("c1", args={"text": ""}), "args.text: Expected `str` of length >= 1, got ''"),
        (command("c1", "cancel"), "args.id: missing required field"),
    ],
)
async def test_what_is_not_done_is_refused_once_with_the_reason(
    bench: Bench, orders: Orders, wrong: Command, detail: str
) -> None:
    orders.take(wrong)
    orders.take(wrong)
    assert bench.replies == [{"cmd": "c1", "state": "refused", "detail": detail}]


@pytest.mark.parametrize(
    ("payload", "detail"),
    [
        (b'{"id":"c1","act":"text","t":0,"exp":1,"args":["x"]}', "args: "),
        (b'{"id":"c1","act":"text","t":0}', "exp: required key is missing"),
    ],
)
async def test_a_command_that_is_none_is_refused_if_its_id_can_be_read(
    bench: Bench, orders: Orders, payload: bytes, detail: str
) -> None:
    orders.take_bytes(payload)
    orders.take_bytes(payload)
    [reply] = bench.replies
    assert (reply["cmd"], reply["state"]) == ("c1", "refused")
    assert reply["detail"].startswith(detail)


@pytest.mark.parametrize("payload", [b"", b"\xc1", b"{", b"[]", b'{"id": 7}', b'{"act": "text"}'])
async def test_bytes_without_an_id_are_answered_to_nobody(
    bench: Bench, orders: Orders, payload: bytes
) -> None:
    with pytest.raises(ProtocolError):
        orders.take_bytes(payload)
    assert not bench.replies


async def test_a_device_whose_clock_runs_free_goes_by_the_gateways(
    bench: Bench, orders: Orders
) -> None:
    bench.is_set, bench.now_ms = False, 1_000  # 1970
    orders.take(command("c1"))
    assert bench.told("c1") == ["delivered"]
    bench.steady_ms = 3_600_000
    orders.take(command("c2"))  # an hour under way, for a life of a minute
    assert bench.last() == ("c2", "refused", "expired")
    bench.now_ms = NOW_MS + 86_400_000 * 400  # ahead, which makes nothing stale
    sent_ms = NOW_MS + 3_600_000
    orders.take(Command(id="c3", act="text", args={"text": "x"}, t=0, sent=sent_ms, exp=sent_ms))
    assert bench.told("c3") == ["delivered"]


async def test_a_command_without_the_time_of_its_sending_teaches_nothing(
    bench: Bench, orders: Orders
) -> None:
    bench.is_set = False
    orders.take(Command(id="c1", act="text", args={"text": "x"}, t=0, exp=NOW_MS - 1))
    assert bench.last() == ("c1", "refused", "expired")  # by the clock that there is
    orders.take(Command(id="c2", act="text", args={"text": "x"}, t=NOW_MS * 2, exp=NOW_MS * 3))
    orders.take(command("c3"))
    assert bench.told("c3") == ["delivered"]


async def test_a_handler_says_how_it_ended(bench: Bench) -> None:
    async def act(order: Order) -> str | None:
        if order.id == "c1":
            raise OrderRefused("no camera")
        if order.id == "c2":
            raise OrderFailed("lens cap")
        if order.id == "c3":
            raise ZeroDivisionError
        held.accept(order)
        return "3 pictures"

    held = bench.orders()
    held.on("live", act)
    async with held as orders:
        for n in range(1, 5):
            orders.take(command(f"c{n}", "live"))
        while orders.find("c4").is_open:
            await asyncio.sleep(0)
    ends = {reply["cmd"]: (reply["state"], reply.get("detail")) for reply in bench.replies}
    assert ends == {
        "c1": ("refused", "no camera"),
        "c2": ("failed", "lens cap"),
        "c3": ("failed", "a fault of the device"),
        "c4": ("done", "3 pictures"),
    }
    assert bench.told("c4") == ["delivered", "accepted", "done"]
    with pytest.raises(FieldInvalid, match="the device itself carries out live"):
        orders.answer("c4", CommandState.ACCEPTED)


async def test_one_that_hangs_holds_up_none_and_they_are_bounded(bench: Bench) -> None:
    async with bench.orders("locate") as orders:
        for n in range(orders_module.MAX_RUNNING + 1):
            orders.take(command(f"c{n}", "locate"))
        assert bench.last()[1:] == ("refused", f"{orders_module.MAX_RUNNING} orders are under way")
        orders.take(command("t1"))
        assert bench.last() == ("t1", "delivered", None)


async def test_a_cancelled_order_is_refused_if_not_begun_and_fails_if_it_is(bench: Bench) -> None:
    async with bench.orders("live") as orders:
        orders.take(command("c1", "instruct", args=INSTRUCT))
        orders.take(command("c2", "instruct", args=INSTRUCT))
        orders.answer("c2", CommandState.ACCEPTED)
        orders.take(command("c3", "live"))
        for n in (1, 2, 3):
            orders.take(command(f"x{n}", "cancel", args={"id": f"c{n}"}))
            assert bench.told(f"x{n}") == ["delivered", "done"]
        while orders._running:
            await asyncio.sleep(0)
    ends = {reply["cmd"]: (reply["state"], reply.get("detail")) for reply in bench.replies}
    assert ends["c1"] == ("refused", "cancelled")
    assert ends["c2"] == ("failed", "cancelled")
    assert ends["c3"] == ("failed", "cancelled")


async def test_a_cancel_that_overtakes_its_order_stops_it_and_one_too_late_is_refused(
    bench: Bench, orders: Orders
) -> None:
    orders.take(command("x1", "cancel", args={"id": "c1"}))
    orders.take(command("c1"))
    assert bench.told("c1") == ["refused"]
    assert bench.told("x1") == ["delivered", "done"]
    orders.take(command("x2", "cancel", args={"id": "c1"}))
    assert bench.last() == ("x2", "refused", "it has ended already")


async def test_ended_orders_give_way_first_then_messages(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(orders_module, "MAX_HELD", 3)
    async with bench.orders() as orders:
        orders.take(command("i1", "instruct", args=INSTRUCT))
        orders.take(command("t1"))
        orders.take(command("t2"))
        orders.answer("t2", CommandState.DONE)
        orders.take(command("t3"))
        assert [order.id for order in orders.held()] == ["i1", "t1", "t3"]
        orders.take(command("t4"))
        assert bench.replies[-2]["detail"] == "gave way to newer orders"
    async with bench.orders() as orders:
        assert [order.id for order in orders.held()] == ["i1", "t3", "t4"]
        orders.take(command("t1"))
    assert bench.told("t1") == ["delivered", "failed"]


async def test_what_nobody_reads_goes_before_what_the_crew_has_answered(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def at_once(order: Order) -> None:
        bench.acted.append(order.id)

    monkeypatch.setattr(orders_module, "MAX_HELD", 2)
    held = bench.orders()
    held.on("snapshot", at_once)
    async with held as orders:
        orders.take(command("t1"))
        orders.answer("t1", CommandState.DONE)
        for id_ in ("s1", "s2", "s3"):
            orders.take(command(id_, "snapshot"))
            while orders.find(id_).is_open:
                await asyncio.sleep(0)
        assert [order.id for order in orders.held()] == ["t1", "s3"]


async def test_ids_are_forgotten_only_when_expired_and_what_was_forgotten_does_not_begin(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(orders_file, "MAX_SEEN", 8)
    async with bench.orders() as orders:
        for n in range(8):
            orders.take(command(f"c{n}", "dance", exp=NOW_MS + 1_000 * (1 + n)))
        orders.take(command("c8"))
        assert bench.last() == ("c8", "refused", "too many commands to remember")
        bench.now_ms += 2_500  # the first two have expired
        orders.take(command("c9"))
        assert bench.last() == ("c9", "delivered", None)
    count = len(bench.replies)
    bench.is_set = False  # and after a start nobody says how late it is
    async with bench.orders() as orders:
        for n in range(8):
            orders.take(command(f"c{n}", "dance", exp=NOW_MS + 1_000 * (1 + n)))
    assert [reply["detail"] for reply in bench.replies[count:]] == ["expired", "expired"]


async def test_a_damaged_file_is_moved_aside_and_what_can_be_read_goes_on(bench: Bench) -> None:
    async with bench.orders() as orders:
        for n in range(50):
            orders.take(command(f"c{n}", "instruct", args=INSTRUCT))
    path = bench.folder / orders_file.FILE_NAME
    content = bytearray(path.read_bytes())
    content[-4096:] = bytes(4096)
    path.write_bytes(content)
    async with bench.orders() as orders:
        assert orders.file.trouble is not None
        assert orders.held()
        orders.take(command("t1"))
        assert bench.last() == ("t1", "delivered", None)
    assert list(bench.folder.glob("orders.db.damaged-*"))


async def test_a_flipped_bit_costs_the_order_that_it_hit(bench: Bench) -> None:
    async with bench.orders() as orders:
        orders.take(command("c1", "instruct", args=INSTRUCT))
        orders.take(command("c2", "instruct", args=INSTRUCT))
    db = sqlite3.connect(bench.folder / orders_file.FILE_NAME)
    (body,) = db.execute("SELECT body FROM held WHERE n = 1").fetchone()
    with db:
        db.execute("UPDATE held SET body = ? WHERE n = 1", [body.replace(b"8 Har", b"9 Har")])
    db.close()
    async with bench.orders() as orders:
        assert [order.id for order in orders.held()] == ["c2"]
        orders.take(command("c1", "instruct", args=INSTRUCT))
    assert bench.told("c1") == ["delivered"]


async def test_without_a_disk_orders_are_kept_in_memory(bench: Bench) -> None:
    bench.folder.mkdir()
    (bench.folder / orders_file.FILE_NAME).mkdir()  # no file can be opened there
    async with bench.orders() as orders:
        assert "in memory only" in str(orders.file.trouble)
        orders.take(command("c1"))
        orders.take(command("c1"))
        assert bench.told("c1") == ["delivered"]


async def test_a_disk_that_fails_in_the_middle_costs_no_order_and_no_memory_of_it(
    bench: Bench,
) -> None:
    async with bench.orders() as orders:
        orders.take(command("c1", "instruct", args=INSTRUCT))
        orders.file._db.execute("PRAGMA query_only = ON")  # as a disk that is full
        orders.take(command("c2"))
        orders.take(command("c1", "instruct", args=INSTRUCT))
        orders.answer("c1", CommandState.DONE)
        assert "in memory only" in str(orders.file.trouble)
    assert bench.told("c1") == ["delivered", "done"]
    assert bench.told("c2") == ["delivered"]
