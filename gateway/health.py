"""Whether an alarm that arrives now would be kept and fed, and what else is not as it should be."""

from __future__ import annotations

import asyncio
import os
import resource
import time
from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Coroutine, Mapping, Sequence
from itertools import count
from typing import Any, Protocol, TypeVar

import structlog

from gateway.api.health import Condition
from gateway.journal.base import Change, Journal
from gateway.reserve import DiskState, Room

log = structlog.get_logger()

BEAT_EVERY_S = 1.0
BEAT_LATE_S = 3.0
"""A commit on the priority lane that takes longer: an alarm would not be answered in time."""

STUCK_S = 5.0
FEED_LATE_S = 30.0
FILES_SHORT, FILES_OUT = 64, 8
"""File descriptors left: a warning, and too few to feed an alarm with."""

TRAIL = 3600
COUNTS_SHARE = 0.05

_DISK = {
    DiskState.PICTURES_OFF: "the disk runs out: no pictures are taken",
    DiskState.TELEMETRY_OFF: "the disk runs out: no telemetry is taken",
    DiskState.RESERVE_RELEASED: "the disk is full: alarms go on in what was held back for them",
}

T = TypeVar("T")
Taking = Callable[[T], Coroutine[Any, Any, None]]


class Client(Protocol):
    """A lane's connection to the broker."""

    @property
    def is_connected(self) -> bool: ...


class Feed(Protocol):
    """A feed that has a cursor of its own. ``lag``: events that it is behind."""

    @property
    def name(self) -> str: ...
    @property
    def lag(self) -> int: ...


class Trail:
    """When the journal reached which cursor, by the second: how long a feed has been behind."""

    def __init__(self) -> None:
        self._times: deque[float] = deque(maxlen=TRAIL)
        self._cursors: deque[int] = deque(maxlen=TRAIL)

    def note(self, now_s: float, cursor: int) -> None:
        """The newest cursor now."""
        if not self._cursors or cursor > self._cursors[-1]:
            self._times.append(now_s)
            self._cursors.append(cursor)

    def behind_s(self, now_s: float, cursor: int) -> float:
        """Since when there have been events beyond the cursor; 0 if there are none."""
        at = bisect_right(self._cursors, cursor)
        return now_s - self._times[at] if at < len(self._times) else 0.0


class Counts:
    """Figures that take a walk over all devices: made in a thread, and only now and then."""

    def __init__(self, walk: Callable[[], Mapping[str, int]]) -> None:
        self._walk = walk
        self.newest: Mapping[str, int] = {}

    async def run(self) -> None:
        """Count for ever, taking a small share of the time."""
        while True:
            started = time.monotonic()
            try:
                self.newest = await asyncio.to_thread(self._walk)
            except RuntimeError:  # a device was new while we walked: the next walk counts it
                log.debug("count_again")
            await asyncio.sleep(max(1.0, (time.monotonic() - started) / COUNTS_SHARE))


