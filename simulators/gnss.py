"""What a satellite receiver makes of the truth: drift, noise, and no fix under cover.

An error has two parts: a drift that stays for minutes (atmosphere, reflections)
and noise that is new every time. Both grow with the dilution of precision, which
follows a sky that opens and closes slowly, as between high buildings.
"""

from __future__ import annotations

import math
import random
from functools import lru_cache

from protocols.model import Position
from simulators.fleet import Truth

DRIFT_M, DRIFT_TIME_S = 2.5, 120.0  # one axis, 1 sigma, at hdop 1; correlation time
NOISE_M = 0.5  # one axis, 1 sigma, at hdop 1
SKY_TIME_S = 60.0
SPEED_NOISE_MPS = 0.1
MIN_HEADING_MPS = 0.7  # a slower receiver cannot tell where it is heading
REGAIN_S = (1.0, 6.0)  # from the open sky to the next fix
GROUND_M, GEOID_SIGMA_M = 12.0, 4.0
M_PER_DEG_LAT = 111_320.0


class Wander:
    """A value that drifts about 0 with variance 1 and forgets in ``time_s`` (Gauss-Markov)."""

    def __init__(self, rng: random.Random, time_s: float) -> None:
        self._rng, self._time_s = rng, time_s
        self._value = rng.gauss(0, 1)

    def step(self, dt_s: float) -> float:
        kept, fresh = _shares(dt_s / self._time_s)
        self._value = kept * self._value + fresh * self._rng.gauss(0, 1)
        return self._value


@lru_cache(maxsize=64)
def _shares(times: float) -> tuple[float, float]:
    """How much of a drift is kept over so many correlation times, and how much is new."""
    kept = math.exp(-times)
    return kept, math.sqrt(1 - kept * kept)


class Receiver:
    """One receiver with its errors; ``rng`` is its own stream."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._east, self._north = Wander(rng, DRIFT_TIME_S), Wander(rng, DRIFT_TIME_S)
        self._up, self._sky = Wander(rng, DRIFT_TIME_S), Wander(rng, SKY_TIME_S)
        self._regain_s = 0.0

    def observe(self, truth: Truth, dt_s: float) -> Position | None:
        """The fix ``dt_s`` after the last look; None where there is none. ``t`` is left out."""
        east, north = self._east.step(dt_s), self._north.step(dt_s)
        up, sky = self._up.step(dt_s), self._sky.step(dt_s)
        if truth.covered:
            self._regain_s = self._rng.uniform(*REGAIN_S)
            return None
        if self._regain_s > 0:
            self._regain_s -= dt_s
            return None
        gauss = self._rng.gauss
        sats = max(4, min(24, round(14 + 3 * sky)))
        hdop = round(0.3 + 8 / sats, 1)
        east_m = hdop * (DRIFT_M * east + NOISE_M * gauss(0, 1))
        north_m = hdop * (DRIFT_M * north + NOISE_M * gauss(0, 1))
        m_per_deg_lon = M_PER_DEG_LAT * math.cos(math.radians(truth.lat))
        moving = truth.speed_mps >= MIN_HEADING_MPS
        turned_deg = math.degrees(SPEED_NOISE_MPS / max(truth.speed_mps, MIN_HEADING_MPS))
        return Position(
            lat=round(truth.lat + north_m / M_PER_DEG_LAT, 7),
            lon=round(truth.lon + east_m / m_per_deg_lon, 7),
            fix=3 if sats > 4 else 2,
            alt=round(GROUND_M + GEOID_SIGMA_M * hdop * up, 1) if sats > 4 else None,
            spd=round(abs(truth.speed_mps + gauss(0, SPEED_NOISE_MPS)), 2),
            hdg=round(truth.heading_deg + gauss(0, turned_deg), 1) % 360 if moving else None,
            acc=round(hdop * math.hypot(DRIFT_M, NOISE_M) * math.sqrt(2), 1),
            hdop=hdop,
            sats=sats,
            src="gnss",
        )
