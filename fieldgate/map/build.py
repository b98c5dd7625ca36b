"""How a base map comes to lie in a folder: layers, road graph and manifest, whole or not at all."""

from __future__ import annotations

import contextlib
import math
import shutil
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np

from fieldgate.map import extract, synthetic
from fieldgate.map.layers import (
    GRAPH,
    LAYERS,
    MANIFEST,
    Feature,
    GraphView,
    LayerFile,
    LayerView,
    Manifest,
)
from gateway.roads import RoadGraph
from simulators import osm, town_plan
from simulators.roads import Road, Roads

OSM_ATTRIBUTION = "© OpenStreetMap contributors, openstreetmap.org/copyright"
OSM_LICENCE = "ODbL-1.0"
OWN_ATTRIBUTION = "Fieldgate simulated city: no real place"


class Whose(NamedTuple):
    """Where a map comes from, and to whom it is owed."""

    source: str
    attribution: str
    licence: str


class FolderTaken(Exception):
    """A folder that holds something else than a base map."""

    def __init__(self, folder: Path) -> None:
        super().__init__(f"{folder}: is there already and holds no base map ({MANIFEST})")
        self.folder = folder


def of_extract(path: Path, folder: Path, name: str | None = None) -> Manifest:
    """The base map of an .osm.pbf in the folder; raise CityUnreadable, FolderTaken, OSError."""
    city = osm.load(path)
    whose = Whose(path.name, OSM_ATTRIBUTION, OSM_LICENCE)
    return _write(folder, name or city.name, whose, extract.features(path), city.roads)


def of_seed(seed: int, folder: Path, name: str | None = None) -> Manifest:
    """The base map of the simulated city of that seed; raise FolderTaken, OSError."""
    city = town_plan.draw(seed)
    whose = Whose(f"seed {seed}", OWN_ATTRIBUTION, "Apache-2.0")
    return _write(folder, name or city.name, whose, synthetic.features(city, seed), city.roads)


def graph_of(roads: Roads) -> RoadGraph:
    """The streets between junctions, each once: what leads there and back alike is one."""
    numbers = {junction: number for number, junction in enumerate(roads.junctions)}
    to_degrees = roads.projection.to_degrees
    nodes = np.array([to_degrees(*roads.position(junction)) for junction in numbers])
    streets, points, first_point = list[tuple[Road, bool]](), list[tuple[float, float]](), [0]
    by_ends = {(road.start, road.end): road for road in roads}
    for (start, end), road in by_ends.items():
        back = by_ends.get((end, start))
        both = back is not None and _alike(road, back)
        if both and end < start:
            continue
        streets.append((road, both))
        points += [to_degrees(*point) for point in road.points]
        first_point.append(len(points))
    degrees = np.array(points)
    return RoadGraph(
        node_lat=nodes[:, 0],
        node_lon=nodes[:, 1],
        start=np.array([numbers[road.start] for road, _ in streets], np.int32),
        end=np.array([numbers[road.end] for road, _ in streets], np.int32),
        length_m=np.array([road.length_m for road, _ in streets]),
        speed_mps=np.array([road.speed_mps for road, _ in streets]),
        two_way=np.array([both for _, both in streets]),
        first_point=np.array(first_point, np.int32),
        point_lat=degrees[:, 0],
        point_lon=degrees[:, 1],
    )


def _alike(road: Road, back: Road) -> bool:
    return (
        road.start != road.end
        and road.speed_mps == back.speed_mps
        and math.isclose(road.length_m, back.length_m)
    )


def _write(
    folder: Path, name: str, whose: Whose, features: Iterable[Feature], roads: Roads
) -> Manifest:
    if folder.exists() and any(folder.iterdir()) and not (folder / MANIFEST).exists():
        raise FolderTaken(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    # Beside it, on the same disk: a reader sees the old map or the new one.
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}-", dir=folder.parent) as place:
        made = Path(place) / "new"
        made.mkdir()
        layers = _layers(made, features, whose.attribution)
        graph = graph_of(roads)
        graph.save(made / GRAPH)
        manifest = Manifest(
            name=name,
            source=whose.source,
            attribution=whose.attribution,
            licence=whose.licence,
            bounds=_bounds(graph),
            layers=layers,
            graph=GraphView(
                GRAPH,
                len(graph.node_lat),
                len(graph.start),
                round(float(graph.length_m.sum()) / 1000, 1),
            ),
        )
        (made / MANIFEST).write_bytes(msgspec.json.format(msgspec.json.encode(manifest)))
        if folder.exists():
            folder.rename(Path(place) / "old")
        shutil.move(made, folder)
    return manifest


def _layers(folder: Path, features: Iterable[Feature], attribution: str) -> list[LayerView]:
    with contextlib.ExitStack() as files:
        layers = {
            name: files.enter_context(LayerFile(folder, name, attribution)) for name in LAYERS
        }
        for feature in features:
            layers[feature.layer].add(feature)
    return [layer.view() for layer in layers.values()]


def _bounds(graph: RoadGraph) -> tuple[float, float, float, float]:
    """About the roads: an extract's buildings and waters may reach far beyond."""
    lat, lon = graph.point_lat, graph.point_lon
    west, south, east, north = (
        round(float(edge), 6) for edge in (lon.min(), lat.min(), lon.max(), lat.max())
    )
    return west, south, east, north
