"""Is a frame of now told from one that lay in a buffer, whatever the camera does?"""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from edge.sources.camera import Camera, Freshness, Wish
from simulators.camera import draw_jpeg, read_stamp
from simulators.ledger import now_ms

AT_ONCE, IN_TIME, LATE = 0.001, 0.035, 2.0


def first_fresh(waits_s: list[float], *, interval_s: float = 0.04, frames: int = 1) -> int:
    """Which of the frames is taken, counted from 0."""
    freshness = Freshness(interval_s)
    freshness.begin(frames=frames)
    return next(at for at, wait_s in enumerate(waits_s) if freshness.is_fresh(wait_s))


@pytest.mark.parametrize(
    ("waits_s", "taken"),
    [
        ([IN_TIME], 0),
        ([AT_ONCE, AT_ONCE, IN_TIME], 2),
        # Held up: the first to come is the oldest, and the others come behind it at once.
        ([LATE, AT_ONCE, AT_ONCE, IN_TIME], 3),
        ([AT_ONCE, LATE, AT_ONCE, IN_TIME], 3),
        ([LATE, AT_ONCE, LATE, AT_ONCE, IN_TIME], 4),
        # Slower than it says: the one behind the late one has to be waited for as well.
        ([0.1, 0.1], 1),
        ([AT_ONCE, 0.1, 0.1], 2),
    ],
)
def test_a_frame_that_lay_in_a_buffer_is_passed_over(waits_s: list[float], taken: int) -> None:
    assert first_fresh(waits_s) == taken


def test_what_is_taken_anew_begins_after_a_frame_that_was_waited_for() -> None:
    assert first_fresh([IN_TIME, IN_TIME], frames=2) == 1
    assert first_fresh([AT_ONCE, IN_TIME, AT_ONCE, IN_TIME], frames=2) == 3
    assert first_fresh([0.1, 0.1, 0.1], frames=2) == 2


def taken(freshness: Freshness, *waits_s: float) -> list[bool]:
    """Of which frames of one call a picture is made."""
    freshness.begin(frames=1)
    return [freshness.is_fresh(wait_s) for wait_s in waits_s]


def test_a_camera_that_is_slower_than_it_says_is_learned() -> None:
    freshness = Freshness(0.04)
    assert taken(freshness, 0.1, 0.1) == [False, True]
    assert taken(freshness, 0.1) == [True]


def test_a_very_slow_one_is_learned_from_the_third_picture_on() -> None:
    freshness = Freshness(0.04)
    for _ in range(3):
        assert taken(freshness, 0.5, 0.5) == [False, True]
    assert taken(freshness, 0.5) == [True]


def test_hold_ups_are_not_learned() -> None:
    """Two in a row look like a slow camera: its next frames are taken all the same."""
    freshness = Freshness(0.04)
    assert taken(freshness, 1.9, 1.2) == [False, True]
    assert taken(freshness, 0.1) == [True]
    for _ in range(2):
        taken(freshness, 0.2, 0.1)
    assert taken(freshness, 1.9, 1.2) == [False, True]
    assert taken(freshness, 0.1) == [True]


@pytest.mark.slow
def test_a_named_pipe_is_a_camera_and_no_film(tmp_path: Path) -> None:
    """What lies in the pipe since the last picture is passed over."""
    pipe, over = tmp_path / "camera.mjpeg", threading.Event()
    os.mkfifo(pipe)

    def play() -> None:
        with pipe.open("wb", buffering=0) as end:
            frame = 0
            while not over.wait(0.1):
                frame += 1
                try:
                    end.write(draw_jpeg(frame, now_ms()))
                except BrokenPipeError:
                    return

    player = threading.Thread(target=play)
    player.start()
    camera = Camera(str(pipe))
    try:
        assert camera.take() is not None
        over.wait(1.0)  # pictures nobody takes
        asked = now_ms()
        picture = camera.take(Wish(anew=True))
        assert picture is not None
        assert read_stamp(picture.jpeg).millis >= asked
    finally:
        over.set()
        player.join()
        camera.close()
