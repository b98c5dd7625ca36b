"""Room on the disk: what gives way as it runs out, and the reserve that alarms go on with."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import threading
from collections.abc import Callable
from enum import IntEnum
from pathlib import Path

import structlog

from protocols.native.topics import Up

log = structlog.get_logger()

LOOK_EVERY_S = 1.0
FILES = 16
"""The reserve is so many files: it holds inodes as well as bytes."""

LARGEST_SHARE = 0.05
"""Of the file system: on a small one the reserve is smaller than its setting."""

KEPT_FREE = 7.0
"""With room for fewer reserves pictures are deleted, so that none has to be refused."""

BETTER = 1.5
"""What has given way comes back when so many times the room is there that it gave way at."""

NO_ROOM = {errno.ENOSPC, errno.EDQUOT}


class DiskState(IntEnum):
    """How far the disk has run out. Each state gives up what the one before it does, and more."""

    OK = 0
    PICTURES_OFF = 1
    TELEMETRY_OFF = 2
    RESERVE_RELEASED = 3


MARKS = (
    (0.5, DiskState.RESERVE_RELEASED),
    (2.0, DiskState.TELEMETRY_OFF),
    (4.0, DiskState.PICTURES_OFF),
)
"""States by the room that is free beside the reserve, in reserves; first match."""


def state_at(reserves: float) -> DiskState:
    """The state with room for so many reserves."""
    return next((state for mark, state in MARKS if reserves < mark), DiskState.OK)


class Room:
    """Looks at the disk under a folder, and holds the reserve in ``DIR/reserve``.

    ``look``, ``release`` and ``probe`` block, and may be called from any thread.
    """

    def __init__(
        self,
        folder: Path,
        *,
        reserve_bytes: int,
        statvfs: Callable[[Path], os.statvfs_result] = os.statvfs,
    ) -> None:
        self._folder = folder
        self._files = [folder / "reserve" / f"{n:02}" for n in range(FILES)]
        self._wanted_bytes = reserve_bytes
        self._statvfs = statvfs
        self._lock = threading.Lock()
        self._size = reserve_bytes
        self._problem: str | None = None
        self._reserves = float("inf")  # free at the last look
        self.state = DiskState.OK
        self.free_bytes = 0
        self.free_inodes: int | None = None

    def admits(self, channel: str) -> bool:
        """Whether there is room for telemetry of that channel. Alarms are not asked for."""
        if self.state is DiskState.OK:
            return True
        return self.state is DiskState.PICTURES_OFF and channel != Up.MEDIA

    @property
    def is_low(self) -> bool:
        """Whether the least valuable should go, as seen at the last look."""
        return self._reserves < KEPT_FREE

    @property
    def is_reserved(self) -> bool:
        """Whether the reserve is there to be released."""
        return all(path.exists() for path in self._files)

    async def run(self) -> None:
        """Look for ever."""
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            with contextlib.suppress(OSError):  # it cannot be asked: the next commit will tell
                await asyncio.to_thread(self.look)

    def look(self) -> None:
        """See how much room there is, and act on it."""
        with self._lock:
            reserves = self._reserves = self._measure()
            if self.state is DiskState.RESERVE_RELEASED:
                # It must fit, and leave enough for its release not to be next.
                if state_at((reserves - 1) / BETTER) < self.state and self._make():
                    self._enter(state_at((reserves - 1) / BETTER))
                return
            if not self.is_reserved and state_at(reserves - 1) < DiskState.TELEMETRY_OFF:
                self._make()
            worse, better = state_at(reserves), state_at(reserves / BETTER)
            self._enter(max(min(self.state, better), worse))

    def release(self) -> bool:
        """A commit found no room: give it the reserve. False if there was none to give."""
        with self._lock:
            had = self.is_reserved
            self._enter(DiskState.RESERVE_RELEASED)
            return had

    def probe(self) -> str | None:
        """What keeps a small file from being written and synced; None if it can be."""
        path = self._folder / "probe"
        try:
            with path.open("wb") as file:
                file.write(bytes(512))
                file.flush()
                os.fsync(file.fileno())
            path.unlink()
        except OSError as error:
            if error.errno in NO_ROOM:
                self.release()
            return f"{self._folder} cannot be written: {error.strerror}"
        return None

    def _measure(self) -> float:
        """How many reserves would fit into what is free, in bytes or inodes, whichever is less."""
        seen = self._statvfs(self._folder)
        self.free_bytes = seen.f_bavail * seen.f_frsize
        self.free_inodes = seen.f_favail if seen.f_files else None  # some have no fixed number
        self._size = min(self._wanted_bytes, int(seen.f_blocks * seen.f_frsize * LARGEST_SHARE))
        by_inodes = float("inf") if self.free_inodes is None else self.free_inodes / FILES
        return min(self.free_bytes / self._size, by_inodes)

    def _enter(self, state: DiskState) -> None:
        if state is DiskState.RESERVE_RELEASED:
            self._unmake()
        if state is not self.state:
            tell = log.warning if state > self.state else log.info
            tell("disk", state=state.name.lower(), free_mb=self.free_bytes >> 20)
            self.state = state

    def _make(self) -> bool:
        """Make the reserve. What cannot be made whole is not kept."""
        problem = None
        try:
            self._files[0].parent.mkdir(exist_ok=True)
            for path in self._files:
                with path.open("wb") as file:
                    os.posix_fallocate(file.fileno(), 0, self._size // FILES)
        except OSError as error:
            problem = error.strerror
            self._unmake()
        if problem != self._problem:
            self._problem = problem
            log.warning("reserve_not_made", why=problem) if problem else log.info("reserve_made")
        return problem is None

    def _unmake(self) -> None:
        for path in self._files:
            with contextlib.suppress(OSError):  # not there, or read-only: nothing to be had
                path.unlink()
