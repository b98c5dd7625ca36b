"""Reach: times by road against a plain search, one-way streets, those on foot, cold spots."""

from __future__ import annotations

import heapq
import math
import random
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fieldgate.bench.town import LAT, LON, Street, degrees, lattice, town
from gateway.coverage import COLOURS, Coverage
from gateway.grids import Grid, grid_of
from gateway.reach import FOOT_MPS, Reach
from gateway.roads import RoadGraph
from gateway.streets import KERB_M, Start

#   3 --- 2      3 to 2 and 0 to 1 are 1 km long, 0 to 3 and 1 to 2 half of it.
#   |     |      At 10 m/s, but 2 to 3 at 20; 0 to 3 leads north only.
#   0 --- 1
SQUARE = [(0.0, 0.0), (1000.0, 0.0), (1000.0, 500.0), (0.0, 500.0)]
STREETS = [Street(0, 1), Street(1, 2), Street(2, 3, 20.0), Street(0, 3, two_way=False)]


def start(x: float, y: float, *, name: str = "car", on_foot: bool = False) -> Start:
    return Start(name, *degrees(x, y), on_foot)


def seconds(reach: Reach, starts: list[Start], *places: tuple[float, float]) -> list[float]:
    """Until the first of the units is at each of the places."""
    lat, lon = np.array([degrees(*place) for place in places]).T
    times: list[float] = reach.times(starts, reach.streets.locate(lat, lon)).tolist()
    return times


@pytest.fixture
def square() -> Reach:
    return Reach(town(SQUARE, STREETS))


@pytest.mark.parametrize(
    ("place", "due_s"),
    [
        ((500, 0), 0),
        ((900, 0), 40),  # along the street
        ((0, 100), 60),  # round the corner, into the one-way street
        ((1000, 250), 75),
        ((500, 500), 50 + 50 + 25),
    ],
)
def test_time_by_road(square: Reach, place: tuple[float, float], due_s: float) -> None:
    assert seconds(square, [start(500, 0)], place) == [pytest.approx(due_s, abs=0.2)]


def test_a_oneway_street_is_driven_one_way(square: Reach) -> None:
    north, south = seconds(square, [start(0, 250)], (0, 450), (0, 50))
    assert north == pytest.approx(20, abs=0.2)
    # North, then all the way round, and in again from the south.
    assert south == pytest.approx(25 + 50 + 50 + 100 + 5, abs=0.5)


def test_an_officer_walks_a_oneway_street_both_ways_but_no_fast_road(square: Reach) -> None:
    (time_s,) = seconds(square, [start(0, 250, on_foot=True)], (0, 50))
    assert time_s == pytest.approx(200 / FOOT_MPS, abs=0.5)
    (time_s,) = seconds(square, [start(0, 500, on_foot=True)], (800, 500))
    assert math.isinf(time_s)


def test_a_unit_in_a_yard_comes_to_the_street_on_foot(square: Reach) -> None:
    (time_s,) = seconds(square, [start(300, 80)], (500, 0))
    assert time_s == pytest.approx((80 - KERB_M) / FOOT_MPS + 20, abs=0.3)


def test_who_is_between_two_carriageways_may_take_either() -> None:
    there_and_back = [(0.0, 0.0), (2000.0, 0.0), (2000.0, 20.0), (0.0, 20.0)]
    ways = [Street(0, 1, two_way=False), Street(1, 2), Street(2, 3, two_way=False), Street(3, 0)]
    reach = Reach(town(there_and_back, ways))
    times = seconds(reach, [start(1000, 2)], (1500, 0), (500, 20))
    assert times == pytest.approx([50, 50], abs=0.2)
    (near,) = reach.nearest(*degrees(500, 3), [start(1000, 2)])
    assert near.seconds == pytest.approx(50, abs=0.2)


def test_a_unit_far_from_every_street_reaches_nothing(square: Reach) -> None:
    assert seconds(square, [start(300, -400)], (300, 0)) == [math.inf]
    assert seconds(square, [], (300, 0)) == [math.inf]
    (near,) = square.nearest(LAT, LON, [start(300, -400)])
    assert near.seconds is None
    assert near.straight_m == pytest.approx(500, rel=0.01)


def test_the_first_of_several_counts(square: Reach) -> None:
    units = [start(100, 0, name="a"), start(900, 0, name="b")]
    assert seconds(square, units, (0, 0), (1000, 0)) == pytest.approx([10, 10], abs=0.2)


def test_nearest_is_by_road_not_as_the_crow_flies(square: Reach) -> None:
    straight = start(0, 400, name="near by the map, and past the place")
    around = start(300, 0, name="round the corner")
    found = square.nearest(*degrees(0, 300), [straight, around])
    assert [near.unit for near in found] == [around.unit, straight.unit]
    assert found[0].seconds == pytest.approx(30 + 30, abs=0.5)
    assert found[1].straight_m == pytest.approx(100, rel=0.01)


