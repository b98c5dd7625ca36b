"""Where a device has been, as GIS tools read it."""

from __future__ import annotations

import csv
import json
from collections.abc import AsyncIterator
from pathlib import Path
from xml.etree import ElementTree

import msgspec
import pytest

from tests.gateway.outward import NOW_MS, Outward, fix, fixes, outward


@pytest.fixture
async def gateway(tmp_path: Path) -> AsyncIterator[Outward]:
    async with outward(tmp_path) as started:
        yield started


FIXES = (
    fix(1, lat=24.123456789012345, lon=117.00000000000001, alt=12.5, spd=3.25, sats=9),
    fix(2, fix=0, hdop=1.5),
    fix(4, hdg=359.9, acc=2.5, src="gnss"),
)


async def test_a_track_in_geojson_equals_the_fixes_stored(gateway: Outward) -> None:
    await gateway.journal.commit_block(fixes("box-1", *FIXES))
    async with gateway.request("GET", "/api/v1/devices/box-1/track") as response:
        assert response.content_type == "application/geo+json"
        track = json.loads(await response.read())
    assert track["type"] == "FeatureCollection"
    keys = msgspec.to_builtins(FIXES)
    for feature, sent in zip(track["features"], keys, strict=True):
        assert sent.items() <= feature["properties"].items()
        assert feature["geometry"]["type"] == "Point"
        assert feature["geometry"]["coordinates"][:2] == [sent["lon"], sent["lat"]]
    assert track["features"][0]["geometry"]["coordinates"][2] == 12.5
    assert track["features"][0]["properties"]["time"] == "2026-11-22T03:26:41.000Z"


async def test_a_track_in_gpx_has_every_fix(gateway: Outward) -> None:
    await gateway.journal.commit_block(fixes("box-1", *FIXES))
    async with gateway.request("GET", "/api/v1/devices/box-1/track?format=gpx") as response:
        assert response.content_type == "application/gpx+xml"
        gpx = ElementTree.fromstring(await response.read())
    name = {"": "http://www.topografix.com/GPX/1/1", "field": "urn:fieldgate:position:v1"}
    points = gpx.findall("trk/trkseg/trkpt", name)
    assert [(float(p.attrib["lat"]), float(p.attrib["lon"])) for p in points] == [
        (f.lat, f.lon) for f in FIXES
    ]
    assert [p.findtext("fix", None, name) for p in points] == ["3d", "none", "3d"]
    assert points[0].findtext("ele", None, name) == "12.5"
    assert points[0].findtext("time", None, name) == "2026-11-22T03:26:41.000Z"
    assert points[0].findtext("extensions/field:spd", None, name) == "3.25"


async def test_a_track_in_kml_has_every_fix(gateway: Outward) -> None:
    await gateway.journal.commit_block(fixes("box-1", *FIXES))
    async with gateway.request("GET", "/api/v1/devices/box-1/track?format=kml") as response:
        assert response.content_type == "application/vnd.google-earth.kml+xml"
        kml = ElementTree.fromstring(await response.read())
    name = {"": "http://www.opengis.net/kml/2.2"}
    marks = kml.findall("Document/Placemark", name)
    places = [mark.findtext("Point/coordinates", "", name).split(",") for mark in marks]
    assert [(float(lat), float(lon)) for lon, lat, *_ in places] == [(f.lat, f.lon) for f in FIXES]
    assert [len(place) for place in places] == [3, 2, 2]
    assert marks[0].findtext("TimeStamp/when", "", name) == "2026-11-22T03:26:41.000Z"
    data = {
        d.attrib["name"]: d.findtext("value", "", name)
        for d in marks[0].iter(f"{{{name['']}}}Data")
    }
    assert (data["spd"], data["seq"]) == ("3.25", "1")


async def test_a_track_in_csv_has_every_fix(gateway: Outward) -> None:
    await gateway.journal.commit_block(fixes("box-1", *FIXES))
    async with gateway.request("GET", "/api/v1/devices/box-1/track?format=csv") as response:
        assert response.content_type == "text/csv"
        rows = list(csv.DictReader((await response.text()).splitlines()))
    assert [(float(r["lat"]), float(r["lon"]), int(r["seq"])) for r in rows] == [
        (f.lat, f.lon, f.seq) for f in FIXES
    ]
    assert rows[1]["alt"] == ""


@pytest.mark.parametrize("written", ["geojson", "gpx", "kml", "csv"])
async def test_a_number_that_is_none_is_left_out_of_a_track(gateway: Outward, written: str) -> None:
    await gateway.journal.commit_block(fixes("box-1", fix(1, spd=float("inf"), alt=float("nan"))))
    path = f"/api/v1/devices/box-1/track?format={written}"
    async with gateway.request("GET", path) as response:
        text = (await response.text()).lower()
    assert "inf" not in text
    assert "nan" not in text


@pytest.mark.parametrize(
    ("query", "seqs"),
    [
        (f"from={NOW_MS + 2000}", [2, 4]),
        (f"to={NOW_MS + 2000}", [1]),
        ("from=2026-11-22T03:26:42Z&to=2026-11-22T03:26:43Z", [2]),
        ("from=2026-11-22T11:26:42%2B08:00", [2, 4]),
    ],
)
async def test_a_track_is_cut_by_time(gateway: Outward, query: str, seqs: list[int]) -> None:
    await gateway.journal.commit_block(fixes("box-1", *FIXES))
    track = await gateway.get(f"/api/v1/devices/box-1/track?{query}")
    assert [f["properties"]["seq"] for f in track["features"]] == seqs


@pytest.mark.parametrize(
    ("query", "parameter"),
    [
        ("from=yesterday", "from"),
        ("from=2026-11-22T03:26:42", "from"),
        ("to=99999999999999999999", "to"),
        ("to=", "to"),
        ("format=shp", "format"),
    ],
)
async def test_a_track_parameter_that_is_none_is_named(
    gateway: Outward, query: str, parameter: str
) -> None:
    async with gateway.request("GET", f"/api/v1/devices/box-1/track?{query}") as response:
        details = await response.json(content_type="application/problem+json")
    assert (details["status"], details["parameter"]) == (400, parameter)


@pytest.mark.parametrize("written", ["geojson", "gpx", "kml", "csv"])
async def test_an_empty_track_is_a_whole_document(gateway: Outward, written: str) -> None:
    path = f"/api/v1/devices/box-1/track?format={written}"
    async with gateway.request("GET", path) as response:
        text = await response.text()
    if written == "geojson":
        assert json.loads(text) == {"type": "FeatureCollection", "features": []}
    elif written in {"gpx", "kml"}:
        places = {"trkpt", "Placemark"}
        assert not [e for e in ElementTree.fromstring(text).iter() if e.tag in places]
    else:
        assert len(text.splitlines()) == 1


async def test_a_backlog_stands_where_it_belongs_in_time(gateway: Outward) -> None:
    for seqs in ((1, 2, 9), (11, 13, 15), (3, 4, 12), range(16, 30), (5, 8)):
        await gateway.journal.commit_block(fixes("box-1", *map(fix, seqs)))
        await gateway.journal.commit_block(fixes("car-1", *map(fix, seqs)))
    due = sorted([1, 2, 9, 11, 13, 15, 3, 4, 12, *range(16, 30), 5, 8])
    track = await gateway.get("/api/v1/devices/box-1/track")
    assert [f["properties"]["seq"] for f in track["features"]] == due
    assert {f["properties"]["device"] for f in track["features"]} == {"box-1"}
