"""Labelled films: the camera's picture stands, the camera is moved, or it only looks like that.

Each film lasts 80 s, a look every 2 s; what happens, happens after 36 s.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Literal, NamedTuple, TypeAlias

import cv2
import numpy as np

from simulators.labelled import exposed, through_sensor, weathered
from simulators.scenes import (
    HEIGHT_PX,
    KINDS,
    WIDTH_PX,
    Canvas,
    Floats,
    Random,
    Scene,
    draw_car,
    draw_person,
    draw_scene,
)

FilmLabel: TypeAlias = Literal["ok", "frozen", "moved"]

LENGTH_S, LOOK_EVERY_S, HAPPENS_S = 80, 2, 36


class Film(NamedTuple):
    """What happens in it, which of the three that is, and its looks: seconds and picture."""

    story: str
    label: FilmLabel
    looks: Iterator[tuple[float, Canvas]]


class _Set(NamedTuple):
    """Where a film is shot: its scene, light, and the camera's noise and compression."""

    scene: Scene
    light: float
    noise: float
    quality: int
    seed: int


def films(seed: int, of_each: int) -> Iterator[Film]:
    """So many films of every story; another seed is other films."""
    for number, (story, (label, shoot)) in enumerate(STORIES.items()):
        for n in range(of_each):
            random = np.random.default_rng([seed, number, n])
            kind = str(random.choice(list(KINDS)))
            here = _Set(
                draw_scene(kind, seed * 10_000 + number * 100 + n),
                float(random.uniform(0.35, 1.1)),
                float(random.uniform(0.7, 3.5)),
                int(random.integers(30, 90)),
                int(random.integers(1 << 30)),
            )
            yield Film(story, label, shoot(here, random))


def _shot(here: _Set, seen: Floats, at_s: float) -> Canvas:
    """A picture of its own: with the noise of that moment."""
    random = np.random.default_rng([here.seed, int(at_s * 10)])
    return through_sensor(seen, here.noise, here.quality, random)


def _times() -> range:
    return range(0, LENGTH_S, LOOK_EVERY_S)


def _quiet(here: _Set, random: Random) -> Iterator[tuple[float, Canvas]]:
    """Nothing moves, and the camera makes little noise and small pictures."""
    here = here._replace(
        noise=float(random.uniform(0.3, 1.0)), quality=int(random.integers(20, 60))
    )
    seen = exposed(here.scene, here.light, lamps=False)
    for at_s in _times():
        yield at_s, _shot(here, seen, at_s)


