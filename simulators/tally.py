"""What the devices of this process have done so far, for the screen and the summary."""

from __future__ import annotations

from collections import Counter, OrderedDict
from dataclasses import dataclass, field

from protocols.model import Stage

MAX_FOLLOWED = 10_000

_STAGES = list(Stage)


@dataclass
class Tally:
    """Counters shared by all devices. ``stages``: alarms that have got just so far."""

    connects: int = 0
    pressed: int = 0
    stages: Counter[Stage] = field(default_factory=Counter)
    fixes: int = 0
    fixes_sent: int = 0
    telemetry: int = 0
    messages_sent: int = 0
    receipts: int = 0
    refused: int = 0
    dropped: int = 0
    _followed: OrderedDict[str, Stage | None] = field(default_factory=OrderedDict)

    def press(self, alarm_id: str) -> None:
        """An alarm was pressed: follow it, and forget the oldest if they are too many."""
        self.pressed += 1
        self._followed[alarm_id] = None
        if len(self._followed) > MAX_FOLLOWED:
            self._followed.popitem(last=False)

    def reach(self, alarm_id: str, stage: Stage) -> None:
        """The alarm got as far as that; what comes late, or is of another run, changes nothing."""
        if alarm_id not in self._followed:
            return
        before = self._followed[alarm_id]
        if before is not None:
            if _STAGES.index(before) >= _STAGES.index(stage):
                return
            self.stages[before] -= 1
        self.stages[stage] += 1
        self._followed[alarm_id] = stage
