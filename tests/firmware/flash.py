"""A flash chip in memory: bits only fall, sectors rise, power goes at any byte, cells wear out."""

from __future__ import annotations


class PowerCut(Exception):
    """The power went in the middle of a write."""


class Chip:
    """NOR flash. ``budget``: bytes that can still be changed before the power goes."""

    def __init__(self, sectors: int = 5, sector_size: int = 512) -> None:
        self.sectors, self.sector_size = sectors, sector_size
        self.cells = bytearray(b"\xff" * (sectors * sector_size))
        self.budget: int | None = None
        self.trace: list[list[tuple[int, int]]] | None = None  # cells that change, step by step
        self.fails = False
        self.stuck: set[int] = set()  # cells that take nothing any more
        self.erasures = [0] * sectors

    def read(self, at: int, buf: memoryview) -> None:
        buf[:] = self.cells[at : at + len(buf)]

    def write(self, at: int, buf: memoryview) -> None:
        if self.fails:
            raise OSError(5)
        for n, byte in enumerate(bytes(buf)):
            self._spend()
            self._set(at + n, self.cells[at + n] & byte)

    def erase(self, sector: int) -> None:
        if self.fails:
            raise OSError(5)
        start = sector * self.sector_size
        self.erasures[sector] += 1
        # A cut erasure leaves some cells erased: here in an order that spares the first lines.
        for at in reversed(range(start, start + self.sector_size)):
            if at % 16 == 15:
                self._spend()
            self._set(at, 0xFF)

    def _set(self, at: int, value: int) -> None:
        if self.trace is not None and value != self.cells[at]:
            self.trace[-1].append((at, value))
        if at not in self.stuck:
            self.cells[at] = value

    def _spend(self) -> None:
        if self.trace is not None:
            self.trace.append([])
        if self.budget is not None:
            if self.budget == 0:
                raise PowerCut
            self.budget -= 1
