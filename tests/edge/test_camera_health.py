"""Does the agent know what is the matter with a camera, on pictures and films that are labelled?"""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge.camera_health import (
    HOLD_S,
    RELEARN_S,
    HealthWatch,
    Steady,
    health_of,
)
from edge.sources.camera import Camera
from protocols.model import CameraHealth
from simulators.labelled import MEASURED, labelled
from simulators.labelled_films import HAPPENS_S, STORIES, Film, films
from simulators.scenes import Canvas, draw_scene

STREET = draw_scene("street", 7).picture
ALLEY = draw_scene("alley", 7).picture


def noisy(picture: Canvas, seed: int) -> Canvas:
    noise = np.random.default_rng(seed).integers(-3, 4, picture.shape, np.int8)
    disturbed: Canvas = np.clip(picture.astype(np.int16) + noise, 0, 255).astype(np.uint8)
    return disturbed


def said(watch: HealthWatch, picture: Canvas, times_s: range) -> list[CameraHealth]:
    return [watch.look(noisy(picture, at_s), at_s) for at_s in times_s]


@pytest.mark.slow
def test_labelled_pictures_are_told_apart() -> None:
    said = Counter((each.label, health_of(each.image)) for each in labelled(MEASURED, 40))
    for label in ("ok", "covered", "dark", "blurred"):
        is_ = sum(count for (is_, _), count in said.items() if is_ == label)
        told = sum(count for (_, told), count in said.items() if told == label)
        assert said[label, label] >= 0.8 * is_, said
        assert said[label, label] >= 0.8 * told, said


def first_odd(film: Film) -> str:
    watch = HealthWatch(fixed=True, live=True)
    looks = (watch.look(image, at_s) for at_s, image in film.looks)
    return next((health for health in looks if health in {"frozen", "moved"}), "ok")


@pytest.mark.slow
def test_a_film_in_which_the_camera_freezes_or_is_moved_is_told_from_one_that_only_looks_so() -> (
    None
):
    told = [(film.story, film.label, first_odd(film)) for film in films(MEASURED, 1)]
    assert len(told) == len(STORIES)
    wrong = [each for each in told if each[1] != each[2]]
    assert len(wrong) <= 1, wrong


def test_a_picture_without_any_change_is_frozen_and_one_change_ends_it() -> None:
    watch = HealthWatch(fixed=False, live=True)
    still = noisy(STREET, 1)
    seen = [watch.look(still, at_s) for at_s in range(0, 30, 2)]
    assert seen[:10] == ["ok"] * 10
    assert seen[-1] == "frozen"
    assert watch.look(noisy(STREET, 2), 31) == "ok"


def test_two_pictures_with_a_long_pause_between_are_not_frozen() -> None:
    watch = HealthWatch(fixed=False, live=True)
    assert [watch.look(STREET, at_s) for at_s in (0, 60, 120)] == ["ok"] * 3


def test_a_still_is_not_frozen() -> None:
    watch = HealthWatch(fixed=False, live=False)
    assert {watch.look(STREET, at_s) for at_s in range(0, 60, 2)} == {"ok"}


def test_without_light_a_picture_that_stands_is_covered() -> None:
    watch = HealthWatch(fixed=True, live=True)
    assert {watch.look(STREET * 0, at_s) for at_s in range(0, 60, 2)} == {"covered"}


def test_a_camera_that_looks_elsewhere_has_moved_and_is_ok_when_it_is_put_back() -> None:
    watch = HealthWatch(fixed=True, live=True)
    assert set(said(watch, STREET, range(0, 40, 2))) == {"ok"}
    assert said(watch, ALLEY, range(40, 64, 2))[-1] == "moved"
    assert said(watch, STREET, range(64, 66, 2)) == ["ok"]


def test_a_glance_elsewhere_is_no_move() -> None:
    watch = HealthWatch(fixed=True, live=True)
    said(watch, STREET, range(0, 40, 2))
    assert set(said(watch, ALLEY, range(40, 50, 2))) == {"ok"}
    assert set(said(watch, STREET, range(50, 60, 2))) == {"ok"}


def test_a_camera_that_moves_about_has_no_view_to_lose() -> None:
    watch = HealthWatch(fixed=False, live=True)
    said(watch, STREET, range(0, 40, 2))
    assert set(said(watch, ALLEY, range(40, 80, 2))) == {"ok"}


@pytest.mark.slow
def test_a_new_view_that_stays_is_the_view() -> None:
    watch = HealthWatch(fixed=True, live=True)
    said(watch, STREET, range(0, 40, 2))
    after = said(watch, ALLEY, range(40, 60 + int(RELEARN_S), 20))
    assert "moved" in after
    assert after[-1] == "ok"
    assert said(watch, STREET, range(700, 740, 2))[-1] == "moved"


def test_what_is_told_has_held_for_a_while() -> None:
    steady = Steady()
    assert steady.take("ok", 0.0)
    assert not steady.take("covered", 1.0)  # a bus
    assert not steady.take("ok", 2.0)
    assert not steady.take("covered", 3.0)
    assert not steady.take("covered", 3.0 + HOLD_S / 2)
    assert steady.health == "ok"
    assert steady.take("covered", 3.0 + HOLD_S)
    assert steady.take("lost", 100.0)  # the first picture in a long while


def film_of(path: Path, pictures: Iterator[Canvas]) -> str:
    writer: cv2.VideoWriter | None = None
    for picture in pictures:
        small = cv2.resize(picture, (640, 360), interpolation=cv2.INTER_AREA)
        writer = writer or cv2.VideoWriter(
            str(path), cv2.VideoWriter.fourcc(*"MJPG"), 5, (640, 360)
        )
        writer.write(small)
    assert writer is not None
    writer.release()
    return str(path)


@pytest.mark.slow
@pytest.mark.parametrize("label", ["ok", "covered", "dark", "blurred"])
def test_the_camera_tells_each_label_of_a_film(tmp_path: Path, label: str) -> None:
    pictures = [each.image for each in labelled(MEASURED, 20) if each.label == label]
    camera = Camera(film_of(tmp_path / "film.avi", iter(pictures)))
    told = []
    for _ in pictures:
        assert camera.take() is not None
        told.append(camera.health)
    camera.close()
    assert told.count(label) >= len(pictures) - 1  # type: ignore[arg-type]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("story", "label"), [("stands", "frozen"), ("turned elsewhere", "moved"), ("traffic", "ok")]
)
def test_the_camera_tells_what_happens_in_a_film(tmp_path: Path, story: str, label: str) -> None:
    film = next(film for film in films(MEASURED, 1) if film.story == story)
    looks = list(film.looks)
    clock_s = iter([float(at_s) for at_s, _ in looks])
    camera = Camera(
        film_of(tmp_path / "film.avi", (image for _, image in looks)),
        fixed=True,
        clock_s=lambda: next(clock_s),
    )
    told = []
    for _ in looks:
        assert camera.take() is not None
        told.append(camera.health)
    camera.close()
    assert set(told[: HAPPENS_S // 2]) == {"ok"}
    assert told[-1] == label


def test_an_agent_without_a_camera_loads_neither_opencv_nor_numpy() -> None:
    code = (
        "import sys, edge.agent, edge.photographer, edge.camera_health;"
        "sys.exit('cv2' in sys.modules or 'numpy' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
