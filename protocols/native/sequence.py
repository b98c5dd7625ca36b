"""Sequence windows: what a device has sent on one lane of one boot, and what is missing."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator

from msgspec import Struct

MAX_ISLANDS = 1024
"""Ranges above the first gap beyond which has_room() takes no number that makes another one."""


class Window(Struct, gc=False):
    """The numbers 1, 2, 3 … of one lane of one boot.

    ``held_to``: all up to here are held. ``_islands``: ranges held above it, as
    a flat sorted list ``[first, last, first, last, …]``. ``given_up``: numbers that
    nobody waits for any more.
    """

    held_to: int = 0
    _islands: list[int] = []
    given_up: int = 0

    def __contains__(self, seq: int) -> bool:
        if seq <= self.held_to:
            return True
        # An odd insertion point lies inside a range; its last number counts too.
        at = bisect_right(self._islands, seq)
        return at % 2 == 1 or (at > 0 and self._islands[at - 1] == seq)

    def add(self, seq: int) -> bool:
        """Take one number; whether it is new."""
        if seq == self.held_to + 1 and not self._islands:
            self.held_to = seq
            return True
        if seq in self:
            return False
        self.add_range(seq, seq)
        return True

    def add_range(self, first: int, last: int) -> None:
        """Take the numbers from first to last, some of which may be held; none if last < first."""
        islands = self._islands
        if last <= self.held_to or last < first:
            return
        if first == self.held_to + 1 and not islands:
            self.held_to = last
            return
        # Everything that touches [first - 1, last + 1] melts into one range.
        low = bisect_right(islands, first - 2)
        low -= low % 2
        if low < len(islands) and islands[low + 1] < first - 1:
            low += 2
        high = low
        while high < len(islands) and islands[high] <= last + 1:
            first = min(first, islands[high])
            last = max(last, islands[high + 1])
            high += 2
        islands[low:high] = [first, last]
        if islands[0] <= self.held_to + 1:
            self.held_to = islands[1]
            del islands[:2]

    def is_free(self, first: int, last: int) -> bool:
        """Whether none of the numbers from first to last is held."""
        at = bisect_right(self._islands, first)
        if first <= self.held_to or at % 2 == 1 or first in self:
            return False
        return at == len(self._islands) or last < self._islands[at]

    def has_room(self, seq: int) -> bool:
        """Whether the number joins what is held, or there may be one more range.

        For what may be dropped and asked for later: it keeps a device that leaves
        more and more gaps from filling the memory.
        """
        if len(self._islands) < 2 * MAX_ISLANDS:
            return True
        return seq in self or seq - 1 in self or seq + 1 in self

    def give_up(self, first: int, last: int) -> int:
        """The device no longer has these: wait for them no more. How many were missing."""
        held = [1, self.held_to, *self._islands]
        missing = max(0, last - first + 1) - sum(
            max(0, min(to, last) - max(since, first) + 1)
            for since, to in zip(held[::2], held[1::2], strict=True)
        )
        self.given_up += missing
        self.add_range(first, last)
        return missing

    @property
    def highest(self) -> int:
        """The largest number held."""
        return self._islands[-1] if self._islands else self.held_to

    @property
    def has_gap(self) -> bool:
        """Whether a number below the highest is missing."""
        return bool(self._islands)

    def held(self) -> Iterator[tuple[int, int]]:
        """The ranges (from, to) that are held, lowest first."""
        if self.held_to:
            yield 1, self.held_to
        yield from zip(self._islands[::2], self._islands[1::2], strict=True)

    def missing(self) -> Iterator[tuple[int, int]]:
        """The ranges (from, to) below the highest that are missing, lowest first."""
        since = self.held_to + 1
        for at in range(0, len(self._islands), 2):
            yield since, self._islands[at] - 1
            since = self._islands[at + 1] + 1

    def missing_count(self, above: int = 0) -> int:
        """How many numbers are missing above that one."""
        return sum(max(0, to - max(since, above + 1) + 1) for since, to in self.missing())

    def as_list(self) -> list[int]:
        """``[held_to, given_up, islands…]``, for from_list."""
        return [self.held_to, self.given_up, *self._islands]

    @classmethod
    def from_list(cls, numbers: list[int]) -> Window:
        """The window that as_list described."""
        return cls(numbers[0], numbers[2:], numbers[1])
