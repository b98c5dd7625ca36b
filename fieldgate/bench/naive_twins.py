"""The reference for what a known device costs: a dict, by device, of its last fix as decoded.

`python -m fieldgate.bench.naive_twins` takes orders as JSON lines.
"""

from __future__ import annotations

from typing import Any

import msgpack
from msgspec import Struct

from fieldgate.bench.drives import drives, message
from fieldgate.bench.generator import DRIVE_S, now_ms
from fieldgate.bench.orders import obey

DRIVES = 100


class Orders(Struct, kw_only=True):
    """``know`` so many devices."""

    do: str
    count: int


class NaiveTwins:
    """Carries out orders."""

    def __init__(self) -> None:
        self._drives = drives(DRIVES, DRIVE_S)
        self._twins: dict[str, dict[str, Any]] = {}

    def know(self, orders: Orders) -> dict[str, Any]:
        """Take a fix of each further device, up to so many."""
        for number in range(len(self._twins), orders.count):
            drive = self._drives[number % DRIVES]
            fix = message(drive[number % DRIVE_S], 1, now_ms())
            self._twins[f"known-{number:07}"] = msgpack.unpackb(fix)
        return {"known": len(self._twins)}


if __name__ == "__main__":
    obey(NaiveTwins(), Orders)
