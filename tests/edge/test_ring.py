"""What is kept of the last half minute, and which of it an alarm sends first?"""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from edge.ring import Ring, Shot, select
from edge.sources.camera import Picture


def shot(number: int, at_s: float, size_bytes: int = 100, same_as: int | None = None) -> Shot:
    identity = f"{number if same_as is None else same_as}"
    return Shot(number, at_s, identity, Picture(bytes(size_bytes), 64, 48, round(at_s * 1000)))


def ring(count: int = 1000, size_bytes: int = 1 << 20) -> Ring:
    return Ring(keep_s=30, max_count=count, max_bytes=size_bytes)


def test_what_is_older_than_the_time_goes_and_is_not_counted() -> None:
    kept = ring()
    for number in range(100):
        kept.put(shot(number, number))
    assert [s.number for s in kept.newest_first] == list(range(99, 68, -1))
    assert (kept.bytes, kept.dropped) == (31 * 100, 0)


def test_where_not_all_fit_the_ring_gets_thinner_and_not_shorter() -> None:
    kept = ring(size_bytes=16 * 100)
    for number in range(31):
        kept.put(shot(number, number))
    at_s = [s.at_s for s in kept.newest_first]
    assert (len(at_s), at_s[0], at_s[-1]) == (16, 30, 0)
    assert max(a - b for a, b in itertools.pairwise(at_s)) <= 4
    assert kept.dropped == 15


def test_a_picture_that_is_larger_than_the_ring_is_not_kept() -> None:
    kept = ring(size_bytes=500)
    kept.put(shot(1, 1))
    kept.put(shot(2, 2, size_bytes=501))
    assert (len(kept), kept.bytes, kept.dropped) == (0, 0, 2)


def test_the_very_same_picture_is_kept_once_with_its_last_time() -> None:
    kept = ring()
    for number in range(50):
        kept.put(shot(number, number, same_as=7))
    assert [s.at_s for s in kept.newest_first] == [49]
    assert (kept.bytes, kept.dropped) == (100, 0)


shots = st.lists(
    st.tuples(st.floats(0, 10, allow_nan=False), st.integers(1, 400), st.booleans()), max_size=80
)


@given(shots, st.integers(1, 40), st.integers(1, 4000))
def test_a_ring_is_bounded_and_counts_what_it_drops(
    steps: list[tuple[float, int, bool]], count: int, size_bytes: int
) -> None:
    kept, at_s = ring(count, size_bytes), 0.0
    put: list[Shot] = []
    for number, (step_s, size, is_same) in enumerate(steps):
        at_s += step_s
        same_as = int(put[-1].id) if is_same and put else None
        put.append(shot(number, at_s, size, same_as))
        kept.put(put[-1])
        assert len(kept) <= count
        assert kept.bytes == sum(len(s.picture.jpeg) for s in kept.newest_first) <= size_bytes
    left = kept.newest_first
    assert left == sorted(left, key=lambda s: -s.number)
    assert set(left) <= set(put)
    assert all(s.at_s >= at_s - 30 for s in left)
    if put and kept.dropped == 0:
        newest_of_each = {s.id: s for s in put}
        assert set(left) == {s for s in newest_of_each.values() if s.at_s >= at_s - 30}


@given(st.lists(st.floats(0, 5, allow_nan=False), max_size=60), st.integers(0, 12))
def test_a_selection_is_newest_first_with_the_newest_in_it_and_all_else_is_the_rest(
    steps_s: list[float], count: int
) -> None:
    at_s = 0.0
    every: list[Shot] = []
    for number, step_s in enumerate(steps_s):
        at_s += step_s
        every.insert(0, shot(number, at_s))
    chosen, rest = select(every, count)
    assert len(chosen) == min(count, len(every))
    assert sorted([*chosen, *rest], key=lambda s: -s.number) == every
    assert [s.number for s in chosen] == sorted((s.number for s in chosen), reverse=True)
    assert [s.number for s in rest] == sorted((s.number for s in rest), reverse=True)
    if count >= 2 and every and steps_s[-1] > 0:
        assert chosen[0] == every[0]


def test_a_selection_is_spread_over_the_time() -> None:
    every = [shot(number, number) for number in range(30, -1, -1)]
    chosen, rest = select(every, 6)
    assert [s.at_s for s in chosen] == [30, 24, 18, 12, 6, 0]
    assert len(rest) == 25
