"""When was each of many devices first near a place? One way through the positions of all.

To look for each alone opens every block of its time: a block has the positions of all devices.
"""

from __future__ import annotations

import math
from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gateway.grids import distance_m
from gateway.journal.fixes import Glance
from gateway.seen import Lookout

SLICE_MS = 60_000
NARROW_MS = 600_000
"""No block but a few goes on for longer (schema/telemetry.sql)."""

M_PER_DEG = 111_000.0
"""Of latitude: a little less than it is, so that a box is a little too large."""


class Boxes(NamedTuple):
    """By device number: since, until, south, north, west, east of where something may be found,
    and whether anything may. The last number stands for all others."""

    sides: NDArray[np.float64]
    asked: NDArray[np.bool_]


class Hunt:
    """What is looked for, and what was found of it. ``numbers``: the devices' short numbers."""

    def __init__(self, lookouts: Sequence[Lookout], numbers: Mapping[str, int]) -> None:
        self.firsts: list[int | None] = [None] * len(lookouts)
        self._lookouts = lookouts
        self._numbers = [numbers.get(lookout.device, -1) for lookout in lookouts]
        self._of: dict[int, list[int]] = defaultdict(list)
        for at, number in enumerate(self._numbers):
            self._of[number].append(at)
        self._size = max(self._numbers, default=-1) + 1
        self._looked: set[object] = set()  # blocks that go on beyond the slice they begin in
        self._all = self._boxes(range(len(lookouts)))
        self._soon, self._soon_until = self._all, 0  # what may be found in blocks until then

    def slices(self) -> Iterator[range]:
        """The times (ms, the devices' clocks) whose blocks are to be looked at, in order."""
        known = (at for at, number in enumerate(self._numbers) if number >= 0)
        due = deque(sorted(known, key=lambda at: self._lookouts[at].since))
        begin, begun = 0, list[int]()
        while due or begun:
            if not begun:
                begin = max(begin, self._lookouts[due[0]].since)
            span = range(begin, begin + SLICE_MS)
            self._soon_until = span.stop + NARROW_MS
            while due and self._lookouts[due[0]].since < self._soon_until:
                begun.append(due.popleft())
            self._soon = self._boxes(begun)
            yield span
            begin = span.stop
            begun = [at for at in begun if self._is_open(at, begin)]

    def _is_open(self, at: int, now: int) -> bool:
        """Whether a position from that time on may be it."""
        first = self.firsts[at]
        return now < (self._lookouts[at].until if first is None else first)

    def is_new(self, block: object, since: int, span: range) -> bool:
        """Whether a block of the slice is to be looked at: not if it was, in one before."""
        if since >= span.start:
            return True
        is_new = block not in self._looked
        self._looked.add(block)
        return is_new

    def boxes_for(self, until: int) -> Boxes:
        """What may be found in a block of the slice whose last position is of that time."""
        return self._soon if until < self._soon_until else self._all

    def _boxes(self, chosen: Iterable[int]) -> Boxes:
        """For each device, in which time and box something may be found: in none, for most."""
        boxes = np.full((6, self._size + 1), np.inf)  # the last one stands for all others
        boxes[1::2] = -np.inf
        for at in chosen:
            lookout, number = self._lookouts[at], self._numbers[at]
            if number >= 0:
                sides = (lookout.since, lookout.until, *_sides(lookout))
                boxes[0::2, number] = np.minimum(boxes[0::2, number], sides[0::2])
                boxes[1::2, number] = np.maximum(boxes[1::2, number], sides[1::2])
        return Boxes(boxes, boxes[0] < boxes[1])

    def look(self, glances: Iterable[Glance], boxes: Boxes) -> None:
        """Look at the positions of a block."""
        for glance in glances:
            number = np.minimum(glance.device, self._size)
            since, until, south, north, west, east = boxes.sides[:, number]
            near = (glance.t >= since) & (glance.t < until) & (glance.fix != 0)
            near &= (glance.lat >= south) & (glance.lat <= north)
            near &= (glance.lon >= west) & (glance.lon <= east)
            for row in np.flatnonzero(near).tolist():
                place = float(glance.lat[row]), float(glance.lon[row])
                self._judge(int(number[row]), int(glance.t[row]), *place)

    def _judge(self, number: int, t: int, lat: float, lon: float) -> None:
        for at in self._of[number]:
            lookout, first = self._lookouts[at], self.firsts[at]
            if (
                lookout.since <= t < lookout.until
                and (first is None or t < first)
                and distance_m(lat, lon, lookout.lat, lookout.lon) <= lookout.within_m
            ):
                self.firsts[at] = t


def _sides(lookout: Lookout) -> tuple[float, float, float, float]:
    """South, north, west and east of the box about its place."""
    high = lookout.within_m / M_PER_DEG
    wide = high / max(math.cos(math.radians(lookout.lat)), 1e-6)
    if abs(lookout.lon) + wide > 180:  # the box would go over the date line
        return lookout.lat - high, lookout.lat + high, -math.inf, math.inf
    return lookout.lat - high, lookout.lat + high, lookout.lon - wide, lookout.lon + wide
