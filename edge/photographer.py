"""The photographer: when a picture is taken, what for, and how it is sent."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Any, Protocol

from edge.config import CameraSettings
from edge.sources.camera import Picture
from protocols.model import MediaReason
from protocols.native import media

MAX_ALARM_PICTURES = 8  # asked for and not yet taken

log = logging.getLogger(__name__)


class PictureSource(Protocol):
    """Takes pictures; blocks, so it is called in a thread."""

    health: Any

    def take(self) -> Picture | None:
        """A picture of now, or None where there is none."""

    def close(self) -> None:
        """Let go of the camera."""


class Photographer:
    """Takes pictures while `run` runs; ``put`` keeps the chunks of one, taken at that ms."""

    def __init__(
        self,
        camera: PictureSource,
        settings: CameraSettings | None,
        put: Callable[[int, list[dict[str, Any]]], None],
    ) -> None:
        self._camera, self._put = camera, put
        self._period_s = settings.period_s if settings is not None else None
        self._alarms: asyncio.Queue[str] = asyncio.Queue(MAX_ALARM_PICTURES)

    @property
    def health(self) -> Any:
        """How well the camera sees."""
        return self._camera.health

    def note_alarm(self, identity: str) -> None:
        """An alarm is in the spool: a picture of it is to be taken."""
        try:
            self._alarms.put_nowait(identity)
        except asyncio.QueueFull:
            log.warning("picture_not_taken alarm=%s waiting=%d", identity, MAX_ALARM_PICTURES)

    async def run(self) -> None:
        """A picture of each alarm, and one by period."""
        due_s = time.monotonic()
        while True:
            alarm: str | None = None
            try:
                async with asyncio.timeout(self._period_s and max(0.0, due_s - time.monotonic())):
                    alarm = await self._alarms.get()
            except TimeoutError:
                due_s = time.monotonic() + (self._period_s or 0.0)
            picture = await self.take()
            if picture is not None:
                self.send(picture, "periodic" if alarm is None else "alarm", alarm)

    async def take(self) -> Picture | None:
        """A picture of now, or None where there is none."""
        return await asyncio.to_thread(self._camera.take)

    def send(self, picture: Picture, reason: MediaReason, ref: str | None = None) -> None:
        """Cut the picture into chunks and keep them until they are receipted."""
        chunks = media.cut(
            picture.jpeg,
            "image/jpeg",
            taken=picture.taken_ms,
            width_px=picture.width_px,
            height_px=picture.height_px,
            reason=reason,
            ref=ref,
        )
        self._put(picture.taken_ms, list(chunks))

    async def close(self) -> None:
        """Let go of the camera."""
        await asyncio.to_thread(self._camera.close)
