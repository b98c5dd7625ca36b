"""How well a camera sees: one picture judged by itself, and many by what changes in them.

Everything is measured on a grey picture of 320 by 180 pixels, in cells. OpenCV is imported where
it is used: an agent without a camera does without it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from protocols.model import CameraHealth

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats: TypeAlias = NDArray[np.float32]

Frame: TypeAlias = Any  # a cv2 image: height by width by 3 bytes, blue green red

WIDTH_PX, HEIGHT_PX = 320, 180
CELL_PX = 20
SEEN_PCT = 67  # a third of the picture shows something, or it shows nothing

# The thresholds of one picture, from scripts/camera_thresholds.py.
FORM = 0.03  # covered: a third of the cells have less contrast, as a share of their light
DARK_LIGHT = 18.5  # dark: the mean, of 255
SHARPNESS = 0.28  # blurred: the steepest edges climb more slowly, as a share of their height

FROZEN_S, FROZEN_LOOKS = 20.0, 5
FROZEN_SHARE = 0.005  # of the points may change: the camera's clock ticks in a picture that stands

VIEW_ROWS, VIEW_COLUMNS = 4, 8
LEARN_S, LEARN_LOOKS = 20.0, 10  # until the view is known
ADAPT_S = 300.0  # the view follows what changes slowly: the sun, snow, parked cars
ALIKE = 0.45  # a part of the view is where it was from so much correlation
STAYS_SHARE, MOVED_SHARE = 0.5, 0.4  # of the parts that show something
MOVED_S, MOVED_LOOKS = 15.0, 5
RELEARN_S = 600.0  # a camera that has been moved keeps to its new view from then on

HOLD_S = 3.0


class Look(NamedTuple):
    """What one picture says. ``light``: mean of 255; ``form``: a third of the cells have more
    contrast than that, as a share of their light;
    ``sharpness``: 0.35 for a sharp edge; ``edges``: how steep the picture is, point by point."""

    light: float
    form: float
    sharpness: float
    edges: Floats


def look_at(frame: Frame) -> Look:
    """Measure a picture of any size."""
    import cv2  # noqa: PLC0415
    import numpy as np  # noqa: PLC0415

    size = (WIDTH_PX, HEIGHT_PX)
    small = cv2.resize(frame, size, interpolation=cv2.INTER_AREA)
    grey = np.asarray(cv2.cvtColor(small, cv2.COLOR_BGR2GRAY), np.float32)
    fine = np.asarray(cv2.GaussianBlur(grey, (3, 3), 0), np.float32)
    light = _cells(fine).mean((1, 3))
    # What is neither grain nor the slow change of light over the picture.
    forms = np.asarray(cv2.GaussianBlur(grey, (7, 7), 0) - cv2.blur(grey, (41, 41)), np.float32)
    contrast = np.sqrt(np.maximum(_cells(forms * forms).mean((1, 3)) - _grain(grey) ** 2, 0))
    across = cv2.Sobel(fine, cv2.CV_32F, 1, 0, scale=1 / 8)
    down = cv2.Sobel(fine, cv2.CV_32F, 0, 1, scale=1 / 8)
    edges = np.asarray(cv2.magnitude(across, down), np.float32)
    cells = _cells(fine)
    height = cells.max((1, 3)) - cells.min((1, 3))
    high = height > max(8.0, 0.25 * float(height.max()))
    steep = _cells(edges).max((1, 3))[high] / height[high]
    return Look(
        light=float(light.mean()),
        form=float(np.percentile(contrast / (light + 5), SEEN_PCT)),
        sharpness=float(np.percentile(steep, 75)) if steep.size >= 3 else 0.0,
        edges=edges,
    )


def judge(look: Look) -> CameraHealth:
    """Covered: nothing to see, whatever the colour of the cover; a room without any light looks
    the same. Dark: forms, but hardly any light. Blurred: forms and light, but no sharp edge."""
    if look.form < FORM:
        return "covered"
    if look.light < DARK_LIGHT:
        return "dark"
    return "blurred" if look.sharpness < SHARPNESS else "ok"


def health_of(frame: Frame) -> CameraHealth:
    """What one picture by itself says."""
    return judge(look_at(frame))


class HealthWatch:
    """Judges picture after picture; ``at_s`` is a monotonic clock's.

    ``fixed``: the camera stands, so its view is learnt and missed. ``live``: its pictures are of
    now, so they must not stand still.
    """

    def __init__(self, *, fixed: bool, live: bool) -> None:
        self._view = _View() if fixed else None
        self._stand = _Standstill() if live else None

    def look(self, frame: Frame, at_s: float) -> CameraHealth:
        """How well the camera sees now. What makes it blind is said before what is odd."""
        look = look_at(frame)
        health = judge(look)
        stands = self._stand is not None and self._stand.stands(frame, at_s)
        if health in {"covered", "dark"}:
            return health
        if stands:
            return "frozen"
        if health == "ok" and self._view is not None and self._view.is_another(look.edges, at_s):
            return "moved"
        return health


class Steady:
    """A health that has held for ``HOLD_S``: a bus that passes is no cover.

    The first counts at once, and one after a long pause.
    """

    def __init__(self) -> None:
        self.health: CameraHealth = "none"
        self._newest: CameraHealth = "none"
        self._since_s = self._last_s = 0.0

    def take(self, health: CameraHealth, at_s: float) -> bool:
        """Take what was seen; whether what is told has changed."""
        pause_s = at_s - self._last_s
        self._last_s = at_s
        if health != self._newest:
            self._newest, self._since_s = health, at_s
        holds = at_s - self._since_s >= HOLD_S or pause_s >= HOLD_S or self.health == "none"
        if not holds or health == self.health:
            return False
        self.health = health
        return True


class _Standstill:
    """Whether the picture stands: the sensor's noise, too, is gone from it."""

    def __init__(self) -> None:
        self._points: Any = None  # of the picture with which the standstill began
        self._since_s, self._looks = 0.0, 0

    def stands(self, frame: Frame, at_s: float) -> bool:
        points = frame[4::8, 4::8, 1].copy()  # as they are: a mean would hide the noise
        known = self._points
        if known is None or known.shape != points.shape:
            changed = 1.0
        else:
            changed = float((known != points).mean())
        if changed > FROZEN_SHARE:
            self._points, self._since_s, self._looks = points, at_s, 0
        self._looks += 1
        return at_s - self._since_s >= FROZEN_S and self._looks > FROZEN_LOOKS


