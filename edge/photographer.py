"""The photographer: when a picture is taken, what for, and how it is sent."""

from __future__ import annotations

import asyncio
import heapq
import itertools
import logging
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol

from edge.camera_health import Steady
from edge.config import CameraSettings
from edge.picture_order import Place, Rank
from edge.ring import Ring, Shot, select
from edge.sources.camera import USUAL, Picture, Wish
from edge.spool import Spool, Spooled
from protocols.model import Lane, MediaReason
from protocols.native import media
from protocols.native.topics import Up

AFTER_S = (0.0, 1.0, 2.0, 4.0, 8.0)  # pictures of an alarm at the press and so long after it
GRACE_S = 5.0  # a camera that is late may still give them
LOST_RETRY_S = 5.0  # a camera that is gone is asked again after so long,
AGAIN_S = 1.0  # for an alarm at once, and then so often
MAX_ALARMS = 8  # that are photographed at the same time
MAX_WAITING = 400  # pictures in memory on their way to the spool, beside the ring
MAX_SENT = 512  # pictures remembered, so that none is sent again for another alarm

RANKS: dict[MediaReason, Rank] = {
    "command": Rank.COMMAND,
    "alarm": Rank.ALARM,
    "pre_alarm": Rank.REST,
    "live": Rank.LIVE,
    "periodic": Rank.PERIODIC,
}

log = logging.getLogger(__name__)


class PictureSource(Protocol):
    """Takes pictures; blocks, so it is called in a thread."""

    health: Any

    def take(self, wish: Wish = USUAL) -> Picture | None:
        """A picture of now, or None where there is none."""

    def close(self) -> None:
        """Let go of the camera."""


class _Watch:
    """An alarm, and when the pictures after its press are due."""

    def __init__(self, identity: str, n: int, due_s: list[float]) -> None:
        self.identity, self.n, self.due_s = identity, n, due_s
        self.over_s = self.due_s[-1] + GRACE_S


class _Waiting(NamedTuple):
    """A shot on its way to the spool."""

    key: tuple[int, int, int, int]
    place: Place
    reason: MediaReason
    alarm: str
    shot: Shot


class _Sent(NamedTuple):
    """What a picture was sent for so far, and the messages that it is."""

    refs: set[str | None]
    place: Place
    chunks: list[Spooled]


