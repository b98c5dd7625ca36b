"""What stood on the map at a moment of the past: rows as the map's stream has them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from gateway import frames
from gateway.frames import NOWHERE, UNKNOWN, Rows
from gateway.journal.base import Event, EventType
from gateway.registry import Device
from gateway.seen import Seen
from gateway.units import NO_UNIT_KINDS
from gateway.whereabouts import FRESH_MS, ON_FOOT
from protocols.model import Stage

LONG_AGO = -(2**62)
TYPES = frozenset(
    {EventType.UNIT_CHANGED, EventType.PRESENCE, EventType.ALARM_RAISED, EventType.ALARM_STAGE}
)
"""What tells of rows beside positions."""

_ROW = np.dtype(
    [
        ("lat", "<i4"), ("lon", "<i4"), ("taken", "<i8"), ("speed", "u1"), ("heading", "u1"),
        ("accuracy", "u1"), ("marks", "u1"), ("wanted_at", "<i8"), ("is_away", "?"),
    ]
)  # fmt: skip
_NEW = (NOWHERE, 0, 0, UNKNOWN, UNKNOWN, UNKNOWN, 0, LONG_AGO, False)


class Row(Struct):
    """Beside what stands in columns. ``told``: the facts as they were last told."""

    index: int
    id: str
    devices: set[str]
    unit: dict[str, Any] = {}
    told: bytes = b""


class Scene:
    """Events and positions go in, in the order of their times; facts and frames come out."""

    def __init__(self, registered: Iterable[Device], *, stale_after_ms: int) -> None:
        self._registered = {device.id: device for device in registered}
        self._stale_after_ms = stale_after_ms
        self._rows: list[Row] = []
        self._by_id: dict[str, Row] = {}
        self._unit_of: dict[str, str] = {}
        self._numbers: dict[str, int] = {}  # the journal's, of devices
        self._row_of: NDArray[np.int64] = np.full(1024, -1, np.int64)  # by the device's number
        self._is_wanted: NDArray[np.bool_] = np.zeros(1024, np.bool_)
        self._away: set[str] = set()
        self._alarms: dict[str, dict[str, bool]] = {}  # by device: open ones, and who waits
        self._changed: set[int] = set()  # rows with facts that may be new
        self._table = np.full(1024, np.array(_NEW, _ROW))
        for device in self._registered.values():
            if device.kind in NO_UNIT_KINDS and not device.revoked and device.lat is not None:
                row = self._row(device.id)
                place = round(device.lat * 1e7), round((device.lon or 0.0) * 1e7)
                self._table["lat"][row.index], self._table["lon"][row.index] = place

    # What happened.

    def take(self, event: Event) -> None:
        """An event of TYPES."""
        data = event.data
        match event.type:
            case EventType.UNIT_CHANGED:
                self._take_unit(data)
            case EventType.PRESENCE:
                (self._away.discard if data["online"] else self._away.add)(event.device)
                self._touch(event.device)
            case EventType.ALARM_RAISED:
                self._alarms.setdefault(event.device, {})[event.id] = True
                self._touch(event.device)
            case EventType.ALARM_STAGE:
                opened = self._alarms.setdefault(event.device, {})
                opened[data["alarm"]] = False
                if data["stage"] == Stage.CLOSED:
                    del opened[data["alarm"]]
                self._touch(event.device)

    def _touch(self, device: str) -> None:
        row = self._by_id.get(self._unit_of.get(device, device))
        if row is not None:
            self._changed.add(row.index)

    def _take_unit(self, data: Mapping[str, Any]) -> None:
        unit = data["unit"]
        for device in data["devices"]:
            self._move(device, unit)
        for device, other in {**data.get("released", {}), **data.get("lost", {})}.items():
            self._move(device, other)
        row = self._by_id.get(unit)
        if row is not None:
            row.unit = {key: data.get(key) for key in ("state", "since", "incident", "officers")}
            self._changed.add(row.index)
            self._want(row)

    def _move(self, device: str, unit: str) -> None:
        """The device is one of the unit's from now on."""
        before = self._by_id.get(self._unit_of.get(device, device))
        self._unit_of[device] = unit
        row = self._row(unit)
        row.devices.add(device)
        self._changed.add(row.index)
        if before is not None and before is not row:
            before.devices.discard(device)
            self._changed.add(before.index)
        if device in self._numbers:
            self._row_of[self._numbers[device]] = row.index

    def _row(self, name: str) -> Row:
        row = self._by_id.get(name)
        if row is None:
            row = self._by_id[name] = Row(len(self._rows), name, set())
            self._rows.append(row)
            if len(self._rows) > len(self._table):
                more = np.full(len(self._table), np.array(_NEW, _ROW))
                self._table = np.concatenate((self._table, more))
            if self._unit_of.get(name, name) == name:
                row.devices.add(name)
            self._changed.add(row.index)
        return row

    def _want(self, row: Row) -> None:
        """Whose position counts: on foot the body camera's, else the car's."""
        wanted = "body_camera" if row.unit.get("state") in ON_FOOT else "vehicle_terminal"
        for device in row.devices:
            if device in self._numbers:
                known = self._registered.get(device)
                is_wanted = known is not None and known.kind == wanted
                self._is_wanted[self._numbers[device]] = is_wanted

    # Where they were.

    def meet(self, names: Mapping[int, str]) -> None:
        """Devices by the journal's numbers."""
        for number, device in names.items():
            if number >= len(self._row_of):
                more = max(number + 1 - len(self._row_of), len(self._row_of))
                self._row_of = np.concatenate((self._row_of, np.full(more, -1, np.int64)))
                self._is_wanted = np.concatenate((self._is_wanted, np.zeros(more, np.bool_)))
            if self._row_of[number] < 0:
                self._numbers[device] = number
                row = self._row(self._unit_of.get(device, device))
                self._row_of[number] = row.index
                self._want(row)

    def place(self, seen: Seen) -> None:
        """Positions of one step: the newest of a unit that counts stays."""
        table, rows = self._table, self._row_of[seen.device]
        is_wanted = self._is_wanted[seen.device]
        counts = is_wanted | (seen.at - table["wanted_at"][rows] > FRESH_MS)
        order = np.lexsort((seen.at, is_wanted, rows))
        order = order[counts[order]]  # of a row's last wins
        at = rows[order]
        table["lat"][at] = np.rint(seen.lat[order] * 1e7)
        table["lon"][at] = np.rint(seen.lon[order] * 1e7)
        table["taken"][at] = seen.at[order]
        table["speed"][at] = frames.speed_codes(seen.spd[order])
        table["heading"][at] = frames.heading_codes(seen.hdg[order])
        table["accuracy"][at] = frames.accuracy_codes(seen.acc[order])
        wanted = order[is_wanted[order]]
        table["wanted_at"][rows[wanted]] = seen.at[wanted]

    # What is told.

    def facts(self) -> list[bytes]:
        """Of the rows of which there is anything new to say, as JSON."""
        news = []
        for index in sorted(self._changed):
            row = self._rows[index]
            self._table["is_away"][index] = bool(row.devices) and row.devices <= self._away
            self._mark_alarms(row)
            told = msgspec.json.encode(self._facts_of(row))
            if told != row.told:
                row.told = told
                news.append(told)
        self._changed.clear()
        return news

    def _counts(self, row: Row) -> tuple[int, int]:
        waits = [w for device in row.devices for w in self._alarms.get(device, {}).values()]
        return len(waits), sum(waits)

    def _mark_alarms(self, row: Row) -> None:
        opened, waiting = self._counts(row)
        marks = (frames.ALARM if opened else 0) | (frames.WAITING if waiting else 0)
        known = self._registered.get(row.id)
        if known is not None and known.kind in NO_UNIT_KINDS:
            marks |= frames.FIXED
        self._table["marks"][row.index] = marks

    def _facts_of(self, row: Row) -> dict[str, Any]:
        if not row.devices:
            return {"i": row.index, "id": row.id, "gone": True}
        device = self._registered.get(row.id) or self._registered.get(min(row.devices))
        opened, waiting = self._counts(row)
        said = {
            "id": row.id,
            "kind": None if device is None else device.kind,
            "name": "" if device is None else device.name,
            "duty": row.unit.get("state"),
            "since": row.unit.get("since"),
            "incident": row.unit.get("incident"),
            "officers": row.unit.get("officers"),
            "devices": sorted(row.devices) if row.devices != {row.id} else [],
            "alarms": opened,
            "waiting": waiting,
        }
        is_unit = device is None or device.kind not in NO_UNIT_KINDS
        return {"i": row.index, "unit": is_unit, **{k: v for k, v in said.items() if v}}

    def marks(self, now: int) -> NDArray[np.uint8]:
        """The marks of all rows then. Offline is who has said so, stale who was silent for long."""
        table = self._table[: len(self._rows)]
        is_silent = now - table["taken"] > self._stale_after_ms
        is_silent &= (table["marks"] & frames.FIXED) == 0
        marks = table["marks"].copy()
        marks[is_silent] |= frames.STALE
        marks[table["is_away"]] &= 0xFF ^ frames.STALE
        marks[table["is_away"]] |= frames.OFFLINE
        return marks

    def rows(self, index: NDArray[np.int64], marks: NDArray[np.uint8]) -> Rows:
        """Some of the rows as a frame has them."""
        t = self._table[index]
        names = ("lat", "lon", "taken", "speed", "heading", "accuracy")
        lat, lon, taken, speed, heading, accuracy = (t[name] for name in names)
        return Rows(index, lat, lon, taken, speed, heading, accuracy, marks[index])

    def placed(self, seen: Seen) -> NDArray[np.int64]:
        """The rows that those positions are of."""
        return np.unique(self._row_of[seen.device])
