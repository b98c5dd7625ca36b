"""What a base map has: its layers, what a feature of each says, and the files they are kept in."""

from __future__ import annotations

import gzip
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

import msgspec
from msgspec import Struct

MANIFEST, GRAPH = "map.json", "graph.npz"
SUFFIX = ".geojson.gz"
LAYERS = ("roads", "places", "water", "green", "buildings")
MIN_ZOOM = {"buildings": 14, "places": 10}
"""From which zoom on a page need draw a layer at all."""

DECIMALS = 6  # of a degree: 0.1 m

Degrees = tuple[float, float]  # longitude, latitude
Outline = Sequence[Sequence[Degrees]]  # the outer ring, then holes


class Feature(NamedTuple):
    """Something to draw: in a layer, of a GeoJSON type, with what is known of it."""

    layer: str
    kind: str
    coordinates: Any
    properties: Mapping[str, Any]

    @classmethod
    def line(cls, layer: str, line: Sequence[Degrees], **properties: Any) -> Feature:
        """A line; properties that are None, empty or False are left out."""
        return cls(layer, "LineString", _rounded(line), _told(properties))

    @classmethod
    def area(cls, layer: str, outlines: Sequence[Outline], **properties: Any) -> Feature:
        """One or several areas."""
        areas = [[_rounded(ring) for ring in outline] for outline in outlines]
        return cls(layer, "MultiPolygon", areas, _told(properties))

    @classmethod
    def point(cls, layer: str, place: Degrees, **properties: Any) -> Feature:
        """A point."""
        return cls(layer, "Point", _rounded([place])[0], _told(properties))


class LayerView(Struct, frozen=True):
    """A layer in the manifest. ``bytes``: as it is kept, compressed."""

    name: str
    file: str
    features: int
    bytes: int
    min_zoom: int


class GraphView(Struct, frozen=True):
    """The road graph in the manifest."""

    file: str
    nodes: int
    streets: int
    length_km: float


class Manifest(Struct, frozen=True, kw_only=True):
    """``map.json``: what the base map is of, whose it is, and its files.

    ``attribution`` is to be shown wherever the map is. ``bounds``: west, south, east, north.
    """

    version: int = 1
    name: str
    source: str
    attribution: str
    licence: str
    bounds: tuple[float, float, float, float]
    layers: list[LayerView]
    graph: GraphView


class LayerFile:
    """A layer as it is written, feature by feature, as gzipped GeoJSON. ``with`` ends it."""

    def __init__(self, folder: Path, name: str, attribution: str) -> None:
        self._attribution = attribution
        self._path = folder / (name + SUFFIX)
        self._name = name
        self._count = 0

    def __enter__(self) -> Self:
        self._raw = self._path.open("wb")
        # No name and no time in it: the same map is the same bytes.
        self._file = gzip.GzipFile("", "wb", 9, self._raw, mtime=0)
        whose = msgspec.json.encode(self._attribution)  # a layer may be passed on by itself
        self._file.write(b'{"type":"FeatureCollection","attribution":%b,"features":[' % whose)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        if kind is None:
            self._file.write(b"\n]}\n")
        self._file.close()
        self._raw.close()

    def add(self, feature: Feature) -> None:
        """Write one more."""
        written = {
            "type": "Feature",
            "geometry": {"type": feature.kind, "coordinates": feature.coordinates},
            "properties": feature.properties,
        }
        self._file.write(b",\n" if self._count else b"\n")
        self._file.write(msgspec.json.encode(written))
        self._count += 1

    def view(self) -> LayerView:
        """Its entry in the manifest, once it is ended."""
        return LayerView(
            self._name,
            self._path.name.removesuffix(".gz"),
            self._count,
            self._path.stat().st_size,
            MIN_ZOOM.get(self._name, 0),
        )


def _rounded(line: Sequence[Degrees]) -> list[Degrees]:
    return [(round(lon, DECIMALS), round(lat, DECIMALS)) for lon, lat in line]


def _told(properties: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in properties.items() if value}
