"""Procedural scenes by day: a street, a counter, a square, a garage, an alley."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

Canvas: TypeAlias = NDArray[np.uint8]
Floats: TypeAlias = NDArray[np.float32]
Random: TypeAlias = np.random.Generator

WIDTH_PX, HEIGHT_PX = 1280, 720


class Scene(NamedTuple):
    """What there is to see, blue green red from 0 to 255; where its lamps hang (x, y)."""

    picture: Canvas
    lamps: list[tuple[int, int]]
    outdoors: bool


def draw_scene(kind: str, seed: int) -> Scene:
    """One of KINDS; another seed is another place."""
    random = np.random.default_rng([seed, list(KINDS).index(kind)])
    scene = KINDS[kind](random)
    rough = texture(random)[..., None] * random.uniform(6, 14)
    return scene._replace(picture=_as_bytes(scene.picture + rough))


def texture(random: Random) -> Floats:
    """Roughness at every size, as surfaces have it: from -2 to 2 or so, mean 0."""
    rough = np.zeros((HEIGHT_PX, WIDTH_PX), np.float32)
    for cells, weight in ((8, 0.5), (32, 0.4), (128, 0.35), (640, 0.3)):
        rows = cells * HEIGHT_PX // WIDTH_PX + 1
        grid = random.standard_normal((rows, cells), np.float32)
        rough += weight * cv2.resize(grid, (WIDTH_PX, HEIGHT_PX), interpolation=cv2.INTER_LINEAR)
    return rough


def draw_car(canvas: Canvas, random: Random, x: int, y: int, width: int) -> None:
    """A car from the side, its wheels at row y."""
    height = width // 3
    body, glass = _colour(random, 20, 230), _colour(random, 30, 90)
    cv2.rectangle(canvas, (x, y - height), (x + width, y - height // 5), body, -1)
    top = y - 5 * height // 3
    roof = [
        (x + width // 5, y - height),
        (x + width // 3, top),
        (x + 2 * width // 3, top),
        (x + 5 * width // 6, y - height),
    ]
    cv2.fillPoly(canvas, [np.array(roof)], glass)
    for wheel in (x + width // 5, x + 4 * width // 5):
        cv2.circle(canvas, (wheel, y - height // 5), height // 4, (25, 25, 25), -1)
        cv2.circle(canvas, (wheel, y - height // 5), height // 9, (150, 150, 150), -1)


def draw_person(canvas: Canvas, random: Random, x: int, y: int, height: int) -> None:
    """Somebody who stands at row y."""
    head = max(2, height // 8)
    coat, legs, skin = _colour(random, 20, 200), _colour(random, 20, 110), (120, 160, 210)
    half, waist = 3 * head // 2, y - height // 2
    cv2.rectangle(canvas, (x - head, waist), (x + head, y), legs, -1)
    cv2.rectangle(canvas, (x - half, y - height + 2 * head), (x + half, waist), coat, -1)
    cv2.circle(canvas, (x, y - height + head), head, skin, -1)


def _street(random: Random) -> Scene:
    canvas = _sky(random)
    horizon = round(HEIGHT_PX * random.uniform(0.5, 0.62))
    left = -int(random.integers(0, 120))
    while left < WIDTH_PX:
        width = int(random.integers(110, 260))
        top = int(random.integers(40, 240))
        _house(canvas, random, (left, top), (left + width, horizon + 40))
        left += width + int(random.integers(0, 30))
    cv2.rectangle(canvas, (0, horizon + 40), (WIDTH_PX, horizon + 90), _grey(random, 120, 170), -1)
    cv2.rectangle(canvas, (0, horizon + 90), (WIDTH_PX, HEIGHT_PX), _grey(random, 70, 110), -1)
    for x in range(-40, WIDTH_PX, 160):
        cv2.rectangle(canvas, (x, 640), (x + 80, 652), (225, 230, 230), -1)
    lamps = []
    for x in range(int(random.integers(60, 200)), WIDTH_PX, int(random.integers(260, 420))):
        cv2.line(canvas, (x, 160), (x, horizon + 60), (60, 60, 60), 7)
        lamps.append((x, 160))
    for _ in range(int(random.integers(1, 4))):
        _tree(canvas, random, int(random.integers(0, WIDTH_PX)), horizon + 60)
    for _ in range(int(random.integers(1, 5))):
        y = horizon + 110 + int(random.integers(0, 90))
        x, width = int(random.integers(-80, WIDTH_PX)), int(random.integers(140, 260))
        draw_car(canvas, random, x, y, width)
    for _ in range(int(random.integers(1, 6))):
        x = int(random.integers(20, WIDTH_PX))
        draw_person(canvas, random, x, horizon + 80, int(random.integers(60, 110)))
    return Scene(canvas, lamps, outdoors=True)


def _counter(random: Random) -> Scene:
    canvas = _filled(_grey(random, 150, 210))
    for top in range(60, 330, 70):
        cv2.rectangle(canvas, (0, top + 52), (WIDTH_PX, top + 60), _grey(random, 60, 120), -1)
        x = 10
        while x < WIDTH_PX:
            width, height = int(random.integers(18, 60)), int(random.integers(20, 50))
            foot = top + 52
            cv2.rectangle(canvas, (x, foot - height), (x + width, foot), _colour(random), -1)
            x += width + int(random.integers(2, 30))
    desk = int(random.integers(430, 520))
    cv2.rectangle(canvas, (0, desk), (WIDTH_PX, HEIGHT_PX), _colour(random, 60, 150), -1)
    cv2.rectangle(canvas, (0, desk), (WIDTH_PX, desk + 18), _grey(random, 170, 220), -1)
    for x in range(int(random.integers(60, 200)), WIDTH_PX, int(random.integers(250, 420))):
        cv2.rectangle(canvas, (x, desk - 90), (x + 130, desk - 10), (35, 30, 30), -1)
        shown = _colour(random, 90, 220)
        cv2.rectangle(canvas, (x + 8, desk - 82), (x + 122, desk - 18), shown, -1)
    for _ in range(int(random.integers(1, 4))):
        x, height = int(random.integers(50, 1230)), int(random.integers(330, 480))
        draw_person(canvas, random, x, 700, height)
    lamps = [(x, 20) for x in range(160, WIDTH_PX, 320)]
    for x, y in lamps:
        cv2.rectangle(canvas, (x - 70, y - 12), (x + 70, y + 6), (250, 252, 252), -1)
    return Scene(canvas, lamps, outdoors=False)


def _square(random: Random) -> Scene:
    canvas = _sky(random)
    horizon = round(HEIGHT_PX * random.uniform(0.3, 0.45))
    left, right = int(random.integers(0, 300)), int(random.integers(700, 1200))
    _house(canvas, random, (left, 70), (right, horizon + 30))
    ground = _grey(random, 120, 180)
    cv2.rectangle(canvas, (0, horizon + 30), (WIDTH_PX, HEIGHT_PX), ground, -1)
    joints = tuple(max(0, c - 45) for c in ground)
    for x in range(-2400, 3700, 170):
        cv2.line(canvas, (640 + (x - 640) // 6, horizon + 30), (x, HEIGHT_PX), joints, 2)
    y, step = float(horizon + 34), 8.0
    while y < HEIGHT_PX:
        cv2.line(canvas, (0, int(y)), (WIDTH_PX, int(y)), joints, 2)
        y, step = y + step, step * 1.25
    for _ in range(int(random.integers(4, 14))):
        y = horizon + 60 + int(random.integers(0, 280))
        draw_person(canvas, random, int(random.integers(20, 1260)), y, 40 + (y - horizon) // 2)
    lamps = [(int(random.integers(80, 1200)), horizon - 60) for _ in range(3)]
    for x, top in lamps:
        cv2.line(canvas, (x, top), (x, horizon + 120), (50, 50, 50), 6)
    _tree(canvas, random, int(random.integers(0, WIDTH_PX)), horizon + 150)
    return Scene(canvas, lamps, outdoors=True)


def _garage(random: Random) -> Scene:
    canvas = _filled(_grey(random, 90, 140))
    cv2.rectangle(canvas, (0, 0), (WIDTH_PX, 150), _grey(random, 60, 100), -1)
    cv2.rectangle(canvas, (0, 430), (WIDTH_PX, HEIGHT_PX), _grey(random, 80, 130), -1)
    for x in range(0, WIDTH_PX, 120):
        cv2.line(canvas, (640 + (x - 640) // 3, 0), (x * 2 - 640, 150), (45, 45, 45), 4)
    for x in range(-200, 1500, int(random.integers(180, 260))):
        cv2.line(canvas, (640 + (x - 640) // 2, 430), (x * 2 - 640, HEIGHT_PX), (220, 225, 225), 7)
    for x in range(int(random.integers(0, 120)), WIDTH_PX, int(random.integers(260, 380))):
        draw_car(canvas, random, x + 90, 500 + int(random.integers(0, 60)), 180)
        cv2.rectangle(canvas, (x, 100), (x + 56, 520), _grey(random, 130, 190), -1)
        cv2.rectangle(canvas, (x, 380), (x + 56, 420), (40, 190, 220), -1)
    lamps = [(x, 110) for x in range(200, WIDTH_PX, 290)]
    for x, y in lamps:
        cv2.rectangle(canvas, (x - 60, y - 6), (x + 60, y + 6), (245, 250, 250), -1)
    return Scene(canvas, lamps, outdoors=False)


def _alley(random: Random) -> Scene:
    canvas = _sky(random)
    middle, far = int(random.integers(520, 760)), 330
    for side in (0, WIDTH_PX):
        wall = _colour(random, 70, 170)
        edge = middle + (70 if side else -70)
        form = [(side, 0), (edge, far - 150), (edge, far + 60), (side, HEIGHT_PX)]
        cv2.fillPoly(canvas, [np.array(form)], wall)
        joints = tuple(max(0, int(c) - 40) for c in wall)
        for row in range(40):
            cv2.line(canvas, (side, row * 18), (edge, far - 150 + row * 210 // 40), joints, 1)
        for door in range(int(random.integers(2, 5))):
            away = 0.15 + 0.2 * door
            x = round(side + (edge - side) * away)
            top, foot = round(300 + away * 40), round(HEIGHT_PX - away * (HEIGHT_PX - far - 60))
            cv2.rectangle(canvas, (x - 25, top), (x + 25, foot), _colour(random, 20, 120), -1)
            sign = _colour(random, 60, 240)
            cv2.rectangle(canvas, (x - 30, top - 70), (x + 30, top - 25), sign, -1)
    end = far + 60
    ground = [(0, HEIGHT_PX), (middle - 70, end), (middle + 70, end), (WIDTH_PX, HEIGHT_PX)]
    cv2.fillPoly(canvas, [np.array(ground)], _grey(random, 70, 130))
    for _ in range(4):
        start, end = int(random.integers(0, 250)), int(random.integers(0, 250))
        cv2.line(canvas, (0, start), (WIDTH_PX, end), (40, 40, 40), 3)
    for _ in range(int(random.integers(1, 4))):
        y = int(random.integers(430, 690))
        draw_person(canvas, random, middle + int(random.integers(-60, 60)), y, (y - 300) // 2 + 30)
    return Scene(canvas, [(middle - 150, 150), (middle + 150, 150)], outdoors=True)


KINDS: dict[str, Callable[[Random], Scene]] = {
    "street": _street,
    "counter": _counter,
    "square": _square,
    "garage": _garage,
    "alley": _alley,
}


def _house(canvas: Canvas, random: Random, start: tuple[int, int], end: tuple[int, int]) -> None:
    (left, top), (right, foot) = start, end
    cv2.rectangle(canvas, (left, top), (right, foot), _colour(random, 60, 190), -1)
    cv2.rectangle(canvas, (left, top), (right, top + 12), _grey(random, 40, 90), -1)
    wide, high = int(random.integers(16, 34)), int(random.integers(24, 44))
    glass, frame = _colour(random, 40, 110), _grey(random, 180, 235)
    for x in range(left + 12, right - wide, 2 * wide):
        for y in range(top + 30, foot - high, 2 * high):
            cv2.rectangle(canvas, (x, y), (x + wide, y + high), glass, -1)
            cv2.rectangle(canvas, (x, y), (x + wide, y + high), frame, 2)


def _tree(canvas: Canvas, random: Random, x: int, foot: int) -> None:
    cv2.rectangle(canvas, (x - 9, foot - 200), (x + 9, foot), (30, 50, 70), -1)
    for _ in range(160):
        across, up = random.normal(0, 45), random.normal(0, 40)
        green = int(random.integers(50, 140))
        size = int(random.integers(5, 15))
        cv2.circle(canvas, (x + int(across), foot - 230 + int(up)), size, (30, green, 40), -1)


def _sky(random: Random) -> Canvas:
    top, low = random.uniform(150, 230), random.uniform(200, 245)
    rows = np.linspace(top, low, HEIGHT_PX, dtype=np.float32)[:, None, None]
    blue = np.array([1.0, 0.96, 0.9], np.float32)
    return _as_bytes(np.broadcast_to(rows * blue, (HEIGHT_PX, WIDTH_PX, 3)))


def _filled(colour: tuple[int, ...]) -> Canvas:
    return np.full((HEIGHT_PX, WIDTH_PX, 3), colour, np.uint8)


def _grey(random: Random, low: int, high: int) -> tuple[int, ...]:
    return (int(random.integers(low, high)),) * 3


def _colour(random: Random, low: int = 20, high: int = 235) -> tuple[int, ...]:
    return tuple(int(c) for c in random.integers(low, high, 3))


def _as_bytes(picture: NDArray[np.float32]) -> Canvas:
    return np.clip(picture, 0, 255).astype(np.uint8)
