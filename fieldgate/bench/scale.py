"""How much is measured: in full, or in short to see that it works."""

from __future__ import annotations

from msgspec import Struct

from fieldgate.bench.figures import Figure


class Scale(Struct, frozen=True, kw_only=True):
    """The full bench as the goals demand it, or a quick pass that claims nothing."""

    quick: bool = False

    def devices(self, full: int) -> int:
        """How many devices."""
        return max(10, full // 100) if self.quick else full

    def count(self, full: int) -> int:
        """How many messages, events, alarms."""
        return max(10, full // 200) if self.quick else full

    def rate(self, full: int) -> int:
        """How many a second."""
        return full // 20 if self.quick else full

    def seconds(self, full: float) -> float:
        """How long a run takes."""
        return min(1.0, full) if self.quick else full

    def runs(self, full: int) -> int:
        """How often, for a median."""
        return 1 if self.quick else full

    def trials(self, full: int) -> int:
        """How many rates are tried."""
        return 1 if self.quick else full

    def judged(self, figures: list[Figure]) -> list[Figure]:
        """A quick pass meets no goal and misses none."""
        if self.quick:
            for figure in figures:
                figure.met = None
                figure.notes.append("a quick pass: too small to be judged")
        return figures
