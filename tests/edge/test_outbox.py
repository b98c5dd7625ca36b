"""The order of sending and sending again, on a clock of the test's own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from edge.outbox import CAPACITY, MAX_UNRECEIPTED, Outbox, Outgoing, Slot
from edge.picture_order import Place, Rank
from edge.spool import Spool
from protocols.model import MAX_CHUNK_BYTES, MAX_FIXES, Fix, Lane, Receipt
from protocols.native import codec
from protocols.native.topics import Up

FIX = {"lat": 24.5, "lon": 117.6, "fix": 3}


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    with Spool(tmp_path, 1 << 24) as spool:
        yield spool


@pytest.fixture
def outbox(spool: Spool) -> Outbox:
    return Outbox(spool)


def put(spool: Spool, outbox: Outbox, channel: Up, **keys: object) -> int:
    spooled = spool.put(channel, 0, keys)
    outbox.add(spooled)
    return spooled.seq


def seqs(outgoing: Outgoing | None) -> list[int]:
    assert outgoing is not None
    return [message.seq for message in outgoing.messages]


def drain(outbox: Outbox, now_s: float) -> list[Outgoing]:
    """All that may go out, as if the broker took each at once."""
    taken = []
    while (outgoing := outbox.take(now_s)) is not None:
        taken.append(outgoing)
        outbox.out(outgoing)
    return taken


def test_an_alarm_overtakes_a_backlog(spool: Spool, outbox: Outbox) -> None:
    spool.put_all(Up.POS, 0, [FIX] * 1000)
    spool.put_all(Up.MEDIA, 0, [{"n": n} for n in range(20)])
    batch = outbox.take(0)
    assert batch is not None
    assert batch.channel is Up.POS
    put(spool, outbox, Up.POS, **FIX)
    put(spool, outbox, Up.STATUS)
    put(spool, outbox, Up.DUTY, act="on_duty")
    put(spool, outbox, Up.ALARM, kind="panic")
    order = [outbox.take(0) for _ in range(4)]
    assert [o and (o.channel, o.qos) for o in order] == [
        (Up.ALARM, 1),
        (Up.DUTY, 1),
        (Up.POS, 0),
        (Up.STATUS, 1),
    ]
    assert outbox.take(0) is None  # one bulk message is under way


def test_an_alarm_is_sent_again_after_2_4_8_and_at_most_30_seconds_for_ever(
    spool: Spool, outbox: Outbox
) -> None:
    put(spool, outbox, Up.ALARM, kind="panic")
    sent_s = [tick for tick in range(200) if drain(outbox, float(tick))]
    assert sent_s == [0, 2, 6, 14, 30, 60, 90, 120, 150, 180]


def test_a_reconnect_sends_what_has_no_receipt_at_once(spool: Spool, outbox: Outbox) -> None:
    put(spool, outbox, Up.ALARM, kind="panic")
    put(spool, outbox, Up.REPLY, cmd="c", state="refused")
    drain(outbox, 0)
    outbox.disconnected()
    outbox.connected()
    assert [outgoing.channel for outgoing in drain(outbox, 0.1)] == [Up.ALARM, Up.REPLY]


def test_what_was_under_way_when_the_link_dropped_goes_out_again(
    spool: Spool, outbox: Outbox
) -> None:
    spool.put_all(Up.MEDIA, 0, [{"n": 0}, {"n": 1}])
    assert seqs(outbox.take(0)) == [1]
    outbox.disconnected()
    assert seqs(outbox.take(1)) == [1]


def test_a_receipt_ends_the_resending(spool: Spool, outbox: Outbox) -> None:
    seq = put(spool, outbox, Up.ALARM, kind="panic")
    drain(outbox, 0)
    assert outbox.receipted(Receipt(boot=spool.boot, p=seq, t=0), 1)
    assert drain(outbox, 100) == []
    assert spool.count[Up.ALARM] == 0


def test_one_chunk_is_in_flight(spool: Spool, outbox: Outbox) -> None:
    spool.put_all(Up.MEDIA, 0, [{"n": n} for n in range(3)])
    first = outbox.take(0)
    assert first is not None
    assert outbox.take(0) is None
    outbox.out(first)
    assert seqs(outbox.take(0)) == [2]


def test_the_backlog_goes_newest_first_yet_the_oldest_do_not_starve(
    spool: Spool, outbox: Outbox
) -> None:
    spool.put_all(Up.POS, 0, [FIX] * 1000)
    batches = [seqs(batch) for batch in drain(outbox, 0)]
    size = len(batches[0])
    assert batches[0] == list(range(1000, 1000 - size, -1))
    assert batches[1] == list(range(1, len(batches[1]) + 1))
    assert sorted(seq for batch in batches for seq in batch) == list(range(1, 1001))


def test_pictures_and_backlog_take_turns(spool: Spool, outbox: Outbox) -> None:
    spool.put_all(Up.POS, 0, [FIX] * 800)
    spool.put_all(Up.MEDIA, 0, [{"n": n} for n in range(4)])
    channels = [outgoing.channel for outgoing in drain(outbox, 0)]
    assert channels[:8] == [Up.POS, Up.MEDIA] * 4


def test_a_batch_weighs_no_more_than_a_chunk(spool: Spool, outbox: Outbox) -> None:
    spool.put_all(Up.POS, 0, [FIX | {"acc": n / 7} for n in range(400)])
    sent = drain(outbox, 0)
    assert all(
        len(outgoing.payload) <= MAX_CHUNK_BYTES + 3 for outgoing in sent
    )  # the array's head
    assert sorted(seq for outgoing in sent for seq in seqs(outgoing)) == list(range(1, 401))
    spool.put_all(Up.POS, 0, [{}] * 400)
    assert max(len(seqs(outgoing)) for outgoing in drain(outbox, 0)) == MAX_FIXES


def test_a_batch_is_what_the_gateway_reads(spool: Spool, outbox: Outbox) -> None:
    spool.put_all(Up.POS, 7, [FIX] * 3)
    batch = outbox.take(0)
    assert batch is not None
    fixes = codec.decode_fixes(batch.payload)
    assert [fix.seq for fix in fixes if isinstance(fix, Fix)] == [3, 2, 1]


def test_a_gateway_that_receipts_in_order_only_gets_to_the_oldest(
    spool: Spool, outbox: Outbox
) -> None:
    spool.put_all(Up.POS, 0, [FIX] * (3 * MAX_UNRECEIPTED))
    held: set[int] = set()
    held_to = 0
    for tick in range(1000):
        for outgoing in drain(outbox, tick * 0.1):
            held |= set(seqs(outgoing))
        while held_to + 1 in held:
            held_to += 1
        outbox.receipted(Receipt(boot=spool.boot, p=0, t=held_to), tick * 0.1)
        if not spool.count[Up.POS]:
            break
    assert held_to == 3 * MAX_UNRECEIPTED
    assert tick < 30 / 0.1  # nothing had to be sent twice for it


def test_telemetry_ahead_of_the_receipts_is_bounded(spool: Spool, outbox: Outbox) -> None:
    spool.put_all(Up.POS, 0, [FIX] * (2 * MAX_UNRECEIPTED))
    sent = sum(len(outgoing.messages) for outgoing in drain(outbox, 0))
    assert sent <= MAX_UNRECEIPTED + MAX_FIXES


def test_a_live_position_without_a_receipt_is_sent_again_at_qos_1(
    spool: Spool, outbox: Outbox
) -> None:
    put(spool, outbox, Up.POS, **FIX)
    assert [outgoing.qos for outgoing in drain(outbox, 0)] == [0]
    assert drain(outbox, 29) == []
    assert [(o.qos, seqs(o)) for o in drain(outbox, 31)] == [(1, [1])]


def test_a_missed_position_is_sent_again_unless_it_may_still_be_under_way(
    spool: Spool, outbox: Outbox
) -> None:
    for _ in range(3):
        put(spool, outbox, Up.POS, **FIX)
        drain(outbox, 0)
    miss = Receipt(boot=spool.boot, p=0, t=1, miss={Lane.TELEMETRY: [(2, 2)]})
    outbox.receipted(miss, 1)
    assert drain(outbox, 1) == []
    outbox.receipted(miss, 6)
    assert [seqs(outgoing) for outgoing in drain(outbox, 6)] == [[2]]


def test_an_alarm_is_held_until_its_receipt(spool: Spool, outbox: Outbox) -> None:
    put(spool, outbox, Up.DUTY, act="on_duty")
    assert not outbox.holds_alarms
    put(spool, outbox, Up.ALARM, kind="panic")
    assert outbox.holds_alarms
    outbox.receipted(Receipt(boot=spool.boot, p=2, t=0), 1)
    assert not outbox.holds_alarms


def test_what_an_earlier_boot_has_left_is_sent(tmp_path: Path) -> None:
    with Spool(tmp_path, 1 << 20) as spool:
        for channel in (Up.ALARM, Up.POS, Up.STATUS, Up.MEDIA):
            spool.put(channel, 0, {})
    with Spool(tmp_path, 1 << 20) as spool:
        outbox = Outbox(spool)
        outbox.load()
        sent = drain(outbox, 0)
        assert [outgoing.channel for outgoing in sent] == [Up.ALARM, Up.STATUS, Up.POS, Up.MEDIA]
        assert {message.boot for o in sent for message in o.messages} == {spool.boot - 1}


def test_little_is_under_way_at_a_time(spool: Spool, outbox: Outbox) -> None:
    for _ in range(50):
        put(spool, outbox, Up.ALARM, kind="panic")
        put(spool, outbox, Up.DUTY, act="on_duty")
        put(spool, outbox, Up.POS, **FIX)
        put(spool, outbox, Up.MEDIA)
    under_way = []
    while (outgoing := outbox.take(0)) is not None:
        under_way.append(outgoing.slot)
    counts = {slot: under_way.count(slot) for slot in Slot}
    assert all(counts[slot] <= CAPACITY[slot] for slot in Slot)
    assert sum(CAPACITY.values()) < 20


def put_picture(spool: Spool, name: str, place: Place, chunks: int = 2) -> list[int]:
    keys = [{"id": name, "n": n} for n in range(chunks)]
    return [message.seq for message in spool.put_all(Up.MEDIA, 0, keys, place=place)]


def test_pictures_go_out_by_what_they_are_for_and_whole(spool: Spool, outbox: Outbox) -> None:
    rest = put_picture(spool, "rest", Place(Rank.REST, 1, -1))
    periodic = [put_picture(spool, f"periodic {n}", Place()) for n in range(2)]
    live = put_picture(spool, "live", Place(Rank.LIVE))
    first = put_picture(spool, "first alarm, newest", Place(Rank.ALARM, 1, -9))
    older = put_picture(spool, "second alarm, older", Place(Rank.ALARM, 5, -7))
    newer = put_picture(spool, "second alarm, newer", Place(Rank.ALARM, 5, -8))
    asked = put_picture(spool, "asked for", Place(Rank.COMMAND))
    order = [asked, newer, older, first, live, *periodic, rest]
    sent = [seqs(outgoing) for outgoing in drain(outbox, 0)]
    assert [seq for (seq,) in sent] == [seq for picture in order for seq in picture]


def test_a_picture_of_more_worth_overtakes_one_that_is_half_sent(
    spool: Spool, outbox: Outbox
) -> None:
    periodic = put_picture(spool, "periodic", Place(), chunks=3)
    half = outbox.take(0)
    assert seqs(half) == periodic[:1]
    assert half is not None
    outbox.out(half)
    alarm = put_picture(spool, "alarm", Place(Rank.ALARM, 1))
    assert [seqs(outgoing)[0] for outgoing in drain(outbox, 0)] == alarm + periodic[1:]


def test_the_order_of_pictures_outlives_a_restart(tmp_path: Path) -> None:
    with Spool(tmp_path, 1 << 24) as spool:
        rest = put_picture(spool, "rest", Place(Rank.REST, 1))
        alarm = put_picture(spool, "alarm", Place(Rank.ALARM, 1))
    with Spool(tmp_path, 1 << 24) as spool:
        sent = drain(Outbox(spool), 0)
    assert [seqs(outgoing)[0] for outgoing in sent] == alarm + rest


def test_a_picture_that_another_alarm_wants_moves_up(spool: Spool, outbox: Outbox) -> None:
    keys = [{"n": 0}]
    rest = spool.put_all(Up.MEDIA, 0, keys, place=Place(Rank.REST, 1))
    put_picture(spool, "periodic", Place())
    spool.move_picture(rest, Place(Rank.ALARM, 2))
    assert seqs(outbox.take(0)) == [rest[0].seq]