class Health:
    """Watches the priority lane, and knows what is wrong. ``run`` keeps watching.

    ``on_lag`` is told how late the event loop is, each time that it was looked at. ``on_alive``
    is called for each proof that the priority lane works, and while it waits for what a restart
    would not bring; ``on_status`` each second.
    """

    def __init__(
        self,
        *,
        journal: Journal,
        has_failed: Callable[[], bool],
        clients: Mapping[str, Client],
        feeds: Sequence[Feed],
        room: Room,
        damage: Callable[[], list[str]] = list,
        on_lag: Callable[[float], None] = lambda lag_s: None,
        on_alive: Callable[[], None] = lambda: None,
        on_status: Callable[[str], None] = lambda text: None,
    ) -> None:
        self._journal = journal
        self._has_failed = has_failed
        self._clients = clients
        self._feeds = feeds
        self._room = room
        self._damage = damage
        self._on_lag = on_lag
        self._on_alive = on_alive
        self._on_status = on_status
        self._trail = Trail()
        self._numbers = count()
        self._under_way: dict[int, float] = {}
        self._proved_s = time.monotonic()
        self._was_connected = dict.fromkeys(clients, False)
        self.reconnects = dict.fromkeys(clients, -1)  # the first connection is none
        self.files_used, self.files_limit = 0, 0

    def followed(self, take: Taking[T]) -> Taking[T]:
        """The same, known to be under way until it returns."""

        async def follow(delivery: T) -> None:
            number = next(self._numbers)
            self._under_way[number] = time.monotonic()
            try:
                await take(delivery)
            finally:
                del self._under_way[number]

        return follow

    @property
    def under_way(self) -> int:
        """Messages of the priority lane that are not acknowledged yet."""
        return len(self._under_way)

    @property
    def oldest_s(self) -> float:
        """How long the oldest of them has been under way."""
        return time.monotonic() - next(iter(self._under_way.values()), time.monotonic())

    @property
    def unproved_s(self) -> float:
        """How long ago it was proved that a commit goes through."""
        return time.monotonic() - self._proved_s

    def is_connected(self, lane: str) -> bool:
        """Whether a lane has its broker."""
        return self._clients[lane].is_connected

    def behind_s(self, feed: Feed) -> float:
        """How long a feed has been behind."""
        return self._trail.behind_s(time.monotonic(), self._journal.last_cursor - feed.lag)

    async def run(self) -> None:
        """Prove again and again that commits go through, and look at all else."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._beat(), name="heartbeat")
            group.create_task(self._look(), name="health")

    async def _beat(self) -> None:
        while True:
            await self._journal.commit(Change())
            self._proved_s = time.monotonic()
            if self.oldest_s < STUCK_S:
                self._on_alive()
            await asyncio.sleep(BEAT_EVERY_S)

    async def _look(self) -> None:
        while True:
            due_s = time.monotonic() + 1
            await asyncio.sleep(1)
            now_s = time.monotonic()
            self._on_lag(now_s - due_s)
            self._trail.note(now_s, self._journal.last_cursor)
            for lane, client in self._clients.items():
                if client.is_connected and not self._was_connected[lane]:
                    self.reconnects[lane] += 1
                self._was_connected[lane] = client.is_connected
            self.files_used, self.files_limit = open_files()
            if self._room.state is DiskState.RESERVE_RELEASED:
                self._on_alive()  # commits may wait for room
            wrong, warnings, _ = self.condition()
            self._on_status("; ".join([*(f"not ready: {each}" for each in wrong), *warnings]))

    def condition(self) -> Condition:
        """What keeps an alarm that arrives now from being kept and fed, and what does not."""
        wrong = [problem for is_so, problem in self._wrong() if is_so]
        warnings = [problem for is_so, problem in self._warnings() if is_so]
        return Condition(wrong=wrong, warnings=warnings, disk=self._room.state.name.lower())

    def _wrong(self) -> list[tuple[bool, str]]:
        is_late = self.unproved_s > BEAT_LATE_S
        is_full = self._room.state is DiskState.RESERVE_RELEASED
        late = f"no commit has gone through for {self.unproved_s:.0f} s"
        return [
            (self._has_failed(), "the journal has failed"),
            (is_late, f"{late}: the disk is full" if is_full else late),
            (not self._clients["priority"].is_connected, "the priority lane has no broker"),
            (
                self.oldest_s > STUCK_S and not is_late,
                f"the priority lane is stuck: a message is under way for {self.oldest_s:.0f} s",
            ),
            (self._files_left < FILES_OUT, self._files),
        ]

    def _warnings(self) -> list[tuple[bool, str]]:
        state = self._room.state
        return [
            (not self._clients["telemetry"].is_connected, "the telemetry lane has no broker"),
            (state is not DiskState.OK, _DISK.get(state, "")),
            (FILES_OUT <= self._files_left < FILES_SHORT, self._files),
            *((True, problem) for problem in self._damage()),
            *(
                (
                    self.behind_s(feed) > FEED_LATE_S,
                    f"{feed.name} is {feed.lag} events and {self.behind_s(feed):.0f} s behind",
                )
                for feed in self._feeds
            ),
        ]

    @property
    def _files_left(self) -> int:
        return self.files_limit - self.files_used if self.files_limit else FILES_SHORT

    @property
    def _files(self) -> str:
        return f"file descriptors are short: {self.files_used} of {self.files_limit} are open"


def open_files() -> tuple[int, int]:
    """How many file descriptors this process has open, and how many it may have."""
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        return len(os.listdir("/proc/self/fd")) - 1, limit
    except OSError:  # to look takes one too
        return limit, limit
