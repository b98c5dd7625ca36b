"""Fixes as a table of numbers, on their way to disk and back.

What lacks a number in the table (None) has 0 there and a bit in the column ``absent``;
texts stand as numbers of a list of the table's own.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

import numpy as np
from msgspec import Struct
from msgspec.structs import astuple
from numpy.typing import NDArray

from gateway.journal.base import Positions, Telemetry
from gateway.journal.columns import Decimals, Numbers, Shrunk, expand, from_whole, shrink, to_whole

T = TypeVar("T")

DECIMALS = ("lat", "lon", "alt", "spd", "hdg", "acc", "hdop")
WHOLE = ("boot", "seq", "t", "fix", "sats", "src", "marks", "received", "stored", "offset")
"""The columns in their order on disk; after these comes ``absent``."""

USUAL_PLACES = [7, 7, 1, 2, 1, 1, 1]
_NULLABLE = ("alt", "spd", "hdg", "acc", "hdop", "sats", "offset")
_BITS = {name: 1 << n for n, name in enumerate(_NULLABLE)}
_COLUMN = {name: n for n, name in enumerate((*WHOLE, "absent"))}
_T, _STORED = _COLUMN["t"], _COLUMN["stored"]

_GLANCED_DECIMALS = [DECIMALS.index(name) for name in ("lat", "lon", "spd", "hdg", "acc")]
_GLANCED = [_COLUMN[name] for name in ("t", "fix", "received", "offset", "absent")]
_GLANCED += [len(_COLUMN) + n for n in _GLANCED_DECIMALS]


class Unfit(Exception):
    """A value that a table does not hold: a number past 64 bits, or one that is not finite."""


class Packed(Struct, array_like=True, frozen=True):
    """A table as it stands on disk."""

    fixes: int
    device: Shrunk
    places: list[int]
    numbers: Shrunk
    sources: list[str | None]
    flags: list[tuple[str, ...]]

    def devices(self) -> NDArray[np.int64]:
        """Each row's device."""
        numbers: NDArray[np.int64] = expand(self.device, np.zeros(self.fixes, np.bool_))[0]
        return numbers


class Fixes(NamedTuple):
    """A row for each fix. ``device`` has the devices' short numbers."""

    device: NDArray[np.int64]
    numbers: Numbers
    decimals: Decimals
    sources: list[str | None]
    flags: list[tuple[str, ...]]

    def take(self, rows: NDArray[Any]) -> Fixes:
        """Some of the rows, by number or mask."""
        return self._replace(
            device=self.device[rows],
            numbers=self.numbers[:, rows],
            decimals=self.decimals[:, rows],
        )

    @property
    def t(self) -> NDArray[np.int64]:
        """When, by the devices' clocks."""
        times: Numbers = self.numbers[_T]
        return times

    def pack(self, places: list[int]) -> Packed:
        """For the disk. ``places``: how many decimals each of DECIMALS is likely to have."""
        order = np.argsort(self.device, kind="stable")
        whole, places = to_whole(self.decimals, places)
        is_next = _is_next(self.device[order])
        return Packed(
            len(order),
            shrink(self.device[None], np.zeros(len(order), np.bool_)),
            places,
            shrink(np.take(np.concatenate((self.numbers, whole)), order, axis=1), is_next),
            self.sources,
            self.flags,
        )

    def positions(self, cursors: NDArray[np.int64], name: Callable[[int], str]) -> Positions:
        """As columns of Python's own values; ``name`` gives the device of a short number."""
        absent = self.numbers[-1]
        columns: dict[str, list[Any]] = dict(zip(WHOLE, self.numbers.tolist(), strict=False))
        columns.update(zip(DECIMALS, self.decimals.tolist(), strict=True))
        if absent.any():
            for column, bit in _BITS.items():
                for row in np.flatnonzero(absent & bit).tolist():
                    columns[column][row] = None
        marks = columns.pop("marks")
        columns["src"] = [self.sources[n] for n in columns["src"]]
        names = {number: name(number) for number in np.unique(self.device).tolist()}
        return Positions(
            cursor=cursors.tolist(),
            device=[names[number] for number in self.device.tolist()],
            clock_offset_ms=columns.pop("offset"),
            flags=list(map(self.flags.__getitem__, marks)),
            **columns,
        )


