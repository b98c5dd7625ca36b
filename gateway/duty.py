"""What a duty report makes of a unit: its state, its incident, its crew. Pure.

A key is never refused. One that is not to be expected in the unit's state is flagged
(protocols/duty.py); one that is older than what the unit has reported since changes no
state, and is flagged too: it stays in the record.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

from msgspec.structs import replace

from gateway.unit import Instruction, Reported, UnitRecord
from protocols.duty import BRINGS, UnitState, is_expected
from protocols.model import DutyReport

CLOCK_NOISE_MS = 2_000
"""A device's clock that seems behind by less is right: the way of its messages takes that long."""

UNEXPECTED = "duty_unexpected"
SUPERSEDED = "duty_superseded"


def happened_ms(t: int, received: int, offset_ms: int | None) -> int:
    """When it happened by the gateway's clock: the device's time, set right, never after it came.

    ``offset_ms``: how far the device's clock is behind. Without a time of its own, or
    before 1970, it happened when it came.
    """
    if t <= 0:
        return received
    if offset_ms is not None and abs(offset_ms) > CLOCK_NOISE_MS:
        t += offset_ms
    return min(t, received) if t > 0 else received


class Key(NamedTuple):
    """A duty report, and when it happened by the gateway's clock (ms)."""

    device: str
    at: int
    report: DutyReport

    @property
    def place(self) -> Reported:
        """Where it stands in the order of reports."""
        return Reported(self.at, self.device, self.report.boot, self.report.seq)


def is_older(key: Key, held: Reported | None) -> bool:
    """Whether the unit has reported something newer.

    A device numbers its own reports, whatever its clock does; those of two go by time.
    """
    if held is None:
        return False
    if key.device == held.device:
        return (key.report.boot, key.report.seq) < (held.boot, held.seq)
    return key.at < held.at


def key_flags(unit: UnitRecord, key: Key) -> tuple[str, ...]:
    """What is to be said of the key in the state that the unit is in."""
    if is_older(key, unit.reported):
        return (SUPERSEDED,)
    return () if is_expected(unit.state, key.report.act) else (UNEXPECTED,)


def pressed(unit: UnitRecord, key: Key) -> UnitRecord:
    """The unit after the key, its crew left as it is."""
    if is_older(key, unit.reported):
        return unit
    report, state = key.report, BRINGS[key.report.act]
    incident = _incident(unit, report, state)
    is_same = state is unit.state and incident == unit.incident
    ends = state is UnitState.OFF or _clears_instruction(unit, report, state)
    return replace(
        unit,
        state=state,
        since=unit.since if is_same else key.at,  # pressed again
        incident=incident,
        reported=key.place,
        instruction=None if ends else unit.instruction,
        arrived=None if ends else unit.arrived,
    )


def _clears_instruction(unit: UnitRecord, report: DutyReport, state: UnitState) -> bool:
    """Whether the key ends what the unit was sent to; it may be clear of what was before that."""
    if unit.instruction is None or state is not UnitState.CLEAR:
        return False
    sent = unit.instruction.incident
    return (report.ref or unit.incident or sent) == sent


def _incident(unit: UnitRecord, report: DutyReport, state: UnitState) -> str | None:
    """Which incident the key is about: as it says, else the one that the unit is sent to."""
    if state not in (UnitState.EN_ROUTE, UnitState.ON_SCENE):
        return None
    if report.ref:
        return report.ref
    if state is UnitState.ON_SCENE and unit.incident is not None:
        return unit.incident
    return None if unit.instruction is None else unit.instruction.incident


def instructed(unit: UnitRecord, instruction: Instruction) -> UnitRecord:
    """The unit that was sent somewhere; the newest instruction counts."""
    held = unit.instruction
    if held is not None and held.t > instruction.t:
        return unit
    return replace(unit, instruction=instruction)


def recalled(unit: UnitRecord, command: str) -> UnitRecord:
    """The unit whose instruction was taken back, if it is still the one in force."""
    if unit.instruction is None or unit.instruction.command != command:
        return unit
    return replace(unit, instruction=None)


class Crew(NamedTuple):
    """What ``crew`` of a report names: devices to bind, and officers."""

    devices: tuple[str, ...]
    officers: tuple[str, ...]


def crew_of(named: Iterable[str], is_device: Callable[[str], bool]) -> Crew:
    """Take apart what was named: what is a registered device's id is that device."""
    each = tuple(dict.fromkeys(name for name in named if name))
    return Crew(
        tuple(name for name in each if is_device(name)),
        tuple(name for name in each if not is_device(name)),
    )
