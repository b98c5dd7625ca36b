"""Which positions are worth sending: by distance, by turn, by time."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator

from protocols.model import Position

EARTH_RADIUS_M = 6_371_008.8
SECOND_S = 0.9  # a receiver's second may come a little early
TURN_SPEED_MPS = 1.5  # below it the heading is noise


class ReportPolicy:
    """What has been reported last, and how far from it the device must be to report again.

    A car at 36 km/h or more reports every second, a walker every 7 s, a parked
    car every ``interval_s``. A position that is known to 25 m only must have
    moved by 25 m: noise is no way travelled.
    """

    def __init__(
        self, *, distance_m: float = 10.0, turn_deg: float = 20.0, interval_s: float = 30.0
    ) -> None:
        self.tune(distance_m=distance_m, turn_deg=turn_deg, interval_s=interval_s)
        self.count = 0  # reported so far
        self._last: Position | None = None
        self._last_s = 0.0
        self._hurries = 0

    def tune(self, *, distance_m: float, turn_deg: float, interval_s: float) -> None:
        """Report by these from now on."""
        self._distance_m, self._turn_deg, self._interval_s = distance_m, turn_deg, interval_s

    @contextlib.contextmanager
    def every_second(self) -> Iterator[None]:
        """Report once a second within it, however little the device moves."""
        self._hurries += 1
        try:
            yield
        finally:
            self._hurries -= 1

    def due(self, position: Position, now_s: float) -> bool:
        """Whether to report this position now (monotonic seconds); if so, it is the last one."""
        if not self._is_news(position, now_s):
            return False
        self.count += 1
        self._last, self._last_s = position, now_s
        return True

    def _is_news(self, position: Position, now_s: float) -> bool:
        last = self._last
        interval_s = min(SECOND_S, self._interval_s) if self._hurries else self._interval_s
        if last is None or now_s - self._last_s >= interval_s:
            return True
        if distance_m(last, position) >= max(self._distance_m, position.acc or 0.0):
            return True
        moving = position.spd is not None and position.spd >= TURN_SPEED_MPS
        return moving and turn_deg(last, position) >= self._turn_deg


def distance_m(a: Position, b: Position) -> float:
    """Metres between two positions; good to a part in a thousand over a few kilometres."""
    north = math.radians(b.lat - a.lat)
    east = math.radians((b.lon - a.lon + 180) % 360 - 180)
    return EARTH_RADIUS_M * math.hypot(north, east * math.cos(math.radians((a.lat + b.lat) / 2)))


def turn_deg(a: Position, b: Position) -> float:
    """Degrees between two headings, 0 to 180; 0 where one is unknown."""
    if a.hdg is None or b.hdg is None:
        return 0.0
    return abs((b.hdg - a.hdg + 180) % 360 - 180)
