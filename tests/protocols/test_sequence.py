"""Does a sequence window know what plain sets of numbers know?"""

from __future__ import annotations

from unittest import mock

from hypothesis import given
from hypothesis import strategies as st

from protocols.model import MAX_SEQ
from protocols.native import sequence
from protocols.native.sequence import MAX_ISLANDS, Window

TOP = 60
numbers = st.integers(1, TOP)
steps = st.lists(
    st.tuples(st.sampled_from(["add", "add_range", "give_up", "reload"]), numbers, numbers),
    max_size=60,
)


class NaiveWindow:
    """The same by sets: what is held, and how many of them were given up."""

    def __init__(self) -> None:
        self.held: set[int] = set()
        self.given_up = 0

    def gaps(self) -> list[tuple[int, int]]:
        """The ranges that are missing below the highest."""
        absent = [n for n in range(1, max(self.held, default=0)) if n not in self.held]
        starts = [n for n in absent if n - 1 not in absent]
        ends = [n for n in absent if n + 1 not in absent]
        return list(zip(starts, ends, strict=True))

    def give_up(self, first: int, last: int) -> int:
        """Hold them without having them."""
        lost = set(range(first, last + 1)) - self.held
        self.given_up += len(lost)
        self.held |= lost
        return len(lost)


def apply(window: Window, naive: NaiveWindow, step: tuple[str, int, int]) -> Window:
    """One step on both, with the same answer; the window to go on with."""
    name, first, last = step
    match name:
        case "add":
            assert window.add(first) == (first not in naive.held)
            naive.held.add(first)
        case "add_range":
            window.add_range(first, last)
            naive.held |= set(range(first, last + 1))
        case "give_up":
            assert window.give_up(first, last) == naive.give_up(first, last)
        case "reload":
            return Window.from_list(window.as_list())
    return window


def check(window: Window, naive: NaiveWindow) -> None:
    assert {n for n in range(1, TOP + 2) if n in window} == naive.held
    assert list(window.missing()) == naive.gaps()
    assert window.missing_count() == sum(last - first + 1 for first, last in naive.gaps())
    assert window.has_gap == bool(naive.gaps())
    assert window.highest == max(naive.held, default=0)
    assert window.held_to == (naive.gaps()[0][0] - 1 if naive.gaps() else window.highest)
    assert window.given_up == naive.given_up


@given(steps)
def test_a_window_knows_what_sets_know(steps: list[tuple[str, int, int]]) -> None:
    window, naive = Window(), NaiveWindow()
    for step in steps:
        window = apply(window, naive, step)
        check(window, naive)


@given(steps, numbers)
def test_a_full_window_has_room_only_for_what_joins_a_range(
    steps: list[tuple[str, int, int]], seq: int
) -> None:
    with mock.patch.object(sequence, "MAX_ISLANDS", 3):
        window, naive = Window(), NaiveWindow()
        for step in steps:
            window = apply(window, naive, step)
        joins = bool({seq - 1, seq, seq + 1} & (naive.held | {0}))
        assert window.has_room(seq) == (len(naive.gaps()) < 3 or joins)


@given(st.permutations(range(1, 30)))
def test_any_order_of_arrival_leaves_no_gap(order: list[int]) -> None:
    window = Window()
    assert all(window.add(seq) for seq in order)
    assert not any(window.add(seq) for seq in order)
    assert window.as_list() == [29, 0]


def test_a_device_that_sends_every_second_number_cannot_fill_the_memory() -> None:
    window = Window()
    taken = [seq for seq in range(2, 10_000, 2) if window.has_room(seq) and window.add(seq)]
    assert len(taken) == MAX_ISLANDS
    assert window.held_to == 0
    assert window.has_room(1)
    assert window.has_room(5)


def test_a_gap_is_named_until_it_is_filled() -> None:
    window = Window()
    for seq in (1, 2, 5, 6, 9):
        window.add(seq)
    assert list(window.missing()) == [(3, 4), (7, 8)]
    window.add_range(3, 4)
    assert (window.held_to, list(window.missing())) == (6, [(7, 8)])
    assert window.give_up(7, 12) == 5
    assert (window.held_to, window.highest, window.given_up) == (12, 12, 5)


def test_an_empty_range_changes_nothing() -> None:
    window = Window.from_list([3, 0, 7, 8])
    window.add_range(6, 5)
    assert window.give_up(12, 10) == 0
    assert window.as_list() == [3, 0, 7, 8]


def test_the_last_number_of_a_boot_and_the_first_of_the_next() -> None:
    ending = Window.from_list([MAX_SEQ - 2, 0])
    assert ending.add(MAX_SEQ)
    assert list(ending.missing()) == [(MAX_SEQ - 1, MAX_SEQ - 1)]
    assert ending.add(MAX_SEQ - 1)
    assert ending.held_to == MAX_SEQ
    assert Window().add(1)  # each boot has a window of its own, and begins at 1


def test_a_range_of_all_numbers_is_one_step() -> None:
    window = Window.from_list([0, 0, 5, 5])
    assert window.give_up(1, MAX_SEQ) == MAX_SEQ - 1
    assert window.as_list() == [MAX_SEQ, MAX_SEQ - 1]