class Photographer:
    """Takes pictures while `run` runs, and puts what is to be sent into the spool.

    ``wake``: the spool has something new. ``health_changed``: how well the camera sees.
    """

    def __init__(
        self,
        camera: PictureSource,
        settings: CameraSettings | None,
        spool: Spool,
        *,
        wake: Callable[[], None],
        health_changed: Callable[[], None] = lambda: None,
        after_s: Sequence[float] | None = None,
    ) -> None:
        self._camera, self._spool, self._wake = camera, spool, wake
        self._after_s, self._health_changed = after_s or AFTER_S, health_changed
        self._steady = Steady()
        self._settings = settings = settings or CameraSettings(source="given")
        self.ring = Ring(
            keep_s=settings.before_s,
            max_count=math.ceil(settings.before_s * settings.per_s) + 1,
            max_bytes=settings.before_bytes,
        )
        self.not_sent = 0  # pictures of alarms for which there was no room in memory
        self._watches: list[_Watch] = []
        self._waiting: list[_Waiting] = []  # a heap
        self._sent: dict[str, _Sent] = {}
        self._numbers = itertools.count(1)
        self._order = itertools.count()
        self._alarmed = asyncio.Event()
        self._filled = asyncio.Event()

    @property
    def health(self) -> Any:
        """How well the camera sees, for some seconds at least."""
        return self._steady.health

    @property
    def kept(self) -> dict[str, int]:
        """What is in memory, and what there was no room for since the start."""
        ring = self.ring
        return {
            "count": len(ring),
            "bytes": ring.bytes,
            "dropped": ring.dropped,
            "not_sent": self.not_sent,
        }

    def note_alarm(self, identity: str, n: int) -> None:
        """An alarm is in the spool, at that place: what was seen before it goes there too, and
        pictures of it are to be taken."""
        shown_s = (
            time.monotonic() + self._settings.lag_ms / 1000
        )  # pictures show the press from then
        watch = _Watch(identity, n, [shown_s + after_s for after_s in self._after_s])
        self._watches.append(watch)
        if len(self._watches) > MAX_ALARMS:
            self._leave(self._watches[0])
        chosen, rest = select(self.ring.newest_first, self._settings.alarm_pictures)
        for shot in chosen:
            self._want(watch, "pre_alarm", Rank.ALARM, shot)
        for shot in rest:
            self._want(watch, "pre_alarm", Rank.REST, shot)
        self._alarmed.set()

    async def run(self) -> None:
        """Take pictures, and keep those that are to be sent, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._watch(), name="camera watch")
            tasks.create_task(self._keep(), name="camera keep")

    async def take(self, wish: Wish = USUAL) -> Picture | None:
        """A picture of now, or None where there is none."""
        shot = await self._shoot(wish)
        return None if shot is None else shot.picture

    def send(
        self,
        picture: Picture,
        reason: MediaReason,
        ref: str | None = None,
        *,
        place: Place | None = None,
        about: Mapping[str, Any] = MappingProxyType({}),
    ) -> list[Spooled]:
        """Cut the picture into chunks, which are kept until they are receipted. ``about``: what
        else is to be said of it."""
        chunks = list(_cut(picture, reason, ref, about))
        place = place or Place(RANKS[reason])
        spooled = self._spool.put_all(Up.MEDIA, picture.taken_ms, chunks, place=place)
        if reason != "live":  # no alarm has use of those
            self._sent[chunks[0]["id"]] = _Sent({ref}, place, spooled)
        if len(self._sent) > MAX_SENT:
            del self._sent[next(iter(self._sent))]
        self._wake()
        return spooled

    def holds(self, chunks: Sequence[Spooled]) -> bool:
        """Whether any of them is in the spool still."""
        first, last = chunks[0], chunks[-1]
        return bool(self._spool.numbers(first.boot, Lane.TELEMETRY, first.seq, last.seq))

    async def close(self) -> None:
        """Let go of the camera."""
        await asyncio.to_thread(self._camera.close)

    # -- taking -------------------------------------------------------------

    async def _watch(self) -> None:
        """A picture for the ring, by period, and at and after each press."""
        settings = self._settings
        ring_due_s = time.monotonic() if settings.before_s else math.inf
        period_due_s = time.monotonic() if settings.period_s else math.inf
        while True:
            await self._until(min(ring_due_s, period_due_s))
            began_s = time.monotonic()
            shot = await self._shoot()
            now_s = time.monotonic()
            if shot is not None and now_s >= period_due_s:
                self.send(shot.picture, "periodic")
            if now_s >= period_due_s:
                period_due_s = now_s + (settings.period_s or math.inf)
            if now_s >= ring_due_s:
                wait_s = 1 / settings.per_s if shot is not None else LOST_RETRY_S
                took_s = now_s - began_s  # a slow device rests as long as it has worked
                ring_due_s = max(ring_due_s + wait_s, now_s + took_s)
            self._look_after_alarms(shot, now_s)

    async def _until(self, due_s: float) -> None:
        """Wait until something is due; an alarm's pictures may become so meanwhile."""
        while True:
            self._alarmed.clear()
            dues_s = [watch.due_s[0] for watch in self._watches]
            wait_s = min([due_s, *dues_s]) - time.monotonic()
            if wait_s <= 0:
                return
            try:
                async with asyncio.timeout(wait_s if wait_s < math.inf else None):
                    await self._alarmed.wait()
            except TimeoutError:
                return

    async def _shoot(self, wish: Wish = USUAL) -> Shot | None:
        shot = await asyncio.to_thread(self._take, wish)
        if self._steady.take(self._camera.health, time.monotonic()):
            log.info("camera_health health=%s", self.health)
            self._health_changed()
        is_full = wish.width_px is None and wish.quality == USUAL.quality
        if shot is not None and is_full and self._settings.before_s:
            self.ring.put(shot)
        return shot

    def _take(self, wish: Wish) -> Shot | None:
        at_s = time.monotonic()
        picture = self._camera.take(wish)
        if picture is None:
            return None
        return Shot(next(self._numbers), at_s, media.picture_id(picture.jpeg), picture)

    def _look_after_alarms(self, shot: Shot | None, now_s: float) -> None:
        for watch in list(self._watches):
            if shot is not None and shot.at_s >= watch.due_s[0]:
                self._want(watch, "alarm", Rank.ALARM, shot)
                while watch.due_s and shot.at_s >= watch.due_s[0]:
                    del watch.due_s[0]
            elif shot is None:  # a camera that is gone is not asked in a circle
                watch.due_s[0] = max(watch.due_s[0], now_s + AGAIN_S)
            if not watch.due_s or now_s >= watch.over_s:
                self._leave(watch)

    def _leave(self, watch: _Watch) -> None:
        self._watches.remove(watch)
        if len(watch.due_s) > 0:
            log.warning("pictures_not_taken alarm=%s count=%d", watch.identity, len(watch.due_s))

    # -- keeping ------------------------------------------------------------

    def _want(self, watch: _Watch, reason: MediaReason, rank: Rank, shot: Shot) -> None:
        """The shot is to be kept for that alarm: in the order of sending, the newest first."""
        if len(self._waiting) >= MAX_WAITING:
            self.not_sent += 1
            return
        place = Place(rank, watch.n, -shot.number)
        key = place.rank, -place.alarm, place.order, next(self._order)
        heapq.heappush(self._waiting, _Waiting(key, place, reason, watch.identity, shot))
        self._filled.set()

    async def _keep(self) -> None:
        """One picture after the other into the spool; an alarm may come in between."""
        while True:
            while self._waiting:
                self._keep_one(heapq.heappop(self._waiting))
                await asyncio.sleep(0)  # let the others have their turn
            self._filled.clear()
            await self._filled.wait()

    def _keep_one(self, waiting: _Waiting) -> None:
        """A picture that was sent before is not sent again: its first chunk tells of one more
        alarm that it shows, and it goes out as early as that wants. What would only be the rest
        of this alarm too is not worth telling."""
        _, place, reason, alarm, shot = waiting
        sent = self._sent.get(shot.id)
        if sent is None:
            self.send(shot.picture, reason, alarm, place=place)
            return
        is_of_alarm = sent.place.rank in {Rank.ALARM, Rank.REST}
        if alarm not in sent.refs and not (is_of_alarm and place.rank is Rank.REST):
            sent.refs.add(alarm)
            first = next(_cut(shot.picture, reason, alarm, {}))
            self._spool.put_all(Up.MEDIA, shot.picture.taken_ms, [first], place=place)
            self._wake()
        if place.rank < sent.place.rank:
            self._spool.move_picture(sent.chunks, place)
            self._sent[shot.id] = sent._replace(place=place)


def _cut(
    picture: Picture, reason: MediaReason, ref: str | None, about: Mapping[str, Any]
) -> Iterator[dict[str, Any]]:
    return media.cut(
        picture.jpeg,
        "image/jpeg",
        taken=picture.taken_ms,
        width_px=picture.width_px,
        height_px=picture.height_px,
        reason=reason,
        ref=ref,
        **about,
    )
