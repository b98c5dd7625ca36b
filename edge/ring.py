"""The last half minute in pictures: what is kept of it, and which of them an alarm sends first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from edge.sources.camera import Picture


class Shot(NamedTuple):
    """A picture in memory. ``at_s``: when it was asked for, by the monotonic clock: what it shows
    is not older. ``id``: the SHA-256 of its bytes."""

    number: int
    at_s: float
    id: str
    picture: Picture


class Ring:
    """Shots of the last ``keep_s``, at most ``max_count`` and ``max_bytes``.

    Where they do not all fit, the ring gets thinner and not shorter: a shot goes whose
    neighbours are closest to each other, of several such the oldest. ``dropped`` counts them.
    """

    def __init__(self, *, keep_s: float, max_count: int, max_bytes: int) -> None:
        self._keep_s, self._max_count, self._max_bytes = keep_s, max_count, max_bytes
        self._shots: list[Shot] = []  # the oldest first
        self.bytes = 0
        self.dropped = 0

    def __len__(self) -> int:
        return len(self._shots)

    @property
    def newest_first(self) -> list[Shot]:
        """All that is kept."""
        return self._shots[::-1]

    def put(self, shot: Shot) -> None:
        """Keep a shot, newer than all before it. One that shows the very same bytes as the last
        takes its place."""
        if self._shots and self._shots[-1].id == shot.id:
            self._remove(-1)
        self._shots.append(shot)
        self.bytes += len(shot.picture.jpeg)
        while self._shots[0].at_s < shot.at_s - self._keep_s:
            self._remove(0)
        while self._shots and (len(self._shots) > self._max_count or self.bytes > self._max_bytes):
            self._remove(self._closest())
            self.dropped += 1

    def _closest(self) -> int:
        """The shot that is missed least: neither the newest nor, if it can be, the oldest."""
        shots = self._shots
        inner = range(1, len(shots) - 1)
        return min(inner, key=lambda n: shots[n + 1].at_s - shots[n - 1].at_s, default=0)

    def _remove(self, index: int) -> None:
        self.bytes -= len(self._shots.pop(index).picture.jpeg)


def select(newest_first: Sequence[Shot], count: int) -> tuple[list[Shot], list[Shot]]:
    """So many of them, spread evenly over their time, the newest among them; and the others."""
    if len(newest_first) <= count:
        return list(newest_first), []
    if count == 0:
        return [], list(newest_first)
    newest_s, oldest_s = newest_first[0].at_s, newest_first[-1].at_s
    step_s = (newest_s - oldest_s) / max(1, count - 1)
    left = list(newest_first)
    chosen = []
    for n in range(count):
        wanted_s = newest_s - n * step_s
        nearest = min(left, key=lambda shot: abs(shot.at_s - wanted_s))
        left.remove(nearest)
        chosen.append(nearest)
    return sorted(chosen, key=lambda shot: -shot.number), left
