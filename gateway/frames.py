"""Frames: how what moves on the map looks as bytes. 16 bytes a row, in columns. Pure.

Little-endian. A header of 24 bytes: version (u8, 1), bits (u8), 0 (u16), rows n (u32), the
gateway's time in ms (f64), the number that is added to each index (u32), the update (u32). Then
n of each column in turn: latitude and longitude (i32, 1e-7°), index (u16), age of the position
(u16, s), speed (u8, 0.5 m/s), heading (u8, 1.5°), accuracy (u8), marks (u8).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from protocols.errors import FieldInvalid

VERSION = 1
HEADER = struct.Struct("<BBHIdII")
ROW_BYTES = 16
LAST, WHOLE = 1, 2
"""Bits of a frame: no other of the same update follows; it has all rows that there are."""

PER_FRAME = 0x10000
NOWHERE = -(2**31)
"""In place of a latitude: there is no position yet."""

OLDER_S = 0xFFFF
UNKNOWN = 0xFF
SPEED_STEP_MPS, HEADING_STEP_DEG, DEGREE = 0.5, 1.5, 1e-7
FINE_M, COARSE_STEP_M = 200, 50
"""Accuracy is in steps of 1 m up to 200 m, of 50 m beyond; 254 stands for 2,900 m and more."""

ONLINE, STALE, OFFLINE = 0, 1, 2
ALARM, WAITING, CONTRADICTED, FIXED, CAMERA, FAULT = 4, 8, 16, 32, 64, 128
"""Marks: two bits of state; an open alarm; one that nobody has accepted; a contradiction; a
registered place, not a position that was reported; a camera that sees; something is broken."""

_COLUMNS = ("<i4", "<i4", "<u2", "<u2", "u1", "u1", "u1", "u1")


class Rows(NamedTuple):
    """Columns of equal length. ``taken``: when, ms by the gateway's clock. Others as in a frame."""

    row: NDArray[np.int64]
    lat: NDArray[np.int32]
    lon: NDArray[np.int32]
    taken: NDArray[np.int64]
    speed: NDArray[np.uint8]
    heading: NDArray[np.uint8]
    accuracy: NDArray[np.uint8]
    marks: NDArray[np.uint8]


class Frame(NamedTuple):
    """One frame, read. Each row: index, lat, lon, age, speed, heading, accuracy, marks as sent."""

    bits: int
    now: float
    update: int
    rows: list[tuple[int, ...]]


def encode(rows: Rows, *, now: int, update: int, whole: bool) -> list[bytes]:
    """The frames of one update, one at least. ``row`` grows."""
    blocks: list[bytes] = []
    base = rows.row // PER_FRAME
    numbers = np.unique(base).tolist() or [0]
    age = np.clip((now - rows.taken + 500) // 1000, 0, OLDER_S)
    for number in numbers:
        low, high = np.searchsorted(base, (number, number + 1))
        bits = (LAST if number == numbers[-1] else 0) | (WHOLE if whole else 0)
        first = number * PER_FRAME
        some = (
            rows.lat, rows.lon, rows.row - first, age,
            rows.speed, rows.heading, rows.accuracy, rows.marks,
        )  # fmt: skip
        head = HEADER.pack(VERSION, bits, 0, int(high - low), float(now), first, update)
        columns = zip(some, _COLUMNS, strict=True)
        blocks.append(head + b"".join(c[low:high].astype(kind).tobytes() for c, kind in columns))
    return blocks


def decode(frame: bytes) -> Frame:
    """A frame, read; raise FieldInvalid."""
    if len(frame) < HEADER.size:
        raise FieldInvalid("frame", f"must have {HEADER.size} bytes or more", len(frame))
    version, bits, _, count, now, first, update = HEADER.unpack_from(frame)
    if version != VERSION:
        raise FieldInvalid("version", f"must be {VERSION}", version)
    if len(frame) != HEADER.size + count * ROW_BYTES:
        raise FieldInvalid("frame", f"must have {count} rows of {ROW_BYTES} bytes", len(frame))
    lat, lon, index, *others = _columns(frame, count)
    rows = zip((index.astype(np.int64) + first).tolist(), lat.tolist(), lon.tolist(),
               *(each.tolist() for each in others), strict=True)  # fmt: skip
    return Frame(bits, now, update, list(rows))


def _columns(frame: bytes, count: int) -> Iterator[NDArray[Any]]:
    at = HEADER.size
    for kind in _COLUMNS:
        column = np.frombuffer(frame, kind, count, at)
        at += column.nbytes
        yield column


def speed_code(speed_mps: float | None) -> int:
    """A speed in a byte."""
    if speed_mps is None:
        return UNKNOWN
    return min(UNKNOWN - 1, int(speed_mps / SPEED_STEP_MPS + 0.5))


def heading_code(heading_deg: float | None) -> int:
    """A heading in a byte."""
    return UNKNOWN if heading_deg is None else int(heading_deg / HEADING_STEP_DEG + 0.5) % 240


def accuracy_code(accuracy_m: float | None) -> int:
    """An accuracy in a byte: never better than it is."""
    if accuracy_m is None:
        return UNKNOWN
    if accuracy_m <= FINE_M:
        return -int(-accuracy_m // 1)
    return min(UNKNOWN - 1, FINE_M - int(-(accuracy_m - FINE_M) // COARSE_STEP_M))


def speed_codes(speed_mps: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Speeds in bytes. NaN: not known."""
    return _codes(np.floor(speed_mps / SPEED_STEP_MPS + 0.5))


def heading_codes(heading_deg: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Headings in bytes. NaN: not known."""
    return _codes(np.floor(heading_deg / HEADING_STEP_DEG + 0.5) % 240)


def accuracy_codes(accuracy_m: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Accuracies in bytes, never better than they are. NaN: not known."""
    coarse = FINE_M + np.ceil((accuracy_m - FINE_M) / COARSE_STEP_M)
    return _codes(np.where(accuracy_m > FINE_M, coarse, np.ceil(accuracy_m)))


def _codes(steps: NDArray[np.float64]) -> NDArray[np.uint8]:
    kept = np.where(np.isnan(steps), UNKNOWN, np.minimum(steps, UNKNOWN - 1))
    codes: NDArray[np.uint8] = kept.astype(np.uint8)
    return codes
