"""Labelled pictures: what a camera sees of a scene, and what is the matter with it.

The order is that of nature: the scene and its light, the weather, what is before the lens, the
lens, the sensor's noise, the JPEG. The same seed gives the same pictures.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, NamedTuple, TypeAlias

import cv2
import numpy as np

from simulators.scenes import HEIGHT_PX, KINDS, WIDTH_PX, Canvas, Floats, Random, Scene, draw_scene

Label: TypeAlias = Literal["ok", "covered", "dark", "blurred"]
Weather: TypeAlias = Literal["clear", "rain", "fog", "snow"]

TUNED, MEASURED = 1, 2  # seeds: thresholds come from the one half, figures from the other
SHARES: dict[Label, int] = {"ok": 4, "covered": 2, "dark": 2, "blurred": 2}  # of ten pictures
WEATHERS: tuple[Weather, ...] = ("clear", "clear", "rain", "fog", "snow")
COVERS = ("hand", "cloth", "sticker", "paint", "bag")
SHARP_PX, BLURRED_PX = (0.0, 3.0), (6.0, 26.0)  # standard deviation at 1280 px; between them: none
LIT, UNLIT = (0.06, 1.5), (0.02, 0.1)  # light of the surroundings; day is 1


class Conditions(NamedTuple):
    """How a picture was taken. ``light``: of the surroundings; ``lamps``: whether they are on."""

    scene: str
    seed: int
    light: float
    lamps: bool
    weather: Weather
    blur_px: float
    cover: str | None
    noise: float  # standard deviation, of 255
    quality: int  # of the JPEG


class Labelled(NamedTuple):
    """A picture as it comes out of its JPEG, and what is the matter with it."""

    label: Label
    image: Canvas
    conditions: Conditions


def labelled(seed: int, count: int) -> Iterator[Labelled]:
    """So many pictures of this seed; each ten have every label in the same shares."""
    labels = [label for label, share in SHARES.items() for _ in range(share)]
    for n in range(count):
        random = np.random.default_rng([seed, n])
        label = labels[n % len(labels)]
        conditions = _conditions(random, seed * 100_000 + n, label)
        yield Labelled(label, photograph(conditions, random), conditions)


def photograph(conditions: Conditions, random: Random) -> Canvas:
    """The picture under these conditions."""
    scene = draw_scene(conditions.scene, conditions.seed)
    seen = exposed(scene, conditions.light, lamps=conditions.lamps)
    seen = weathered(seen, conditions.weather, random)
    if conditions.cover is not None:
        seen = _covered(seen, conditions.cover, random)
    if conditions.blur_px > 0.3:
        seen = np.asarray(cv2.GaussianBlur(seen, (0, 0), conditions.blur_px), np.float32)
    return through_sensor(seen, conditions.noise, conditions.quality, random)


def _conditions(random: Random, seed: int, label: Label) -> Conditions:
    kind = str(random.choice(list(KINDS)))
    is_out = kind not in ("counter", "garage")
    light = float(np.exp(random.uniform(*np.log(UNLIT if label == "dark" else LIT))))
    needs_lamps = label != "dark" and light < 0.16
    return Conditions(
        scene=kind,
        seed=seed,
        light=light,
        lamps=needs_lamps or (label != "dark" and light < 0.5 and random.random() < 0.6),
        weather=WEATHERS[int(random.integers(len(WEATHERS)))] if is_out else "clear",
        blur_px=float(random.uniform(*(BLURRED_PX if label == "blurred" else SHARP_PX))),
        cover=str(random.choice(COVERS)) if label == "covered" else None,
        noise=float(random.uniform(0.5, 3.0) if light > 0.4 else random.uniform(1.5, 8.0)),
        quality=int(random.integers(20, 93)),
    )


def exposed(scene: Scene, light: float, *, lamps: bool) -> Floats:
    """The scene in that light. Lamps light what is near them, and shine themselves."""
    picture = scene.picture.astype(np.float32)
    if not lamps:
        return np.asarray(picture * light, np.float32)
    small = np.zeros((HEIGHT_PX // 8, WIDTH_PX // 8), np.float32)
    rows, columns = np.mgrid[0 : small.shape[0], 0 : small.shape[1]].astype(np.float32)
    for x, y in scene.lamps:
        away = ((columns - x / 8) / 22) ** 2 + ((rows - y / 8 - 18) / 26) ** 2
        small += np.exp(-away)
    glow = cv2.resize(np.minimum(small, 1), (WIDTH_PX, HEIGHT_PX))[..., None]
    lit = picture * np.minimum(np.float32(light) + 0.75 * glow, 1.1)
    for x, y in scene.lamps:
        cv2.circle(lit, (x, y), 9, (235, 250, 255), -1)
    return np.asarray(lit, np.float32)


def weathered(seen: Floats, weather: Weather, random: Random) -> Floats:
    """With rain, fog or snow in the air: farther away, higher up, more of it."""
    if weather == "clear":
        return seen
    haze = float(np.clip(seen.mean() * 1.3 + 10, 0, 220))
    strength = {"rain": (0.1, 0.35), "snow": (0.1, 0.4), "fog": (0.4, 0.9)}[weather]
    rows = np.linspace(1.0, 0.35, HEIGHT_PX, dtype=np.float32)[:, None, None]
    share = rows * np.float32(random.uniform(*strength))
    seen = seen * (1 - share) + haze * share
    if weather == "fog":
        return seen
    drops = np.zeros((HEIGHT_PX, WIDTH_PX), np.uint8)
    slant = int(random.integers(-6, 7))
    for _ in range(int(random.integers(200, 900))):
        x, y = int(random.integers(0, WIDTH_PX)), int(random.integers(0, HEIGHT_PX))
        if weather == "rain":
            end = (x + slant, y + int(random.integers(12, 45)))
            cv2.line(drops, (x, y), end, int(random.integers(40, 120)), 1)
        else:
            cv2.circle(drops, (x, y), int(random.integers(1, 5)), int(random.integers(90, 220)), -1)
    bright = np.float32(min(1.0, haze / 130))
    return seen + cv2.GaussianBlur(drops, (3, 3), 0)[..., None] * bright


def _covered(seen: Floats, cover: str, random: Random) -> Floats:
    """Something that lies on the lens: flat, or with a pattern that is far out of focus. It may
    leave a margin of up to 20 % free."""
    rows, columns = np.mgrid[0:90, 0:160].astype(np.float32)
    angle = random.uniform(0, 2 * np.pi)
    slope = (np.cos(angle) * (columns / 160 - 0.5) + np.sin(angle) * (rows / 90 - 0.5)) * 2
    level = random.uniform(4, 120)
    if cover == "hand":
        tone, lies = np.array([0.55, 0.65, 1.0]), slope * 0.35
    elif cover == "cloth":
        tone, lies = random.uniform(0.4, 1.0, 3), slope * 0.15 + 0.08 * np.sin(columns / 9)
    elif cover == "paint":
        spots = cv2.GaussianBlur(random.standard_normal((90, 160)).astype(np.float32), (0, 0), 9)
        tone, lies = random.uniform(0.2, 1.0, 3), spots / max(float(spots.std()), 1e-6) * 0.07
    else:
        tone, lies, level = np.ones(3), slope * 0.12, random.uniform(60, 225)
    flat = level * (1 + lies)[..., None] * tone
    over = cv2.resize(flat.astype(np.float32), (WIDTH_PX, HEIGHT_PX))
    if cover == "bag":  # some light comes through, without any form
        through = cv2.GaussianBlur(cv2.resize(seen, (160, 90)), (0, 0), 14)
        over = 0.8 * over + 0.2 * cv2.resize(through, (WIDTH_PX, HEIGHT_PX))
    over = np.asarray(over, np.float32)
    if random.random() < 0.6:
        return over
    free = float(random.uniform(0.03, 0.2))
    limit = float(np.quantile(slope, 1 - free))
    open_ = np.clip((slope - limit) / 0.15 + 0.5, 0, 1).astype(np.float32)
    mask = cv2.resize(open_, (WIDTH_PX, HEIGHT_PX))[..., None]
    return np.asarray(seen * mask + over * (1 - mask), np.float32)


def through_sensor(seen: Floats, noise: float, quality: int, random: Random) -> Canvas:
    """What comes out of the camera's JPEG."""
    grain = random.standard_normal((HEIGHT_PX, WIDTH_PX, 1), np.float32) * np.float32(noise)
    image = np.clip(seen + grain, 0, 255).astype(np.uint8)
    jpeg = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    decoded = cv2.imdecode(jpeg, cv2.IMREAD_COLOR)
    assert decoded is not None
    return np.asarray(decoded, np.uint8)
