"""What the device sees: a fresh JPEG from a camera, a file or a stream, and how well it sees."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, NamedTuple

from edge.camera_health import Frame, HealthWatch
from edge.clock import wall_ms
from protocols.model import CameraHealth

if TYPE_CHECKING:
    import cv2  # imported where it is used: an agent without a camera saves 28 MB

STILL_SUFFIXES = frozenset({".bmp", ".jpeg", ".jpg", ".png", ".webp"})
OPEN_TIMEOUT_MS, READ_TIMEOUT_MS = 5_000, 5_000
DRAIN_S = 2.0
SEEN, SEEN_ENOUGH = 9, 3  # intervals of a camera that is slower than it says
HELD_UP = 1.5  # a frame that comes after so many intervals may have been taken earlier
ASSUMED_FPS = 25.0
JPEG_QUALITY = 80


class Wish(NamedTuple):
    """How a picture is to be made: no wider than that, and of that JPEG quality. ``anew``: not
    of what the camera had begun before the call."""

    width_px: int | None = None
    quality: int = JPEG_QUALITY
    anew: bool = False


USUAL = Wish()


class Picture(NamedTuple):
    """One JPEG and when it was taken (ms UTC)."""

    jpeg: bytes
    width_px: int
    height_px: int
    taken_ms: int


class Camera:
    """One source of pictures, opened when the first is taken and again when it was lost.

    ``source``: a device (``0``, ``/dev/video0``), a stream (``rtsp://…``, ``http://…``, a named
    pipe), a film, which gives frame after frame and starts anew at its end, or a still,
    which is read anew each time. Pictures wider than ``width_px`` are made smaller.
    They are ``lag_ms`` old when they arrive. A ``fixed`` camera stands: it is noticed when
    it looks somewhere else.
    The methods block and may be called from any thread.
    """

    def __init__(
        self,
        source: str,
        *,
        width_px: int | None = None,
        lag_ms: int = 0,
        fixed: bool = False,
        now_ms: Callable[[], int] = wall_ms,
        clock_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._source, self._width_px, self._lag_ms = source, width_px, lag_ms
        self._now_ms, self._clock_s = now_ms, clock_s
        self.health: CameraHealth = "none"  # until the first picture
        self._is_still = PurePath(source).suffix.lower() in STILL_SUFFIXES and "://" not in source
        self._is_device = source.isdecimal() or source.startswith("/dev/")
        self._is_live = self._is_device or "://" in source
        self._watch = HealthWatch(fixed=fixed, live=not self._is_still)
        self._capture: cv2.VideoCapture | None = None
        self._freshness = Freshness(1 / ASSUMED_FPS)
        self._lock = threading.Lock()

    def take(self, wish: Wish = USUAL) -> Picture | None:
        """A picture of now, or None where the camera is lost. Sets ``health``."""
        import cv2  # noqa: PLC0415

        with self._lock:
            frame = cv2.imread(self._source) if self._is_still else self._frame(wish)
            taken_ms = self._now_ms() - self._lag_ms
            self.health = "lost" if frame is None else self._watch.look(frame, self._clock_s())
        if frame is None:
            return None
        frame = _no_wider(_no_wider(frame, self._width_px), wish.width_px)
        done, jpeg = cv2.imencode(".jpg", frame, [cv2.IMWRITE_JPEG_QUALITY, wish.quality])
        assert done, "an 8-bit image always makes a JPEG"
        height_px, width_px = frame.shape[:2]
        return Picture(jpeg.tobytes(), width_px, height_px, taken_ms)

    def close(self) -> None:
        """Let go of the source; the next picture opens it again."""
        with self._lock:
            self._release()

    def _frame(self, wish: Wish) -> Frame | None:
        """The next frame. A source that fails is opened anew once: a film at its end,
        a camera that was plugged in again, a stream whose server was restarted."""
        for _ in range(2):
            was_open = self._capture is not None
            capture = self._capture = self._capture or self._opened()
            frame = self._fresh_frame(capture, wish) if self._is_live else capture.read()[1]
            if frame is not None:
                return frame
            self._release()
            if not was_open:
                break
        return None

    def _fresh_frame(self, capture: cv2.VideoCapture, wish: Wish) -> Frame | None:
        """A live frame, not one that was buffered since the last picture."""
        give_up_s = time.monotonic() + DRAIN_S
        self._freshness.begin(frames=2 if wish.anew else 1)
        while True:
            started_s = time.monotonic()
            if not capture.grab():
                return None
            now_s = time.monotonic()
            if self._freshness.is_fresh(now_s - started_s):
                return capture.retrieve()[1]
            if now_s >= give_up_s:
                self._freshness = self._freshness_of(capture)  # it is quicker than was thought
                return capture.retrieve()[1]

    def _freshness_of(self, capture: cv2.VideoCapture) -> Freshness:
        import cv2  # noqa: PLC0415

        fps = capture.get(cv2.CAP_PROP_FPS)
        return Freshness(1 / (fps if 1 <= fps <= 60 else ASSUMED_FPS))

    def _opened(self) -> cv2.VideoCapture:
        """The source, opened if that can be done: reading from it says whether."""
        capture = self._open()
        if not self._is_live:  # what comes through a pipe is as fresh as a stream, or as old
            self._is_live = Path(self._source).is_fifo()
        self._freshness = self._freshness_of(capture)
        return capture

    def _open(self) -> cv2.VideoCapture:
        import cv2  # noqa: PLC0415

        if not self._is_device:
            timeouts = [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, OPEN_TIMEOUT_MS]
            timeouts += [cv2.CAP_PROP_READ_TIMEOUT_MSEC, READ_TIMEOUT_MS]
            return cv2.VideoCapture(self._source, cv2.CAP_FFMPEG, timeouts)
        device: int | str = int(self._source) if self._source.isdecimal() else self._source
        capture = cv2.VideoCapture(device, cv2.CAP_V4L2)
        capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)
        if self._width_px is not None:
            capture.set(cv2.CAP_PROP_FRAME_WIDTH, self._width_px)
        return capture

    def _release(self) -> None:
        if self._capture is not None:
            self._capture.release()
            self._capture = None


class Freshness:
    """Tells a frame of now from one that lay in a buffer, by how long each had to be waited for.

    Those that come at once were buffered since the last picture. One that comes late may have
    been held up, and with it those behind it: they come at once then. If the next one has to be
    waited for as well, the camera is just slower than was thought.
    """

    def __init__(self, interval_s: float) -> None:
        self._told_s = self._interval_s = interval_s
        self._seen_s: deque[float] = deque(maxlen=SEEN)
        self._is_late = False
        self._left = 1

    def begin(self, *, frames: int) -> None:
        """The next picture is to be the so manieth that is fresh. What the second shows began
        after the first was there."""
        self._is_late, self._left = False, frames

    def is_fresh(self, waited_s: float) -> bool:
        """Whether the frame that has come now is the one."""
        if waited_s < self._interval_s / 2:
            self._is_late = False
            return False
        if waited_s > HELD_UP * self._interval_s and not self._is_late:
            self._is_late = True
            return False
        if self._is_late:
            self._learn(waited_s)
        self._left -= 1
        return self._left <= 0

    def _learn(self, waited_s: float) -> None:
        """The interval is the middle one of those seen: one of them may be a hold-up. A few that
        are seen first don't say much, and too long an interval would pass over every frame."""
        self._seen_s.append(waited_s)
        middle_s = sorted(self._seen_s)[(len(self._seen_s) - 1) // 2]
        longest_s = DRAIN_S if len(self._seen_s) >= SEEN_ENOUGH else 2 * self._told_s
        self._interval_s = min(middle_s, longest_s)


def _no_wider(frame: Frame, width_px: int | None) -> Frame:
    import cv2  # noqa: PLC0415

    height, width = frame.shape[:2]
    if width_px is None or width <= width_px:
        return frame
    size = (width_px, max(1, round(height * width_px / width)))
    return cv2.resize(frame, size, interpolation=cv2.INTER_AREA)
