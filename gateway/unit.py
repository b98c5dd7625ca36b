"""What is known of a unit, a crew with its devices: the record that is kept of it."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from msgspec import Struct

from protocols.duty import UnitState


class Reported(Struct, frozen=True, array_like=True):
    """The newest duty report of a unit: when (ms, the gateway's clock), and which it was."""

    at: int
    device: str
    boot: int
    seq: int


class Instruction(Struct, frozen=True, kw_only=True):
    """The incident that a unit was last sent to: by which command, when (ms), and where."""

    incident: str
    command: str
    t: int
    lat: float | None = None
    lon: float | None = None

    @property
    def place(self) -> tuple[float, float] | None:
        """Where it is, if both parts of that were told."""
        return None if self.lat is None or self.lon is None else (self.lat, self.lon)


class ContradictionKind(StrEnum):
    """What can contradict what."""

    PARKED_MOVING = "parked_moving"
    SCENE_FAR = "scene_far"
    OFF_DRIVING = "off_driving"
    EN_ROUTE_STILL = "en_route_still"
    SILENT = "silent"


class Contradiction(Struct, frozen=True, kw_only=True):
    """What does not fit what a unit has reported. ``device`` shows it, since that time (ms)."""

    kind: ContradictionKind
    device: str
    since: int
    facts: dict[str, Any] = {}


class UnitRecord(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A crew with its devices, as it is known now. Times in ms, by the gateway's clock.

    Without devices it is dissolved, kept for ``changes`` alone, which numbers its events.
    ``bound_by``: the device that declared the crew, or who of the dispatch core bound it.
    """

    id: str
    devices: tuple[str, ...] = ()
    officers: tuple[str, ...] = ()
    state: UnitState | None = None
    since: int = 0
    incident: str | None = None
    reported: Reported | None = None
    bound_at: int = 0
    bound_by: str | None = None
    by_core: bool = False
    instruction: Instruction | None = None
    contradictions: tuple[Contradiction, ...] = ()
    arrived: str | None = None  # the incident whose 100 m it was seen within
    changes: int = 0
