"""The spool of a light device by itself: what goes first, what gives way, what is forgotten."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from protocols.model import Alarm, Fix, Lane, Receipt, Status
from protocols.native.topics import Up
from simulators.devices.spool import HELD, Spool


def fix(boot: int, seq: int) -> Fix:
    return Fix(boot=boot, seq=seq, t=0, lat=0, lon=0, fix=3)


def alarm(boot: int, seq: int) -> Alarm:
    return Alarm(boot=boot, seq=seq, t=0, kind="panic")


def test_a_full_spool_drops_the_oldest_position_counts_it_and_never_an_alarm() -> None:
    spool = Spool(1, max_telemetry=3)
    spool.add(Up.STATUS, lambda boot, seq: Status(boot=boot, seq=seq, t=0), 0)
    for _ in range(10):
        spool.add(Up.ALARM, alarm, 0)
        spool.add(Up.POS, fix, 0)
    assert (spool.dropped, spool.waiting(Lane.PRIORITY), spool.waiting(Lane.TELEMETRY)) == (
        8,
        10,
        3,
    )
    assert [(gone.first, gone.last) for gone in spool.lost] == [(2, 9)]
    assert [kept.channel for kept in spool.telemetry_due(0)] == [Up.POS, Up.POS]
    spool.apply(Receipt(boot=1, p=10, t=11), 0)
    assert len(spool) == 0
    assert spool.lost == []


def test_a_backlog_goes_newest_first_and_the_old_ones_get_their_turn() -> None:
    spool = Spool(1)
    for _ in range(450):
        spool.add(Up.POS, fix, 0)
    turns = []
    while batch := spool.telemetry_due(0):
        for kept in batch:
            spool.sent(kept, 0)
        turns.append((batch[0].message.seq, len(batch)))
    assert turns == [(450, 200), (250, 200), (50, 50)]


def test_an_alarm_is_due_after_2_4_8_and_at_most_30_seconds() -> None:
    spool = Spool(1)
    kept = spool.add(Up.ALARM, alarm, 0)
    waits = []
    now_s = 0.0
    for _ in range(7):
        spool.sent(kept, now_s)
        waits.append(kept.due_s - now_s)
        now_s = kept.due_s
    assert waits == [2, 4, 8, 16, 30, 30, 30]


def test_what_is_not_yet_in_the_ledger_is_not_sent_for_any_reason() -> None:
    spool = Spool(1)
    spool.add(Up.ALARM, alarm, HELD)
    spool.all_due(5)
    spool.apply(Receipt(boot=1, p=0, t=0, miss={Lane.PRIORITY: [(1, 1)]}), 5)
    assert spool.priority_due(1e9) == []


@given(
    st.integers(1, 60),
    st.integers(0, 60),
    st.sets(st.integers(1, 60)),
)
def test_a_receipt_makes_forgotten_exactly_what_it_says_is_held(
    made: int, held_to: int, gaps: set[int]
) -> None:
    held_to = min(held_to, made)
    missing = [(n, n) for n in sorted(gaps) if held_to < n < made]
    spool = Spool(3)
    for _ in range(made):
        spool.add(Up.POS, fix, HELD)
    spool.apply(
        Receipt(
            boot=3, p=0, t=held_to, miss={Lane.TELEMETRY: missing}, high={Lane.TELEMETRY: made}
        ),
        0,
    )
    assert spool.waiting(Lane.TELEMETRY) == len(missing)