def unpack(packed: Packed) -> Fixes:
    """The table that was packed."""
    rows, device = packed.fixes, packed.devices()
    order = np.argsort(device, kind="stable")
    both = np.empty((len(_COLUMN) + len(DECIMALS), rows), np.int64)
    both[:, order] = expand(packed.numbers, _is_next(device[order]))
    numbers, whole = both[: len(_COLUMN)], both[len(_COLUMN) :]
    decimals = from_whole(whole, packed.places)
    return Fixes(device, numbers, decimals, packed.sources, packed.flags)


def unpack_of(packed: Packed, device_no: int) -> tuple[NDArray[np.int64], Fixes] | None:
    """The rows of one device alone, and which they are. They lie together: little work."""
    devices = packed.devices()
    rows = np.flatnonzero(devices == device_no)
    if not len(rows):
        return None
    before = np.count_nonzero(devices < device_no)
    planes = np.frombuffer(packed.numbers.planes, np.uint8).reshape(-1, packed.fixes)
    own = packed.numbers._replace(planes=planes[:, before : before + len(rows)].tobytes())
    both = expand(own, np.arange(len(rows)) > 0)
    numbers, whole = both[: len(_COLUMN)], both[len(_COLUMN) :]
    decimals = from_whole(whole, packed.places)
    return rows, Fixes(devices[rows], numbers, decimals, packed.sources, packed.flags)


class Glance(NamedTuple):
    """What a table says of where devices were. ``offset`` is 0 where it is not known."""

    device: NDArray[np.int64]
    t: NDArray[np.int64]
    fix: NDArray[np.int64]
    received: NDArray[np.int64]
    offset: NDArray[np.int64]
    lat: NDArray[np.float64]
    lon: NDArray[np.float64]
    spd: NDArray[np.float64]
    hdg: NDArray[np.float64]
    acc: NDArray[np.float64]


def glance(packed: Packed, asked: NDArray[np.bool_] | None = None) -> Glance:
    """Those columns alone, by device: half the work of all. Of the devices that are ``asked``
    alone it is little work: they lie together."""
    device = packed.devices()
    device.sort()
    rows: Any = slice(None)
    if asked is not None:
        rows = np.flatnonzero(asked[np.minimum(device, len(asked) - 1)])
        device = device[rows]
        if not len(rows):
            return Glance(*[device] * 5, *[np.empty(0)] * 5)
    widths = np.frombuffer(packed.numbers.widths, np.uint8)
    is_asked = np.zeros(len(widths), np.bool_)
    is_asked[_GLANCED] = True
    planes = np.frombuffer(packed.numbers.planes, np.uint8).reshape(-1, packed.fixes)
    shown = Shrunk(
        widths[is_asked].tobytes(),
        [packed.numbers.bases[column] for column in _GLANCED],
        planes[np.repeat(is_asked, widths)][:, rows].tobytes(),
    )
    both = expand(shown, _is_next(device))
    t, fix, received, offset, absent = both[:5]
    lat, lon, spd, hdg, acc = from_whole(both[5:], [packed.places[n] for n in _GLANCED_DECIMALS])
    for name, line in (("spd", spd), ("hdg", hdg), ("acc", acc)):
        line[(absent & _BITS[name]) != 0] = np.nan
    return Glance(device, t, fix, received, offset, lat, lon, spd, hdg, acc)


