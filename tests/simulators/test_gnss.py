"""The receiver: errors of the right size that drift, and no fix under cover."""

from __future__ import annotations

import itertools
import math
import random
import statistics

import msgspec
import pytest

from protocols.model import Position
from simulators.fleet import Truth
from simulators.gnss import Receiver

PARKED = Truth(24.51, 117.65, 0.0, 0.0, covered=False)
DRIVING = Truth(24.51, 117.65, 12.0, 359.9, covered=False)
TUNNEL = Truth(24.51, 117.65, 12.0, 90.0, covered=True)


def _fixes(seed: int, truth: Truth, count: int) -> list[Position]:
    receiver = Receiver(random.Random(seed))
    fixes = [receiver.observe(truth, 1.0) for _ in range(count)]
    return [fix for fix in fixes if fix is not None]


def _north_m(fix: Position) -> float:
    return (fix.lat - PARKED.lat) * 111_320


def _error_m(fix: Position) -> float:
    east_m = (fix.lon - PARKED.lon) * 111_320 * math.cos(math.radians(PARKED.lat))
    return math.hypot(east_m, _north_m(fix))


def test_the_same_seed_makes_the_same_errors() -> None:
    assert _fixes(1, DRIVING, 100) == _fixes(1, DRIVING, 100) != _fixes(2, DRIVING, 100)


def test_errors_are_as_large_as_the_receiver_says() -> None:
    fixes = [fix for seed in range(40) for fix in _fixes(seed, PARKED, 300)]
    squared = statistics.fmean(_error_m(fix) ** 2 for fix in fixes)
    claimed = statistics.fmean((fix.acc or 0) ** 2 for fix in fixes)
    assert math.sqrt(squared) == pytest.approx(math.sqrt(claimed), rel=0.25)
    assert max(_error_m(fix) for fix in fixes) < 30


def test_errors_drift_rather_than_jump() -> None:
    fixes = _fixes(1, PARKED, 3600)
    steps = [abs(_north_m(b) - _north_m(a)) for a, b in itertools.pairwise(fixes)]
    assert statistics.fmean(steps) < 1.0
    assert max(map(_error_m, fixes)) - min(map(_error_m, fixes)) > 3.0


def test_fewer_satellites_go_with_a_poorer_dilution() -> None:
    fixes = _fixes(3, PARKED, 5000)
    few = min(fixes, key=lambda fix: fix.sats or 0)
    many = max(fixes, key=lambda fix: fix.sats or 0)
    assert few.sats is not None
    assert many.sats is not None
    assert 4 <= few.sats < many.sats <= 24
    assert (few.hdop or 0) > (many.hdop or 0)
    assert (few.acc or 0) > (many.acc or 0)


def test_there_is_no_fix_in_a_tunnel_and_for_a_moment_after() -> None:
    receiver = Receiver(random.Random(1))
    assert receiver.observe(DRIVING, 1.0) is not None
    assert all(receiver.observe(TUNNEL, 1.0) is None for _ in range(30))
    after = [receiver.observe(DRIVING, 1.0) for _ in range(10)]
    assert after[0] is None
    assert after[-1] is not None


def test_a_parked_receiver_claims_no_heading_and_hardly_any_speed() -> None:
    fixes = _fixes(1, PARKED, 500)
    assert all(fix.hdg is None for fix in fixes)
    assert max(fix.spd or 0 for fix in fixes) < 0.6


def test_speed_and_heading_follow_the_truth() -> None:
    for fix in _fixes(1, DRIVING, 500):
        assert fix.spd == pytest.approx(12.0, abs=0.6)
        assert fix.hdg is not None
        assert abs((fix.hdg - 359.9 + 180) % 360 - 180) < 3


def test_every_fix_keeps_the_contract() -> None:
    for fix in _fixes(1, DRIVING, 500):
        assert (fix.src, fix.t) == ("gnss", None)
        assert msgspec.convert(msgspec.to_builtins(fix), Position) == fix
