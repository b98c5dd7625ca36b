"""The synthetic camera: which frame a picture shows, read back from whatever became of it."""

from __future__ import annotations

import asyncio

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulators import camera
from simulators.ledger import now_ms


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(0, 2**63 - 1), st.integers(10, 95))
def test_the_stamp_is_read_back_from_a_jpeg_of_any_quality(
    frame: int, millis: int, quality: int
) -> None:
    assert camera.read_stamp(camera.draw_jpeg(frame, millis, quality)) == (frame, millis)


def test_the_stamp_is_read_back_from_a_smaller_picture() -> None:
    small = np.asarray(cv2.resize(camera.draw(7, 1_700_000_000_123), (320, 240)), np.uint8)
    assert camera.read_stamp(small) == (7, 1_700_000_000_123)


def test_a_picture_without_its_stamp_is_told_from_one_with_it() -> None:
    image = camera.draw(7, 1_700_000_000_123)
    image[:20, 60:80] = 255 - image[:20, 60:80]
    with pytest.raises(camera.StampUnreadable, match="checksum"):
        camera.read_stamp(image)
    with pytest.raises(camera.StampUnreadable, match="checksum"):
        camera.read_stamp(np.zeros_like(image))
    with pytest.raises(camera.StampUnreadable, match="not a picture"):
        camera.read_stamp(b"noise")


async def test_opencv_opens_the_stream_and_its_frames_grow() -> None:
    def watch(url: str) -> list[camera.Stamp]:
        capture = cv2.VideoCapture(url, cv2.CAP_FFMPEG)
        try:
            return [camera.read_stamp(np.asarray(capture.read()[1], np.uint8)) for _ in range(3)]
        finally:
            capture.release()

    began_ms = now_ms()
    async with camera.CameraServer(frames_per_s=50) as server:
        stamps = await asyncio.to_thread(watch, server.url)
    assert [stamp.frame for stamp in stamps] == [stamps[0].frame + n for n in range(3)]
    assert all(began_ms <= stamp.millis <= now_ms() for stamp in stamps)
