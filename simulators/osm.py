"""How a real map becomes a city: drivable roads and places of an OpenStreetMap extract."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import osmium

from simulators.city import City, CityUnreadable, Grid, Place
from simulators.plane import Point, Projection
from simulators.roads import Road, RoadKind, Roads

KMH = 1 / 3.6
MPH = 0.44704
# What is drivable, and how fast where no sign says so (km/h).
DEFAULT_KMH = {
    "motorway": 100, "motorway_link": 60, "trunk": 80, "trunk_link": 50,
    "primary": 60, "primary_link": 40, "secondary": 50, "secondary_link": 40,
    "tertiary": 40, "tertiary_link": 30, "unclassified": 40, "residential": 30,
    "living_street": 15,
}  # fmt: skip
PLACES = ("school", "bank", "hospital")
GRID_COLUMNS, GRID_ROWS = 4, 3


class Way(NamedTuple):
    """A drivable way: node numbers with their (lat, lon), in the direction it may be driven."""

    nodes: tuple[int, ...]
    degrees: tuple[tuple[float, float], ...]
    speed_mps: float
    kind: RoadKind
    both_directions: bool


class Found(NamedTuple):
    """What an extract holds that a city needs."""

    ways: list[Way]
    signals: set[int]
    places: list[tuple[str, str, float, float]]  # kind, name, lat, lon


def load(path: Path) -> City:
    """The city on the extract; CityUnreadable if it cannot be read or has no road network."""
    try:
        found = _read(path)
    except (RuntimeError, OSError) as error:  # osmium raises RuntimeError for a bad file
        raise CityUnreadable(path, str(error)) from error
    if not found.ways:
        raise CityUnreadable(path, "no drivable road in it")
    corners = [corner for way in found.ways for corner in way.degrees]
    south, north = min(lat for lat, _ in corners), max(lat for lat, _ in corners)
    west, east = min(lon for _, lon in corners), max(lon for _, lon in corners)
    roads = _network(found, Projection((south + north) / 2, (west + east) / 2))
    if len(roads.junctions) < 2:
        raise CityUnreadable(path, "no two junctions in it can be driven between both ways")
    rows = [south + (north - south) * n / GRID_ROWS for n in range(GRID_ROWS + 1)]
    columns = [west + (east - west) * n / GRID_COLUMNS for n in range(GRID_COLUMNS + 1)]
    grids: list[Grid] = []
    places: list[Place] = []
    for bottom, top in pairwise(rows):
        for left, right in pairwise(columns):
            number = len(grids)
            corners = [(bottom, left), (bottom, right), (top, right), (top, left)]
            grids.append(Grid(f"第{number + 1}网格 Grid {number + 1}", tuple(corners)))
            places += [
                Place(kind, name, lat, lon, number)
                for kind, name, lat, lon in found.places
                if bottom <= lat < top and left <= lon < right
            ]
    return City(path.name.removesuffix(".osm.pbf"), roads, grids, places)


def _read(path: Path) -> Found:
    found = Found([], set(), [])
    # Locations are kept for the nodes of ways; the filter passes on what has one of the keys.
    wanted = osmium.filter.KeyFilter("highway", "amenity")
    for item in osmium.FileProcessor(str(path)).with_locations().with_filter(wanted):
        tags = dict(item.tags)
        if isinstance(item, osmium.osm.Node):
            if tags.get("highway") == "traffic_signals":
                found.signals.add(item.id)
            degrees = [(item.lat, item.lon)]
        elif isinstance(item, osmium.osm.Way):
            # An extract is cut at its border: ways there name nodes that it does not hold.
            known = [node for node in item.nodes if node.location.valid()]
            degrees = [(node.lat, node.lon) for node in known]
            found.ways.extend(_ways(tags, [node.ref for node in known], degrees))
        else:
            continue
        if tags.get("amenity") in PLACES and degrees:
            kind = tags["amenity"]
            lat = sum(lat for lat, _ in degrees) / len(degrees)
            lon = sum(lon for _, lon in degrees) / len(degrees)
            found.places.append((kind, tags.get("name", f"{kind} {item.id}"), lat, lon))
    return found


def _ways(
    tags: Mapping[str, str], nodes: list[int], degrees: list[tuple[float, float]]
) -> Iterator[Way]:
    """The way that the tags allow to drive, if any."""
    highway = tags.get("highway")
    if highway not in DEFAULT_KMH or tags.get("access") in ("no", "private") or len(nodes) < 2:
        return
    kind = RoadKind.STREET
    if tags.get("bridge", "no") != "no":
        kind = RoadKind.BRIDGE
    if tags.get("tunnel", "no") != "no":
        kind = RoadKind.TUNNEL
    oneway = tags.get("oneway")
    if oneway in ("-1", "reverse"):
        nodes, degrees = nodes[::-1], degrees[::-1]
    implied = highway == "motorway" or tags.get("junction") in ("roundabout", "circular")
    both = oneway == "no" or (oneway is None and not implied)
    speed_mps = posted_mps(tags.get("maxspeed", "")) or DEFAULT_KMH[highway] * KMH
    yield Way(tuple(nodes), tuple(degrees), speed_mps, kind, both)


def posted_mps(maxspeed: str) -> float | None:
    """The speed on the sign; None for what is no number (``FI:urban``, ``none``)."""
    number = re.fullmatch(r"([1-9]\d{0,2}) *(km/h|mph)?", maxspeed)
    return int(number[1]) * (MPH if number[2] == "mph" else KMH) if number else None


def _network(found: Found, projection: Projection) -> Roads:
    """Roads between the nodes that ways share, end at, or have a traffic light on."""
    uses = Counter(node for way in found.ways for node in way.nodes)
    uses.update(way.nodes[end] for way in found.ways for end in (0, -1))
    numbers: dict[int, int] = {}  # OSM node -> junction
    junctions: list[Point] = []
    roads: list[Road] = []
    for way in found.ways:
        points = [projection.to_plane(*corner) for corner in way.degrees]
        stops = [at for at, node in enumerate(way.nodes) if uses[node] > 1 or node in found.signals]
        for at in stops:
            if way.nodes[at] not in numbers:
                numbers[way.nodes[at]] = len(junctions)
                junctions.append(points[at])
        for first, last in pairwise(stops):
            start, end = numbers[way.nodes[first]], numbers[way.nodes[last]]
            road = Road.along(start, end, points[first : last + 1], way.speed_mps, way.kind)
            roads += [road, road.reversed()] if way.both_directions else [road]
    signals = {numbers[node] for node in found.signals if node in numbers}
    return Roads(projection, junctions, roads, signals)
