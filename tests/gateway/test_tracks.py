"""Tracks come in parts: each as soon as it is certain, and all of them in order."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gateway.journal.base import Event, EventType
from gateway.journal.tracks import ENOUGH, Piece, in_order_of_time, joined


def position(t: int) -> Event:
    return Event(
        type=EventType.POSITION, id=f"car-1:1:t:{t}", device="car-1", t=t, received=0,
        data={"boot": 1, "seq": t},
    )  # fmt: skip


def piece(since: int, *times: int, loaded: list[int] | None = None) -> Piece:
    def load() -> list[Event]:
        if loaded is not None:
            loaded.append(since)
        return [position(t) for t in times]

    return Piece(since, load)


@given(st.lists(st.lists(st.integers(0, 50))))
def test_every_position_comes_once_in_the_order_of_time(pieces: list[list[int]]) -> None:
    parts = in_order_of_time([piece(min(times, default=0), *times) for times in pieces])
    times = [event.t for part in parts for event in part]
    assert times == sorted(t for times in pieces for t in times)


def test_the_first_part_comes_before_the_last_piece_is_looked_at() -> None:
    loaded: list[int] = []
    pieces = [
        piece(30, 30, 40, loaded=loaded),
        piece(10, 10, 25, loaded=loaded),
        piece(20, 21, loaded=loaded),
    ]
    parts = in_order_of_time(pieces)
    assert [event.t for event in next(parts)] == [10]
    assert loaded == [10]
    assert [event.t for event in next(parts)] == [21, 25]
    assert loaded == [10, 20]
    assert [event.t for event in next(parts)] == [30, 40]


def test_parts_with_many_positions_are_not_waited_for() -> None:
    loaded: list[int] = []
    pieces = [piece(t, *range(t, t + ENOUGH), loaded=loaded) for t in range(0, 3 * ENOUGH, ENOUGH)]
    assert len(joined(in_order_of_time(pieces))) == ENOUGH
    assert loaded == [0]