class _View:
    """Whether the camera looks where it used to: the edges of the parts of its view."""

    def __init__(self) -> None:
        self._known: Any = None
        self._began_s = self._last_s = 0.0
        self._looks = 0
        self._gone_s: float | None = None
        self._gone_looks = 0
        self._next: _View | None = None

    def is_another(self, edges: Floats, at_s: float) -> bool:
        import cv2  # noqa: PLC0415
        import numpy as np  # noqa: PLC0415

        soft = np.asarray(cv2.blur(edges, (7, 7)), np.float32)  # so that a mast may sway
        soft /= max(float(soft.mean()), 1e-3)  # whatever the light
        return self.compare(soft, at_s)

    def compare(self, soft: Floats, at_s: float) -> bool:
        passed_s, self._last_s = at_s - self._last_s, at_s
        if self._known is None:
            self._known, self._began_s = soft, at_s
        self._looks += 1
        if not self.is_learnt:
            self._known += (soft - self._known) / self._looks
            return False
        share = _alike(self._known, soft)
        if share is None:
            return self._gone_long(at_s)
        if share >= STAYS_SHARE:
            self._known += (soft - self._known) * min(1.0, passed_s / ADAPT_S)
            self._gone_s, self._gone_looks, self._next = None, 0, None
            return False
        if share >= MOVED_SHARE:
            return self._gone_long(at_s)
        if self._gone_s is None:
            self._gone_s, self._next = at_s, _View()
        self._gone_looks += 1
        if self._settles(soft, at_s):
            return False
        return self._gone_long(at_s)

    def _settles(self, soft: Floats, at_s: float) -> bool:
        """Another view that stays long enough is the view from then on."""
        new = self._next
        assert new is not None
        if new.compare(soft, at_s):
            self._next = _View()  # and so anew whenever it does not stay
        elif self._gone_s is not None and at_s - self._gone_s >= RELEARN_S and new.is_learnt:
            self._known, self._gone_s, self._gone_looks, self._next = new._known, None, 0, None
            return True
        return False

    @property
    def is_learnt(self) -> bool:
        return self._looks > LEARN_LOOKS and self._last_s - self._began_s >= LEARN_S

    def _gone_long(self, at_s: float) -> bool:
        gone_s = self._gone_s
        return gone_s is not None and at_s - gone_s >= MOVED_S and self._gone_looks >= MOVED_LOOKS


def _alike(known: Floats, now: Floats) -> float | None:
    """The share of the parts that show something in both, and the same; None if too few do."""
    import numpy as np  # noqa: PLC0415

    shape = VIEW_ROWS, HEIGHT_PX // VIEW_ROWS, VIEW_COLUMNS, WIDTH_PX // VIEW_COLUMNS
    a, b = known.reshape(shape), now.reshape(shape)
    a = a - a.mean((1, 3), keepdims=True)
    b = b - b.mean((1, 3), keepdims=True)
    spread_a, spread_b = np.sqrt((a * a).mean((1, 3))), np.sqrt((b * b).mean((1, 3)))
    shows = (spread_a > 0.25) & (spread_b > 0.25)
    if shows.sum() < 4:
        return None
    alike = (a * b).mean((1, 3))[shows] / (spread_a[shows] * spread_b[shows])
    return float((alike >= ALIKE).mean())


def _cells(picture: Floats) -> Floats:
    return picture.reshape(HEIGHT_PX // CELL_PX, CELL_PX, WIDTH_PX // CELL_PX, CELL_PX)


def _grain(grey: Floats) -> float:
    """What of the sensor's noise is left in the forms: from how far each point is off its
    neighbours, in the middle of all."""
    import cv2  # noqa: PLC0415
    import numpy as np  # noqa: PLC0415

    return 0.07 * float(np.median(np.abs(cv2.Laplacian(grey, cv2.CV_32F, ksize=1)[::2, ::2])))
