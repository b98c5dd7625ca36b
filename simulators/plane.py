"""Where things lie on the plane: metres east and north of a city's centre, and polygons of them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

WGS84_RADIUS_M = 6378137.0
WGS84_E2 = 6.69437999014e-3  # first eccentricity, squared


class Point(NamedTuple):
    """Metres east (x) and north (y) of the projection's origin."""

    x: float
    y: float


class Projection:
    """WGS-84 degrees to metres about an origin and back: within 1 in 1,000 over a city."""

    def __init__(self, lat: float, lon: float) -> None:
        self.lat, self.lon = lat, lon
        sine = math.sin(math.radians(lat))
        bend = 1 - WGS84_E2 * sine * sine
        prime_vertical_m = WGS84_RADIUS_M / math.sqrt(bend)
        self.m_per_deg_lat = math.radians(prime_vertical_m * (1 - WGS84_E2) / bend)
        self.m_per_deg_lon = math.radians(prime_vertical_m * math.cos(math.radians(lat)))

    def to_plane(self, lat: float, lon: float) -> Point:
        return Point((lon - self.lon) * self.m_per_deg_lon, (lat - self.lat) * self.m_per_deg_lat)

    def to_degrees(self, x: float, y: float) -> tuple[float, float]:
        """(lat, lon) of a point of the plane."""
        return self.lat + y / self.m_per_deg_lat, self.lon + x / self.m_per_deg_lon


def area_m2(polygon: Sequence[Point]) -> float:
    """The area that the polygon encloses; positive where it runs counter-clockwise."""
    return sum(a.x * b.y - b.x * a.y for a, b in _sides(polygon)) / 2


def centroid(polygon: Sequence[Point]) -> Point:
    twice = 2 * area_m2(polygon)
    x = sum((a.x + b.x) * (a.x * b.y - b.x * a.y) for a, b in _sides(polygon))
    y = sum((a.y + b.y) * (a.x * b.y - b.x * a.y) for a, b in _sides(polygon))
    return Point(x / (3 * twice), y / (3 * twice))


def contains(polygon: Sequence[Point], point: Point) -> bool:
    """Whether the point lies inside: a ray to the east crosses an odd number of sides."""
    x, y = point
    inside = False
    for a, b in _sides(polygon):
        if (a.y > y) != (b.y > y) and x < a.x + (y - a.y) * (b.x - a.x) / (b.y - a.y):
            inside = not inside
    return inside


def nearer_part(polygon: Sequence[Point], seed: Point, other: Point) -> list[Point]:
    """The part of the polygon that is nearer to ``seed`` than to ``other``."""
    across = Point(other.x - seed.x, other.y - seed.y)
    middle = Point((seed.x + other.x) / 2, (seed.y + other.y) / 2)

    def beyond(p: Point) -> float:
        return (p.x - middle.x) * across.x + (p.y - middle.y) * across.y

    part = []
    for a, b in _sides(polygon):
        from_a, from_b = beyond(a), beyond(b)
        if from_a <= 0:
            part.append(a)
        if (from_a <= 0) != (from_b <= 0):
            share = from_a / (from_a - from_b)
            part.append(Point(a.x + share * (b.x - a.x), a.y + share * (b.y - a.y)))
    return part


def _sides(polygon: Sequence[Point]) -> Iterable[tuple[Point, Point]]:
    return zip(polygon, [*polygon[1:], polygon[0]], strict=True)
