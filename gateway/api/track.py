"""A track as GIS tools read it: GeoJSON, GPX 1.1, KML 2.2, CSV. Every fix as it was stored.

GeoJSON is a FeatureCollection with a Point for each fix, in the order of their
times, its keys as properties: tools join points to a line themselves, and a line
alone would lose when and how good each fix was. A number that is none (NaN, infinite)
is left empty, as in the feed. A track is written in parts, as it is found.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from math import isfinite
from typing import Any, NamedTuple
from xml.etree import ElementTree

import msgspec

from gateway.journal.base import Event
from protocols.cloudevents import rfc3339
from protocols.model import Fix

_KEYS = Fix.__struct_fields__
_GPX = "http://www.topografix.com/GPX/1/1"
_KML = "http://www.opengis.net/kml/2.2"
_FIELD = "urn:fieldgate:position:v1"
_GPX_FIX = {0: "none", 2: "2d", 3: "3d"}
_GPX_EXTENSIONS = ("spd", "hdg", "acc", "src", "boot", "seq")
_COLUMNS = ("id", "device", "time", *_KEYS, "received", "stored", "clock_offset_ms", "flags")


class Format(NamedTuple):
    """How a track is written: what stands before all fixes, between parts of them, and after."""

    content_type: str
    before: Callable[[str], str]
    part: Callable[[str, Sequence[Event]], bytes]
    between: bytes
    after: bytes


def geojson_features(device: str, fixes: Sequence[Event]) -> bytes:
    """A Point for each fix: longitude, latitude, altitude where known."""
    features = msgspec.json.encode(
        [
            {
                "type": "Feature",
                "id": fix.id,
                "geometry": {"type": "Point", "coordinates": _coordinates(fix.data)},
                "properties": {"device": device, "time": _time(fix.t), **_keys(fix)},
            }
            for fix in fixes
        ]
    )
    return features[1:-1]


def gpx_points(_: str, fixes: Sequence[Event]) -> bytes:
    """A point of the segment for each fix; what GPX has no element for stands in extensions."""
    return b"".join(map(_gpx_point, fixes))


def _gpx_point(fix: Event) -> bytes:
    data = _finite(fix.data)
    place = {"lat": repr(data["lat"]), "lon": repr(data["lon"])}
    point = ElementTree.Element("trkpt", place)
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
            ElementTree.SubElement(extensions, f"field:{key}").text = str(data[key])
    written: bytes = ElementTree.tostring(point, "utf-8")
    return written + b"\n"


def kml_placemarks(_: str, fixes: Sequence[Event]) -> bytes:
    """A point with its time for each fix; all that is known of it stands in its data."""
    return b"".join(map(_kml_placemark, fixes))


def _kml_placemark(fix: Event) -> bytes:
    data, time = _finite(fix.data), _time(fix.t)
    placemark = ElementTree.Element("Placemark")
    if time is not None:
        stamp = ElementTree.SubElement(placemark, "TimeStamp")
        ElementTree.SubElement(stamp, "when").text = time
    known = ElementTree.SubElement(placemark, "ExtendedData")
    for key, value in _keys(fix).items():
        if value is not None:
            told = ElementTree.SubElement(known, "Data", name=key)
            text = " ".join(value) if key == "flags" else str(value)
            ElementTree.SubElement(told, "value").text = text
    point = ElementTree.SubElement(placemark, "Point")
    if data.get("alt") is not None:
        ElementTree.SubElement(point, "altitudeMode").text = "absolute"
    ElementTree.SubElement(point, "coordinates").text = ",".join(map(repr, _coordinates(data)))
    written: bytes = ElementTree.tostring(placemark, "utf-8")
    return written + b"\n"


def csv_lines(device: str, fixes: Sequence[Event]) -> bytes:
    """A line for each fix; flags separated by spaces."""
    text = io.StringIO()
    writer = csv.DictWriter(text, _COLUMNS)
    for fix in fixes:
        keys = {**_keys(fix), "flags": " ".join(fix.flags)}
        writer.writerow({"id": fix.id, "device": device, "time": _time(fix.t), **keys})
    return text.getvalue().encode()


FORMATS: Mapping[str, Format] = {
    "geojson": Format(
        "application/geo+json",
        lambda _: '{"type":"FeatureCollection","features":[',
        geojson_features,
        b",",
        b"]}",
    ),
    "gpx": Format(
        "application/gpx+xml",
        # A device's id has no character that XML would have escaped.
        lambda device: (
            '<?xml version="1.0" encoding="utf-8"?>\n'
            f'<gpx xmlns="{_GPX}" xmlns:field="{_FIELD}" version="1.1" creator="fieldgate">\n'
            f"<trk><name>{device}</name><trkseg>\n"
        ),
        gpx_points,
        b"",
        b"</trkseg></trk></gpx>\n",
    ),
    "kml": Format(
        "application/vnd.google-earth.kml+xml",
        lambda device: (
            '<?xml version="1.0" encoding="utf-8"?>\n'
            f'<kml xmlns="{_KML}"><Document><name>{device}</name>\n'
        ),
        kml_placemarks,
        b"",
        b"</Document></kml>\n",
    ),
    "csv": Format("text/csv", lambda _: ",".join(_COLUMNS) + "\r\n", csv_lines, b"", b""),
}
"""The formats by their names."""


def _keys(fix: Event) -> dict[str, Any]:
    return {
        **_finite(fix.data),
        "received": fix.received,
        "stored": fix.stored,
        "clock_offset_ms": fix.clock_offset_ms,
        "flags": fix.flags,
    }


def _finite(data: Mapping[str, Any]) -> dict[str, Any]:
    """A fix's keys, None for a number that is none. They hold no others within."""
    return {
        key: None if isinstance(value, float) and not isfinite(value) else value
        for key, value in data.items()
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
