"""Does a device report what is news, and no more?"""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from edge.sources.report import ReportPolicy, distance_m
from protocols.model import Position

METRE_DEG = 1 / 111_195  # of latitude


def at(
    north_m: float = 0,
    *,
    spd: float | None = None,
    hdg: float | None = None,
    acc: float | None = None,
) -> Position:
    return Position(lat=24.5 + north_m * METRE_DEG, lon=117.65, fix=3, spd=spd, hdg=hdg, acc=acc)


def reports(policy: ReportPolicy, track: list[Position]) -> list[int]:
    """The seconds at which a track of one position a second is reported."""
    return [second for second, position in enumerate(track) if policy.due(position, float(second))]


def test_the_first_position_is_reported() -> None:
    assert ReportPolicy().due(at(), 1234.5)


def test_a_parked_car_reports_every_half_minute_and_not_every_second() -> None:
    wander = [at(3 * math.sin(second), spd=0.1, hdg=second * 77 % 360) for second in range(91)]
    assert reports(ReportPolicy(), wander) == [0, 30, 60, 90]


def test_while_it_is_located_it_reports_every_second_of_a_receiver_that_gives_ten() -> None:
    policy = ReportPolicy()
    with policy.every_second(), policy.every_second():
        due = [tenth for tenth in range(31) if policy.due(at(), tenth / 10)]
    assert due == [0, 9, 18, 27]
    assert not policy.due(at(), 4.0)


def test_without_an_interval_every_fix_is_reported() -> None:
    assert reports(ReportPolicy(interval_s=0), [at()] * 4) == [0, 1, 2, 3]


def test_a_car_in_motion_reports_every_second() -> None:
    drive = [at(12 * second, spd=12, hdg=0) for second in range(10)]
    assert reports(ReportPolicy(), drive) == list(range(10))


def test_a_walker_reports_every_ten_metres() -> None:
    walk = [at(1.45 * second, spd=1.45, hdg=0) for second in range(22)]
    assert reports(ReportPolicy(), walk) == [0, 7, 14, 21]


def test_a_turn_is_reported_across_north_too() -> None:
    bend = [at(4 * s, spd=4, hdg=h) for s, h in enumerate([350, 355, 15, 16])]
    assert reports(ReportPolicy(distance_m=100), bend) == [0, 2]


def test_a_heading_at_standstill_is_no_turn() -> None:
    assert reports(ReportPolicy(), [at(spd=0.3, hdg=0), at(spd=0.3, hdg=180)]) == [0]


def test_a_heading_that_is_unknown_is_no_turn() -> None:
    assert reports(ReportPolicy(), [at(spd=5), at(spd=5, hdg=90)]) == [0]


def test_noise_below_the_accuracy_is_no_way_travelled() -> None:
    blurry = [at(0), at(20, acc=25), at(24, acc=25), at(26, acc=25)]
    assert reports(ReportPolicy(), blurry) == [0, 3]


def test_distance_is_short_across_the_date_line() -> None:
    west = Position(lat=0, lon=179.9999, fix=3)
    east = Position(lat=0, lon=-179.9999, fix=3)
    assert 22 < distance_m(west, east) < 23


def test_distance_of_a_degree_is_that_of_the_map() -> None:
    zhangzhou = Position(lat=24.5, lon=117.65, fix=3)
    assert abs(distance_m(zhangzhou, at(1000)) - 1000) < 1
    east = Position(lat=24.5, lon=117.66, fix=3)
    assert abs(distance_m(zhangzhou, east) - 1012) < 2


POSITIONS = st.builds(
    Position,
    lat=st.floats(-90, 90),
    lon=st.floats(-180, 180),
    fix=st.just(3),
    spd=st.none() | st.floats(0, 100),
    hdg=st.none() | st.floats(0, 360),
    acc=st.none() | st.floats(0, 1e6),
)


@given(st.lists(POSITIONS, min_size=1, max_size=50))
def test_no_track_keeps_silent_for_longer_than_the_interval(track: list[Position]) -> None:
    seconds = reports(ReportPolicy(interval_s=5), track)
    assert seconds[0] == 0
    assert all(b - a <= 5 for a, b in zip(seconds, [*seconds[1:], len(track) - 1], strict=True))
