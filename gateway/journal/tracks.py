"""A device's positions in the order of their times, out of pieces that are looked at one by one."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import NamedTuple

from gateway.journal.base import Event

TOGETHER, ENOUGH = 32, 500
"""So many parts are handed over at once, or so many positions: 2 ms, be it of a busy day with few
in each part or of a backlog with hundreds."""


class Piece(NamedTuple):
    """Where positions may be, none of them before ``since`` (ms, the device's clock)."""

    since: int
    load: Callable[[], list[Event]]


def in_order_of_time(pieces: Sequence[Piece]) -> Iterator[list[Event]]:
    """What the pieces hold, in parts that are not empty, each as soon as it is certain.

    A position is certain to be next when no piece that is left begins before it.
    """
    waiting: list[Event] = []
    due = sorted(pieces, key=lambda piece: piece.since)
    for at, piece in enumerate(due):
        found = piece.load()
        if found:
            waiting += found
            waiting.sort(key=_when)
        if at + 1 < len(due):
            certain = bisect_left(waiting, due[at + 1].since, key=lambda event: event.t)
        else:
            certain = len(waiting)
        if certain:
            yield waiting[:certain]
            del waiting[:certain]


def joined(parts: Iterator[list[Event]]) -> list[Event]:
    """The next parts as one, empty at the end: each turn of a thread costs as much as a part."""
    found: list[Event] = []
    for part in islice(parts, TOGETHER):
        found += part
        if len(found) >= ENOUGH:
            break
    return found


def _when(event: Event) -> tuple[int, int, int]:
    return event.t, event.data["boot"], event.data["seq"]
