"""How well does the agent know what is the matter with its camera, and how long does it take?"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from edge.camera_health import HealthWatch, health_of
from fieldgate.bench.camera_agent import agent
from fieldgate.bench.figures import Figure, figure_of
from fieldgate.bench.scale import Scale
from simulators.labelled import MEASURED, SHARES, labelled
from simulators.labelled_films import Film, films

PICTURES, FILMS_OF_EACH, TIMED = 600, 8, 60
TIME_GOAL_MS = 5.0
OLD = "three numbers of the whole picture: mean, spread, variance of the Laplacian"
JPEG = "cv2.imencode of the same picture, quality 80"

Say = Callable[[str], None]
Told = Counter[tuple[str, str]]


def camera(folder: Path, scale: Scale, say: Say) -> list[Figure]:
    """Labelled pictures and films judged, and what the agent's camera costs."""
    count = 40 if scale.quick else PICTURES
    pictures = list(labelled(MEASURED, TIMED if not scale.quick else 10))
    figures = [_time([each.image for each in pictures])]
    ours: Told = Counter()
    other: Told = Counter()
    for each in labelled(MEASURED, count):
        ours[each.label, health_of(each.image)] += 1
        other[each.label, by_three_numbers(each.image)] += 1
    say(f"  {_right(ours)} of {count} pictures, {_right(other)} by three numbers")
    figures += _figures("pictures", list(SHARES), ours, other)
    stories: Counter[tuple[str, str, str]] = Counter()
    for film in films(MEASURED, 1 if scale.quick else FILMS_OF_EACH):
        stories[film.story, film.label, told_of(film)] += 1
    told: Told = Counter()
    for (_, label, said), number in stories.items():
        told[label, said] += number
    say(f"  {_right(told)} of {told.total()} films")
    figures += _figures("films", ["ok", "frozen", "moved"], told, None)
    figures[-1].series["stories"] = [[*key, number] for key, number in sorted(stories.items())]
    return scale.judged([*figures, *agent(folder, scale, say)])


def told_of(film: Film) -> str:
    """What a camera that stands says of a film: the first odd thing."""
    watch = HealthWatch(fixed=True, live=True)
    said = (watch.look(image, at_s) for at_s, image in film.looks)
    return next((health for health in said if health in {"frozen", "moved"}), "ok")


def by_three_numbers(image: Any) -> str:
    """The rule that the agent had before, with the thresholds that it had."""
    small = cv2.resize(image, (320, 180), interpolation=cv2.INTER_AREA)
    grey = cv2.GaussianBlur(cv2.cvtColor(small, cv2.COLOR_BGR2GRAY), (3, 3), 0)
    mean, spread = float(grey.mean()), float(grey.std())
    if spread < max(2.0, 0.06 * mean):
        return "covered"
    if mean < 25:
        return "dark"
    edges = float(cv2.Laplacian(grey, cv2.CV_64F).std())
    return "blurred" if (edges / spread) ** 2 < 0.01 else "ok"


def _time(images: Sequence[Any]) -> Figure:
    """All that is done to a picture of a camera that stands, in the middle of many."""
    watch = HealthWatch(fixed=True, live=True)
    ours, jpeg = [], []
    for n, image in enumerate(images):
        begun = time.perf_counter()
        watch.look(image, float(n))
        between = time.perf_counter()
        cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 80])
        ours.append(1000 * (between - begun))
        jpeg.append(1000 * (time.perf_counter() - between))
    return figure_of(
        "camera", "time for a picture of 1280 by 720, median", ours, "ms", reference=jpeg,
        against=JPEG, goal=f"at most {TIME_GOAL_MS:g} ms", at_most=TIME_GOAL_MS,
    )  # fmt: skip


def _figures(what: str, labels: Sequence[str], told: Told, other: Told | None) -> list[Figure]:
    """Recall and precision of each label; the last carries the whole table."""
    figures = []
    for label in labels:
        for name, share in (("found", recall), ("rightly said", precision)):
            figures.append(
                figure_of(
                    "camera",
                    f"{what}, `{label}`: {name}",
                    [100 * share(told, label)],
                    "%",
                    reference=[] if other is None else [100 * share(other, label)],
                    against=None if other is None else OLD,
                )
            )
    figures[-1].series["told"] = _table(told)
    if other is not None:
        figures[-1].series["told by three numbers"] = _table(other)
    return figures


def recall(told: Told, label: str) -> float:
    """Of those that are, how many are said to be."""
    return _share(told[label, label], (n for (is_, _), n in told.items() if is_ == label))


def precision(told: Told, label: str) -> float:
    """Of those that are said to be, how many are."""
    return _share(told[label, label], (n for (_, said), n in told.items() if said == label))


def _share(right: int, all_: Iterable[int]) -> float:
    total = sum(all_)
    return right / total if total else float(np.nan)


def _right(told: Told) -> int:
    return sum(n for (is_, said), n in told.items() if is_ == said)


def _table(told: Told) -> list[list[Any]]:
    return [[is_, said, number] for (is_, said), number in sorted(told.items())]
