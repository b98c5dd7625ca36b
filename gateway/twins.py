"""What is known of each device now: presence, position, status, duty, clock offset."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import msgspec
from msgspec import Struct

from gateway.journal.base import plain
from protocols.model import DutyReport, Fix, Presence, Status

SKEW_MS = 60_000
"""A device's clock is skewed when it is off by more; a message is delayed when it is older."""

EARLIEST_MS = 1_577_836_800_000
"""2020-01-01: a clock that shows an earlier time is wrong, whatever it showed before."""

CLOCK_PERIOD_MS = 30_000


class Clock(Struct, gc=False):
    """How far a device's clock is behind the gateway's, in ms (negative: ahead).

    Each message shows ``received - t``: the offset plus its delay. A delay is
    never negative, so the least value of the last 30 to 60 s is the estimate.
    """

    offset_ms: int | None = None
    least: int | None = None
    before: int | None = None
    period: int = 0

    def observe(self, t: int, received: int) -> int | None:
        """Take one message's times; the estimate, or None while the device knows no time."""
        if t <= 0:
            return self.offset_ms
        period = received // CLOCK_PERIOD_MS
        if period != self.period:
            self.before = self.least if period == self.period + 1 else None
            self.least, self.period = None, period
        seen = received - t
        if (self.offset_ms or 0) < -SKEW_MS and abs(seen) <= SKEW_MS:
            self.least = self.before = None  # it was ahead and has been set right
        if self.least is None or seen < self.least:
            self.least = seen
        self.offset_ms = self.least
        if self.before is not None and self.before < self.least:
            self.offset_ms = self.before
        return self.offset_ms


def clock_flags(t: int, received: int, offset_ms: int | None) -> tuple[str, ...]:
    """What is to be said of a message's time."""
    if t <= 0:
        return ("clock_unset",)
    if abs(received - t) <= SKEW_MS:
        return ()
    is_ahead, is_old = t > received, t < EARLIEST_MS
    if is_ahead or is_old or (offset_ms is not None and abs(offset_ms) > SKEW_MS):
        return ("clock_skewed",)
    return ("delayed",)


class Twin(Struct, gc=False):
    """One device. Times ending in ``_ms`` are the gateway's.

    ``speaks_json``: its last payload was JSON, so what it is sent is JSON too.
    """

    device: str
    online: bool | None = None
    presence: Presence | None = None
    last_received_ms: int = 0
    clock: Clock = msgspec.field(default_factory=Clock)
    fix: Fix | None = None
    fix_order: int = 0
    fix_received_ms: int = 0
    status: Status | None = None
    status_received_ms: int = 0
    duty: DutyReport | None = None
    duty_received_ms: int = 0
    speaks_json: bool = False

    def heard(self, received: int) -> None:
        """Something came from the device."""
        self.last_received_ms = max(self.last_received_ms, received)

    def take_fix(self, fix: Fix, received: int) -> None:
        """A position: the newest by the time of the fix stays, not the last to arrive.

        Where the device's clock is wrong its numbering decides. No fix counts as
        newer than its arrival, so that a clock that ran ahead pins nothing.
        """
        order = min(fix.t, received) if fix.t > 0 else received
        held = self.fix
        if held is not None:
            follows = (fix.boot, fix.seq) >= (held.boot, held.seq)
            is_doubted = abs(self.clock.offset_ms or 0) > SKEW_MS or order == self.fix_order
            if not (follows if is_doubted else order > self.fix_order):
                return
        self.fix, self.fix_order, self.fix_received_ms = fix, order, received

    def take_usual(self, fix: Fix, received: int) -> None:
        """A position in MessagePack from a clock that is right, as the device speaks it now."""
        order = fix.t if fix.t < received else received
        if order > self.fix_order:
            self.fix, self.fix_order, self.fix_received_ms = fix, order, received
        if received > self.last_received_ms:  # noqa: PLR1730 - max() takes twice as long
            self.last_received_ms = received
        self.speaks_json = False

    def take_status(self, status: Status, received: int) -> None:
        """A status: the newest by boot and number stays."""
        held = self.status
        if held is None or (status.boot, status.seq) >= (held.boot, held.seq):
            self.status, self.status_received_ms = status, received

    def take_duty(self, duty: DutyReport, received: int) -> None:
        """A duty report: the newest by boot and number stays."""
        held = self.duty
        if held is None or (duty.boot, duty.seq) >= (held.boot, held.seq):
            self.duty, self.duty_received_ms = duty, received

    def presence_differs(self, presence: Presence) -> bool:
        """Whether presence says something new. The will of an older boot is ignored."""
        known = self.presence
        return known is None or (presence.boot >= known.boot and presence != known)

    def take_presence(self, presence: Presence) -> None:
        """Presence that differs."""
        self.presence, self.online = presence, presence.online


class Twins:
    """All devices' twins."""

    def __init__(self, *, now_ms: Callable[[], int], stale_after_s: float) -> None:
        self._now_ms = now_ms
        self._stale_after_ms = int(stale_after_s * 1000)
        self._twins: dict[str, Twin] = {}

    def of(self, device: str) -> Twin:
        """A device's twin, new if need be."""
        twin = self._twins.get(device)
        if twin is None:
            twin = self._twins[device] = Twin(device)
        return twin

    def find(self, device: str) -> Twin | None:
        """A device's twin, or None if it was never heard."""
        return self._twins.get(device)

    def devices(self) -> Iterator[str]:
        """All devices that were ever heard."""
        return iter(self._twins)

    def __len__(self) -> int:
        return len(self._twins)

    def restore(self, twin: Twin) -> None:
        """Take a twin back from a checkpoint."""
        self._twins[twin.device] = twin

    def state(self, twin: Twin) -> str:
        """``offline`` by its word or its will, ``stale`` when silent for long, else ``online``."""
        if twin.online is False:
            return "offline"
        if self._now_ms() - twin.last_received_ms > self._stale_after_ms:
            return "offline" if twin.online is None else "stale"
        return "online"

    def state_of(self, device: str) -> str:
        """The same of a device, which may never have been heard."""
        twin = self._twins.get(device)
        return "offline" if twin is None else self.state(twin)

    def view(self, device: str) -> dict[str, Any] | None:
        """What an operator sees of one device, ready for JSON, or None if it was never heard."""
        twin = self._twins.get(device)
        if twin is None:
            return None
        return {
            "device": device,
            "state": self.state(twin),
            "last_received": twin.last_received_ms,
            "clock_offset_ms": twin.clock.offset_ms,
            "presence": twin.presence and plain(twin.presence),
            "position": twin.fix and {**plain(twin.fix), "received": twin.fix_received_ms},
            "status": twin.status and {**plain(twin.status), "received": twin.status_received_ms},
            "duty": twin.duty and {**plain(twin.duty), "received": twin.duty_received_ms},
        }

    def views(self) -> Iterator[dict[str, Any]]:
        """All devices' views, by their ids."""
        for device in sorted(self._twins):
            view = self.view(device)
            if view is not None:
                yield view

    def counts(self) -> dict[str, int]:
        """How many devices are online, stale, offline."""
        counts = {"online": 0, "stale": 0, "offline": 0}
        for twin in self._twins.values():
            counts[self.state(twin)] += 1
        return counts
