"""Who was sent where, and when they came: arrivals from the feed's events, in any order. Pure.

docs/duty.md has the same in words, for those who count again: both change together.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from msgspec import Struct

from gateway.duty import CLOCK_NOISE_MS, happened_ms
from gateway.grids import distance_m
from gateway.journal.base import Event, EventType

NEAR_M = 100.0
"""Within it a unit has come: the contract's figure."""

BAD_ACC_M = 50.0
"""A fix that is worse (1 sigma) says nothing of 100 m."""

BAD_CLOCK_MS = 60_000
"""A device whose clock is off by more is no witness for a position's time."""

HOLDS_MS = 24 * 3600 * 1000
"""An order without a word since then is no longer what a key is about."""

LOOKED_FOR_MS = 3 * 3600 * 1000
"""Who is not near by then is not looked for any more."""

NEVER_TAKEN = frozenset({"cancelled", "failed", "expired"})
BEGUN = frozenset({"accepted", "step", "done"})
TAKEN = frozenset({"delivered", "shown"}) | BEGUN

TYPES = frozenset({EventType.COMMAND, EventType.DUTY, EventType.UNIT_CHANGED})
"""What is needed beside positions."""


class Step(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """When (ms, the gateway's clock) something happened, what says so, and how good that is.

    ``source``: command, key or position. ``late_ms``: how long its message was under way.
    ``clock_offset_ms``: by how much the device's clock was set right, where it was.
    ``distance_m``, ``acc_m``, ``fix_age_ms``: of the position that it came with.
    """

    at: int
    source: str
    event: str
    device: str
    late_ms: int = 0
    clock_offset_ms: int | None = None
    distance_m: float | None = None
    acc_m: float | None = None
    fix_age_ms: int | None = None
    clock_unset: bool = False


class UnitArrival(Struct, frozen=True, kw_only=True):
    """One unit's way to one incident. ``doubts``: what is to be known before judging by it."""

    unit: str
    incident: str
    dispatched: Step | None = None
    en_route: Step | None = None
    near: Step | None = None
    on_scene: Step | None = None
    lat: float | None = None
    lon: float | None = None
    doubts: tuple[str, ...] = ()

    @property
    def arrived(self) -> Step | None:
        """The step that counts: the first position near the incident, else the key."""
        return self.near or self.on_scene


class Search(NamedTuple):
    """Whose positions may show a unit near its incident: within these times (ms) and this place."""

    unit: str
    incident: str
    since: int
    until: int
    lat: float
    lon: float


class _Sent(NamedTuple):
    t: int
    command: str
    device: str
    incident: str
    lat: float | None
    lon: float | None
    event: str


class _Key(NamedTuple):
    at: int
    event: str
    device: str
    act: str
    ref: str | None
    late_ms: int
    offset_ms: int | None
    pos: dict[str, Any] | None
    t: int


class Arrivals:
    """Takes events in any order, positions among them or apart, and tells arrivals."""

    def __init__(self) -> None:
        self._bindings: dict[str, set[tuple[int, str, str]]] = defaultdict(set)
        self._moves: dict[str, list[tuple[int, str, str]]] = {}  # the same in order, when asked
        self._sent: set[_Sent] = set()
        self._states: dict[tuple[str, str], set[str]] = defaultdict(set)  # by command and device
        self._keys: dict[str, _Key] = {}
        self._fixes: dict[str, dict[str, Event]] = defaultdict(dict)

    def take(self, event: Event) -> None:
        """One event; again it changes nothing."""
        match event.type:
            case EventType.UNIT_CHANGED:
                self._take_unit(event)
            case EventType.COMMAND:
                self._take_command(event)
            case EventType.DUTY:
                self._take_duty(event)
            case EventType.POSITION:
                self._fixes[event.device][event.id] = event

    def _take_unit(self, event: Event) -> None:
        data = event.data
        unit = data["unit"]
        moved = {device: unit for device in data["devices"] if device != unit}
        moved |= data.get("released", {}) | data.get("lost", {})
        for device, now in moved.items():
            self._bindings[device].add((data["at"], event.id, now))
            self._moves.pop(device, None)

    def _take_command(self, event: Event) -> None:
        data = event.data
        self._states[data["cmd"], event.device].add(data["state"])
        if data["state"] == "created" and data.get("act") == "instruct":
            args = data.get("args", {})
            place = args.get("lat"), args.get("lon")
            at = data.get("t", event.t), data["cmd"], event.device
            self._sent.add(_Sent(*at, args["incident"], *place, event.id))

    def _take_duty(self, event: Event) -> None:
        data = event.data
        at = happened_ms(data["t"], event.received, event.clock_offset_ms)
        self._keys[event.id] = _Key(
            at,
            event.id,
            event.device,
            data["act"],
            data.get("ref"),
            event.received - at,
            event.clock_offset_ms,
            data.get("pos"),
            data["t"],
        )

    # Who was where, and who was sent where.

    def unit_of(self, device: str, at: int) -> str:
        """The unit that the device was in then; its own where none says otherwise."""
        if device not in self._bindings:
            return device
        if device not in self._moves:
            self._moves[device] = sorted(self._bindings[device])
        moves = self._moves[device]
        held = bisect_right(moves, at, key=lambda move: move[0])
        return moves[held - 1][2] if held else device

    def devices_of(self, unit: str) -> set[str]:
        """The devices that were ever in the unit."""
        bound = {
            device
            for device, moves in self._bindings.items()
            if any(now == unit for _, _, now in moves)
        }
        return bound | {unit}

    def _orders(self) -> dict[str, list[_Sent]]:
        """The orders of each unit that were not in vain, in the order of their times."""
        orders: dict[str, list[_Sent]] = defaultdict(list)
        for sent in sorted(self._sent):
            if not _is_vain(self._states[sent.command, sent.device]):
                orders[self.unit_of(sent.device, sent.t)].append(sent)
        return orders

    def _ways(self) -> dict[tuple[str, str], _Way]:
        """Each unit's way to each incident, but for positions."""
        keys: dict[str, list[_Key]] = defaultdict(list)
        for key in sorted(self._keys.values(), key=lambda key: (key.at, key.event)):
            keys[self.unit_of(key.device, key.at)].append(key)
        ways: dict[tuple[str, str], _Way] = {}
        orders = self._orders()
        for unit in sorted({*keys, *orders}):
            _Walk(unit, ways).follow(orders.get(unit, []), keys.get(unit, []))
        return ways

    def searches(self) -> list[Search]:
        """Where positions are to be looked for."""
        return [
            Search(unit, incident, way.orders[0].t, way.until, *way.place)
            for (unit, incident), way in sorted(self._ways().items())
            if way.orders and way.place is not None
        ]

    def result(self) -> list[UnitArrival]:
        """Each unit's way to each incident, by incident and unit."""
        found = [
            self._arrival(unit, incident, way) for (unit, incident), way in self._ways().items()
        ]
        return sorted(found, key=lambda arrival: (arrival.incident, arrival.unit))

    def _arrival(self, unit: str, incident: str, way: _Way) -> UnitArrival:
        near = None
        if way.orders and way.place is not None:
            search = Search(unit, incident, way.orders[0].t, way.until, *way.place)
            near = min(self._near(search), key=lambda step: (step.at, step.event), default=None)
        dispatched = _dispatch(way.orders[0]) if way.orders else None
        en_route = _pressed(way.en_route, way.place)
        on_scene = _pressed(way.on_scene, way.place)
        lat, lon = way.place or (None, None)
        return UnitArrival(
            unit=unit,
            incident=incident,
            dispatched=dispatched,
            en_route=en_route,
            near=near,
            on_scene=on_scene,
            lat=lat,
            lon=lon,
            doubts=tuple(_doubts(dispatched, en_route, near, on_scene)),
        )

    def _near(self, search: Search) -> Iterator[Step]:
        for device in self.devices_of(search.unit):
            for event in self._fixes.get(device, {}).values():
                step = near_step(search, event)
                if step is not None and self.unit_of(device, step.at) == search.unit:
                    yield step


def _is_vain(states: set[str]) -> bool:
    """Whether nobody went for an order of which this was told: refused, or never had."""
    was_refused = "refused" in states and not states & BEGUN
    return was_refused or (bool(states & NEVER_TAKEN) and not states & TAKEN)


def near_step(search: Search, event: Event) -> Step | None:
    """The step that a position is for whom is searched for, if it is one."""
    data, offset_ms = event.data, event.clock_offset_ms
    acc_m = data.get("acc")
    if acc_m is not None and not math.isfinite(acc_m):
        acc_m = None
    if (
        data["fix"] == 0
        or data.get("src") == "cell"
        or data["t"] <= 0
        or (acc_m is not None and acc_m > BAD_ACC_M)
        or (offset_ms is not None and abs(offset_ms) > BAD_CLOCK_MS)
    ):
        return None
    at = happened_ms(data["t"], event.received, offset_ms)
    if not search.since <= at <= search.until:
        return None
    away_m = distance_m(data["lat"], data["lon"], search.lat, search.lon)
    if away_m > NEAR_M:
        return None
    return Step(
        at=at,
        source="position",
        event=event.id,
        device=event.device,
        late_ms=event.received - at,
        clock_offset_ms=_set_right(offset_ms),
        distance_m=round(away_m, 1),
        acc_m=acc_m,
        fix_age_ms=0,
    )


class _Way:
    """What keys and orders tell of one unit and one incident."""

    def __init__(self) -> None:
        self.orders: list[_Sent] = []
        self.en_route: _Key | None = None
        self.on_scene: _Key | None = None
        self.over: int | None = None

    @property
    def place(self) -> tuple[float, float] | None:
        """Where the newest order that names a place says it is."""
        for sent in reversed(self.orders):
            if sent.lat is not None and sent.lon is not None:
                return sent.lat, sent.lon
        return None

    @property
    def until(self) -> int:
        """Until when it is looked for."""
        last = self.orders[0].t + LOOKED_FOR_MS
        return last if self.over is None else min(last, self.over)


class _Walk:
    """A unit's orders and keys, followed in the order of their times."""

    def __init__(self, unit: str, ways: dict[tuple[str, str], _Way]) -> None:
        self._unit, self._ways = unit, ways
        self._ordered: _Sent | None = None  # the newest order
        self._heading: tuple[int, str] | None = None  # since when it said it goes where, or is

    def follow(self, orders: list[_Sent], keys: list[_Key]) -> None:
        for sent in orders:
            self._way(sent.incident).orders.append(sent)
        steps: list[_Sent | _Key] = sorted(
            [*orders, *keys], key=lambda step: (step[0], isinstance(step, _Key), step[1])
        )
        for step in steps:
            if isinstance(step, _Sent):
                self._ordered = step
            else:
                self._press(step)

    def _way(self, incident: str) -> _Way:
        return self._ways.setdefault((self._unit, incident), _Way())

    def _press(self, key: _Key) -> None:
        ordered, heading = self._ordered, self._heading
        to = None
        if ordered is not None and key.at - ordered.t <= HOLDS_MS:
            to = ordered.incident
        at = None
        if heading is not None and key.at - heading[0] <= HOLDS_MS:
            at = heading[1]
        self._heading = None
        match key.act:
            case "en_route":
                self._go(key.ref or to, key)
            case "on_scene":
                self._go(key.ref or at or to, key)
            case "clear":
                cleared = key.ref or at or to
                self._finish(cleared, key.at)
                if cleared == to:
                    self._ordered = None
            case "off_duty":
                self._finish(at, key.at)
                self._finish(to, key.at)
                self._ordered = None

    def _go(self, incident: str | None, key: _Key) -> None:
        if incident is None:
            return
        self._heading = key.at, incident
        way = self._way(incident)
        if way.orders and abs(key.at - way.orders[0].t) > HOLDS_MS:
            return
        if key.act == "en_route":
            way.en_route = way.en_route or key
        else:
            way.on_scene = way.on_scene or key

    def _finish(self, incident: str | None, at: int) -> None:
        way = self._ways.get((self._unit, incident or ""))
        if way is not None and way.over is None and (not way.orders or at >= way.orders[0].t):
            way.over = at


def _dispatch(sent: _Sent) -> Step:
    return Step(at=sent.t, source="command", event=sent.event, device=sent.device)


def _pressed(key: _Key | None, place: tuple[float, float] | None) -> Step | None:
    if key is None:
        return None
    pos = key.pos or {}
    is_placed = pos.get("fix", 0) != 0
    taken = pos.get("t")
    away_m = distance_m(pos["lat"], pos["lon"], *place) if is_placed and place else None
    return Step(
        at=key.at,
        source="key",
        event=key.event,
        device=key.device,
        late_ms=key.late_ms,
        clock_offset_ms=_set_right(key.offset_ms),
        clock_unset=key.t <= 0,
        distance_m=None if away_m is None else round(away_m, 1),
        acc_m=pos.get("acc") if is_placed else None,
        fix_age_ms=key.t - taken if is_placed and taken and key.t > 0 else None,
    )


def _set_right(offset_ms: int | None) -> int | None:
    return offset_ms if offset_ms is not None and abs(offset_ms) > CLOCK_NOISE_MS else None


def _doubts(
    dispatched: Step | None, en_route: Step | None, near: Step | None, on_scene: Step | None
) -> Iterable[str]:
    """What is to be known before anyone is judged by it."""
    counted = near or on_scene
    if dispatched is None:
        yield "no_order"
    if en_route is None:
        yield "no_en_route_key"
    if on_scene is None:
        yield "no_on_scene_key"
    if counted is None:
        return
    if near is None:
        yield "key_only"
    elif on_scene is not None and on_scene.at < near.at:
        yield "key_before_near"
    if counted.clock_unset:
        yield "clock_unset"
    elif counted.clock_offset_ms is not None:
        yield "clock_set_right"
    if near is not None and near.acc_m is None:
        yield "accuracy_unknown"
    if dispatched is not None and counted.at < dispatched.at:
        yield "before_order"
