"""Do live pictures become as many and as fine as the link can carry, and no more?"""

from __future__ import annotations

import pytest

from edge.live_pace import START, STEPS, Pace

FINE_BYTES = 200_000


def weigh(pace: Pace) -> float:
    """About how many bytes a picture of this step has."""
    return float(FINE_BYTES / 2 ** STEPS.index(pace.step))


def run(pace: Pace, bytes_per_s: float, pictures: int, *, latency_s: float = 0.0) -> None:
    for _ in range(pictures):
        pace.was_taken(0.04)
        pace.has_left(weigh(pace) / bytes_per_s + latency_s)


def test_the_first_picture_is_a_small_one_and_says_so() -> None:
    pace = Pace(5.0)
    assert pace.step is STEPS[START]
    assert pace.limited == "start"


def test_a_good_link_gets_all_that_was_asked_for_within_a_few_pictures() -> None:
    pace = Pace(5.0)
    run(pace, 10e6, 6)
    assert (pace.step, pace.fps, pace.limited) == (STEPS[0], 5.0, None)


@pytest.mark.parametrize("bytes_per_s", [8_000, 30_000, 100_000, 400_000])
def test_a_poor_link_is_never_full_of_pictures_and_the_pace_settles(bytes_per_s: float) -> None:
    pace = Pace(5.0)
    run(pace, bytes_per_s, 30)
    steps = []
    for _ in range(40):
        run(pace, bytes_per_s, 1)
        steps.append(pace.step)
    assert len(set(steps)) == 1, "it swings"
    assert weigh(pace) / bytes_per_s <= 0.8 * pace.interval_s or pace.step is STEPS[-1]
    assert pace.limited == "link"


def test_a_link_that_gets_worse_makes_them_coarser_and_rarer_at_once() -> None:
    pace = Pace(5.0)
    run(pace, 10e6, 6)
    run(pace, 20_000, 3)
    assert pace.step.quality < 60
    assert pace.fps < 2.0
    assert pace.limited == "link"
    run(pace, 10e6, 25)
    assert pace.step is STEPS[0]


def test_rates_only_fall_from_step_to_step() -> None:
    shares = [step.share for step in STEPS]
    assert shares == sorted(shares, reverse=True)


def test_a_slow_camera_is_not_the_links_fault() -> None:
    pace = Pace(5.0)
    run(pace, 10e6, 6)
    pace.was_taken(0.6)
    assert pace.limited == "camera"
    assert pace.fps == pytest.approx(1 / 0.6, rel=0.1)


def test_another_rate_may_be_wanted_meanwhile() -> None:
    pace = Pace(1.0)
    run(pace, 10e6, 6)
    assert pace.fps == 1.0
    pace.want(5.0)
    assert pace.fps == 5.0
