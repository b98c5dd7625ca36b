"""GCJ-02: the published vectors, and an inverse that comes back to where it started."""

from __future__ import annotations

import json
import math
import random
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from protocols.gcj02 import EAST, NORTH, SOUTH, WEST, Gcj02, Wgs84, to_gcj02, to_wgs84

# Place, WGS-84, GCJ-02 by the coord-convert library (0.2.1).
PUBLISHED = {
    "Beijing": ((39.9087, 116.3975), (39.910103499, 116.403743573)),
    "Shanghai": ((31.2304, 121.4737), (31.228457738, 121.478223059)),
    "Guangzhou": ((23.1291, 113.2644), (23.12642334, 113.269729592)),
    "Urumqi": ((43.8256, 87.6168), (43.826805393, 87.619649949)),
    "Harbin": ((45.8038, 126.535), (45.805781525, 126.54104035)),
    "Lhasa": ((29.652, 91.1721), (29.649210494, 91.173567372)),
    "Sanya": ((18.2528, 109.5119), (18.251094792, 109.515984295)),
    "Kashgar": ((39.4704, 75.9898), (39.470627026, 75.99275499)),
}
ABROAD = {"Tokyo": (35.6762, 139.6503), "London": (51.5074, -0.1278), "the pole": (90.0, 0.0)}
SCRIPT = Path(__file__).parents[2] / "gateway/web/static/gcj02.js"
CHINA = st.builds(Wgs84, st.floats(3.5, 53.6), st.floats(73.4, 135.1))


def metres(a: tuple[float, float], b: tuple[float, float]) -> float:
    """Between two places near one another."""
    north_m = math.radians(a[0] - b[0]) * 6_371_000
    east_m = math.radians(a[1] - b[1]) * 6_371_000 * math.cos(math.radians(a[0]))
    return math.hypot(north_m, east_m)


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_published_place_is_shown_where_other_libraries_show_it(name: str) -> None:
    wgs84, gcj02 = PUBLISHED[name]
    assert to_gcj02(Wgs84(*wgs84)) == pytest.approx(gcj02, abs=2e-9)
    assert metres(to_wgs84(Gcj02(*gcj02)), wgs84) < 0.001


def test_beijing_is_moved_555_m() -> None:
    there = Wgs84(39.9087, 116.3975)
    assert metres(to_gcj02(there), there) == pytest.approx(555, abs=1)


@pytest.mark.parametrize("name", ABROAD)
def test_what_lies_outside_the_box_is_not_moved(name: str) -> None:
    assert to_gcj02(Wgs84(*ABROAD[name])) == ABROAD[name]
    assert to_wgs84(Gcj02(*ABROAD[name])) == ABROAD[name]


@given(CHINA)
@settings(max_examples=500)
def test_everywhere_in_china_the_inverse_is_right_to_a_millimetre(place: Wgs84) -> None:
    shown = to_gcj02(place)
    assert 10 < metres(shown, place) < 1000
    assert metres(to_wgs84(shown), place) < 0.001


@given(st.floats(SOUTH, NORTH), st.floats(WEST, EAST))
@example(1.0, EAST)
@example(NORTH, WEST)
def test_the_inverse_is_right_up_to_the_edge_of_the_box(lat: float, lon: float) -> None:
    place = Wgs84(lat, lon)
    assert metres(to_wgs84(to_gcj02(place)), place) < 0.001


@given(st.floats(-90, 90), st.floats(-180, 180))
def test_any_place_on_earth_is_taken(lat: float, lon: float) -> None:
    assert metres(to_gcj02(Wgs84(lat, lon)), (lat, lon)) < 1000
    assert metres(to_wgs84(Gcj02(lat, lon)), (lat, lon)) < 1000


@pytest.mark.skipif(shutil.which("node") is None, reason="needs Node")
def test_the_browser_shows_places_where_we_say() -> None:
    rng = random.Random(1)
    anywhere = [(rng.uniform(-90, 90), rng.uniform(-180, 180)) for _ in range(200)]
    near = [(rng.uniform(0, 57), rng.uniform(71, 139)) for _ in range(500)]
    places = [*anywhere, *near, *(wgs84 for wgs84, _ in PUBLISHED.values())]
    program = f"""
        import {{ toGcj02, toWgs84 }} from {json.dumps(SCRIPT.as_uri())};
        const places = {json.dumps([(lon, lat) for lat, lon in places])};
        console.log(JSON.stringify(places.map(place => [toGcj02(place), toWgs84(place)])));
    """
    run = subprocess.run(
        ["node", "--input-type=module", "-"],
        input=program,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    for place, (shown, back) in zip(places, json.loads(run.stdout), strict=True):
        assert shown[::-1] == pytest.approx(to_gcj02(Wgs84(*place)), abs=1e-11)
        assert back[::-1] == pytest.approx(to_wgs84(Gcj02(*place)), abs=1e-11)
