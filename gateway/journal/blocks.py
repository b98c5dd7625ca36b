"""How a group of telemetry becomes bytes on disk, and events again.

A block is one zstd frame of one MessagePack array ``[format, stored, rows, table]``.
Most of telemetry is positions: they stand in a table of columns (fixes.py). All else,
and a position that a table cannot hold, is a row of its own:
``[place, type, device number, received - stored, clock offset, flags, fields]``, where
``fields`` are the message's values in the order of its type's declaration, so a type
of ``protocols.model`` may only grow at its end.

Blocks of the first format are ``[stored, rows]`` without a table, and rows without
their places.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from sys import maxsize
from typing import Any, NamedTuple

import msgspec
import numpy as np
import zstandard
from msgspec.structs import astuple
from numpy.typing import NDArray

from gateway.journal import fixes
from gateway.journal.base import Event, EventType, Positions, Telemetry, UsedUp
from gateway.journal.columns import AS_BITS
from protocols.model import Fix, Lane, MediaChunk, Status, message_id

FORMAT = 2
TABLE_FROM = 8
"""Fewer positions are smaller, and quicker written, as rows."""

FORGET_EVERY = 1000
"""After so many blocks the codec forgets how many decimals the numbers had."""

TELEMETRY_FIELDS: dict[int, tuple[str, ...]] = {
    EventType.POSITION: Fix.__struct_fields__,
    EventType.STATUS: Status.__struct_fields__,
    EventType.CHUNK: MediaChunk.__struct_fields__,
    EventType.REFUSED: ("boot", "seq"),
}

_TYPES = {
    Fix: EventType.POSITION,
    Status: EventType.STATUS,
    MediaChunk: EventType.CHUNK,
    UsedUp: EventType.REFUSED,
}

_POSITIONS = frozenset({EventType.POSITION})
_Row = tuple[int, int, int, int, int | None, tuple[str, ...], list[Any]]
_FIRST_FORMAT = 0x92  # MessagePack's array of two

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(tuple[int, int, list[_Row], fixes.Packed | None])
_first_decoder = msgspec.msgpack.Decoder(
    tuple[int, list[tuple[int, int, int, int | None, tuple[str, ...], list[Any]]]]
)


class Content(NamedTuple):
    """A block, unpacked: its rows, and its table with the rows' places in the block."""

    stored: int
    rows: list[_Row]
    table: fixes.Fixes | None
    places: NDArray[np.int64]

    def read(
        self,
        first: int,
        name: Callable[[int], str],
        types: frozenset[EventType],
        after: int,
        upper: int,
    ) -> Positions | list[Event]:
        """What is asked for beyond a cursor and up to another; the block's first is ``first``."""
        events = [
            event for event in _events(self, first, name, types) if after < event.cursor <= upper
        ]
        if self.table is None or EventType.POSITION not in types:
            return events
        cursors = self.places + first
        if first <= after or cursors[-1] > upper:
            is_asked = (cursors > after) & (cursors <= upper)
            if not is_asked.any():
                return events
            positions = self.table.take(is_asked).positions(cursors[is_asked], name)
        else:
            positions = self.table.positions(cursors, name)
        if not events:
            return positions
        return sorted(events + positions.events(), key=lambda event: event.cursor)


