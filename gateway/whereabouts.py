"""Where a unit is: which of its devices says so, and how old that is. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from gateway.duty import happened_ms
from gateway.twins import Twin
from protocols.duty import UnitState

FRESH_MS = 60_000
"""A position this old stands back behind a newer one of another device: at patrol speed the
unit is half a kilometre further."""

ON_FOOT = frozenset({UnitState.FOOT_PATROL, UnitState.ON_SCENE})
"""States in which the crew has left the car: where the body camera is, the officer is."""


class Sight(NamedTuple):
    """A device's newest position. ``taken``: when (ms), by the gateway's clock.

    ``acc_m``: 1 sigma, None where the receiver does not say; ``spd_mps`` likewise.
    """

    device: str
    kind: str | None
    lat: float
    lon: float
    taken: int
    acc_m: float | None = None
    spd_mps: float | None = None


def sight_of(twin: Twin, kind: str | None) -> Sight | None:
    """What a device's twin shows; None without a fix."""
    fix = twin.fix
    if fix is None or fix.fix == 0:
        return None
    taken = happened_ms(fix.t, twin.fix_received_ms, twin.clock.offset_ms)
    return Sight(twin.device, kind, fix.lat, fix.lon, taken, fix.acc, fix.spd)


def whereabouts(state: UnitState | None, sights: Iterable[Sight], now: int) -> Sight | None:
    """The position that counts: on foot the body camera's, else the car's.

    Where that is missing or no longer fresh, the newest of all.
    """
    wanted = "body_camera" if state in ON_FOOT else "vehicle_terminal"
    newest = sorted(sights, key=lambda sight: (sight.taken, sight.device), reverse=True)
    for sight in newest:
        if sight.kind == wanted and now - sight.taken <= FRESH_MS:
            return sight
    return newest[0] if newest else None
