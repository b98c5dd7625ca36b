"""How far each duty report of this device has got, for the crew that gave it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from edge.alarms import ORDER, EdgeStage, Step
from protocols.model import DutyAct, Receipt

MAX_REPORTS = 64  # followed at a time, the newest


@dataclass(slots=True)
class ReportTrack:
    """One duty report: `spooled`, then `sent`, then `stored`."""

    id: str
    boot: int
    seq: int
    act: DutyAct
    ref: str | None
    steps: list[Step]

    @property
    def stage(self) -> EdgeStage:
        """The stage reached."""
        return self.steps[-1].stage

    def reach(self, step: Step) -> bool:
        """Take a step, if it leads further."""
        if ORDER.index(step.stage) <= ORDER.index(self.stage):
            return False
        self.steps.append(step)
        return True


class ReportTracks:
    """The latest duty reports since the start; ``changed`` is called when one gets further."""

    def __init__(self, changed: Callable[[], None] = lambda: None) -> None:
        self._tracks: dict[tuple[int, int], ReportTrack] = {}
        self._changed = changed

    def add(self, track: ReportTrack) -> None:
        """Follow a new report, and forget the oldest if they are too many."""
        self._tracks[track.boot, track.seq] = track
        if len(self._tracks) > MAX_REPORTS:
            del self._tracks[next(iter(self._tracks))]
        self._changed()

    def latest(self) -> list[ReportTrack]:
        """All that are followed, the oldest first."""
        return list(self._tracks.values())

    def sent(self, boot: int, seq: int, t: int) -> None:
        """The broker has it."""
        track = self._tracks.get((boot, seq))
        if track is not None and track.reach(Step("sent", t)):
            self._changed()

    def receipted(self, receipt: Receipt, t: int) -> None:
        """Those that a receipt covers are stored."""
        covered = [
            track
            for track in self._tracks.values()
            if track.boot == receipt.boot and track.seq <= receipt.p
        ]
        if [track for track in covered if track.reach(Step("stored", t))]:
            self._changed()
