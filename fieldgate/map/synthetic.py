"""What the simulated city has to draw: its streets by their speed, the river, its places."""

from __future__ import annotations

import random
from collections.abc import Iterator

from fieldgate.map.layers import Feature
from simulators.city import City
from simulators.roads import Road, RoadKind
from simulators.town_plan import ARTERIAL_MPS, CENTRE, STREET_MPS, Land


def features(city: City, seed: int) -> Iterator[Feature]:
    """All that is drawn of the city of the seed."""
    river = [_lon_lat(*CENTRE.to_degrees(*point)) for point in Land(random.Random(seed)).river()]
    yield Feature.area("water", [[[*river, river[0]]]], name="九龙江", en="Jiulong River")
    roads = {(road.start, road.end): road for road in city.roads}
    for (start, end), road in roads.items():
        both = (end, start) in roads
        if both and end < start:
            continue
        line = [_lon_lat(*city.roads.projection.to_degrees(*point)) for point in road.points]
        yield Feature.line(
            "roads",
            line,
            **{"class": _class(road)},
            oneway=0 if both else 1,
            kmh=round(road.speed_mps * 3.6),
            bridge=road.kind is RoadKind.BRIDGE,
            tunnel=road.kind is RoadKind.TUNNEL,
        )
    for place in city.places:
        chinese, _, english = place.name.partition(" ")
        at = _lon_lat(place.lat, place.lon)
        yield Feature.point("places", at, kind=place.kind, name=chinese, en=english)


def _class(road: Road) -> str:
    if road.speed_mps == ARTERIAL_MPS:
        return "primary"
    return "tertiary" if road.speed_mps == STREET_MPS else "minor"


def _lon_lat(lat: float, lon: float) -> tuple[float, float]:
    return lon, lat
