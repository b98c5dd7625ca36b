"""A camera of 1280 by 720 in a process of its own: a stream, and one picture at a time.

``python -m fieldgate.bench.street_camera`` says its port as a line of JSON and serves for ever:
``/video.mjpeg``, a picture every 40 ms, and ``/next.jpg``, the next one that it takes.
"""

from __future__ import annotations

import asyncio
import json
import time

import cv2
import numpy as np
from aiohttp import web
from numpy.typing import NDArray

WIDTH_PX, HEIGHT_PX, FPS, QUALITY = 1280, 720, 25, 80
GRAIN = 9.0
"""Of the scene, in grey levels: about 150 kB a picture, as of a street by day."""


class Street:
    """A scene with houses and grain; each picture of it is another one, by its time."""

    def __init__(self) -> None:
        random = np.random.default_rng(720)
        rough = random.uniform(40, 210, (HEIGHT_PX // 40, WIDTH_PX // 40, 3)).astype(np.uint8)
        scene = cv2.resize(rough, (WIDTH_PX, HEIGHT_PX), interpolation=cv2.INTER_LINEAR)
        grain = random.normal(0, GRAIN, (HEIGHT_PX, WIDTH_PX, 3))
        self._scene = np.clip(scene + grain, 0, 255).astype(np.uint8)
        self._number = 0

    def picture(self) -> bytes:
        """The next one."""
        self._number += 1
        image: NDArray[np.uint8] = np.roll(self._scene, 7 * self._number, axis=1)
        text = f"{self._number} {time.time_ns()}"
        cv2.putText(image, text, (20, 60), cv2.FONT_HERSHEY_SIMPLEX, 1.2, (255, 255, 255), 3)
        done, jpeg = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
        assert done, "a drawn image can be encoded"
        return jpeg.tobytes()


class Camera:
    """Takes pictures while anybody looks."""

    def __init__(self) -> None:
        self._street = Street()
        self._newest = b""
        self._taken = asyncio.Condition()

    async def run(self) -> None:
        """Take them, for ever."""
        due_s = time.monotonic()
        while True:
            picture = await asyncio.to_thread(self._street.picture)
            async with self._taken:
                self._newest = picture
                self._taken.notify_all()
            due_s = max(due_s + 1 / FPS, time.monotonic())
            await asyncio.sleep(due_s - time.monotonic())

    async def next(self) -> bytes:
        """The next picture that is taken."""
        async with self._taken:
            await self._taken.wait()
            return self._newest

    async def one(self, _: web.Request) -> web.Response:
        """The next picture, alone."""
        return web.Response(body=await self.next(), content_type="image/jpeg")

    async def stream(self, request: web.Request) -> web.StreamResponse:
        """Each picture as it is taken."""
        response = web.StreamResponse(
            headers={"Content-Type": "multipart/x-mixed-replace; boundary=frame"}
        )
        await response.prepare(request)
        while True:
            picture = await self.next()
            head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(picture)}\r\n\r\n"
            try:
                await response.write(head.encode() + picture + b"\r\n")
            except ConnectionResetError:
                return response


async def _main() -> None:
    camera, app = Camera(), web.Application()
    app.router.add_get("/video.mjpeg", camera.stream)
    app.router.add_get("/next.jpg", camera.one)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    print(json.dumps({"port": runner.addresses[0][1]}), flush=True)  # noqa: T201
    await camera.run()


if __name__ == "__main__":
    asyncio.run(_main())
