"""Does the camera give a picture of now, and know how well it sees?"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from edge.camera_health import health_of
from edge.sources.camera import Camera, Picture

Image = Any  # what cv2 draws on

BITS = 16
CELL_PX = 20


def street(width_px: int = 640, height_px: int = 360) -> Image:
    """A scene with sky, houses, windows, and a little noise."""
    random = np.random.default_rng(110)
    image = np.empty((height_px, width_px, 3), np.uint8)
    image[:] = np.linspace(200, 90, height_px).astype(np.uint8)[:, None, None]
    for left in range(0, width_px, width_px // 8):
        top = int(random.integers(height_px // 6, height_px // 2))
        colour = tuple(int(c) for c in random.integers(40, 180, 3))
        right = left + width_px // 9
        cv2.rectangle(image, (left, top), (right, height_px - 60), colour, -1)
        for x in range(left + 8, right - 8, 16):
            for y in range(top + 8, height_px - 80, 20):
                cv2.rectangle(image, (x, y), (x + 7, y + 10), (230, 230, 200), -1)
    noise = random.normal(0, 3, image.shape)
    return np.clip(image + noise, 0, 255).astype(np.uint8)


def numbered(number: int) -> Image:
    """A frame that carries its number as black and white squares."""
    image = np.full((240, 2 * BITS * CELL_PX, 3), 128, np.uint8)
    for bit in range(BITS):
        left = 2 * bit * CELL_PX
        image[80:160, left : left + CELL_PX] = 255 if number >> bit & 1 else 0
    return image


def number_of(picture: Picture | None) -> int:
    assert picture is not None
    image = cv2.imdecode(np.frombuffer(picture.jpeg, np.uint8), cv2.IMREAD_GRAYSCALE)
    assert image is not None
    middles = [int(image[120, 2 * bit * CELL_PX + CELL_PX // 2]) for bit in range(BITS)]
    return sum(1 << bit for bit, level in enumerate(middles) if level > 128)


def film(path: Path, frames: int) -> Path:
    writer = cv2.VideoWriter(
        str(path), cv2.VideoWriter.fourcc(*"MJPG"), 25, (2 * BITS * CELL_PX, 240)
    )
    for number in range(frames):
        writer.write(numbered(number))
    writer.release()
    return path


class NetworkCamera(ThreadingHTTPServer):
    """Streams numbered frames as motion JPEG; ``sent`` is the number of the latest."""

    daemon_threads = False
    block_on_close = True

    def __init__(self, fps: float, port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), _Stream)
        self.fps, self.sent, self.over = fps, 0, threading.Event()
        self.sent_more = threading.Condition()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/live.mjpeg"

    def wait_for(self, number: int) -> None:
        with self.sent_more:
            assert self.sent_more.wait_for(lambda: self.sent >= number, timeout=30)


class _Stream(BaseHTTPRequestHandler):
    server: NetworkCamera

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
        self.end_headers()
        try:
            while not self.server.over.wait(1 / self.server.fps):
                number = self.server.sent + 1
                jpeg = cv2.imencode(".jpg", numbered(number))[1].tobytes()
                head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n\r\n"
                self.wfile.write(head.encode() + jpeg + b"\r\n")
                with self.server.sent_more:
                    self.server.sent = number
                    self.server.sent_more.notify_all()
        except OSError:
            pass  # the viewer has gone

    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def network_camera(fps: float = 20, port: int = 0) -> Iterator[NetworkCamera]:
    server = NetworkCamera(fps, port)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield server
    finally:
        server.over.set()
        server.shutdown()
        server.server_close()
        thread.join()


def test_a_film_gives_its_frames_in_order_and_starts_anew(tmp_path: Path) -> None:
    camera = Camera(str(film(tmp_path / "patrol.avi", frames=3)))
    assert [number_of(camera.take()) for _ in range(5)] == [0, 1, 2, 0, 1]
    camera.close()


def test_a_picture_tells_its_size_and_when_it_was_taken(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "street.png"), street(640, 360))
    camera = Camera(str(tmp_path / "street.png"), width_px=320, now_ms=lambda: 1_732_000_000_123)
    picture = camera.take()
    assert picture is not None
    assert (picture.width_px, picture.height_px) == (320, 180)
    assert picture.taken_ms == 1_732_000_000_123
    decoded = cv2.imdecode(np.frombuffer(picture.jpeg, np.uint8), cv2.IMREAD_COLOR)
    assert decoded is not None
    assert decoded.shape == (180, 320, 3)


def test_a_small_picture_is_not_made_larger(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "street.png"), street(640, 360))
    picture = Camera(str(tmp_path / "street.png"), width_px=1920).take()
    assert picture is not None
    assert picture.width_px == 640


def test_a_still_is_read_anew_each_time(tmp_path: Path) -> None:
    camera = Camera(str(tmp_path / "snapshot.png"))
    for number in (7, 8):
        cv2.imwrite(str(tmp_path / "snapshot.png"), numbered(number))
        assert number_of(camera.take()) == number


def test_health_is_none_before_the_first_picture_and_lost_without_a_source(tmp_path: Path) -> None:
    camera = Camera(str(tmp_path / "not-there.avi"))
    seen = [camera.health]
    assert camera.take() is None
    assert [*seen, camera.health] == ["none", "lost"]


@pytest.mark.parametrize("source", ["63", "/dev/video63", "http://127.0.0.1:9/live"])
def test_a_camera_that_is_not_there_is_lost(source: str) -> None:
    camera = Camera(source)
    assert camera.take() is None
    assert camera.health == "lost"


def test_a_file_that_is_no_picture_is_a_lost_camera(tmp_path: Path) -> None:
    for name in ("noise.jpg", "noise.mp4"):
        (tmp_path / name).write_bytes(bytes(range(256)) * 40)
        camera = Camera(str(tmp_path / name))
        assert camera.take() is None
        assert camera.health == "lost"


@pytest.mark.slow
def test_a_picture_of_a_stream_is_the_newest_and_no_buffered_one() -> None:
    with network_camera() as server:
        camera = Camera(server.url)
        assert number_of(camera.take()) >= 1
        for _ in range(2):
            server.wait_for(server.sent + 15)  # nobody reads: fifteen frames pile up
            before = server.sent
            assert number_of(camera.take()) >= before
        camera.close()


@pytest.mark.slow
def test_a_stream_that_broke_off_is_opened_anew() -> None:
    with network_camera() as server:
        camera = Camera(server.url)
        assert number_of(camera.take()) >= 1
        port = server.server_port
    assert camera.take() is None
    assert camera.health == "lost"
    with network_camera(port=port):
        assert number_of(camera.take()) >= 1
        assert camera.health != "lost"
        camera.close()


SHARP = street()
NIGHT = (SHARP * 0.08).astype(np.uint8)
FLAT = np.random.default_rng(1).normal(0, 4, SHARP.shape)


@pytest.mark.parametrize(
    ("frame", "health"),
    [
        (SHARP, "ok"),
        (street(1920, 1080), "ok"),
        ((SHARP * 0.4).astype(np.uint8), "ok"),  # dusk
        (np.zeros_like(SHARP), "covered"),
        (np.clip(12 + FLAT, 0, 255).astype(np.uint8), "covered"),  # a hand, with sensor noise
        (np.clip(235 + FLAT, 0, 255).astype(np.uint8), "covered"),  # a white sticker
        (NIGHT, "dark"),
        (cv2.GaussianBlur(SHARP, (0, 0), 8), "blurred"),
        (cv2.GaussianBlur(street(1920, 1080), (0, 0), 24), "blurred"),
        ((cv2.GaussianBlur(SHARP, (0, 0), 8) * 0.5).astype(np.uint8), "blurred"),
        (np.clip(cv2.GaussianBlur(SHARP, (0, 0), 8) + FLAT, 0, 255).astype(np.uint8), "blurred"),
    ],
    ids=[
        "day", "full HD", "dusk", "black", "hand", "sticker", "night",
        "out of focus", "full HD out of focus", "out of focus at dusk", "out of focus and noisy",
    ],
)  # fmt: skip
def test_health_of_a_frame(frame: Image, health: str) -> None:
    assert health_of(frame) == health


def test_taking_a_picture_says_how_well_the_camera_sees(tmp_path: Path) -> None:
    camera = Camera(str(tmp_path / "view.png"))
    seen = []
    for frame in (SHARP, np.zeros_like(SHARP), NIGHT, SHARP):
        cv2.imwrite(str(tmp_path / "view.png"), frame)
        assert camera.take() is not None
        seen.append(camera.health)
    assert seen == ["ok", "covered", "dark", "ok"]


def test_an_agent_without_a_camera_does_not_load_opencv() -> None:
    import subprocess
    import sys

    code = "import sys, edge.sources.camera; sys.exit('cv2' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