class BlockCodec:
    """Packs and unpacks blocks. Not for use by two threads at once."""

    def __init__(self) -> None:
        self._compressor = zstandard.ZstdCompressor(level=1, write_checksum=True)
        self._decompressor = zstandard.ZstdDecompressor()
        self._places = fixes.USUAL_PLACES
        self._packed = 0

    def pack(
        self, entries: Sequence[Telemetry], stored: int, number: Callable[[str], int]
    ) -> bytes:
        """The entries as one blob; ``number`` gives a device's short number."""
        places, table = _table(entries, stored, number)
        rows = [
            (
                at,
                _TYPES[type(e.message)],
                number(e.device),
                e.received - stored,
                e.clock_offset_ms,
                e.flags,
                e.message if isinstance(e.message, UsedUp) else astuple(e.message),
            )
            for at, e in _others(entries, places)
        ]
        return self.compress(stored, rows, table)

    def compress(self, stored: int, rows: Sequence[Any], table: fixes.Fixes | None) -> bytes:
        """Rows and a table as one blob."""
        packed = None
        if table is not None:
            if self._packed % FORGET_EVERY == 0:
                self._places = fixes.USUAL_PLACES
            self._packed += 1
            packed = table.pack(self._places)
            self._places = [
                known if found == AS_BITS else found
                for known, found in zip(self._places, packed.places, strict=True)
            ]
        return self._compressor.compress(_encoder.encode((FORMAT, stored, rows, packed)))

    def open(self, blob: bytes, device_no: int | None = None) -> Content:
        """What a block holds: all of it, or no more of its table than one device's fixes."""
        content = self._decompressor.decompress(blob)
        if content[0] == _FIRST_FORMAT:
            stored, old_rows = _first_decoder.decode(content)
            rows = [(at, *row) for at, row in enumerate(old_rows)]
            return Content(stored, rows, None, np.empty(0, np.int64))
        _, stored, rows, packed = _decoder.decode(content)
        is_place = np.ones(len(rows) + (packed.fixes if packed else 0), np.bool_)
        is_place[[row[0] for row in rows]] = False
        places = np.flatnonzero(is_place)
        if packed is None:
            return Content(stored, rows, None, places)
        if device_no is None:
            return Content(stored, rows, fixes.unpack(packed), places)
        found = fixes.unpack_of(packed, device_no)
        if found is None:
            return Content(stored, rows, None, places[:0])
        return Content(stored, rows, found[1], places[found[0]])

    def track(
        self, blob: bytes, first: int, device_no: int, device: str, span: range
    ) -> list[Event]:
        """One device's positions with a time in the span; the block's first cursor is ``first``."""
        content = self.open(blob, device_no)
        content = content._replace(rows=[row for row in content.rows if row[2] == device_no])
        found = content.read(first, lambda _: device, _POSITIONS, 0, maxsize)
        events = found.events() if isinstance(found, Positions) else found
        return [event for event in events if event.t in span]

    def glance(self, blob: bytes, asked: NDArray[np.bool_] | None = None) -> list[fixes.Glance]:
        """Where devices were, in the table and in rows; of those alone whose number is ``asked``,
        whose last value stands for all numbers beyond."""
        content = self._decompressor.decompress(blob)
        if content[0] == _FIRST_FORMAT:
            stored, old_rows = _first_decoder.decode(content)
            rows, packed = [(0, *row) for row in old_rows], None
        else:
            _, stored, rows, packed = _decoder.decode(content)
        found = [] if packed is None else [fixes.glance(packed, asked)]
        positions = [row for row in rows if row[1] == EventType.POSITION]
        return [*found, _glance(stored, positions)] if positions else found

    def unpack(
        self, blob: bytes, first: int, name: Callable[[int], str], types: frozenset[EventType]
    ) -> list[Event]:
        """The events of a block whose types are asked for; the first entry has cursor ``first``."""
        found = self.open(blob).read(first, name, types, 0, maxsize)
        return found.events() if isinstance(found, Positions) else found


def _glance(stored: int, rows: Sequence[_Row]) -> fixes.Glance:
    fields = TELEMETRY_FIELDS[EventType.POSITION]
    found = [dict(zip(fields, values, strict=False)) for *_, values in rows]

    def whole(column: Sequence[int]) -> NDArray[np.int64]:
        return np.clip(np.array(column, np.float64), -(2.0**62), 2.0**62).astype(np.int64)

    def decimals(key: str) -> NDArray[np.float64]:
        return np.array([each.get(key) for each in found], np.float64)  # NaN for None

    return fixes.Glance(
        np.array([row[2] for row in rows], np.int64),
        whole([each["t"] for each in found]),
        whole([each["fix"] for each in found]),
        np.array([stored + row[3] for row in rows], np.int64),
        np.array([row[4] or 0 for row in rows], np.int64),
        *(decimals(key) for key in ("lat", "lon", "spd", "hdg", "acc")),
    )


def _table(
    entries: Sequence[Telemetry], stored: int, number: Callable[[str], int]
) -> tuple[Sequence[int], fixes.Fixes | None]:
    """The places of the entries that go into a table, and the table, if it pays to have one."""
    kinds = [type(entry.message) for entry in entries]
    places: Sequence[int] = range(len(entries))
    if kinds.count(Fix) < len(kinds):
        places = [at for at, kind in enumerate(kinds) if kind is Fix]
    if len(places) < TABLE_FROM:
        return (), None
    chosen = entries if isinstance(places, range) else [entries[at] for at in places]
    try:
        return places, fixes.gather(chosen, stored, number)
    except fixes.Unfit:
        places = [at for at in places if fixes.is_fit(entries[at])]
    if len(places) < TABLE_FROM:
        return (), None
    return places, fixes.gather([entries[at] for at in places], stored, number)


def _others(entries: Sequence[Telemetry], places: Sequence[int]) -> Iterator[tuple[int, Telemetry]]:
    """The entries at all other places, with their places."""
    if len(places) < len(entries):
        taken = set(places)
        yield from ((at, entry) for at, entry in enumerate(entries) if at not in taken)


def _events(
    content: Content, first: int, name: Callable[[int], str], types: frozenset[EventType]
) -> Iterator[Event]:
    """The events of a block's rows."""
    for at, kind, device_no, delay, offset, flags, values in content.rows:
        if kind not in types:
            continue
        device = name(device_no)
        fields = TELEMETRY_FIELDS[kind]
        data = {f: v for f, v in zip(fields, values, strict=False) if v is not None}
        yield Event(
            type=EventType(kind),
            id=message_id(device, data["boot"], Lane.TELEMETRY, data["seq"]),
            device=device,
            t=data.get("t", 0),
            received=content.stored + delay,
            clock_offset_ms=offset,
            flags=flags,
            data=data,
            cursor=first + at,
            stored=content.stored,
        )