def _traffic(here: _Set, random: Random) -> Iterator[tuple[float, Canvas]]:
    """Cars and people, many of them, each at its own pace."""
    walkers = [
        (
            int(random.integers(0, WIDTH_PX)),
            float(random.uniform(-40, 40)),
            int(random.integers(400, 720)),
            int(random.integers(1000)),
        )
        for _ in range(10)
    ]
    for at_s in _times():
        canvas = here.scene.picture.copy()
        for n, (x, speed, y, look) in enumerate(walkers):
            own = np.random.default_rng(look)
            across = int(x + speed * at_s * (6 if n % 2 else 1)) % (WIDTH_PX + 400) - 300
            if n % 2:
                draw_car(canvas, own, across, y, 300)
            else:
                draw_person(canvas, own, across, y, (y - 250) // 2)
        seen = exposed(here.scene._replace(picture=canvas), here.light, lamps=False)
        yield at_s, _shot(here, seen, at_s)


def _bus(here: _Set, random: Random) -> Iterator[tuple[float, Canvas]]:
    """A bus stops before the camera and hides more than half of what it sees."""
    left, width = int(random.integers(0, 400)), int(random.integers(700, 850))
    colour = tuple(int(c) for c in random.integers(30, 220, 3))
    for at_s in _times():
        canvas = here.scene.picture.copy()
        if HAPPENS_S <= at_s < HAPPENS_S + 30:
            cv2.rectangle(canvas, (left, 60), (left + width, HEIGHT_PX), colour, -1)
            for x in range(left + 40, left + width - 90, 140):
                cv2.rectangle(canvas, (x, 120), (x + 110, 300), (70, 60, 50), -1)
        seen = exposed(here.scene._replace(picture=canvas), here.light, lamps=False)
        yield at_s, _shot(here, seen, at_s)


def _nightfall(here: _Set, random: Random) -> Iterator[tuple[float, Canvas]]:
    """Dusk within the film, and then the lamps go on all at once."""
    last = float(random.uniform(0.12, 0.25))
    for at_s in _times():
        light = here.light * (1 - min(at_s, 60) / 60) + last * min(at_s, 60) / 60
        yield at_s, _shot(here, exposed(here.scene, light, lamps=at_s >= HAPPENS_S), at_s)


def _switch(here: _Set, random: Random) -> Iterator[tuple[float, Canvas]]:
    """Somebody turns the light off, and the lamps stay."""
    low = float(random.uniform(0.1, 0.2))
    for at_s in _times():
        is_off = at_s >= HAPPENS_S
        seen = exposed(here.scene, low if is_off else here.light, lamps=is_off)
        yield at_s, _shot(here, seen, at_s)


def _wind(here: _Set, random: Random) -> Iterator[tuple[float, Canvas]]:
    """The mast sways by up to half a percent of the width."""
    seen = exposed(here.scene, here.light, lamps=False)
    for at_s in _times():
        across, down = random.uniform(-6, 6), random.uniform(-4, 4)
        yield at_s, _shot(here, _turned(seen, across, down, 0), at_s)


def _weather(here: _Set, random: Random) -> Iterator[tuple[float, Canvas]]:
    """Rain, snow or fog sets in."""
    weather = random.choice(["rain", "snow", "fog"])
    clear = exposed(here.scene, here.light, lamps=False)
    for at_s in _times():
        is_on = at_s >= HAPPENS_S
        seen = weathered(clear, weather, np.random.default_rng(at_s)) if is_on else clear
        yield at_s, _shot(here, seen, at_s)


def _stands(here: _Set, random: Random, *, clock: bool = False) -> Iterator[tuple[float, Canvas]]:
    """The same picture again and again."""
    shot: Canvas | None = None
    for at_s in _times():
        if at_s <= HAPPENS_S or shot is None:
            shot = _shot(here, exposed(here.scene, here.light, lamps=False), at_s)
        shown = shot.copy()
        if clock:
            text = f"2026-11-22 14:05:{at_s % 60:02}"
            cv2.putText(shown, text, (40, 60), cv2.FONT_HERSHEY_SIMPLEX, 1.0, (255, 255, 255), 2)
        yield at_s, shown


def _clock(here: _Set, random: Random) -> Iterator[tuple[float, Canvas]]:
    """It stands, and the clock in its corner goes on."""
    yield from _stands(here, random, clock=True)


def _after(
    here: _Set, *, across: float, down: float, degrees: float
) -> Iterator[tuple[float, Canvas]]:
    seen = exposed(here.scene, here.light, lamps=False)
    moved = _turned(seen, across, down, degrees)
    for at_s in _times():
        yield at_s, _shot(here, moved if at_s >= HAPPENS_S else seen, at_s)


def _knocked(here: _Set, random: Random) -> Iterator[tuple[float, Canvas]]:
    """By 4 to 12 percent of the width, and a little askew."""
    sides = random.choice([-1, 1], 3)
    across = float(random.uniform(51, 154) * sides[0])
    down = float(random.uniform(20, 80) * sides[1])
    return _after(here, across=across, down=down, degrees=float(random.uniform(0, 3) * sides[2]))


def _tilted(here: _Set, random: Random) -> Iterator[tuple[float, Canvas]]:
    """Hangs askew by 6 to 20 degrees."""
    degrees = float(random.uniform(6, 20) * random.choice([-1, 1]))
    return _after(here, across=0, down=0, degrees=degrees)


def _elsewhere(here: _Set, random: Random) -> Iterator[tuple[float, Canvas]]:
    """Turned to another side: another scene in the same light."""
    other = draw_scene(str(random.choice(list(KINDS))), int(random.integers(1 << 30)))
    for at_s in _times():
        scene = other if at_s >= HAPPENS_S else here.scene
        yield at_s, _shot(here, exposed(scene, here.light, lamps=False), at_s)


def _turned(seen: Floats, across: float, down: float, degrees: float) -> Floats:
    """What the camera sees then; what comes into view at the border mirrors what was there."""
    turn = cv2.getRotationMatrix2D((WIDTH_PX / 2, HEIGHT_PX / 2), degrees, 1.0)
    turn[:, 2] += np.array([across, down])
    moved = cv2.warpAffine(seen, turn, (WIDTH_PX, HEIGHT_PX), borderMode=cv2.BORDER_REFLECT)
    return np.asarray(moved, np.float32)


STORIES: dict[
    str, tuple[FilmLabel, Callable[[_Set, Random], Iterator[tuple[float, Canvas]]]]
] = {
    "nothing moves": ("ok", _quiet),
    "traffic": ("ok", _traffic),
    "a bus stops before it": ("ok", _bus),
    "nightfall": ("ok", _nightfall),
    "the light goes off": ("ok", _switch),
    "wind": ("ok", _wind),
    "weather sets in": ("ok", _weather),
    "stands": ("frozen", _stands),
    "stands, its clock ticks": ("frozen", _clock),
    "knocked": ("moved", _knocked),
    "tilted": ("moved", _tilted),
    "turned elsewhere": ("moved", _elsewhere),
}  # fmt: skip
