"""A clock corrected by what the gateway says: never ahead of it, nothing stale taken for fresh."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from edge.corrected_clock import DRIFT, CorrectedClock

SENT_MS = 1_795_000_000_000
DAY_MS = 86_400_000


def test_a_clock_that_is_set_is_believed() -> None:
    clock = CorrectedClock()
    clock.learn(SENT_MS, 0)
    assert clock.now_ms(SENT_MS + 7, 0, is_set=True) == SENT_MS + 7


def test_a_clock_that_runs_free_is_believed_only_until_the_gateway_has_spoken() -> None:
    clock = CorrectedClock()
    assert clock.now_ms(5, 1000, is_set=False) == 5
    clock.learn(SENT_MS, 1000)
    assert clock.now_ms(5, 1000, is_set=False) == SENT_MS
    assert clock.now_ms(5, 2000, is_set=False) == SENT_MS + 999  # less the drift


def test_a_message_that_was_late_changes_nothing() -> None:
    clock = CorrectedClock()
    clock.learn(SENT_MS, 0)
    clock.learn(SENT_MS + 1000, 600_000)  # 599 s under way
    assert clock.now_ms(0, 600_000, is_set=False) == SENT_MS + 599_940


@given(
    messages=st.lists(
        st.tuples(st.integers(0, 7 * DAY_MS), st.integers(0, 2 * DAY_MS)), min_size=1, max_size=20
    ),
    asked_ms=st.integers(0, 9 * DAY_MS),
    drift=st.floats(-DRIFT, DRIFT),
)
def test_it_is_never_ahead_of_the_gateway_and_behind_by_the_least_delay_at_most(
    messages: list[tuple[int, int]], asked_ms: int, drift: float
) -> None:
    """Messages are sent at any time and take any delay; the counter drifts as quartz may."""

    def count(true_ms: int) -> int:
        return 4_711 + int(true_ms * (1 + drift))

    clock = CorrectedClock()
    arrivals = sorted((sent_ms + delay_ms, sent_ms) for sent_ms, delay_ms in messages)
    heard = [(at_ms, sent_ms) for at_ms, sent_ms in arrivals if at_ms <= asked_ms]
    for at_ms, sent_ms in heard:
        clock.learn(SENT_MS + sent_ms, count(at_ms))
    if not heard:
        return
    told_ms = clock.now_ms(0, count(asked_ms), is_set=False) - SENT_MS
    least_delay_ms = min(at_ms - sent_ms for at_ms, sent_ms in heard)
    drifted_ms = 2 * DRIFT * (asked_ms - heard[0][0])
    assert told_ms <= asked_ms + 2  # rounding
    assert told_ms >= asked_ms - least_delay_ms - drifted_ms - 3


@given(
    sent_ms=st.integers(0, DAY_MS),
    life_ms=st.integers(1_000, DAY_MS),
    delay_ms=st.integers(0, 2 * DAY_MS),
    better_ms=st.integers(0, 1_000),
)
def test_nothing_stale_is_taken_for_fresh_once_a_better_witness_was_heard(
    sent_ms: int, life_ms: int, delay_ms: int, better_ms: int
) -> None:
    """An order comes past its end by more than the delay of the best message so far."""
    clock = CorrectedClock()
    clock.learn(SENT_MS, better_ms)
    arrival_ms = sent_ms + delay_ms
    clock.learn(SENT_MS + sent_ms, arrival_ms)
    now_ms = clock.now_ms(0, arrival_ms, is_set=False)
    if delay_ms > life_ms + better_ms + DRIFT * arrival_ms + 2:
        assert now_ms > SENT_MS + sent_ms + life_ms
