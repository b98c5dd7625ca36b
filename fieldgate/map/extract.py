"""What an OpenStreetMap extract has to draw: roads, water, green, buildings and names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
import osmium

from fieldgate.map.layers import Degrees, Feature
from simulators.city import CityUnreadable
from simulators.osm import DEFAULT_KMH, KMH, posted_mps

ROAD_CLASSES = {
    "motorway": "motorway", "motorway_link": "motorway", "trunk": "trunk", "trunk_link": "trunk",
    "primary": "primary", "primary_link": "primary", "secondary": "secondary",
    "secondary_link": "secondary", "tertiary": "tertiary", "tertiary_link": "tertiary",
    "unclassified": "minor", "residential": "minor", "living_street": "minor", "road": "minor",
    "service": "service", "track": "service",
    "pedestrian": "path", "footway": "path", "cycleway": "path", "path": "path", "steps": "path",
    "bridleway": "path",
}  # fmt: skip
"""What is drawn of ``highway``, and as what."""

RAILWAYS = ("rail", "subway", "light_rail", "tram", "narrow_gauge")
WATERCOURSES = ("river", "canal", "stream")
PARKS = ("park", "garden", "pitch", "golf_course", "playground", "nature_reserve")
WOODS = ("forest", "grass", "meadow", "recreation_ground", "village_green", "cemetery")
NAMED_PLACES = ("city", "town", "suburb", "quarter", "neighbourhood", "village", "hamlet")
AMENITIES = (
    "school", "kindergarten", "university", "college", "bank", "hospital", "police",
    "fire_station", "townhall", "marketplace", "bus_station",
)  # fmt: skip


def features(path: Path) -> Iterator[Feature]:
    """All that is drawn, in the file's order; raise CityUnreadable."""
    wanted = osmium.filter.KeyFilter(
        "highway", "railway", "waterway", "natural", "leisure", "landuse", "building", "place",
        "amenity",
    )  # fmt: skip
    shapes = osmium.geom.GeoJSONFactory()
    try:
        for item in osmium.FileProcessor(str(path)).with_areas().with_filter(wanted):
            tags = dict(item.tags)
            if isinstance(item, osmium.osm.Node):
                yield from _place(tags, (item.lon, item.lat))
            elif isinstance(item, osmium.osm.Way):
                yield from _ways(tags, item)
            elif isinstance(item, osmium.osm.Area):
                yield from _areas(tags, shapes, item)
    except (RuntimeError, OSError) as error:  # osmium raises RuntimeError for a bad file
        raise CityUnreadable(path, str(error)) from error


def _place(tags: Mapping[str, str], at: Degrees) -> Iterator[Feature]:
    """A name to show: of a quarter, a school, a station."""
    kind = tags.get("place", "")
    if kind not in NAMED_PLACES:
        kind = tags.get("amenity", "")
        if kind not in AMENITIES:
            kind = "station" if tags.get("railway") == "station" else ""
    if kind and "name" in tags:
        yield Feature.point("places", at, kind=kind, **_names(tags))


def _ways(tags: Mapping[str, str], way: Any) -> Iterator[Feature]:
    """Lines: roads, railways, watercourses. A way that the border has cut may be several."""
    highway = tags.get("highway", "")
    layer, properties = "roads", dict[str, Any]()
    if highway in ROAD_CLASSES and tags.get("area") != "yes":
        properties = {"class": ROAD_CLASSES[highway], **_names(tags), **_driving(highway, tags)}
    elif tags.get("railway") in RAILWAYS:
        properties = {"class": "rail", "tunnel": tags.get("tunnel", "no") != "no"}
    elif tags.get("waterway") in WATERCOURSES or tags.get("natural") == "coastline":
        kind = tags.get("waterway") or "coastline"
        layer, properties = "water", {"class": kind, **_names(tags)}
    else:
        return
    for line in _known_runs(way):
        yield Feature.line(layer, line, **properties)


def _driving(highway: str, tags: Mapping[str, str]) -> dict[str, Any]:
    """How a road is driven: one way, how fast (km/h), over a bridge or through a tunnel."""
    implied = highway == "motorway" or tags.get("junction") in ("roundabout", "circular")
    oneway = tags.get("oneway", "yes" if implied else "no")
    posted = posted_mps(tags.get("maxspeed", ""))
    return {
        "oneway": {"-1": -1, "reverse": -1, "no": 0}.get(oneway, 1),
        "kmh": round(posted / KMH) if posted else DEFAULT_KMH.get(highway),
        "bridge": tags.get("bridge", "no") != "no",
        "tunnel": tags.get("tunnel", "no") != "no",
    }


def _known_runs(way: Any) -> Iterator[list[Degrees]]:
    """The parts of a way whose nodes the extract holds: it is cut at its border."""
    run: list[Degrees] = []
    for node in way.nodes:
        if node.location.valid():
            run.append((node.location.lon, node.location.lat))
            continue
        if len(run) > 1:
            yield run
        run = []
    if len(run) > 1:
        yield run


def _areas(tags: Mapping[str, str], shapes: Any, area: Any) -> Iterator[Feature]:
    layer = _layer_of_area(tags)
    named = "name" in tags and ("amenity" in tags or "place" in tags or "railway" in tags)
    if not layer and not named:
        return
    outlines = msgspec.json.decode(shapes.create_multipolygon(area))["coordinates"]
    if layer:
        names = {} if layer == "buildings" else _names(tags)
        yield Feature.area(layer, outlines, **names)
    if named:
        ring = outlines[0][0][:-1]
        middle = (sum(lon for lon, _ in ring) / len(ring), sum(lat for _, lat in ring) / len(ring))
        yield from _place(tags, middle)


def _layer_of_area(tags: Mapping[str, str]) -> str:
    if tags.get("building", "no") != "no":
        return "buildings"
    if tags.get("natural") == "water" or tags.get("waterway") in ("riverbank", "dock"):
        return "water"
    if tags.get("landuse") in ("reservoir", "basin"):
        return "water"
    leisure, natural = tags.get("leisure"), tags.get("natural")
    if (
        leisure in PARKS
        or tags.get("landuse") in WOODS
        or natural in ("wood", "scrub", "grassland")
    ):
        return "green"
    return ""


def _names(tags: Mapping[str, str]) -> dict[str, str | None]:
    """The name on the spot, and in Chinese and English where it is another."""
    name = tags.get("name")
    names = {"name": name, "zh": tags.get("name:zh"), "en": tags.get("name:en")}
    return {key: text for key, text in names.items() if key == "name" or text != name}
