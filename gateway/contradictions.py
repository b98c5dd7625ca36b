"""What a unit does that does not fit what it has reported. Pure: noticed, never corrected."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from gateway.grids import distance_m
from gateway.unit import Contradiction, ContradictionKind, UnitRecord
from gateway.whereabouts import FRESH_MS, Sight
from protocols.duty import AT_WORK, UnitState

STILL_M = 30.0
"""Who stays within it stands: a car in a yard, a crew around its car, a queue at a light."""

SIGMAS = 2.0
"""Beside that, what a receiver's own accuracy explains is no movement: 95 in 100 fixes."""

USUAL_ACC_M = 10.0
"""1 sigma of a receiver that does not say: between houses."""

STANDING_MPS = 0.8
"""Below walking pace: a receiver that says so has jumped and not moved. Its speed is measured
apart from its place, by Doppler, and is off by a tenth of that."""

SETTLE_MS = 60_000
"""Keys are pressed while the car still rolls into its place, or out of the yard."""

MOVING_MS = 60_000
"""A car that has left its place within that time is on the move: a light is red for less."""

NOT_MOVING_MS = 180_000
"""En route and not moving: three minutes, as the contract has it. No light is red for so long."""

NEAR_M = 100.0
"""On scene: from here the incident is in sight or around a corner."""

SILENT_MS = 180_000
"""On duty and silent: longer than a tunnel, a lift or a reboot; a device reports twice a minute."""


PLACED = frozenset({UnitState.PARKED, UnitState.ON_SCENE, UnitState.OFF, UnitState.EN_ROUTE})
"""The states that say something of where a unit is."""


class Still(NamedTuple):
    """Where a device stays, and since when (ms). ``moved``: when it last left a place, or 0."""

    sight: Sight
    since: int
    moved: int = 0


def follow(still: Still | None, sight: Sight) -> Still:
    """What the next position says of where its device stays."""
    if still is None or still.sight.device != sight.device:
        return Still(sight, sight.taken)
    held = still.sight
    if sight.taken <= held.taken:
        return still
    away_m = distance_m(held.lat, held.lon, sight.lat, sight.lon)
    if away_m <= STILL_M + SIGMAS * math.hypot(acc_m(held), acc_m(sight)):
        return still
    if sight.spd_mps is not None and sight.spd_mps < STANDING_MPS:
        return still._replace(sight=sight)
    return Still(sight, sight.taken, sight.taken)


def resume(told: Iterable[Contradiction], now: int) -> Still | None:
    """Where a device stayed when we were stopped, as what was told of it then shows.

    Who was moving is given the time in which it has to show that again.
    """
    for each in told:
        if each.kind in (
            ContradictionKind.EN_ROUTE_STILL,
            ContradictionKind.PARKED_MOVING,
            ContradictionKind.OFF_DRIVING,
        ):
            place = each.facts["lat"], each.facts["lon"]
            moved = 0 if each.kind == ContradictionKind.EN_ROUTE_STILL else now
            return Still(Sight(each.device, None, *place, each.since), each.since, moved)
    return None


def acc_m(sight: Sight) -> float:
    """The accuracy of a position, 1 sigma."""
    acc = sight.acc_m
    return USUAL_ACC_M if acc is None or not math.isfinite(acc) else acc


def judge(
    unit: UnitRecord, still: Still | None, sight: Sight | None, heard: Mapping[str, int], now: int
) -> list[Contradiction]:
    """What contradicts the unit's state now.

    ``sight`` is where the unit is and ``still`` where it stays; ``heard`` says, for each
    device, when (ms) something came from it, or since when that is known.
    """
    found = []
    if unit.state in AT_WORK:
        found += [
            Contradiction(kind=ContradictionKind.SILENT, device=device, since=heard[device])
            for device in unit.devices
            if now - heard[device] > SILENT_MS
        ]
    if unit.state in PLACED and sight is not None and now - sight.taken <= FRESH_MS:
        found += _of_place(unit, still, sight, now)
    return found


def _of_place(
    unit: UnitRecord, still: Still | None, sight: Sight, now: int
) -> Iterable[Contradiction]:
    away_m = _away_m(unit, sight)
    if unit.state is UnitState.ON_SCENE:
        was_far = any(each.kind == ContradictionKind.SCENE_FAR for each in unit.contradictions)
        slack_m = 0.0 if was_far else acc_m(sight)  # it does not come and go with the noise
        if away_m is not None and away_m > NEAR_M + slack_m and sight.taken >= unit.since:
            facts = {"distance_m": round(away_m), "acc_m": sight.acc_m, "incident": unit.incident}
            yield _found(ContradictionKind.SCENE_FAR, sight, sight.taken, facts)
    elif still is None or still.sight.device != sight.device:
        return
    elif unit.state is UnitState.EN_ROUTE:
        since = max(still.since, unit.since)
        is_there = away_m is not None and away_m <= NEAR_M
        if now - since >= NOT_MOVING_MS and not is_there:
            yield _found(
                ContradictionKind.EN_ROUTE_STILL, sight, since, {"incident": unit.incident}
            )
    elif sight.kind != "body_camera":  # an officer may leave the car that is parked
        has_moved = still.moved > unit.since + SETTLE_MS and now - still.moved <= MOVING_MS
        if has_moved:
            is_off = unit.state is UnitState.OFF
            kind = ContradictionKind.OFF_DRIVING if is_off else ContradictionKind.PARKED_MOVING
            yield _found(kind, sight, still.moved, {"spd_mps": sight.spd_mps})


def _away_m(unit: UnitRecord, sight: Sight) -> float | None:
    """How far it is to the unit's incident, if its place is known."""
    sent = unit.instruction
    if sent is None or sent.place is None or sent.incident != unit.incident:
        return None
    return distance_m(sight.lat, sight.lon, *sent.place)


def _found(
    kind: ContradictionKind, sight: Sight, since: int, facts: dict[str, Any]
) -> Contradiction:
    place = {"lat": sight.lat, "lon": sight.lon}
    return Contradiction(kind=kind, device=sight.device, since=since, facts={**place, **facts})


class Turn(NamedTuple):
    """The contradictions that last, those that have begun, those that have ended."""

    lasting: tuple[Contradiction, ...]
    begun: list[Contradiction]
    ended: list[Contradiction]


def turn(held: Iterable[Contradiction], found: Iterable[Contradiction]) -> Turn:
    """From those that were told to those that are found: each is told once while it lasts."""
    before = {(each.kind, each.device): each for each in held}
    now = {(each.kind, each.device): each for each in found}
    return Turn(
        tuple(before.get(key, each) for key, each in now.items()),
        [each for key, each in now.items() if key not in before],
        [each for key, each in before.items() if key not in now],
    )
