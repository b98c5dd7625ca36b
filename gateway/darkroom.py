"""All that is done with pictures, put together: made whole, shown, held, kept for their time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from gateway.assembly import Assembler
from gateway.config import Settings
from gateway.custody import Custody
from gateway.gallery import Gallery, WhoAsked, nobody
from gateway.journal.base import AlarmRecord, Journal
from gateway.media import Media, Thumbnails
from gateway.metrics import Metrics
from gateway.reserve import Room
from gateway.retention import Retention
from gateway.thumbnails import Thumbnailer, is_possible

if TYPE_CHECKING:
    from gateway.journal.pictures import PictureStore
    from gateway.journal.shelf import Shelf

NO_THUMBNAILS = (
    "no thumbnails are made: OpenCV is not installed (pip install 'fieldgate[pictures]')"
)

CLOCK_LEAPT = "the clock has leapt forward: no picture is deleted for its age for a day"


class Darkroom:
    """Its parts: ``media``, ``gallery`` and ``custody`` are for others to use."""

    def __init__(
        self,
        *,
        settings: Settings,
        store: PictureStore,
        shelf: Shelf,
        journal: Journal,
        room: Room,
        metrics: Metrics,
        open_alarms: Callable[[], Sequence[AlarmRecord]],
        now_ms: Callable[[], int],
        now_s: Callable[[], float] = time.monotonic,
        who_asked: WhoAsked = nobody,
    ) -> None:
        self.assembler = Assembler(store.folder)
        self.thumbnailer = Thumbnailer()
        self.custody = Custody(
            shelf=shelf,
            journal=journal,
            now_ms=now_ms,
            on_act=lambda act: metrics.custody.labels(act).inc(),
        )
        self.gallery = Gallery(
            shelf=shelf, custody=self.custody, now_ms=now_ms, who_asked=who_asked
        )
        self.thumbnails = Thumbnails(shelf=shelf, thumbnailer=self.thumbnailer)
        self.media = Media(
            store=store,
            assembler=self.assembler,
            custody=self.custody,
            journal=journal,
            now_ms=now_ms,
            asked=self.gallery.asked,
            on_end=lambda state: metrics.pictures.labels(state).inc(),
            on_whole=self.thumbnails.wanted,
        )
        self.retention = Retention(
            shelf=shelf,
            custody=self.custody,
            days=settings.retention,
            budget_bytes=settings.pictures_budget_mb * 1024 * 1024,
            room=room,
            open_alarms=open_alarms,
            now_ms=now_ms,
            now_s=now_s,
        )

    @property
    def deaths(self) -> int:
        """How often a process died of a picture, or hung."""
        return self.assembler.process.deaths + self.thumbnailer.process.deaths

    def figure(self, name: str) -> float:
        """What was kept at the last look: ``pictures``, ``bytes``, ``held``."""
        usage = self.retention.newest
        return float("nan") if usage is None else getattr(usage, name)

    def warnings(self) -> list[str]:
        """What is not as it should be, and costs no alarm."""
        so = (not is_possible(), NO_THUMBNAILS), (self.retention.has_leapt, CLOCK_LEAPT)
        return [warning for is_so, warning in so if is_so]

    async def run(self) -> None:
        """Work for ever."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self.media.run(), name="pictures")
            group.create_task(self.retention.run(), name="retention")
            if is_possible():
                group.create_task(self.thumbnails.run(), name="thumbnails")
