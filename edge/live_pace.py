"""How often and how fine live pictures are: as good as the link can carry, and no better.

A picture's way out is timed: from the spool to the broker's acknowledgement of its last chunk.
What takes longer than the time between two pictures makes them coarser and rarer at once; what
is quick for a while makes them finer again, one step at a time. Pure: times come in as seconds.
"""

from __future__ import annotations

from typing import Literal, NamedTuple, TypeAlias

Limit: TypeAlias = Literal["start", "link", "camera"]


class Step(NamedTuple):
    """A width at most (None: the camera's), a JPEG quality, and the share of the wanted rate."""

    width_px: int | None
    quality: int
    share: float


STEPS = (
    Step(None, 80, 1.0),
    Step(None, 60, 1.0),
    Step(960, 60, 0.8),
    Step(640, 55, 0.6),
    Step(640, 40, 0.4),
    Step(480, 35, 0.3),
    Step(320, 30, 0.2),
)
"""From the best link to the worst; each has about half the bytes of the one before."""

START = 3
"""Nothing is known of the link: the first picture is a small one, and there at once."""

TOO_LONG, QUICK = 0.8, 0.2
"""Shares of the time between two pictures: beyond the one it is too long, below the other there is
room for a finer picture, of up to three times the bytes, and for more of them."""

QUICK_IN_A_ROW = 3
CAMERA_SLOW = 1.5
"""A camera that takes so many times the time between two pictures holds them up."""


class Pace:
    """Of one live command: what the next picture is to be, learned from the ones before."""

    def __init__(self, wanted_fps: float) -> None:
        self._wanted_fps = wanted_fps
        self._at = START
        self._quick = 0
        self._is_known = False  # what the link can carry
        self._took_s = 0.0  # the last picture's way out
        self._camera_s = 0.0

    @property
    def step(self) -> Step:
        """How the next picture is made."""
        return STEPS[self._at]

    @property
    def interval_s(self) -> float:
        """From the beginning of one picture to that of the next."""
        return 1 / (self._wanted_fps * self.step.share)

    @property
    def fps(self) -> float:
        """How many a second there are now, as far as is known."""
        return 1 / max(self.interval_s, self._took_s + self._camera_s)

    @property
    def limited(self) -> Limit | None:
        """What keeps the pictures from being as many and as fine as was asked for."""
        if self._at > 0 or self._took_s > self.interval_s:
            return "link" if self._is_known else "start"
        return "camera" if self._camera_s > CAMERA_SLOW * self.interval_s else None

    def want(self, fps: float) -> None:
        """So many are wanted from now on."""
        self._wanted_fps = fps

    def was_taken(self, camera_s: float) -> None:
        """The camera has taken so long to give a picture."""
        self._camera_s = camera_s

    def has_left(self, took_s: float) -> None:
        """A picture's last chunk is acknowledged, so long after the picture was spooled."""
        self._took_s = took_s
        share = took_s / self.interval_s
        if share > TOO_LONG:
            down = 2 if share > 2 * TOO_LONG else 1
            self._at = min(self._at + down, len(STEPS) - 1)
            self._quick, self._is_known = 0, True
        elif share < QUICK and self._at > 0:
            self._quick += 1
            if self._quick >= (QUICK_IN_A_ROW if self._is_known else 1):
                self._at, self._quick = self._at - 1, 0
        else:
            self._quick, self._is_known = 0, True
