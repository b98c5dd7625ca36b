"""The priority lane: every alarm kept, receipted and raised once, whatever is wrong with it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgpack
import pytest

from gateway.journal.base import Change
from protocols.model import Lane, Stage
from tests.gateway.house import NOW, House, as_json, house


@pytest.fixture
async def gw(tmp_path: Path) -> AsyncIterator[House]:
    async with house(tmp_path) as each:
        yield each


async def test_an_alarm_is_committed_receipted_and_fed(gw: House) -> None:
    await gw.alarm(text="knife on the counter")
    (event,) = await gw.events()
    assert (event.id, event.type.feed_name) == ("car-1:1:p:1", "alarm.raised")
    assert event.data["text"] == "knife on the counter"
    (receipt,) = gw.receipts_of()
    assert (receipt.boot, receipt.p) == (1, 1)
    assert [(a.seq, a.stage) for a in receipt.alarms] == [(1, Stage.STORED)]


async def test_the_same_alarm_again_is_receipted_again_and_raises_nothing(gw: House) -> None:
    for _ in range(3):
        await gw.alarm()
    assert len(await gw.events()) == 1
    assert [r.alarms[0].stage for r in gw.receipts_of()] == [Stage.STORED] * 3
    assert gw.ledger.totals()["duplicates"] == 2


async def test_the_same_alarm_twice_within_one_commit_is_one(gw: House) -> None:
    await asyncio.gather(gw.alarm(), gw.alarm(), gw.alarm())
    assert len(await gw.events()) == 1
    assert len(gw.receipts_of()) == 3


async def test_new_alarms_of_a_device_wait_for_no_commit_but_what_adds_to_them_does(
    gw: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit, asked = gw.journal.commit, list[str]()
    slow = asyncio.Event()

    async def after_the_disk(change: Change) -> tuple[list[int], int]:
        await slow.wait()
        return await commit(change)

    def commit_slowly(change: Change) -> asyncio.Future[tuple[list[int], int]]:
        asked.extend(event.id for event in change.events)
        return asyncio.ensure_future(after_the_disk(change))

    monkeypatch.setattr(gw.journal, "commit", commit_slowly)
    news = [asyncio.create_task(gw.alarm(seq=seq)) for seq in (1, 2, 3)]
    again = asyncio.create_task(gw.alarm(seq=2, text="another body"))
    adds = asyncio.create_task(gw.alarm(seq=4, of=3, count=2))
    for _ in range(20):  # turns of the loop: more than any of them needs
        await asyncio.sleep(0)
    assert asked == ["car-1:1:p:1", "car-1:1:p:2", "car-1:1:p:3"]
    assert not gw.sent
    slow.set()
    await asyncio.gather(*news, again, adds)
    assert [r.p for r in gw.receipts_of()] == [1, 2, 3, 3, 4]
    assert len(await gw.events("alarm.raised")) == 3
    assert gw.ledger.totals()["conflicts"] == 1
    record = await gw.journal.alarm("car-1:1:p:3")
    assert record is not None
    assert record.count == 2


async def test_another_body_under_the_same_id_is_a_conflict_and_no_second_incident(
    gw: House,
) -> None:
    await gw.alarm(text="first")
    await gw.alarm(text="second")
    raised, updated = await gw.events()
    assert raised.data["text"] == "first"
    assert updated.type.feed_name == "alarm.updated"
    assert "conflict" in updated.flags
    assert updated.data["sent"]["text"] == "second"
    record = await gw.journal.alarm("car-1:1:p:1")
    assert record is not None
    assert "conflict" in record.flags
    (kept,) = await gw.journal.quarantine(2**62, 10)
    assert (kept.reason, msgpack.unpackb(kept.payload)["text"]) == ("conflict", "second")
    assert gw.ledger.totals()["conflicts"] == 1
    assert len(gw.receipts_of()) == 2


async def test_a_contradiction_is_fed_once_for_each_body(gw: House) -> None:
    for kind in ("panic", "fire", "fire", "duress", "fire"):
        await gw.alarm(kind=kind)
    updates = await gw.events("alarm.updated")
    assert [e.data["kind"] for e in updates] == ["fire", "duress"]
    assert len(await gw.events("alarm.raised")) == 1


async def test_an_alarm_under_the_number_of_a_duty_report_is_raised_once(gw: House) -> None:
    await gw.priority.take(gw.arrival("duty", as_json(boot=1, seq=1, t=NOW, act="on_duty")))
    await gw.priority.take(gw.arrival("duty", as_json(boot=1, seq=2, t=NOW, act="flying")))
    for _ in range(2):
        await gw.alarm(seq=1)
        await gw.alarm(seq=2)
    raised = await gw.events("alarm.raised")
    assert [e.id for e in raised] == ["car-1:1:p:1:alarm", "car-1:1:p:2:alarm"]
    assert all("conflict" in e.flags for e in raised)
    await gw.alarms.advance("car-1:1:p:2:alarm", Stage.ACCEPTED)
    assert [(a.seq, a.stage) for a in gw.receipts_of()[-1].alarms] == [(2, Stage.ACCEPTED)]


async def test_no_number_of_gaps_hides_an_alarm(gw: House) -> None:
    for seq in range(2, 2300, 2):
        await gw.alarm(seq=seq)
    assert gw.receipts_of()[-1].p == 0
    await gw.alarm(seq=1)
    assert "car-1:1:p:1" in {e.id for e in await gw.events("alarm.raised")}


async def test_a_boot_lower_than_many_known_ones_is_receipted(gw: House) -> None:
    for boot in range(100, 170):
        await gw.alarm(boot=boot)
    await gw.alarm(boot=1)
    assert (gw.receipts_of()[-1].boot, gw.receipts_of()[-1].p) == (1, 1)


async def test_an_unreadable_alarm_of_a_fixed_box_has_its_address(gw: House) -> None:
    await gw.alarm(b"garbage", device="box-1")
    (raised,) = await gw.events()
    assert raised.data["pos"]["lat"] == 24.5
    assert "position_registered" in raised.flags


async def test_unreadable_bytes_are_an_alarm_and_their_repetition_only_a_count(gw: House) -> None:
    await gw.alarm(b"\xc1garbage")
    await gw.alarm(b"\xc1garbage")
    raised, updated = await gw.events()
    assert (raised.data["kind"], updated.data["count"]) == ("unreadable", 2)
    (kept,) = await gw.journal.quarantine(2**62, 10)
    assert (kept.payload, kept.count, kept.reason) == (b"\xc1garbage", 2, "malformed")


async def test_unreadable_bytes_after_ten_minutes_are_a_new_alarm(gw: House) -> None:
    await gw.alarm(b"\xc1garbage")
    gw.now += 10 * 60 * 1000 + 1
    await gw.alarm(b"\xc1garbage")
    assert len(await gw.events("alarm.raised")) == 2


async def test_unreadable_bytes_are_counted_on_across_a_restart(tmp_path: Path) -> None:
    async with house(tmp_path) as gw:
        await gw.alarm(b"{")
    async with house(tmp_path) as gw:
        await gw.alarm(b"{")
        assert len(await gw.events("alarm.raised")) == 1


@pytest.mark.parametrize(
    ("keys", "flag"),
    [
        ({"t": 0}, "clock_unset"),
        ({"t": NOW - 7200_000}, "clock_skewed"),
        ({"t": NOW + 7200_000}, "clock_skewed"),
        ({"t": 4_102_444_800_000 * 100}, "clock_skewed"),
        ({"t": "noon"}, "t_invalid"),
        ({"kind": "knife"}, "kind_invalid"),
        ({"count": -1}, "count_invalid"),
        ({"pos": {"lat": 999, "lon": 1, "fix": 3}}, "position_invalid"),
        ({"pos": {"lat": float("nan"), "lon": 1, "fix": 3}}, "position_invalid"),
        ({"pos": "here"}, "position_invalid"),
        ({"pos": {"lat": 24.5, "lon": 117.6, "fix": 3, "acc": -1}}, "position_in_part"),
        ({"pos": {"lat": 0, "lon": 0, "fix": 3}}, "position_zero"),
        ({"pos": {"lat": 24.5, "lon": 117.6, "fix": 0}}, "position_no_fix"),
        ({"pos": {"lat": 24.5, "lon": 117.6, "fix": 3, "t": NOW - 3600_000}}, "position_old"),
        ({}, "position_missing"),
        ({"of": 9}, "of_invalid"),
    ],
)
async def test_nothing_wrong_stops_an_alarm(gw: House, keys: dict[str, Any], flag: str) -> None:
    await gw.alarm(**keys)
    (event,) = await gw.events("alarm.raised")
    assert event.id == "car-1:1:p:1"
    assert flag in event.flags
    assert gw.receipts_of()[0].p == 1


async def test_a_fixed_place_is_never_old(gw: House) -> None:
    place = {"lat": 24.5, "lon": 117.6, "fix": 3, "src": "fixed", "t": NOW - 3600_000}
    await gw.alarm(pos=place)
    (event,) = await gw.events("alarm.raised")
    assert "position_old" not in event.flags


async def test_the_registered_address_stands_in_for_a_bad_position(gw: House) -> None:
    await gw.alarm(device="box-1", pos={"lat": 0, "lon": 0, "fix": 0})
    (event,) = await gw.events()
    assert (event.data["pos"]["lat"], event.data["pos"]["lon"]) == (24.5, 117.65)
    assert event.data["pos_sent"] == {"lat": 0.0, "lon": 0.0, "fix": 0}
    assert set(event.flags) >= {"position_no_fix", "position_registered"}


async def test_an_old_alarm_of_a_right_clock_is_delayed_not_skewed(gw: House) -> None:
    gw.twins.of("car-1").clock.observe(NOW - 20, NOW)
    await gw.alarm(t=NOW - 600_000)
    (event,) = await gw.events()
    assert "delayed" in event.flags
    assert event.clock_offset_ms == 20


async def test_an_alarm_delivered_as_retained_is_kept_aside(gw: House) -> None:
    keys = msgpack.packb({"boot": 1, "seq": 1, "t": NOW, "kind": "panic"})
    await gw.priority.take(gw.arrival("alarm", keys, retained=True))
    assert await gw.events() == []
    (kept,) = await gw.journal.quarantine(2**62, 10)
    assert (kept.reason, kept.payload) == ("retained", keys)


async def test_an_alarm_at_qos_0_or_of_an_unknown_device_is_raised_and_flagged(gw: House) -> None:
    keys = msgpack.packb({"boot": 1, "seq": 1, "t": NOW, "kind": "panic"})
    await gw.priority.take(gw.arrival("alarm", keys, "stranger", qos=0))
    (event,) = await gw.events()
    assert set(event.flags) >= {"qos0", "unregistered"}
    assert len(gw.receipts_of("stranger")) == 1


async def test_a_hammered_button_is_one_alarm_with_a_count(gw: House) -> None:
    await gw.alarm()
    await gw.alarm(seq=2, of=1, count=17)
    await gw.alarm(seq=3, of=1, count=50, text="hurry")
    assert len(await gw.events("alarm.raised")) == 1
    updates = await gw.events("alarm.updated")
    assert [(e.id, e.data["alarm"], e.data["count"]) for e in updates] == [
        ("car-1:1:p:2", "car-1:1:p:1", 17),
        ("car-1:1:p:3", "car-1:1:p:1", 50),
    ]
    record = await gw.journal.alarm("car-1:1:p:1")
    assert record is not None
    assert record.count == 50


async def test_an_addition_says_nothing_of_the_place(gw: House) -> None:
    await gw.alarm(device="box-1", pos={"lat": 24.4, "lon": 117.5, "fix": 3})
    await gw.alarm(device="box-1", seq=2, of=1, count=2)
    (update,) = await gw.events("alarm.updated")
    assert "pos" not in update.data
    assert update.flags == ()


async def test_an_addition_that_stands_in_has_the_registered_place(gw: House) -> None:
    await gw.alarm(device="box-1", seq=2, of=1, count=2)
    (raised,) = await gw.events("alarm.raised")
    assert raised.data["pos"]["lat"] == 24.5


async def test_an_addition_before_its_alarm_stands_in_for_it(gw: House) -> None:
    await gw.alarm(seq=2, of=1, count=2)
    (raised,) = await gw.events("alarm.raised")
    assert raised.id == "car-1:1:p:1"
    assert gw.ledger.of("car-1").window(1, Lane.PRIORITY).held_to == 0
    await gw.alarm(seq=1, text="knife")
    assert len(await gw.events("alarm.raised")) == 1
    record = await gw.journal.alarm("car-1:1:p:1")
    assert record is not None
    assert (record.data["text"], record.count) == ("knife", 2)
    assert "base_missing" not in record.flags
    assert gw.receipts_of()[-1].p == 2


async def test_a_stood_in_alarm_still_misses_its_base_after_a_restart(tmp_path: Path) -> None:
    async with house(tmp_path) as gw:
        await gw.alarm(seq=2, of=1, count=2)
    async with house(tmp_path) as gw:
        assert list(gw.ledger.of("car-1").window(1, Lane.PRIORITY).missing()) == [(1, 1)]
        await gw.alarm(seq=1)
        assert len(await gw.events("alarm.raised")) == 1


async def test_an_addition_to_what_is_no_alarm_is_an_alarm_of_its_own(gw: House) -> None:
    duty = as_json(boot=1, seq=1, t=NOW, act="on_duty")
    await gw.priority.take(gw.arrival("duty", duty))
    await gw.alarm(seq=2, of=1)
    (raised,) = await gw.events("alarm.raised")
    assert raised.id == "car-1:1:p:2"
    assert "of_invalid" in raised.flags


async def test_stages_go_forward_once_and_reach_the_box(gw: House) -> None:
    await gw.alarm()
    gw.sent.clear()
    for _ in range(2):
        await gw.alarms.advance("car-1:1:p:1", Stage.ACKNOWLEDGED, by="Li", note="unit sent")
    await gw.alarms.advance("car-1:1:p:1", Stage.ACCEPTED, by="Li")
    assert [r.alarms[0].stage for r in gw.receipts_of()] == [Stage.ACKNOWLEDGED]
    (stage,) = await gw.events("alarm.stage")
    assert stage.data["alarm"] == "car-1:1:p:1"
    assert (stage.data["stage"], stage.data["by"], stage.data["note"]) == (
        "acknowledged", "Li", "unit sent",
    )  # fmt: skip


async def test_a_gap_is_asked_for_after_a_second_and_again_while_it_lasts(gw: House) -> None:
    await gw.alarm(seq=1)
    await gw.alarm(seq=4)
    assert gw.receipts_of()[-1].miss == {}
    gw.clock_s += 1.0
    gw.receipts.send_due()
    gw.clock_s += 0.6
    gw.receipts.send_due()
    asked = gw.receipts_of()[-1]
    assert (asked.p, asked.miss, asked.high) == (1, {Lane.PRIORITY: [(2, 3)]}, {Lane.PRIORITY: 4})
    count = len(gw.sent)
    gw.receipts.send_due()
    assert len(gw.sent) == count
    gw.clock_s += 5
    gw.receipts.send_due()
    assert gw.receipts_of()[-1].miss == {Lane.PRIORITY: [(2, 3)]}
    await gw.alarm(seq=2)
    await gw.alarm(seq=3)
    count = len(gw.sent)
    gw.clock_s += 20
    gw.receipts.send_due()
    assert len(gw.sent) == count


async def test_a_bad_duty_report_is_kept_aside_and_its_number_used_up(gw: House) -> None:
    await gw.priority.take(gw.arrival("duty", as_json(boot=1, seq=1, t=NOW, act="sleep")))
    assert await gw.events() == []
    (kept,) = await gw.journal.quarantine(2**62, 10)
    assert "act" in kept.detail
    assert "'sleep'" in kept.detail
    assert gw.receipts_of()[0].p == 1


async def test_a_reply_is_taken_without_the_words_that_are_wrong(gw: House) -> None:
    record = await gw.commands.send("car-1", "text", {"text": "come"})
    long = as_json(boot=1, seq=1, t=NOW, cmd=record.id, state="delivered", detail="x" * 1001)
    wrong = as_json(boot=1, seq=2, t=NOW, cmd=record.id, state="done", detail=["two", "men"])
    for payload in (long, wrong, wrong):
        await gw.priority.take(gw.arrival("reply", payload))
    kept = await gw.commands.find(record.id)
    assert kept is not None
    details = {step.state.value: step.detail for step in kept.steps}
    assert details == {"created": None, "delivered": "x" * 1000, "done": None}
    flags = [event.flags for event in await gw.events("command") if "seq" in event.data]
    assert flags == [("detail_cut",), ("detail_invalid",)]
    aside = await gw.journal.quarantine(2**62, 10)
    assert {(each.reason, each.payload) for each in aside} == {
        ("field_invalid", long),
        ("field_invalid", wrong),
    }
    assert gw.receipts_of()[-1].p == 2
    assert gw.ledger.of("car-1").counts.conflicts == 0


async def test_a_key_counts_that_comes_with_a_position_that_is_none(gw: House) -> None:
    bad = as_json(boot=1, seq=1, t=NOW, act="parked", pos={"lat": 99}, ref=5)
    await gw.priority.take(gw.arrival("duty", bad))
    unit = gw.units.find("car-1")
    assert unit is not None
    assert unit.state == "parked"
    (event,) = await gw.events("duty")
    assert event.flags == ("ref_invalid", "position_invalid")


async def test_a_will_of_an_older_boot_is_ignored(gw: House) -> None:
    for boot, online in ((7, True), (6, False)):
        payload = as_json(online=online, boot=boot)
        await gw.priority.take(gw.arrival("presence", payload))
    assert gw.twins.state(gw.twins.of("car-1")) == "online"
    await gw.priority.take(gw.arrival("presence", as_json(online=False, boot=7)))
    assert gw.twins.state(gw.twins.of("car-1")) == "offline"
    assert [e.data["online"] for e in await gw.events("presence")] == [True, False]


async def test_a_device_that_comes_back_is_told_the_stages_it_missed(gw: House) -> None:
    await gw.alarm()
    await gw.alarms.advance("car-1:1:p:1", Stage.ACCEPTED, by="Li")
    gw.sent.clear()
    await gw.priority.take(gw.arrival("presence", as_json(online=True, boot=2)))
    (receipt,) = gw.receipts_of()
    assert (receipt.boot, receipt.p) == (1, 1)
    assert [(a.seq, a.stage, a.by) for a in receipt.alarms] == [(1, Stage.ACCEPTED, "Li")]


async def test_receipts_are_in_the_form_that_the_device_speaks(gw: House) -> None:
    await gw.alarm(as_json(boot=1, seq=1, t=NOW, kind="panic"))
    assert gw.sent[-1].payload[:1] == b"{"
    await gw.alarm(seq=2)
    assert gw.sent[-1].payload[:1] != b"{"


async def test_a_restart_knows_what_is_held(tmp_path: Path) -> None:
    async with house(tmp_path) as gw:
        await gw.alarm()
        await gw.alarm(seq=3)
    async with house(tmp_path) as gw:
        await gw.alarm()
        await gw.alarm(seq=3)
        assert len(await gw.events()) == 2
        assert list(gw.ledger.of("car-1").window(1, Lane.PRIORITY).missing()) == [(2, 2)]
        await gw.alarms.advance("car-1:1:p:3", Stage.CLOSED)
