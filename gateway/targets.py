"""Who an order is for: a device, a unit's devices, those in a grid or around a place."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from gateway.grids import Grid, distance_m
from gateway.order import MOST_DEVICES, Addressed, Target
from gateway.registry import Device
from gateway.unit import UnitRecord
from gateway.units import NO_UNIT_KINDS
from gateway.whereabouts import Sight
from protocols.errors import FieldInvalid

FIX_AGE_S = 900
"""A unit whose last position is older is not taken to be there any more."""

MOST_TOLD = 200
"""So many of those left out are named, the rest counted."""


class Units(Protocol):
    """Which devices a unit, a crew for a shift, has."""

    def devices_of(self, unit: str) -> Sequence[str]:
        """Its devices; none if there is no such unit."""

    def places(self) -> Iterable[tuple[UnitRecord, Sight]]:
        """Every unit that has a position, with it."""


class Targets:
    """Finds a target's devices by what is known now."""

    def __init__(
        self,
        *,
        devices: Callable[[], Iterable[Device]],
        units: Units,
        grids: Sequence[Grid] = (),
        now_ms: Callable[[], int],
    ) -> None:
        self._devices = devices
        self._grids = {grid.name: grid for grid in grids}
        self._units = units
        self._now_ms = now_ms

    def addressed(self, target: Target) -> Addressed:
        """Its devices, by their ids, and who was left out; raise FieldInvalid."""
        known = {device.id: device for device in self._devices() if not device.revoked}
        if target.device is not None:
            if target.device not in known:
                raise FieldInvalid("to.device", "is not registered", target.device)
            return Addressed([target.device])
        if target.unit is not None:
            members = self._units.devices_of(target.unit)
            if not members:
                raise FieldInvalid("to.unit", "has no devices", target.unit)
            gone = [{"device": d, "why": "not registered"} for d in members if d not in known]
            return Addressed([device for device in members if device in known], gone)
        return self._within(target, known)

    def _within(self, target: Target, known: dict[str, Device]) -> Addressed:
        grid, near = self._grids.get(target.grid or ""), target.near
        if target.grid is not None and grid is None:
            names = ", ".join(self._grids) or "none is set"
            raise FieldInvalid("to.grid", f"must be one of the grids: {names}", target.grid)

        def is_inside(lat: float, lon: float) -> bool:
            if near is not None:
                return distance_m(near.lat, near.lon, lat, lon) <= near.radius_m
            return grid is not None and grid.contains(lat, lon)

        mobile = {name for name, device in known.items() if device.kind not in NO_UNIT_KINDS}
        found: list[str] = []
        old: list[str] = []
        placed: set[str] = set()
        for unit, sight in self._units.places():
            placed.update(unit.devices)
            if is_inside(sight.lat, sight.lon):
                is_fresh = self._now_ms() - sight.taken <= FIX_AGE_S * 1000
                (found if is_fresh else old).extend(d for d in unit.devices if d in mobile)
        if len(found) > MOST_DEVICES:
            raise FieldInvalid("to", f"is {len(found)} devices, at most {MOST_DEVICES} at once")
        return Addressed(sorted(found), _left_out(old, sorted(mobile - placed)))


def _left_out(old: list[str], unplaced: list[str]) -> list[dict[str, str]]:
    whys = [
        *({"device": device, "why": "position too old"} for device in old),
        *({"device": device, "why": "position unknown"} for device in unplaced),
    ]
    more = len(whys) - MOST_TOLD
    return [*whys[:MOST_TOLD], *([{"device": "*", "why": f"{more} more"}] if more > 0 else [])]
