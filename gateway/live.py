"""Live pictures: who watches a device, and the one command that they share.

The first viewer has the device begin; while anybody watches, the command is renewed before it
ends, and it is cancelled when the last one has gone. It ends by itself after SECONDS, so that a
device whose gateway is gone stops too. Each viewer has room for one picture, the newest: who is
slow gets fewer of them.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator, Callable
from uuid import uuid4

import structlog

from gateway.asked import Frame, NoPicture
from gateway.images import MAX_PX
from gateway.journal.base import CommandRecord
from gateway.order import Ended, TooManyWaiting
from gateway.shots import Shot
from gateway.snapshot import Ordered, corrected, ended, look

SECONDS, RENEW_S = 30, 20.0
"""How long a command lasts, and after how long the next one takes over."""

BEGIN_S = 10.0
"""A device of which no picture has come by then is not waited for."""

MAX_DEVICES, MAX_VIEWERS = 16, 64
"""Watched at a time, and watching. At the full rate of 16 cameras the pictures can still be kept:
about 80 of 170 kB a second, measured on two cores that had other work too."""

MAX_FRAME_BYTES = 2 * 1024 * 1024
COMMANDS_KNOWN = 4
"""Pictures of the command before are still on their way when the next has taken over."""

MEASURED = 10
"""Pictures over which their rate is measured."""

log = structlog.get_logger()


class Viewer:
    """Somebody who watches, for so long. ``passed_over``: pictures that they were too slow for."""

    def __init__(self, device: str, fps: float, seconds: float, now_s: Callable[[], float]) -> None:
        self.device, self.fps = device, fps
        self.passed_over = 0
        self._now_s = now_s
        self._until_s = now_s() + seconds
        self._taken_s = float("-inf")  # the newest that this viewer was given
        self._frame: Frame | None = None
        self._failure: NoPicture | None = None
        self._left = False
        self._news = asyncio.Event()

    @property
    def is_over(self) -> bool:
        """Whether no more is to be seen: the time is over, or the device has stopped."""
        return self._left or self.left_s == 0

    @property
    def left_s(self) -> float:
        """How long there is left to watch."""
        return max(0.0, self._until_s - self._now_s())

    @property
    def failure(self) -> NoPicture | None:
        """Why the device has stopped, if it has."""
        return self._failure

    def offer(self, frame: Frame) -> None:
        """A picture has come. It takes the place of one that was not fetched."""
        now_s = self._now_s()
        # A quarter early is not too early: the network brings them unevenly.
        if now_s - self._taken_s < 0.75 / self.fps:
            return
        self._taken_s = now_s
        self.passed_over += self._frame is not None
        self._frame = frame
        self._news.set()

    def leave(self, failure: NoPicture | None = None) -> None:
        """There is no more to be seen."""
        self._left, self._failure = True, failure
        self._news.set()

    async def first(self) -> Frame:
        """The first picture; raise NoPicture if the device does not begin."""
        frame = await self.next(BEGIN_S)
        if frame is None:
            raise self._failure or NoPicture("timed_out", "no live picture has come in time")
        return frame

    async def next(self, timeout_s: float) -> Frame | None:
        """The newest picture that was not fetched yet; None if none comes in time, or any more."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(min(timeout_s, self.left_s)):
                await self._news.wait()
        frame, self._frame = self._frame, None
        if not self._left:
            self._news.clear()
        return frame


class _Watching:
    """One device that is watched. ``stirred``: a viewer has come or gone."""

    def __init__(self, device: str) -> None:
        self.device = device
        self.viewers: list[Viewer] = []
        self.commands: deque[str] = deque(maxlen=COMMANDS_KNOWN)
        self.stirred = asyncio.Event()
        self._seq = 0
        self._came_ms: deque[int] = deque(maxlen=MEASURED)

    @property
    def fps(self) -> float:
        """As many as the most demanding viewer wants."""
        return max((viewer.fps for viewer in self.viewers), default=0.0)

    async def is_enough(self, fps: float) -> None:
        """Return when nobody watches any more, or somebody wants more pictures a second."""
        while self.viewers and self.fps <= fps:
            self.stirred.clear()
            await self.stirred.wait()

    def frame_of(self, shot: Shot, taken: int | None) -> Frame | None:
        """The picture as a live one, if it is one, and answers a command of this watching."""
        image = shot.image
        if shot.problem or image is None or image.mime != "image/jpeg":
            return None
        if shot.ref not in self.commands or len(shot.data) > MAX_FRAME_BYTES:
            return None
        if image.width * image.height > MAX_PX:  # a page would decode it
            return None
        self._seq += 1
        self._came_ms.append(shot.received)
        spent_ms = self._came_ms[-1] - self._came_ms[0]
        return Frame(
            id=shot.id,
            seq=self._seq,
            command=shot.ref,
            taken=taken,
            received=shot.received,
            fps=round(1000 * (len(self._came_ms) - 1) / spent_ms, 2) if spent_ms else None,
            width_px=image.width,
            height_px=image.height,
            quality=shot.about.get("quality"),
            limited=shot.about.get("limited"),
            data=shot.data,
        )


