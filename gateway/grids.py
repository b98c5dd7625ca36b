"""Where a place lies: in which patrol grid, and how far from another place. WGS-84 degrees."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated, TypeAlias

from msgspec import Meta, Struct

from protocols.model import Latitude, Longitude

EARTH_RADIUS_M = 6_371_008.8
"""The mean radius (IUGG): within 0.6 % of the ellipsoid's distances, 60 cm on 100 m."""

Corner: TypeAlias = tuple[Latitude, Longitude]


class Grid(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A patrol grid. ``polygon``: its corners ``[lat, lon]`` in order, closed by itself.

    Sides are straight in degrees, as a map draws them; none crosses the 180th meridian.
    """

    name: Annotated[str, Meta(min_length=1, max_length=64)]
    polygon: Annotated[tuple[Corner, ...], Meta(min_length=3, max_length=10_000)]

    def contains(self, lat: float, lon: float) -> bool:
        """Whether the place lies inside: a ray to the east crosses an odd number of sides.

        A place on a side that two grids share lies in one of them, never in both.
        """
        inside = False
        before_lat, before_lon = self.polygon[-1]
        for at_lat, at_lon in self.polygon:
            if (at_lat > lat) != (before_lat > lat):
                share = (lat - before_lat) / (at_lat - before_lat)
                if lon < before_lon + share * (at_lon - before_lon):
                    inside = not inside
            before_lat, before_lon = at_lat, at_lon
        return inside


def grid_of(grids: Sequence[Grid], lat: float, lon: float) -> Grid | None:
    """The first of the grids that the place lies in."""
    return next((grid for grid in grids if grid.contains(lat, lon)), None)


def distance_m(lat: float, lon: float, other_lat: float, other_lon: float) -> float:
    """Metres between two places along a great circle (haversine)."""
    north, east = math.radians(other_lat - lat), math.radians(other_lon - lon)
    squeeze = math.cos(math.radians(lat)) * math.cos(math.radians(other_lat))
    half = math.sin(north / 2) ** 2 + squeeze * math.sin(east / 2) ** 2
    return 2 * EARTH_RADIUS_M * math.asin(math.sqrt(min(1.0, half)))
