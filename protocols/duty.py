"""Duty: the states of a unit, which key brings it to which, which key is expected when."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from protocols.model import DutyAct


class UnitState(StrEnum):
    """What a unit, a crew with its devices, is doing."""

    ON_DUTY = "on_duty"
    VEHICLE_PATROL = "vehicle_patrol"
    FOOT_PATROL = "foot_patrol"
    PARKED = "parked"
    EN_ROUTE = "en_route"
    ON_SCENE = "on_scene"
    CLEAR = "clear"
    BREAK = "break"
    OFF = "off"


BRINGS: Mapping[DutyAct, UnitState] = {
    "on_duty": UnitState.ON_DUTY,
    "vehicle_patrol": UnitState.VEHICLE_PATROL,
    "foot_patrol": UnitState.FOOT_PATROL,
    "parked": UnitState.PARKED,
    "en_route": UnitState.EN_ROUTE,
    "on_scene": UnitState.ON_SCENE,
    "clear": UnitState.CLEAR,
    "break": UnitState.BREAK,
    "off_duty": UnitState.OFF,
}
"""Each key brings a unit to its state, whatever was before: crews make mistakes."""

_PATROLS: frozenset[DutyAct] = frozenset({"vehicle_patrol", "foot_patrol", "parked"})
_IDLE: frozenset[DutyAct] = _PATROLS | {"en_route", "break", "off_duty"}

NEXT: Mapping[UnitState, frozenset[DutyAct]] = {
    UnitState.OFF: frozenset({"on_duty"}),
    UnitState.ON_DUTY: _IDLE,
    UnitState.VEHICLE_PATROL: _IDLE,
    UnitState.FOOT_PATROL: _IDLE,
    UnitState.PARKED: _IDLE,
    UnitState.EN_ROUTE: frozenset({"on_scene", "clear", "en_route"}),  # en route elsewhere
    UnitState.ON_SCENE: frozenset({"clear", "en_route"}),
    UnitState.CLEAR: _IDLE | {"on_duty"},
    UnitState.BREAK: _IDLE | {"on_duty"},
}
"""The keys to be expected in each state, beside its own again. Any other is taken and flagged."""

AT_WORK = frozenset(UnitState) - {UnitState.OFF}
"""The states of a unit on duty; a break belongs to it: the unit can be called."""


def is_expected(state: UnitState | None, act: DutyAct) -> bool:
    """Whether the key fits the state. Any fits a unit of which nothing is known."""
    return state is None or BRINGS[act] is state or act in NEXT[state]
