"""Routes between junctions: what can be driven, what can be walked, who waits for whom."""

from __future__ import annotations

import pytest

from simulators.plane import Point, Projection, area_m2, contains, nearer_part
from simulators.roads import Road, RoadKind, Roads

ORIGIN = Projection(24.51, 117.65)
SQUARE = [Point(0, 0), Point(1000, 0), Point(1000, 1000), Point(0, 1000)]


def _road(start: int, end: int, mps: float = 10, kind: RoadKind = RoadKind.STREET) -> Road:
    return Road.along(start, end, [SQUARE[start % 4], SQUARE[end % 4]], mps, kind)


def _both(*roads: Road) -> list[Road]:
    return [*roads, *(road.reversed() for road in roads)]


def test_projection_comes_back_to_the_same_place() -> None:
    x, y = ORIGIN.to_plane(24.55, 117.60)
    assert ORIGIN.to_degrees(x, y) == pytest.approx((24.55, 117.60), abs=1e-12)


def test_a_degree_is_as_long_as_on_the_ellipsoid() -> None:
    assert ORIGIN.m_per_deg_lat == pytest.approx(110_766, abs=30)
    assert ORIGIN.m_per_deg_lon == pytest.approx(101_345, abs=50)


def test_two_seeds_share_a_square() -> None:
    west = nearer_part(SQUARE, Point(200, 500), Point(800, 500))
    assert area_m2(west) == pytest.approx(500_000)
    assert contains(west, Point(499, 10))
    assert not contains(west, Point(501, 10))


def test_the_fastest_route_prefers_the_faster_roads() -> None:
    roads = Roads(
        ORIGIN, SQUARE, _both(_road(0, 1, 20), _road(1, 2, 20), _road(2, 3, 20), _road(3, 0, 5))
    )
    assert [road.end for road in roads.fastest(0, 3)] == [1, 2, 3]


def test_a_oneway_street_is_driven_one_way_and_walked_both() -> None:
    ring = [_road(0, 1), _road(1, 2), _road(2, 3), _road(3, 0)]
    roads = Roads(ORIGIN, SQUARE, ring)
    assert [road.end for road in roads.fastest(1, 0)] == [2, 3, 0]
    assert {road.end for road in roads.walks(1)} == {0, 2}


def test_what_cannot_be_driven_back_from_is_left_out() -> None:
    roads = Roads(ORIGIN, SQUARE, [*_both(_road(0, 1), _road(1, 2)), _road(2, 3)])
    assert roads.junctions == [0, 1, 2]


def test_nobody_walks_through_a_tunnel_or_along_a_motorway() -> None:
    tunnel, motorway = _road(0, 1, kind=RoadKind.TUNNEL), _road(0, 3, 30)
    roads = Roads(ORIGIN, SQUARE, _both(tunnel, motorway, _road(0, 2)))
    assert [road.end for road in roads.walks(0)] == [2]


def test_a_side_street_gives_way_to_the_main_road() -> None:
    side, main_in, main_on = _road(1, 0, 8), _road(3, 0, 15), _road(0, 2, 15)
    roads = Roads(ORIGIN, SQUARE, _both(side, main_in, main_on))
    assert roads.gives_way(side)
    assert not roads.gives_way(main_in)


def test_a_part_keeps_the_numbers_and_leaves_the_whole_alone() -> None:
    ring = _both(_road(0, 1), _road(1, 2), _road(2, 3), _road(3, 0))
    roads = Roads(ORIGIN, SQUARE, ring)
    north = roads.part(lambda point: point.y > 500)
    assert north.junctions == [2, 3]
    assert len(roads.junctions) == 4
