"""How columns of numbers become few bytes, and the very same numbers again.

Readings of one device change little from one to the next, so what is written is each
row's difference to the row before of the same device; the first row of a device stands
as its distance from the lowest first row. The bytes of a column are written plane by
plane, all lowest bytes first, and planes that are zero throughout are left out: what
remains is what a general compressor does well.
"""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

Numbers: TypeAlias = NDArray[np.int64]
"""Whole numbers, a row for each column of the table. Their arithmetic wraps around."""

Decimals: TypeAlias = NDArray[np.float64]

AS_BITS = -1
"""In place of a count of decimals: the column's numbers are no short decimals."""

MAX_DECIMALS = 9
_PLANES = np.arange(8)
_POWERS = 10.0 ** np.arange(MAX_DECIMALS + 1)


class Shrunk(NamedTuple):
    """Columns as bytes: of each the number of planes and the base, then the planes of all."""

    widths: bytes
    bases: list[int]
    planes: bytes


def shrink(numbers: Numbers, is_next: NDArray[np.bool_]) -> Shrunk:
    """The columns as bytes. ``is_next``: which rows follow one of the same device."""
    bases = numbers[:, ~is_next].min(axis=1)
    left = numbers - bases[:, None]
    if is_next.any():
        steps = np.diff(numbers)
        np.copyto(left[:, 1:], (steps << 1) ^ (steps >> 63), where=is_next[1:])
    unsigned = left.view("<u8")
    widths = [(top.bit_length() + 7) // 8 for top in unsigned.max(axis=1).tolist()]
    by_plane = unsigned.view(np.uint8).reshape(*left.shape, 8).transpose(0, 2, 1)
    is_kept = np.array(widths)[:, None] > _PLANES
    return Shrunk(bytes(widths), bases.tolist(), by_plane[is_kept].tobytes())


def expand(shrunk: Shrunk, is_next: NDArray[np.bool_]) -> Numbers:
    """The columns that ``shrink`` was given."""
    widths = np.frombuffer(shrunk.widths, np.uint8)
    planes = np.zeros((len(widths), 8, len(is_next)), np.uint8)
    kept = np.frombuffer(shrunk.planes, np.uint8).reshape(-1, len(is_next))
    planes[widths[:, None] > _PLANES] = kept
    left = np.ascontiguousarray(planes.transpose(0, 2, 1)).view("<i8")[:, :, 0]
    bases = np.array(shrunk.bases, np.int64)[:, None]
    if not is_next.any():
        return left + bases
    unfolded = left.view("<u8") >> np.uint64(1)
    steps = np.where(is_next, unfolded.view("<i8") ^ -(left & 1), 0)
    walked = np.cumsum(steps, axis=1)
    starts = np.flatnonzero(~is_next)
    begun = left[:, starts] + bases - walked[:, starts]
    numbers: Numbers = walked + begun[:, np.cumsum(~is_next) - 1]
    return numbers


def to_whole(decimals: Decimals, places: list[int]) -> tuple[Numbers, list[int]]:
    """The decimals as whole numbers, and how many decimals each column has.

    ``places`` is a guess for each column. A column whose numbers are no decimals of
    at most nine places is kept by the bits of its numbers: nothing is ever rounded.
    """
    whole, is_exact = _scaled(decimals, places)
    places = list(places)
    for column in np.flatnonzero(~is_exact).tolist():
        line = decimals[column : column + 1]
        places[column] = _places(line[0])
        if places[column] != AS_BITS:
            guess, is_right = _scaled(line, places[column : column + 1])
            if is_right[0]:
                whole[column] = guess[0]
                continue
            places[column] = AS_BITS
        whole[column] = line[0].view(np.int64)
    return whole, places


def from_whole(whole: Numbers, places: list[int]) -> Decimals:
    """The decimals that ``to_whole`` was given, bit by bit."""
    decimals = whole / _POWERS[places][:, None]
    for column, count in enumerate(places):
        if count == AS_BITS:
            decimals[column] = np.ascontiguousarray(whole[column]).view(np.float64)
    return decimals


def _scaled(decimals: Decimals, places: list[int]) -> tuple[Numbers, NDArray[np.bool_]]:
    """The columns times ten to the power of their places, and for which nothing is lost."""
    with np.errstate(invalid="ignore", over="ignore"):
        whole = np.rint(decimals * _POWERS[places][:, None]).astype(np.int64)
    again = whole / _POWERS[places][:, None]
    is_exact = (again.view(np.int64) == decimals.view(np.int64)).all(axis=1)
    return whole, is_exact & (np.array(places) != AS_BITS)


def _places(line: Decimals) -> int:
    """How many decimals the numbers of a column have at most, or AS_BITS."""
    most = 0
    for number in line.tolist():
        whole, _, after = repr(number).partition(".")
        if not after.isdigit() or not whole.removeprefix("-").isdigit():  # 1e-07, inf, nan
            return AS_BITS
        most = max(most, len(after) if after != "0" else 0)
        if most > MAX_DECIMALS:
            return AS_BITS
    return most
