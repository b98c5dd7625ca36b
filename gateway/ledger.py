"""What each device has sent, and what is missing: windows by boot and lane, and counts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
from msgspec import Struct

from gateway.tail import Tail
from gateway.twins import Twin
from protocols.model import Lane, LostRange
from protocols.native.sequence import Window

MAX_BOOTS = 64
"""Boots remembered per device. Telemetry of an older one would be kept a second time."""


STEP = 1000
"""Devices for which a day begins at a time: alarms come first."""


class Counts(Struct, gc=False):
    """What happened to a device's messages beside being held."""

    duplicates: int = 0
    conflicts: int = 0
    refused: int = 0
    given_up: int = 0


class Run(Struct, gc=False):
    """What is held of one boot's lane. ``before``: numbers up to here are of days before."""

    boot: int
    lane: Lane
    window: Window
    before: int = 0

    @property
    def missing_today(self) -> int:
        """How many are missing of the numbers that became known of since the day began."""
        return self.window.missing_count(self.before)


class DeviceLedger(Struct, gc=False):
    """One device's windows, of the ``MAX_BOOTS`` boots that were new last, oldest first.

    A list, and none of it tracked by the garbage collector: there may be a million devices,
    and most have one or two.
    """

    runs: list[Run] = []
    tail: Tail | None = None
    counts: Counts = msgspec.field(default_factory=Counts)

    def window(self, boot: int, lane: Lane) -> Window:
        """The window of that boot and lane, new if need be."""
        window = self._find(boot, lane)
        if window is None:
            window = Window()
            self.runs.append(Run(boot, lane, window))
            boots = list(dict.fromkeys(run.boot for run in self.runs))
            if len(boots) > MAX_BOOTS:
                # The one heard of first goes: a counter that was reset may be low and new.
                self.runs = [run for run in self.runs if run.boot != boots[0]]
        return window

    def look(self, boot: int, lane: Lane) -> Window:
        """The window of that boot and lane to read; an empty one if there is none."""
        return self._find(boot, lane) or Window()

    def _find(self, boot: int, lane: Lane) -> Window | None:
        for run in self.runs:
            if run.boot == boot and run.lane is lane:
                return run.window
        return None

    def boots(self) -> list[int]:
        """The boots known, oldest first."""
        return sorted({run.boot for run in self.runs})


class Ledger:
    """All devices' ledgers. Numbers enter only when their messages are committed.

    ``day``: counts days; of which day a missing number is, is by when it became known of.
    """

    def __init__(self, day: int = 0) -> None:
        self._devices: dict[str, DeviceLedger] = {}
        self.day = day

    def begin_day(self, day: int) -> Iterator[None]:
        """All that is missing now is of days before. A million devices take some steps."""
        self.day = day
        for at, ledger in enumerate(list(self._devices.values()), 1):
            for run in ledger.runs:
                run.before = run.window.highest
            if at % STEP == 0:
                yield

    def of(self, device: str) -> DeviceLedger:
        """A device's ledger, new if need be."""
        ledger = self._devices.get(device)
        if ledger is None:
            ledger = self._devices[device] = DeviceLedger()
        return ledger

    def holds(self, device: str, boot: int, lane: Lane, seq: int) -> bool:
        """Whether that message is committed."""
        ledger = self._devices.get(device)
        return ledger is not None and seq in ledger.look(boot, lane)

    def give_up(self, device: str, ranges: tuple[LostRange, ...]) -> None:
        """The device no longer has these: ask for them no more, and count them."""
        ledger = self.of(device)
        for boot, first, last in ((r.boot, r.first, r.last) for r in ranges):
            if first <= last:
                lost = ledger.window(boot, Lane.TELEMETRY).give_up(first, last)
                ledger.counts.given_up += lost

    def view(self, device: str) -> dict[str, Any] | None:
        """What an operator sees of one device, or None if it never sent anything."""
        ledger = self._devices.get(device)
        if ledger is None:
            return None
        lanes: list[dict[str, Any]] = []
        for run in sorted(ledger.runs, key=lambda run: (run.boot, run.lane)):
            window = run.window
            missing = list(window.missing())
            lanes.append(
                {
                    "boot": run.boot,
                    "lane": run.lane,
                    "held_to": window.held_to,
                    "highest": window.highest,
                    "missing": window.missing_count(),
                    "missing_today": run.missing_today,
                    "ranges": missing[:100],
                    "given_up": window.given_up,
                }
            )
        return {"device": device, **msgspec.to_builtins(ledger.counts), "lanes": lanes}

    def views(self) -> Iterator[dict[str, Any]]:
        """All devices' views, by their ids."""
        for device in sorted(self._devices):
            view = self.view(device)
            if view is not None:
                yield view

    def totals(self) -> dict[str, int]:
        """Counts over all devices, and of what is missing how much is of today."""
        names = ("held", "missing", "missing_today", *Counts.__struct_fields__)
        totals = dict.fromkeys(names, 0)
        for ledger in self._devices.values():
            for run in ledger.runs:
                window = run.window
                missing = window.missing_count()
                totals["missing"] += missing
                totals["missing_today"] += run.missing_today if missing else 0
                totals["held"] += window.highest - missing - window.given_up
            for name, count in msgspec.to_builtins(ledger.counts).items():
                totals[name] += count
        return totals

    def snapshot(self, device: str) -> dict[str, Any]:
        """A device's ledger for a checkpoint."""
        ledger = self.of(device)
        windows = [[run.boot, run.lane, *run.window.as_list()] for run in ledger.runs]
        before = [run.before for run in ledger.runs]
        return {"windows": windows, "counts": ledger.counts, "day": self.day, "before": before}

    def restore(self, device: str, snapshot: dict[str, Any]) -> None:
        """Take a snapshot back; one of a day before knows of no number of today."""
        ledger = self.of(device)
        is_of_today = snapshot.get("day") == self.day
        for at, (boot, lane, *numbers) in enumerate(snapshot["windows"]):
            window = Window.from_list(numbers)
            before = snapshot["before"][at] if is_of_today else window.highest
            ledger.runs.append(Run(boot, Lane(lane), window, before))
        ledger.counts = msgspec.convert(snapshot["counts"], Counts)

    def tail(self, device: str, twin: Twin) -> Tail:
        """The newest end of a device's telemetry, new if need be."""
        ledger = self.of(device)
        if ledger.tail is None:
            ledger.tail = Tail(device, twin)
        return ledger.tail
