"""Where all devices were in a time that has passed, step by step, out of pieces of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gateway.duty import CLOCK_NOISE_MS
from gateway.journal.fixes import Glance
from gateway.seen import Seen

MARGIN_MS = 60_000
"""Blocks are found by the devices' own clocks. Those of one that is off by more may be missed."""

TOGETHER = 100_000
"""So many positions are held at most before they are thinned."""


class Span(NamedTuple):
    """Steps of a time (ms, the gateway's clock)."""

    since: int
    until: int
    step_ms: int

    @property
    def searched(self) -> range:
        """By the devices' own clocks."""
        return range(self.since - MARGIN_MS, self.until + MARGIN_MS)

    @property
    def steps(self) -> int:
        """How many there are."""
        return -(-(self.until - self.since) // self.step_ms)

    def step_at(self, moment_ms: int) -> int:
        """Which step a moment lies in."""
        return (moment_ms - self.since) // self.step_ms


class Sheet(NamedTuple):
    """Where positions may be, none of them before ``since`` (ms, the devices' clocks)."""

    since: int
    load: Callable[[], list[Glance]]


def in_steps(sheets: Sequence[Sheet], span: Span) -> Iterator[Seen]:
    """What the sheets hold, each step once, as soon as no sheet that is left can add to it."""
    due = sorted(sheets, key=lambda sheet: sheet.since)
    loaded: list[Glance] = []
    rows, done, waiting = 0, 0, seen_in([], span)  # steps that were told; what lies beyond
    for at, sheet in enumerate(due):
        for glance in sheet.load():
            loaded.append(glance)
            rows += len(glance.t)
        certain = span.steps
        if at + 1 < len(due):
            certain = min(certain, span.step_at(due[at + 1].since - MARGIN_MS))
        if rows < TOGETHER and certain <= done:
            continue
        waiting, rows = newest(waiting, seen_in(loaded, span), done), 0
        loaded.clear()
        cut = int(np.searchsorted(waiting.step, certain))
        if cut:
            yield rows_of(waiting, np.arange(cut))
            waiting = rows_of(waiting, np.arange(cut, len(waiting.step)))
        done = max(done, certain)


def seen_in(glances: Sequence[Glance], span: Span) -> Seen:
    """The positions of tables that lie in the span."""
    columns: Any = [np.empty(0, np.int64)] * len(Glance._fields)
    if glances:
        columns = map(np.concatenate, zip(*glances, strict=True))
    glance = Glance(*columns)
    behind_ms = np.where(np.abs(glance.offset) > CLOCK_NOISE_MS, glance.offset, 0)
    at = np.minimum(glance.t + behind_ms, glance.received)
    at = np.where(glance.t > 0, at, glance.received)
    is_asked = (at >= span.since) & (at < span.until) & (glance.fix != 0)
    is_asked &= np.isfinite(glance.lat) & np.isfinite(glance.lon)
    at = at[is_asked]
    return Seen(
        (at - span.since) // span.step_ms,
        glance.device[is_asked],
        at,
        glance.lat[is_asked],
        glance.lon[is_asked],
        glance.spd[is_asked],
        glance.hdg[is_asked],
        glance.acc[is_asked],
    )


def newest(held: Seen, more: Seen, done: int) -> Seen:
    """Each device's newest of each step that is not done, in the order of steps and devices."""
    columns: Any = map(np.concatenate, zip(held[:-1], more[:-1], strict=True))
    seen = Seen(*columns)
    order = np.lexsort((seen.at, seen.device, seen.step))
    step, device = seen.step[order], seen.device[order]
    is_last = np.ones(len(order), np.bool_)
    is_last[:-1] = (step[1:] != step[:-1]) | (device[1:] != device[:-1])
    return rows_of(seen, order[is_last & (step >= done)])


def rows_of(seen: Seen, rows: NDArray[np.int64]) -> Seen:
    """Some of the rows."""
    columns: Any = (column[rows] for column in seen[:-1])
    return Seen(*columns)
