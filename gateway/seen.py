"""Where devices were seen in a time that has passed, and where they are looked for in it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

MAX_STEPS = 3600
MIN_STEP_MS, MAX_STEP_MS = 1000, 600_000


class TooMuch(Exception):
    """Others look already, or there is too much in that time."""


class Seen(NamedTuple):
    """The newest position of each device in each step, as columns. NaN: not known.

    ``step`` grows; ``device`` is a number of which ``names`` tells the id; ``at`` is when
    (ms), by the gateway's clock.
    """

    step: NDArray[np.int64]
    device: NDArray[np.int64]
    at: NDArray[np.int64]
    lat: NDArray[np.float64]
    lon: NDArray[np.float64]
    spd: NDArray[np.float64]
    hdg: NDArray[np.float64]
    acc: NDArray[np.float64]
    names: Mapping[int, str] = {}


class Lookout(NamedTuple):
    """A device that is looked for near a place, at times from ``since`` to before ``until`` (ms,
    the device's clock)."""

    device: str
    since: int
    until: int
    lat: float
    lon: float
    within_m: float
