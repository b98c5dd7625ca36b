"""A synthetic camera: each frame carries its number and its time, which a machine reads back."""

from __future__ import annotations

import asyncio
from collections import deque
from types import TracebackType
from typing import NamedTuple, Self, TypeAlias

import cv2
import numpy as np
from aiohttp import web
from numpy.typing import NDArray

from simulators.ledger import now_ms

Image: TypeAlias = NDArray[np.uint8]

WIDTH_PX, HEIGHT_PX = 640, 480
JPEG_QUALITY = 70
MAX_HELD = 100  # pictures

# The stamp: 8 rows of 16 cells. Frame (32 bits), milliseconds (64 bits), and a
# checksum (32 bits), each cell black or white and larger than a JPEG block.
CELL_PX = 20
ROWS, COLUMNS = 8, 16
_FRAME_BITS, _MILLIS_BITS = 32, 64
_KEY = 0x9E3779B97F4A7C15  # odd, so that the product depends on every bit


class Stamp(NamedTuple):
    """Which frame, and when (ms since 1970)."""

    frame: int
    millis: int


class StampUnreadable(Exception):
    """The picture shows no stamp, or one that is damaged."""


def draw(frame: int, millis: int) -> Image:
    """The frame of that number and time: a street that moves, and the stamp."""
    rows = np.linspace(40, 200, HEIGHT_PX, dtype=np.uint8)
    image = np.repeat(rows[:, None], WIDTH_PX, axis=1)[..., None].repeat(3, axis=2)
    x = (frame * 7) % (WIDTH_PX + 120) - 120
    cv2.rectangle(image, (x, 360), (x + 120, 420), (30, 30, 200), -1)
    cv2.circle(image, (x + 25, 422), 14, (20, 20, 20), -1)
    cv2.circle(image, (x + 95, 422), 14, (20, 20, 20), -1)
    cv2.putText(
        image, f"{frame} / {millis}", (16, 460), cv2.FONT_HERSHEY_SIMPLEX, 0.8, (255, 255, 255), 2
    )
    bits = np.array(list(f"{_coded(frame, millis):0{ROWS * COLUMNS}b}"), dtype=np.uint8)
    cells = (bits.reshape(ROWS, COLUMNS) * 255).repeat(CELL_PX, axis=0).repeat(CELL_PX, axis=1)
    image[: ROWS * CELL_PX, : COLUMNS * CELL_PX] = cells[..., None]
    return image


def draw_jpeg(frame: int, millis: int, quality: int = JPEG_QUALITY) -> bytes:
    """The frame as a JPEG."""
    return _jpeg(draw(frame, millis), quality)


def read_stamp(picture: bytes | Image) -> Stamp:
    """Which frame a JPEG or an image shows; raise StampUnreadable."""
    if isinstance(picture, bytes):
        decoded = cv2.imdecode(np.frombuffer(picture, np.uint8), cv2.IMREAD_GRAYSCALE)
        if decoded is None:
            raise StampUnreadable("not a picture")
        grey = np.asarray(decoded, np.uint8)
    else:
        grey = np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY), np.uint8)
    if grey.shape != (HEIGHT_PX, WIDTH_PX):
        grey = np.asarray(cv2.resize(grey, (WIDTH_PX, HEIGHT_PX)), np.uint8)
    middle = CELL_PX // 2
    cells = grey[middle : ROWS * CELL_PX : CELL_PX, middle : COLUMNS * CELL_PX : CELL_PX]
    coded = int("".join("1" if level > 127 else "0" for level in cells.flat), 2)
    millis = coded >> 32 & (1 << _MILLIS_BITS) - 1
    frame = coded >> 32 + _MILLIS_BITS
    if _coded(frame, millis) != coded:
        raise StampUnreadable(f"the checksum does not fit frame {frame}, {millis} ms")
    return Stamp(frame, millis)


class CameraServer:
    """The camera as a network stream: MJPEG over HTTP on the loopback interface.

    While it is ``held`` it goes on taking pictures and sends none; then they come all at once.
    """

    def __init__(self, *, frames_per_s: float = 10.0) -> None:
        self._frames_per_s = frames_per_s
        self._frame = 0
        self._took = asyncio.Event()
        self.held = False
        self._runner: web.AppRunner | None = None

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_get("/video.mjpeg", self._stream)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._runner is not None
        await self._runner.cleanup()

    @property
    def url(self) -> str:
        """What OpenCV opens."""
        assert self._runner is not None
        host, port = self._runner.addresses[0][:2]
        return f"http://{host}:{port}/video.mjpeg"

    async def takes(self, count: int) -> None:
        """Return when it has taken so many more pictures, sent or held."""
        last = self._frame + count
        while self._frame < last:
            await self._took.wait()

    async def _stream(self, request: web.Request) -> web.StreamResponse:
        stream = web.StreamResponse(
            headers={"Content-Type": "multipart/x-mixed-replace; boundary=frame"}
        )
        await stream.prepare(request)
        waiting: deque[bytes] = deque(maxlen=MAX_HELD)
        while True:
            self._frame += 1
            picture = draw_jpeg(self._frame, now_ms())
            head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(picture)}\r\n\r\n"
            waiting.append(head.encode() + picture + b"\r\n")
            self._took.set()
            self._took.clear()  # who waited for this one goes on
            try:
                while waiting and not self.held:
                    await stream.write(waiting.popleft())
            except ConnectionResetError:
                return stream  # the viewer is gone
            await asyncio.sleep(1 / self._frames_per_s)


def _coded(frame: int, millis: int) -> int:
    frame, millis = frame % (1 << _FRAME_BITS), millis % (1 << _MILLIS_BITS)
    content = frame << _MILLIS_BITS | millis
    check = (content % ((1 << 61) - 1) * _KEY ^ _KEY) >> 16 & 0xFFFFFFFF
    return content << 32 | check


def _jpeg(image: Image, quality: int) -> bytes:
    done, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])
    assert done, "a drawn image can be encoded"
    return bytes(data)
