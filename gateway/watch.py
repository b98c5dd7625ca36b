"""Looks at every unit every few seconds: contradictions, and who has come near its incident.

It looks at what is known of devices already: no position is touched on its way in.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import structlog
from msgspec.structs import replace

from gateway.contradictions import (
    NEAR_M,
    PLACED,
    Still,
    follow,
    judge,
    resume,
    turn,
)
from gateway.grids import distance_m
from gateway.journal.base import CommitFailed, Event, EventType
from gateway.twins import Twins
from gateway.unit import Contradiction, ContradictionKind, UnitRecord
from gateway.units import Units, event_id
from gateway.whereabouts import Sight, whereabouts

log = structlog.get_logger()

EVERY_S = 5.0
SLICE = 100
"""So many units at a time: half a millisecond."""


class Watch:
    """The looks, and where each unit of whose place something is said has stayed."""

    def __init__(
        self,
        units: Units,
        twins: Twins,
        *,
        now_ms: Callable[[], int],
        on_begun: Callable[[Contradiction], None] = lambda found: None,
    ) -> None:
        self._units = units
        self._twins = twins
        self._now_ms = now_ms
        self._on_begun = on_begun
        self._began = now_ms()
        self._stays: dict[str, Still] = {}
        self._failed: set[str] = set()

    async def run(self) -> None:
        """Look at all of them for ever, some at a time."""
        while True:
            units = self._units.reporting()
            slices = range(0, max(len(units), 1), SLICE)
            for at in slices:
                for unit in units[at : at + SLICE]:
                    await self._look_or_tell(unit.id)
                await asyncio.sleep(EVERY_S / len(slices))

    async def _look_or_tell(self, unit_id: str) -> None:
        """Look; what goes wrong is told once a unit, and ends nothing: alarms do not need us."""
        try:
            await self.look(unit_id)
        except CommitFailed:
            raise  # the gateway is about to stop
        except Exception:  # once per supervised task
            if unit_id not in self._failed:
                log.exception("unit_look_failed", unit=unit_id)
            self._failed.add(unit_id)
        else:
            self._failed.discard(unit_id)

    async def look(self, unit_id: str) -> None:
        """Look at one unit, and tell what is new."""
        unit = self._units.newest(unit_id)
        if not unit.devices and not unit.contradictions:
            return
        now = self._now_ms()
        is_placed = unit.state in PLACED
        is_sent = _expects_arrival(unit)
        sights = self._units.sights(unit) if is_placed or is_sent else []
        change = turn(unit.contradictions, self._judge(unit, sights, now))
        came = _arrival(unit, sights) if is_sent else None
        if not change.begun and not change.ended and came is None:
            return
        after = replace(unit, contradictions=change.lasting)
        events = [
            *(_contradiction(unit, each, "begun", now) for each in change.begun),
            *(_contradiction(unit, each, "ended", now) for each in change.ended),
        ]
        if came is not None and unit.instruction is not None:
            after = replace(after, arrived=unit.instruction.incident)
            events.append(self._came(unit, came, now))
        if await self._units.keep(unit, after, events):
            for each in change.begun:
                self._on_begun(each)

    def _judge(self, unit: UnitRecord, sights: list[Sight], now: int) -> list[Contradiction]:
        sight = whereabouts(unit.state, sights, now)
        still = None
        if unit.state in PLACED and sight is not None:
            stay = self._stays.get(unit.id) or resume(unit.contradictions, now)
            still = self._stays[unit.id] = follow(stay, sight)
        else:
            self._stays.pop(unit.id, None)
        heard = {device: self._heard(unit, device) for device in unit.devices}
        return judge(unit, still, sight, heard, now)

    def _heard(self, unit: UnitRecord, device: str) -> int:
        """When something came of it; at the earliest when we began, or it joined."""
        twin = self._twins.find(device)
        heard = 0 if twin is None else twin.last_received_ms
        was_silent = any(
            each.kind == ContradictionKind.SILENT and each.device == device
            for each in unit.contradictions
        )  # before we were stopped: that we listen again does not end it
        return max(heard, 0 if was_silent else self._began, unit.bound_at)

    def _came(self, unit: UnitRecord, sight: Sight, now: int) -> Event:
        sent, twin = unit.instruction, self._twins.find(sight.device)
        assert sent is not None
        return Event(
            type=EventType.UNIT_ARRIVAL,
            id=event_id(unit, "arrival"),
            device=sight.device,
            t=sight.taken,
            received=now,
            clock_offset_ms=None if twin is None else twin.clock.offset_ms,
            data={
                "unit": unit.id,
                "incident": sent.incident,
                "cmd": sent.command,
                "dispatched": sent.t,
                "at": sight.taken,
                "lat": sight.lat,
                "lon": sight.lon,
                "distance_m": round(_away_m(unit, sight), 1),
                "acc_m": sight.acc_m,
                "age_ms": now - sight.taken,
            },
        )


def _expects_arrival(unit: UnitRecord) -> bool:
    sent = unit.instruction
    return sent is not None and sent.place is not None and unit.arrived != sent.incident


def _arrival(unit: UnitRecord, sights: list[Sight]) -> Sight | None:
    """The position that first shows the unit near its incident, after it was sent."""
    sent = unit.instruction
    near = [
        sight
        for sight in sights
        if sent is not None and sight.taken >= sent.t and _away_m(unit, sight) <= NEAR_M
    ]
    return min(near, key=lambda sight: (sight.taken, sight.device), default=None)


def _away_m(unit: UnitRecord, sight: Sight) -> float:
    sent = unit.instruction
    assert sent is not None
    assert sent.place is not None
    return distance_m(sight.lat, sight.lon, *sent.place)


def _contradiction(unit: UnitRecord, found: Contradiction, word: str, now: int) -> Event:
    data: dict[str, Any] = {
        "unit": unit.id,
        "kind": found.kind,
        "word": word,
        "state": unit.state,
        "since": found.since,
        "facts": found.facts,
    }
    return Event(
        type=EventType.UNIT_CONTRADICTION,
        id=event_id(unit, f"{found.kind}/{found.device}/{word}"),
        device=found.device,
        t=now,
        received=now,
        data=data,
    )