def gather(entries: Sequence[Telemetry], stored: int, number: Callable[[str], int]) -> Fixes:
    """The table of entries whose messages are all fixes; raise Unfit if it cannot hold them."""
    about = _by_field(entries)
    fields = _by_field(about["message"])
    numbers = np.zeros((len(_COLUMN), len(entries)), np.int64)
    absent = numbers[-1]
    decimals = _decimals(fields, absent)
    columns: dict[str, Sequence[Any]] = {name: fields[name] for name in ("boot", "seq", "t", "fix")}
    columns["sats"] = _filled(fields["sats"], "sats", absent)
    columns["received"] = about["received"]
    columns["offset"] = _filled(about["clock_offset_ms"], "offset", absent)
    sources, columns["src"] = _listed(fields["src"])
    flag_sets, columns["marks"] = _listed(about["flags"])
    try:
        for name, column in columns.items():
            numbers[_COLUMN[name]] = column
    except OverflowError as error:
        raise Unfit("a number past 64 bits") from error
    numbers[_STORED] = stored
    device = np.array(list(map(number, about["device"])), np.int64)
    return Fixes(device, numbers, decimals, sources, flag_sets)


def _by_field(rows: Sequence[Struct]) -> dict[str, Sequence[Any]]:
    """The values of structs of one type, field by field: quicker than to ask for each by name."""
    columns = zip(*map(astuple, rows), strict=True)
    return dict(zip(rows[0].__struct_fields__, columns, strict=True))


def _decimals(fields: Mapping[str, Sequence[Any]], absent: NDArray[np.int64]) -> Decimals:
    """Their decimals, 0 for None, which is marked in ``absent``."""
    decimals = np.empty((len(DECIMALS), len(absent)))
    # Five times as quick as to make an array of a list, but None is no double.
    doubles = struct.Struct(f"{len(absent)}d")
    for line, name in zip(decimals, DECIMALS, strict=True):
        try:
            line[:] = np.frombuffer(doubles.pack(*fields[name]))
        except struct.error:
            line[:] = fields[name]  # with NaN for None
    is_none = ~np.isfinite(decimals)
    for name, line in zip(DECIMALS, is_none, strict=True):
        if line.any():
            if np.count_nonzero(line) != fields[name].count(None):
                raise Unfit(name)
            absent |= np.where(line, _BITS[name], 0)
    decimals[is_none] = 0.0
    return decimals


def is_fit(entry: Telemetry) -> bool:
    """Whether a table can hold the entry."""
    try:
        gather([entry], 0, lambda _: 0)
    except Unfit:
        return False
    return True


def joined(tables: Sequence[Fixes]) -> Fixes:
    """The rows of several tables in one."""
    sources: dict[str | None, int] = {}
    flags: dict[tuple[str, ...], int] = {}
    parts = []
    for table in tables:
        part = table.numbers.copy()
        _renumber(part[_COLUMN["src"]], table.sources, sources)
        _renumber(part[_COLUMN["marks"]], table.flags, flags)
        parts.append(part)
    return Fixes(
        np.concatenate([table.device for table in tables]),
        np.concatenate(parts, axis=1),
        np.concatenate([table.decimals for table in tables], axis=1),
        list(sources),
        list(flags),
    )


def _renumber(column: NDArray[np.int64], own: Sequence[T], common: dict[T, int]) -> None:
    """From places in a table's own list to those in the common one."""
    places = [common.setdefault(text, len(common)) for text in own]
    column[:] = np.array(places)[column]


def _is_next(device: NDArray[np.int64]) -> NDArray[np.bool_]:
    is_next = np.zeros(len(device), np.bool_)
    np.equal(device[1:], device[:-1], out=is_next[1:])
    return is_next


def _filled(column: Sequence[Any], name: str, absent: NDArray[np.int64]) -> Sequence[int]:
    if None not in column:
        return column
    absent |= np.array([0 if value is not None else _BITS[name] for value in column])
    return [value or 0 for value in column]


def _listed(column: Sequence[Any]) -> tuple[list[Any], Sequence[int]]:
    """The different values of a column, and the place among them of each."""
    if column.count(column[0]) == len(column):
        return [column[0]], (0,)
    places = {value: n for n, value in enumerate(dict.fromkeys(column))}
    return list(places), [places[value] for value in column]
