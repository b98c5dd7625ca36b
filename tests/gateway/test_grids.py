"""Does every place lie in the grid that a map shows it in, and how far is it?"""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.config import ConfigError, load
from gateway.grids import Grid, distance_m, grid_of

WEST = Grid(name="west", polygon=((24.5, 117.6), (24.5, 117.65), (24.52, 117.65), (24.52, 117.6)))
EAST = Grid(name="east", polygon=((24.5, 117.65), (24.5, 117.7), (24.52, 117.7), (24.52, 117.65)))
# An L: the place at its missing corner is outside, though between its corners.
CORNER = Grid(
    name="corner", polygon=((0, 0), (0, 2), (1, 2), (1, 1), (2, 1), (2, 0))
)  # fmt: skip

SETTINGS = """
[[grids]]
name = "North gate"
polygon = [[24.5, 117.6], [24.5, 117.65], [24.52, 117.65], [24.52, 117.6]]
"""


@pytest.mark.parametrize(
    ("lat", "lon", "name"),
    [
        (24.51, 117.61, "west"),
        (24.51, 117.69, "east"),
        (24.51, 117.71, None),
        (24.53, 117.61, None),
    ],
)
def test_a_place_lies_in_its_grid(lat: float, lon: float, name: str | None) -> None:
    found = grid_of([WEST, EAST], lat, lon)
    assert (found and found.name) == name


@pytest.mark.parametrize(
    ("lat", "lon", "inside"), [(0.5, 1.5, True), (1.5, 0.5, True), (1.5, 1.5, False)]
)
def test_a_grid_may_have_any_shape(lat: float, lon: float, inside: bool) -> None:
    assert CORNER.contains(lat, lon) is inside


@given(lat=st.floats(24.5, 24.52, exclude_max=True), lon=st.floats(117.6, 117.7, exclude_max=True))
def test_a_place_on_a_shared_side_lies_in_exactly_one(lat: float, lon: float) -> None:
    assert [WEST.contains(lat, lon), EAST.contains(lat, lon)].count(True) == 1
    assert [WEST.contains(lat, 117.65), EAST.contains(lat, 117.65)] == [False, True]


def test_the_first_of_grids_that_overlap_counts() -> None:
    assert (
        grid_of([EAST, EAST.__class__(name="again", polygon=EAST.polygon)], 24.51, 117.69) is EAST
    )


def test_distances_are_those_of_the_sphere() -> None:
    assert distance_m(0, 0, 0, 180) == pytest.approx(math.pi * 6_371_008.8)
    assert distance_m(24.5, 117.6, 24.5009, 117.6) == pytest.approx(100.08, abs=0.01)
    assert distance_m(24.5, 117.6, 24.5, 117.6) == 0


def test_grids_come_from_the_settings(tmp_path: Path) -> None:
    path = tmp_path / "fieldgate.toml"
    path.write_text(SETTINGS)
    (grid,) = load(path, {}, {}).grids
    assert grid.name == "North gate"
    assert grid.contains(24.51, 117.61)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (SETTINGS * 2, "grids: 2 have the name 'North gate'"),
        (SETTINGS.replace("24.5,", "124.5,", 1), "grids"),
        (SETTINGS.replace("[24.5, 117.6], [24.5, 117.65], ", ""), "length"),
    ],
)
def test_a_grid_that_is_none_is_named(tmp_path: Path, text: str, problem: str) -> None:
    path = tmp_path / "fieldgate.toml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=problem):
        load(path, {}, {})