class LiveViews:
    """Who watches whom. ``run`` has the devices begin and stop; ``close`` lets everybody go."""

    def __init__(
        self, ordered: Ordered, *, now_s: Callable[[], float], renew_s: float = RENEW_S
    ) -> None:
        self._commands, self._shots, self._twins, _, self._now_ms = ordered
        self._now_s, self._renew_s = now_s, renew_s
        self._watched: dict[str, _Watching] = {}
        self._tasks: asyncio.TaskGroup | None = None

    @property
    def viewers(self) -> int:
        """How many watch."""
        return sum(len(watching.viewers) for watching in self._watched.values())

    async def run(self) -> None:
        """Serve viewers, for ever."""
        async with asyncio.TaskGroup() as self._tasks:
            await asyncio.Event().wait()

    @contextlib.asynccontextmanager
    async def watch(
        self, device: str, *, fps: float, seconds: float, by: str | None
    ) -> AsyncIterator[Viewer]:
        """Watch a device with the others; raise NoPicture."""
        look(self._twins, device)
        watching = self._watched.get(device)
        if self.viewers >= MAX_VIEWERS or (watching is None and len(self._watched) >= MAX_DEVICES):
            raise NoPicture("busy", f"{self.viewers} viewers watch {len(self._watched)} devices")
        assert self._tasks is not None, "run() runs"
        viewer = Viewer(device, fps, seconds, self._now_s)
        if watching is None:
            watching = self._watched[device] = _Watching(device)
            watching.viewers.append(viewer)
            self._tasks.create_task(self._serve(watching, by), name=f"live {device}")
        else:
            watching.viewers.append(viewer)
            watching.stirred.set()
        try:
            yield viewer
        finally:
            watching.viewers.remove(viewer)
            watching.stirred.set()

    async def close(self) -> None:
        """Let everybody go: their answers end."""
        for watching in self._watched.values():
            for viewer in watching.viewers:
                viewer.leave()

    async def _serve(self, watching: _Watching, by: str | None) -> None:
        """Have the device send pictures as long as anybody watches it."""
        device, failure = watching.device, NoPicture("failed", "the gateway's log says why")

        def take(shot: Shot) -> None:
            frame = watching.frame_of(shot, corrected(self._twins, shot))
            if frame is not None:
                for viewer in watching.viewers:
                    viewer.offer(frame)

        try:
            with self._shots.expected(device, take):
                while watching.viewers:
                    await self._order(watching, by)
            self._forget(watching)  # who comes now begins anew
            if watching.commands:
                with contextlib.suppress(Ended):
                    await self._commands.cancel(watching.commands[-1], by=by)
        except NoPicture as problem:
            failure = problem
        except TooManyWaiting as error:
            failure = NoPicture("busy", str(error), device=device)
        except Exception:  # once per supervised task
            log.exception("live_failed", device=device)
        finally:
            self._forget(watching)
            for viewer in watching.viewers:
                viewer.leave(failure)

    def _forget(self, watching: _Watching) -> None:
        if self._watched.get(watching.device) is watching:
            del self._watched[watching.device]

    async def _order(self, watching: _Watching, by: str | None) -> None:
        """One command, until it is to be renewed or nobody watches. Raise NoPicture."""
        fps, command = watching.fps, uuid4().hex
        watching.commands.append(command)
        async with self._commands.watch(command) as changes:
            await self._commands.send(
                watching.device,
                "live",
                {"seconds": SECONDS, "fps": fps},
                by=by,
                exp_ms=self._now_ms() + round(1000 * self._renew_s),
                command_id=command,
            )
            async with asyncio.TaskGroup() as tasks:
                enough = tasks.create_task(watching.is_enough(fps))
                end = tasks.create_task(_end(changes))
                await asyncio.wait(
                    [enough, end], timeout=self._renew_s, return_when=asyncio.FIRST_COMPLETED
                )
                enough.cancel()
                end.cancel()
            if not end.cancelled():
                raise end.result()


async def _end(changes: asyncio.Queue[CommandRecord]) -> NoPicture:
    """Why the device sends no pictures any more."""
    while True:
        problem = ended(await changes.get())
        # One that has expired was out of reach: the next may reach it.
        if problem is not None and problem.why != "timed_out":
            return problem
