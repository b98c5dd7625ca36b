"""The newest end of a device's telemetry: which message is the usual next one, which said what."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from sys import maxsize

from msgspec import Struct, field

from gateway.twins import CLOCK_PERIOD_MS, EARLIEST_MS, SKEW_MS, Twin
from protocols.model import Fix
from protocols.native.sequence import Window

RECENT = 32
"""Messages per device whose bodies are compared when they come again; a power of two."""

MASK = 0xFFFFFFFF
"""A checksum is the lower half of a hash."""


def _no_sums() -> array[int]:
    return array("I", (0,)) * RECENT  # made of bytes it would keep a sixth more


class Tail(Struct, gc=False):
    """What the pipeline must know to take a device's usual next position without a question.

    ``boot``, ``top``: the boot that runs and its highest number, committed or in the group being
    taken. ``since``: the first of the numbers taken the quick way and not committed yet, above
    ``top`` if there is none. ``t``: when the newest position was. ``least_ms``: what
    ``received - t`` is at least while the clock's offset stands, until ``clock_until_ms``.
    """

    device: str
    twin: Twin
    boot: int = -1
    top: int = 0
    since: int = 1
    window: Window = field(default_factory=Window)
    sums: array[int] = field(default_factory=_no_sums)
    t: int = EARLIEST_MS
    least_ms: int = maxsize
    clock_until_ms: int = 0
    offset_ms: int | None = None
    # Of those taken the quick way: the newest with its arrival.
    fix: Fix | None = None
    received: int = 0

    def is_newer(self, boot: int, t: int) -> bool:
        """Whether a message of that boot and time tells that another boot runs now."""
        return boot != self.boot and (boot > self.boot or t > self.t)

    def follow(self, boot: int, window: Window) -> None:
        """Another boot runs from now on."""
        self.boot, self.window = boot, window
        self.start_over()

    @property
    def count(self) -> int:
        """How many were taken the quick way and are not committed yet."""
        return self.top - self.since + 1

    def commit(self, fix: Fix) -> None:
        """What was taken the quick way is committed, with this fix as the newest."""
        self.window.add_range(self.since, self.top)
        self.twin.take_usual(fix, self.received)
        self.settle()

    def settle(self) -> None:
        """What was taken the quick way is the group's business now, or committed."""
        self.since = self.top + 1
        self.fix = None

    def start_over(self) -> None:
        """Know of this boot what is committed, and nothing else."""
        self.top = self.window.highest
        self.sums = _no_sums()
        self.settle()

    def reach(self, seq: int) -> None:
        """A number of this boot is used, whatever became of its message."""
        if seq > self.top:
            for skipped in range(max(self.top + 1, seq - RECENT + 1), seq + 1):
                self.sums[skipped % RECENT] = 0
            self.top = seq
            self.since = seq + 1

    def remember(self, seq: int, body: object) -> None:
        """Keep the checksum of a message of this boot, to tell a repetition from a conflict."""
        self.reach(seq)
        if seq > self.top - RECENT:
            self.sums[seq % RECENT] = hash(body) & MASK

    def remember_run(self, first: int, bodies: Sequence[object]) -> None:
        """Keep the checksums of messages whose numbers follow each other from ``first``."""
        self.reach(first + len(bodies) - 1)
        skipped = max(0, self.top - RECENT + 1 - first)
        for seq, body in enumerate(bodies[skipped:], first + skipped):
            self.sums[seq % RECENT] = hash(body) & MASK

    def contradicts(self, boot: int, seq: int, body: object) -> bool:
        """Whether another body under the same number is remembered."""
        if boot != self.boot or not self.top - RECENT < seq <= self.top:
            return False
        known = self.sums[seq % RECENT]
        return known not in (0, hash(body) & MASK)

    def observe(self, t: int, received: int) -> bool:
        """Show the clock a time that may change its offset; whether it is right all the same."""
        clock = self.twin.clock
        clock.observe(t, received)
        self.offset_ms = clock.offset_ms
        self.clock_until_ms = (clock.period + 1) * CLOCK_PERIOD_MS
        is_sound = clock.least is not None and abs(clock.offset_ms or 0) <= SKEW_MS
        self.least_ms = clock.least if clock.least is not None and is_sound else maxsize
        return received - t >= self.least_ms
