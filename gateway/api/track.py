"""A track as GIS tools read it: GeoJSON, GPX 1.1, CSV. Every fix as it was stored.

GeoJSON is a FeatureCollection with a Point for each fix, in the order of their
times, its keys as properties: tools join points to a line themselves, and a line
alone would lose when and how good each fix was. A number that is none (NaN, infinite)
is left empty, as in the feed.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from xml.etree import ElementTree

import msgspec

from gateway.journal.base import Event
from protocols.cloudevents import finite, rfc3339
from protocols.model import Fix

_KEYS = Fix.__struct_fields__
_GPX = "http://www.topografix.com/GPX/1/1"
_GPX_FIX = {0: "none", 2: "2d", 3: "3d"}
_GPX_EXTENSIONS = ("spd", "hdg", "acc", "src", "boot", "seq")


def as_geojson(device: str, fixes: Sequence[Event]) -> bytes:
    """A Point for each fix: longitude, latitude, altitude where known."""
    return msgspec.json.encode(
        {
            "type": "FeatureCollection",
            "features": [
                {
                    "type": "Feature",
                    "id": fix.id,
                    "geometry": {"type": "Point", "coordinates": _coordinates(fix.data)},
                    "properties": {"device": device, "time": _time(fix.t), **_keys(fix)},
                }
                for fix in fixes
            ],
        }
    )


def as_gpx(device: str, fixes: Sequence[Event]) -> bytes:
    """One track of one segment; what GPX has no element for stands in extensions."""
    gpx = ElementTree.Element("gpx", {"xmlns": _GPX, "version": "1.1", "creator": "fieldgate"})
    track = ElementTree.SubElement(gpx, "trk")
    ElementTree.SubElement(track, "name").text = device
    segment = ElementTree.SubElement(track, "trkseg")
    for fix in fixes:
        data, _ = finite(fix.data)
        place = {"lat": repr(data["lat"]), "lon": repr(data["lon"])}
        point = ElementTree.SubElement(segment, "trkpt", place)
        # In the order that the schema wants.
        for element, value in (
            ("ele", data.get("alt")),
            ("time", _time(fix.t)),
            ("fix", _GPX_FIX[data["fix"]]),
            ("sat", data.get("sats")),
            ("hdop", data.get("hdop")),
        ):
            if value is not None:
                ElementTree.SubElement(point, element).text = str(value)
        extensions = ElementTree.SubElement(point, "extensions")
        for key in _GPX_EXTENSIONS:
            if data.get(key) is not None:
                ElementTree.SubElement(extensions, f"{{{_FIELD}}}{key}").text = str(data[key])
    ElementTree.indent(gpx)
    text: bytes = ElementTree.tostring(gpx, "utf-8", xml_declaration=True)
    return text


def as_csv(device: str, fixes: Sequence[Event]) -> bytes:
    """A line for each fix, under a heading; flags separated by spaces."""
    text = io.StringIO()
    columns = ("id", "device", "time", *_KEYS, "received", "stored", "clock_offset_ms", "flags")
    writer = csv.DictWriter(text, columns)
    writer.writeheader()
    for fix in fixes:
        keys = {**_keys(fix), "flags": " ".join(fix.flags)}
        writer.writerow({"id": fix.id, "device": device, "time": _time(fix.t), **keys})
    return text.getvalue().encode()


FORMATS: Mapping[str, tuple[str, Callable[[str, Sequence[Event]], bytes]]] = {
    "geojson": ("application/geo+json", as_geojson),
    "gpx": ("application/gpx+xml", as_gpx),
    "csv": ("text/csv", as_csv),
}
"""Content type and function of each format."""

_FIELD = "urn:fieldgate:position:v1"
ElementTree.register_namespace("field", _FIELD)


def _keys(fix: Event) -> dict[str, Any]:
    data, _ = finite(fix.data)
    return {
        **data,
        "received": fix.received,
        "stored": fix.stored,
        "clock_offset_ms": fix.clock_offset_ms,
        "flags": fix.flags,
    }


def _coordinates(data: Mapping[str, Any]) -> list[float]:
    place = [data["lon"], data["lat"]]
    return [*place, data["alt"]] if data.get("alt") is not None else place


def _time(millis: int) -> str | None:
    """None for a clock that was not set, or that no date can hold."""
    try:
        return rfc3339(millis) if millis > 0 else None
    except OverflowError:
        return None
