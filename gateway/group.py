"""What one group of telemetry adds: to the journal, and after the commit to what is known."""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

from gateway.journal.base import Chunk, Quarantined, Telemetry
from gateway.tail import Tail
from protocols.model import Fix, MediaChunk, Status
from protocols.native.sequence import Window

TelemetryMessage = Fix | Status | MediaChunk


class Held(NamedTuple):
    """A message of a group, to be known once the group is committed."""

    device: str
    message: TelemetryMessage
    received: int


class Group:
    """What one group adds: to the journal, and after the commit to what is known.

    ``tails``: the devices whose positions were taken the quick way. ``numbers`` and ``owed``
    are of all others, by device and boot.
    """

    def __init__(self) -> None:
        self.entries: list[Telemetry] = []
        self.chunks: list[Chunk] = []
        self.quarantined: list[Quarantined] = []
        self.tails: list[Tail] = []
        self.held: list[Held] = []
        self.numbers: dict[tuple[str, int], Window] = {}
        self.owed: Counter[tuple[str, int]] = Counter()

    def window(self, device: str, boot: int) -> Window:
        """The numbers of that device and boot in this group."""
        window = self.numbers.get((device, boot))
        if window is None:
            window = self.numbers[device, boot] = Window()
        return window
