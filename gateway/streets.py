"""Which streets a place lies at, and how far along them. Places and answers are arrays."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gateway.grids import EARTH_RADIUS_M
from gateway.roads import Floats, Numbers, RoadGraph

BUCKET_M = 250.0
"""A place is at a street if one is so near. Streets are looked up by squares of this size."""

KERB_M = 25.0
"""A place so near to a street is on it: half a wide road, and what a receiver is wrong by."""

_FAR = 1 << 20  # more squares than a row of any city has


class Start(NamedTuple):
    """A unit where it is now. Which way it drives is not known: it may turn."""

    unit: str
    lat: float
    lon: float
    on_foot: bool = False


class Spots(NamedTuple):
    """Where places lie: the number of a street, −1 if none is near.

    ``share`` of its length from its start; ``off_m``: metres between the place and the street.
    """

    street: Numbers
    share: Floats
    off_m: Floats


class Plane:
    """WGS-84 degrees to metres about the middle of a graph and back: for a city, not a country."""

    def __init__(self, graph: RoadGraph) -> None:
        self._lat = float(graph.point_lat.min() + graph.point_lat.max()) / 2
        self._lon = float(graph.point_lon.min() + graph.point_lon.max()) / 2
        self._m_per_deg_lat = math.radians(EARTH_RADIUS_M)
        self._m_per_deg_lon = self._m_per_deg_lat * math.cos(math.radians(self._lat))

    def to_plane(self, lat: Floats, lon: Floats) -> tuple[Floats, Floats]:
        """Metres east and north."""
        return (lon - self._lon) * self._m_per_deg_lon, (lat - self._lat) * self._m_per_deg_lat

    def to_degrees(self, x: Floats, y: Floats) -> tuple[Floats, Floats]:
        """Latitude and longitude."""
        return self._lat + y / self._m_per_deg_lat, self._lon + x / self._m_per_deg_lon


class Streets:
    """The streets of a graph, cut into straight pieces that are found by the square they cross."""

    def __init__(self, graph: RoadGraph) -> None:
        self.plane = Plane(graph)
        x, y = self.plane.to_plane(graph.point_lat, graph.point_lon)
        first = np.ones(len(x), bool)
        first[graph.first_point[1:-1] - 1] = False  # from a street's last point none goes on
        at = np.flatnonzero(first[:-1])
        self._ax, self._ay, bx, by = x[at], y[at], x[at + 1], y[at + 1]
        self._dx, self._dy = bx - self._ax, by - self._ay
        self._length_m = np.hypot(self._dx, self._dy)
        numbers = np.arange(len(graph.start), dtype=np.int32)
        self._street = np.repeat(numbers, np.diff(graph.first_point) - 1)
        along = np.concatenate([[0.0], np.cumsum(self._length_m)])
        first_piece = np.searchsorted(self._street, numbers)
        total = np.bincount(self._street, self._length_m, len(numbers))
        self._total_m = np.maximum(total, 1e-9)
        self._before_m = along[:-1] - along[first_piece][self._street]
        self._squares = _by_square(self._ax, self._ay, bx, by)

    def locate(self, lat: Floats, lon: Floats) -> Spots:
        """Each place on the street nearest to it."""
        x, y = self.plane.to_plane(np.asarray(lat, float), np.asarray(lon, float))
        spots = Spots(np.full(len(x), -1, np.int32), np.zeros(len(x)), np.full(len(x), np.inf))
        squares = _square(x, y)
        order = np.argsort(squares, kind="stable")
        edges = np.flatnonzero(np.diff(squares[order])) + 1
        for some in np.split(order, edges) if len(order) else ():
            pieces = self._about(squares[some[:1]])
            if not len(pieces):
                continue
            share, off_m = self._from_pieces(x[some], y[some], pieces)
            best = off_m.argmin(axis=1)
            rows = np.flatnonzero(off_m[np.arange(len(some)), best] <= BUCKET_M)
            best, at = best[rows], some[rows]
            found = self._spots(pieces[best], share[rows, best], off_m[rows, best])
            spots.street[at], spots.share[at], spots.off_m[at] = found
        return spots

    def beside(self, lat: float, lon: float) -> Spots:
        """One place on every street that it may be on: at a crossing, between two carriageways.

        On the nearest one alone if that is farther than the kerb; empty if none is near.
        """
        x, y = self.plane.to_plane(np.array([lat]), np.array([lon]))
        pieces = self._about(_square(x, y))
        share, off_m = (each[0] for each in self._from_pieces(x, y, pieces))
        order = np.argsort(off_m, kind="stable")
        near = max(KERB_M, float(off_m.min(initial=np.inf)))
        order = order[off_m[order] <= min(near, BUCKET_M)]
        _, first = np.unique(self._street[pieces[order]], return_index=True)
        order = order[first]
        return self._spots(pieces[order], share[order], off_m[order])

    def _about(self, square: NDArray[np.int64]) -> NDArray[np.int64]:
        """The pieces in a square and in those about it: all within a square's width of it."""
        keys, pieces = self._squares
        found = []
        for row in (square - _FAR, square, square + _FAR):
            low, high = np.searchsorted(keys, (row[0] - 1, row[0] + 2))
            found.append(pieces[low:high])
        return np.concatenate(found)

    def _from_pieces(
        self, x: Floats, y: Floats, pieces: NDArray[np.int64]
    ) -> tuple[Floats, Floats]:
        """For each place and piece: the nearest point as a share of the piece, and metres to it."""
        dx, dy, length_m = self._dx[pieces], self._dy[pieces], self._length_m[pieces]
        to_x = x[:, None] - self._ax[pieces]
        to_y = y[:, None] - self._ay[pieces]
        share = (to_x * dx + to_y * dy) / np.maximum(length_m * length_m, 1e-9)
        share = np.clip(share, 0, 1)
        return share, np.hypot(to_x - share * dx, to_y - share * dy)

    def _spots(self, piece: NDArray[np.int64], share: Floats, off_m: Floats) -> Spots:
        street = self._street[piece]
        along_m = self._before_m[piece] + share * self._length_m[piece]
        return Spots(street, np.minimum(along_m / self._total_m[street], 1), off_m)


def _square(x: Floats, y: Floats) -> NDArray[np.int64]:
    column = np.floor(x / BUCKET_M).astype(np.int64)
    return np.floor(y / BUCKET_M).astype(np.int64) * _FAR + column


def _by_square(
    ax: Floats, ay: Floats, bx: Floats, by: Floats
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The squares that the pieces may cross, in order, and which piece each entry is of."""
    west, east = np.minimum(ax, bx), np.maximum(ax, bx)
    south, north = np.minimum(ay, by), np.maximum(ay, by)
    columns = (np.floor(east / BUCKET_M) - np.floor(west / BUCKET_M)).astype(np.int64) + 1
    rows = (np.floor(north / BUCKET_M) - np.floor(south / BUCKET_M)).astype(np.int64) + 1
    count = columns * rows
    piece = np.repeat(np.arange(len(ax)), count)
    within = np.arange(len(piece)) - np.repeat(np.cumsum(count) - count, count)
    row, column = within // columns[piece], within % columns[piece]
    keys = _square(west, south)[piece] + row * _FAR + column
    order = np.argsort(keys, kind="stable")
    return keys[order], piece[order]
