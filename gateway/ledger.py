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


class Counts(Struct, gc=False):
    """What happened to a device's messages beside being held."""

    duplicates: int = 0
    conflicts: int = 0
    refused: int = 0
    given_up: int = 0


class Run(Struct, gc=False):
    """What is held of one boot's lane."""

    boot: int
    lane: Lane
    window: Window


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
    """All devices' ledgers. Numbers enter only when their messages are committed."""

    def __init__(self) -> None:
        self._devices: dict[str, DeviceLedger] = {}

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
        for boot, lane, window in sorted((run.boot, run.lane, run.window) for run in ledger.runs):
            missing = list(window.missing())
            lanes.append(
                {
                    "boot": boot,
                    "lane": lane,
                    "held_to": window.held_to,
                    "highest": window.highest,
                    "missing": window.missing_count(),
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
        """Counts over all devices: held, missing, duplicates, conflicts, refused, given_up."""
        totals = dict.fromkeys(
            ("held", "missing", "duplicates", "conflicts", "refused", "given_up"), 0
        )
        for ledger in self._devices.values():
            for window in (run.window for run in ledger.runs):
                missing = window.missing_count()
                totals["missing"] += missing
                totals["held"] += window.highest - missing - window.given_up
            for name, count in msgspec.to_builtins(ledger.counts).items():
                totals[name] += count
        return totals

    def snapshot(self, device: str) -> dict[str, Any]:
        """A device's ledger for a checkpoint."""
        ledger = self.of(device)
        windows = [[run.boot, run.lane, *run.window.as_list()] for run in ledger.runs]
        return {"windows": windows, "counts": ledger.counts}

    def restore(self, device: str, snapshot: dict[str, Any]) -> None:
        """Take a snapshot back."""
        ledger = self.of(device)
        for boot, lane, *numbers in snapshot["windows"]:
            ledger.runs.append(Run(boot, Lane(lane), Window.from_list(numbers)))
        ledger.counts = msgspec.convert(snapshot["counts"], Counts)

    def tail(self, device: str, twin: Twin) -> Tail:
        """The newest end of a device's telemetry, new if need be."""
        ledger = self.of(device)
        if ledger.tail is None:
            ledger.tail = Tail(device, twin)
        return ledger.tail
