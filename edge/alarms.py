"""How far each alarm of this device has got, for the one who pressed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, TypeAlias

from protocols.model import AlarmKind, AlarmStage, Receipt, Stage

EdgeStage: TypeAlias = Literal["spooled", "sent", "stored", "accepted", "acknowledged", "closed"]
ORDER: tuple[EdgeStage, ...] = (
    "spooled",  # durably here
    "sent",  # the broker has it: proves nothing yet
    "stored",  # the gateway has it durably
    "accepted",
    "acknowledged",
    "closed",
)
_NAMES: dict[Stage, EdgeStage] = {
    Stage.STORED: "stored",
    Stage.ACCEPTED: "accepted",
    Stage.ACKNOWLEDGED: "acknowledged",
    Stage.CLOSED: "closed",
}
MAX_ALARMS = 256  # followed at a time, the newest


class Step(NamedTuple):
    """A stage, when it was reached (ms; by the clock of the one who says so), and by whom."""

    stage: EdgeStage
    t: int
    by: str | None = None


@dataclass(slots=True)
class AlarmTrack:
    """One alarm and the stages that it has reached; they only grow."""

    id: str
    boot: int
    seq: int
    kind: AlarmKind
    steps: list[Step]
    count: int = 1
    is_silent: bool = False  # nobody in the room may learn of it
    _grown: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def stage(self) -> EdgeStage:
        """The stage reached."""
        return self.steps[-1].stage

    def reach(self, step: Step) -> bool:
        """Take a step, if it leads further."""
        if ORDER.index(step.stage) <= ORDER.index(self.stage):
            return False
        self.steps.append(step)
        self._grown.set()
        self._grown = asyncio.Event()
        return True

    async def follow(self) -> AsyncIterator[Step]:
        """The steps so far and those to come, until it is closed."""
        told = 0
        while True:
            grown = self._grown
            while told < len(self.steps):
                yield self.steps[told]
                told += 1
            if self.stage == "closed":
                return
            await grown.wait()


class AlarmTracks:
    """The latest alarms of this device; ``changed`` is called when one gets further."""

    def __init__(self, changed: Callable[[], None] = lambda: None) -> None:
        self._tracks: dict[tuple[int, int], AlarmTrack] = {}
        self._changed = changed

    def add(self, track: AlarmTrack) -> None:
        """Follow a new alarm, and forget the oldest if they are too many."""
        self._tracks[track.boot, track.seq] = track
        if len(self._tracks) > MAX_ALARMS:
            del self._tracks[next(iter(self._tracks))]
        self._changed()

    def get(self, boot: int, seq: int) -> AlarmTrack | None:
        """The alarm of that number, if it is still followed."""
        return self._tracks.get((boot, seq))

    def latest(self) -> list[AlarmTrack]:
        """All that are followed, the oldest first."""
        return list(self._tracks.values())

    @property
    def any_silent(self) -> bool:
        """Whether one is open of which nobody in the room may learn."""
        return any(track.is_silent and track.stage != "closed" for track in self._tracks.values())

    def sent(self, boot: int, seq: int, t: int) -> None:
        """The broker has it."""
        if (track := self.get(boot, seq)) is not None and track.reach(Step("sent", t)):
            self._changed()

    def receipted(self, receipt: Receipt, t: int) -> list[AlarmTrack]:
        """Take the stages of a receipt; those that are closed by it."""
        covered = [
            track
            for track in self._tracks.values()
            if track.boot == receipt.boot and track.seq <= receipt.p
        ]
        stored = [track for track in covered if track.reach(Step("stored", t))]
        grown = [self._take(receipt.boot, stage) for stage in receipt.alarms]
        known = [track for track in grown if track is not None]
        if stored or known:
            self._changed()
        return [track for track in known if track.stage == "closed"]

    def _take(self, boot: int, stage: AlarmStage) -> AlarmTrack | None:
        track = self.get(boot, stage.seq)
        reached = Step(_NAMES[stage.stage], stage.t, stage.by)
        return track if track is not None and track.reach(reached) else None
