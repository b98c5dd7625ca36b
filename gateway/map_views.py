"""What is shown of the map: its settings, and one update of what moves on it."""

from __future__ import annotations

from typing import Literal, NamedTuple, TypeAlias

from msgspec import Struct

from gateway.grids import Grid

MapDatum: TypeAlias = Literal["wgs84", "gcj02"]


class MapAbout(Struct, frozen=True, kw_only=True):
    """What a page needs to draw the map. ``tiles``: the operator's own, with ``{z}/{x}/{y}``.

    ``crs``: which datum those are in. A unit is ``stale`` when silent for so long (s).
    """

    tiles: str | None
    crs: MapDatum
    attribution: str
    stale_after_s: float
    grids: list[Grid]


class Update(NamedTuple):
    """One update: facts as JSON texts, then frames."""

    number: int
    facts: list[bytes]
    rows: list[bytes]


class TooManyPages(Exception):
    """So many pages show the map already."""

    def __init__(self, most: int) -> None:
        super().__init__(f"{most} pages show the map already")
