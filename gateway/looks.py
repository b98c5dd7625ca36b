"""What is answered of reach: a look at the city as GeoJSON, a unit that is near, or why neither."""

from __future__ import annotations

from typing import NamedTuple

from msgspec import Struct

from protocols.duty import UnitState


class NoGraph(Exception):
    """There is nothing to search on, or not yet: why."""


class Overloaded(Exception):
    """More is asked at a time than is worked on."""


class Drawn(NamedTuple):
    """One look as GeoJSON, plain and gzipped. ``at`` in ms."""

    at: int
    body: bytes
    gzipped: bytes


class NearUnit(Struct, frozen=True, kw_only=True):
    """A unit and how soon it can be at the place.

    ``seconds`` by road, null where there is no way; ``straight_m`` as the crow flies.
    ``available``: it can be sent at once, and was seen within five minutes.
    """

    unit: str
    state: UnitState | None
    available: bool
    seconds: float | None
    straight_m: float
    on_foot: bool
    lat: float
    lon: float
    age_ms: int
