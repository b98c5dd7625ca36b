"""What the gateway owes each device to be told: what it holds, what it misses, alarms' stages."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from itertools import islice
from typing import NamedTuple

from gateway.journal.base import AlarmRecord, Reader
from gateway.ledger import Ledger
from gateway.twins import Twins
from protocols.model import AlarmStage, Lane, Receipt
from protocols.native import codec, topics

TELEMETRY_COUNT = 64
TELEMETRY_S = 5.0
"""Telemetry is receipted after so many messages or so long, whichever comes first."""

LATE_S = 1.0
"""A gap younger than this may still fill by itself."""

ASK_S = 1.5
ASK_AGAIN_S = 5.0
MAX_RANGES = 64
TICK_S = 0.25
RESYNC_ALARMS = 16


class Down(NamedTuple):
    """A message to a device, by that lane's client.

    ``expiry_s``: the broker drops it when it could not deliver it by then. ``is_retained``:
    the broker keeps it for whoever connects later.
    """

    topic: str
    payload: bytes
    expiry_s: int | None
    lane: Lane
    is_retained: bool = False


class _Owed:
    """What one device's boot is owed. Times by the event loop's clock, in seconds."""

    __slots__ = ("asked", "boot", "count", "device", "gap_since", "since")

    def __init__(self, device: str, boot: int) -> None:
        self.device = device
        self.boot = boot
        self.count = 0
        self.since = 0.0
        self.gap_since: float | None = None
        self.asked = float("-inf")


class Receipts:
    """Sends receipts when they are due (contract 3.2). Call only for what is committed."""

    def __init__(
        self,
        *,
        prefix: str,
        ledger: Ledger,
        twins: Twins,
        reader: Reader,
        publish: Callable[[Down], bool],
        now_s: Callable[[], float],
    ) -> None:
        self._prefix = prefix
        self._ledger = ledger
        self._twins = twins
        self._reader = reader
        self._publish = publish
        self._now_s = now_s
        self._owed: dict[tuple[str, int], _Owed] = {}
        self._due: deque[tuple[float, _Owed]] = deque()  # since when telemetry is owed, in order
        self._gaps: dict[tuple[str, int], _Owed] = {}

    def stage(self, alarm: AlarmRecord) -> None:
        """An alarm reached a stage."""
        if alarm.seq:
            self.at_once(alarm.device, alarm.boot, [alarm_stage(alarm)])

    def telemetry(self, device: str, boot: int, count: int, *, has_gap: bool) -> None:
        """So many more telemetry messages are committed, or came again."""
        owed = self._owed_to(device, boot)
        if has_gap is (owed.gap_since is None):
            self._watch_gap(owed)
        if not owed.count:
            owed.since = self._now_s()
            self._due.append((owed.since, owed))
        owed.count += count
        if owed.count >= TELEMETRY_COUNT:
            self.at_once(device, boot, lane=Lane.TELEMETRY)

    async def resync(self, device: str) -> None:
        """The device is back: tell it all that it may have missed."""
        newest = await self._reader.alarms(
            stages=None, device=device, before=2**63 - 1, limit=RESYNC_ALARMS
        )
        by_boot: dict[int, list[AlarmStage]] = {
            boot: [] for boot in self._ledger.of(device).boots()[-2:]
        }
        for _, alarm in newest:
            if alarm.seq:
                by_boot.setdefault(alarm.boot, []).append(alarm_stage(alarm))
        for boot, alarms in by_boot.items():
            self.at_once(device, boot, alarms)

    async def run(self) -> None:
        """Send what is due, for ever."""
        while True:
            await asyncio.sleep(TICK_S)
            self.send_due()

    def send_due(self) -> None:
        """Send what is due now."""
        now = self._now_s()
        while self._due and now - self._due[0][0] >= TELEMETRY_S:
            since, owed = self._due.popleft()
            if owed.count and owed.since == since:
                self.at_once(owed.device, owed.boot, lane=Lane.TELEMETRY)
        for owed in list(self._gaps.values()):
            if self._ask_due(owed, now):
                self.at_once(owed.device, owed.boot, lane=Lane.TELEMETRY)

    def _ask_due(self, owed: _Owed, now: float) -> bool:
        return (
            owed.gap_since is not None
            and now - owed.gap_since >= ASK_S
            and now - owed.asked >= ASK_AGAIN_S
            and self._twins.of(owed.device).online is not False
        )

    def _owed_to(self, device: str, boot: int) -> _Owed:
        owed = self._owed.get((device, boot))
        if owed is None:
            owed = self._owed[device, boot] = _Owed(device, boot)
        return owed

    def _watch_gap(self, owed: _Owed) -> None:
        """Look whether a lane of that boot has a gap, and since when."""
        windows = self._ledger.of(owed.device)
        if not any(windows.look(owed.boot, lane).has_gap for lane in Lane):
            owed.gap_since = None
            self._gaps.pop((owed.device, owed.boot), None)
        elif owed.gap_since is None:
            owed.gap_since = self._now_s()
            self._gaps[owed.device, owed.boot] = owed

    def at_once(
        self,
        device: str,
        boot: int,
        alarms: Sequence[AlarmStage] = (),
        *,
        lane: Lane = Lane.PRIORITY,
    ) -> None:
        """Tell the device now what is held of that boot, what is missing, and these stages."""
        owed = self._owed_to(device, boot)
        self._watch_gap(owed)
        now = self._now_s()
        windows = self._ledger.of(device)
        miss: dict[Lane, list[tuple[int, int]]] = {}
        high: dict[Lane, int] = {}
        # Asked too often, a device would send the same again while it is under way.
        asking = (
            owed.gap_since is not None
            and now - owed.gap_since >= LATE_S
            and now - owed.asked >= ASK_AGAIN_S
        )
        if asking:
            owed.asked = now
            for each in Lane:
                window = windows.look(boot, each)
                ranges = list(islice(window.missing(), MAX_RANGES + 1))
                if ranges:
                    miss[each] = ranges[:MAX_RANGES]
                    complete = len(ranges) <= MAX_RANGES
                    high[each] = window.highest if complete else ranges[MAX_RANGES - 1][1]
        receipt = Receipt(
            boot=boot,
            p=windows.look(boot, Lane.PRIORITY).held_to,
            t=windows.look(boot, Lane.TELEMETRY).held_to,
            miss=miss,
            high=high,
            alarms=list(alarms),
        )
        is_sent = self._publish(
            Down(
                topics.down(self._prefix, device, topics.Down.RECEIPT),
                codec.encode(receipt, as_json=self._twins.of(device).speaks_json),
                expiry_s=300 if alarms else 60,
                lane=lane,
            )
        )
        if is_sent:
            owed.count = 0
        elif owed.count:  # too many are under way: it stays owed
            owed.since = now
            self._due.append((now, owed))
        if not owed.count and owed.gap_since is None:
            del self._owed[device, boot]


def alarm_stage(alarm: AlarmRecord) -> AlarmStage:
    """An alarm's stage as its box is told it."""
    step = alarm.stages[-1]
    return AlarmStage(seq=alarm.seq, stage=step.stage, t=step.t, by=step.by)