def test_a_place_far_from_every_street_has_units_by_distance_alone(square: Reach) -> None:
    found = square.nearest(*degrees(0, 5000), [start(0, 0, name="far"), start(0, 500, name="near")])
    assert [(near.unit, near.seconds) for near in found] == [("near", None), ("far", None)]


def plain_search(graph: RoadGraph, source: int) -> dict[int, float]:
    """Dijkstra as in a textbook."""
    ways: dict[int, list[tuple[int, float]]] = {}
    streets = zip(graph.start, graph.end, graph.duration_s, graph.two_way, strict=True)
    for a, b, time_s, two_way in streets:
        ways.setdefault(int(a), []).append((int(b), time_s))
        if two_way:
            ways.setdefault(int(b), []).append((int(a), time_s))
    best, waiting = {source: 0.0}, [(0.0, source)]
    while waiting:
        time_s, node = heapq.heappop(waiting)
        for to, further_s in ways.get(node, ()):
            if time_s + further_s < best.get(to, math.inf):
                best[to] = time_s + further_s
                heapq.heappush(waiting, (best[to], to))
    return best


@given(st.integers(0, 10**6))
@settings(max_examples=20, deadline=None)
def test_times_are_those_of_a_plain_search(seed: int) -> None:
    graph = lattice(7, seed)
    reach = Reach(graph)
    rng = random.Random(seed)
    sources = rng.sample(sorted({*graph.start.tolist(), *graph.end.tolist()}), 3)
    units = [Start(str(n), graph.node_lat[n], graph.node_lon[n]) for n in sources]
    searches = [plain_search(graph, source) for source in sources]
    used = np.unique(np.concatenate([graph.start, graph.end]))
    places = reach.streets.locate(graph.node_lat[used], graph.node_lon[used])
    found = reach.times(units, places)
    for node, time_s in zip(used.tolist(), found.tolist(), strict=True):
        due_s = min(search.get(node, math.inf) for search in searches)
        assert time_s == pytest.approx(due_s, abs=0.05)
    # Asked from the other end, each unit needs as long.
    goal = int(used[0])
    asked = reach.nearest(graph.node_lat[goal], graph.node_lon[goal], units)
    for near in asked:
        due_s = searches[sources.index(int(near.unit))].get(goal, math.inf)
        time_s = math.inf if near.seconds is None else near.seconds
        assert time_s == pytest.approx(due_s, abs=0.1)
    known = [near.seconds for near in asked if near.seconds is not None]
    assert known == sorted(known)


@pytest.mark.parametrize("seed", range(3))
def test_a_few_of_the_nearest_are_the_first_of_all(seed: int) -> None:
    graph = lattice(25, seed)
    reach = Reach(graph)
    rng = random.Random(seed)
    units = [
        Start(str(n), *degrees(rng.uniform(0, 4500), rng.uniform(0, 4500)), rng.random() < 0.2)
        for n in range(500)
    ]
    for _ in range(10):
        place = degrees(rng.uniform(0, 4500), rng.uniform(0, 4500))
        everybody = reach.nearest(*place, units)
        assert len(everybody) == len(units)
        for limit in (1, 5, 100):
            assert reach.nearest(*place, units, limit) == everybody[:limit]


@given(st.integers(0, 10**6))
@settings(max_examples=20, deadline=None)
def test_the_nearest_street_is_that_of_a_plain_look_at_all(seed: int) -> None:
    graph = lattice(6, seed)
    rng = random.Random(seed)
    places = [degrees(rng.uniform(-500, 1500), rng.uniform(-500, 1500)) for _ in range(50)]
    streets = Reach(graph).streets
    lat, lon = np.array(places).T
    spots = streets.locate(lat, lon)
    x, y = streets.plane.to_plane(lat, lon)
    px, py = streets.plane.to_plane(graph.point_lat, graph.point_lon)
    for n in range(len(places)):
        off = [
            off_line((x[n], y[n]), (px[2 * s], py[2 * s]), (px[2 * s + 1], py[2 * s + 1]))
            for s in range(len(graph.start))
        ]
        if min(off) <= 250:
            assert spots.off_m[n] == pytest.approx(min(off), abs=1e-6)
            assert off[spots.street[n]] == pytest.approx(min(off), abs=1e-6)
        else:
            assert spots.street[n] == -1


def off_line(p: tuple[float, float], a: tuple[float, float], b: tuple[float, float]) -> float:
    """Metres between a point and a line's nearest point."""
    length2 = math.dist(a, b) ** 2
    share = ((p[0] - a[0]) * (b[0] - a[0]) + (p[1] - a[1]) * (b[1] - a[1])) / length2
    share = min(1.0, max(0.0, share))
    return math.dist(p, (a[0] + share * (b[0] - a[0]), a[1] + share * (b[1] - a[1])))


MINUTE_MS = 60_000
WEST = Grid(name="west", polygon=(degrees(-500, -500), degrees(5000, -500), degrees(5000, 500),
                                  degrees(-500, 500)))  # fmt: skip
EAST = Grid(name="east", polygon=(degrees(5000, -500), degrees(10_500, -500),
                                  degrees(10_500, 500), degrees(5000, 500)))  # fmt: skip


@pytest.fixture
def avenue() -> Coverage:
    """Ten kilometres of a straight street, 600 m a minute, in two grids."""
    graph = town([(0.0, 0.0), (10_000.0, 0.0)], [Street(0, 1)])
    return Coverage(graph, Reach(graph), [WEST, EAST])


def widths_m(features: list[dict[str, Any]]) -> dict[Any, float]:
    """How far each area stretches from west to east, by its minutes or colour."""
    found = {}
    for feature in features:
        areas = feature["geometry"]["coordinates"]
        lons = [lon for area in areas for ring in area for lon, _ in ring]
        (_, east_lon), (_, west_lon) = degrees(1000, 0), degrees(0, 0)
        told = feature["properties"]
        width = (max(lons) - min(lons)) / (east_lon - west_lon) * 1000 if lons else 0.0
        found[told.get("minutes") or told["colour"]] = width
    return found


def test_what_is_reached_stretches_as_far_as_one_drives(avenue: Coverage) -> None:
    seen = avenue.look([start(5000, 0)], 0)
    widths = widths_m(seen.features)
    assert widths[1] == pytest.approx(1200, abs=20)
    assert widths[3] == pytest.approx(3600, abs=20)
    assert widths[5] == pytest.approx(6000, abs=20)
    assert widths_m(avenue.reached([start(5000, 0)]))[5] == widths[5]
    whole, west, east = seen.grids
    assert (whole.name, west.name, east.name) == (None, "west", "east")
    assert whole.within_5 == pytest.approx(0.6, abs=0.02)
    assert west.within_5 == pytest.approx(east.within_5, abs=0.03)


def test_a_cold_spot_darkens_until_a_unit_comes(avenue: Coverage) -> None:
    far, near = [start(1000, 0)], [start(8000, 0)]
    colours = [name for name, _ in COLOURS]
    seen = []
    for minutes in (0, 4, 5, 14, 15, 29, 30, 90):
        east = avenue.look(far, minutes * MINUTE_MS).grids[2]
        assert east.within_5 == 0
        assert east.coldest_s == minutes * 60
        (colour,) = [name for name in colours if east.cold[name]]
        assert east.cold[colour] == 1
        seen.append(colour)
    assert seen == ["green", "green", "blue", "blue", "red", "red", "black", "black"]
    _, west, east = avenue.look(near, 91 * MINUTE_MS).grids
    assert east.coldest_s == 0
    # From 4 km on it was out of reach before, too.
    assert west.cold["green"] == pytest.approx(0.8, abs=0.02)
    assert west.cold["black"] == pytest.approx(0.2, abs=0.02)
    # Left again: it has been cold for no time.
    assert avenue.look(far, 92 * MINUTE_MS).grids[2].coldest_s == 0


def test_the_features_are_whole_geojson(avenue: Coverage) -> None:
    avenue.look([start(1000, 0)], 0)
    seen = avenue.look([start(1000, 0)], 20 * MINUTE_MS)
    assert [f["properties"].get("minutes") for f in seen.features[:3]] == [5, 3, 1]
    assert [f["properties"].get("colour") for f in seen.features[3:]] == [n for n, _ in COLOURS]
    for feature in seen.features:
        assert feature["geometry"]["type"] == "MultiPolygon"
        for area in feature["geometry"]["coordinates"]:
            for ring in area:
                assert ring[0] == ring[-1]
                assert len(ring) >= 4


def test_without_units_all_is_cold(avenue: Coverage) -> None:
    whole = avenue.look([], 0).grids[0]
    assert (whole.within_5, whole.cold["green"]) == (0, 1)


def test_cells_lie_in_the_grids_that_places_lie_in() -> None:
    graph = lattice(9, 1)
    rng = random.Random(1)
    grids = [
        Grid(name=str(n), polygon=tuple(degrees(rng.uniform(0, 1500), rng.uniform(0, 1500))
                                        for _ in range(5)))
        for n in range(4)
    ]  # fmt: skip
    seen = Coverage(graph, Reach(graph), grids).look([], 0)
    cells = Coverage(graph, Reach(graph), []).cells
    inside = [
        (grid := grid_of(grids, lat, lon)) and grid.name
        for lat, lon, beside in zip(cells.lat, cells.lon, cells.beside, strict=True)
        if beside
    ]
    assert [view.cells for view in seen.grids[1:]] == [inside.count(g.name) for g in grids]
