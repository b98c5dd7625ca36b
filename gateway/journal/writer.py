"""The threads that commit: one for alarms and all in their file, one for telemetry."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, InvalidStateError
from typing import Any, NamedTuple

import structlog

from gateway.journal.base import CommitFailed, DiskFull

log = structlog.get_logger()

RETRY_S = 0.25
"""On a full disk what has to be kept is tried again so often."""


class Cursors:
    """Numbers events across both threads; what is ``settled`` has nothing under way below it.

    A range is taken just before its commit, with all its rows written: the other thread
    waits for no sync, and readers see events only in the order of their cursors.
    """

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self._newest = 0
        self._under_way: dict[int, int] = {}
        self._is_unknown = False

    def start(self, newest: int) -> None:
        """Go on from the newest cursor on disk."""
        self._newest = newest

    @property
    def newest(self) -> int:
        """The last one taken. To be read and taken under one ``lock``."""
        return self._newest

    def take(self, last: int) -> int | None:
        """Take all beyond the newest up to ``last``, under the ``lock``; gives the first.

        Raise CommitFailed once the fate of a commit is unknown.
        """
        if self._is_unknown:
            raise CommitFailed("the other file's last commit may be on disk, or not")
        first = self._newest + 1
        if last < first:
            return None
        self._under_way[first] = self._newest = last
        return first

    def settle(self, first: int | None, error: BaseException | None = None) -> None:
        """The commit of the range that begins there has ended.

        One that failed may be on disk all the same, unless the disk was full: its numbers
        stay under way, so that no other event gets them and no reader goes past them.
        """
        if first is None:
            return
        with self.lock:
            if error is not None and not _is_full(error):
                self._is_unknown = True
                return
            last = self._under_way.pop(first)
            if error is not None and last == self._newest:
                self._newest = first - 1

    @property
    def settled(self) -> int:
        """All events up to here are committed, or will never be."""
        with self.lock:
            return min(self._under_way, default=self._newest + 1) - 1


class Lane(NamedTuple):
    """What a writer does with the jobs of one queue, and whether a full disk is waited for.

    ``limit``: so many at most go into one commit, None for all that wait.
    """

    name: str
    work: Callable[[Sequence[Any]], Sequence[Any]]
    limit: int | None
    waits_for_room: bool


class _Job(NamedTuple):
    subject: Any
    done: Future[Any]
    since: float


class Writer:
    """A thread that takes jobs from its lanes, the first lane before the others.

    After the first failure nothing is committed any more: see CommitFailed.

    A full disk is no such failure: SQLite says SQLITE_FULL when it could not append to
    the write-ahead log, which is before a commit can be on disk, so nothing of it is: what
    can wait for room waits, the rest raises DiskFull (docs/decisions/0011-disk-full.md).
    """

    def __init__(
        self,
        name: str,
        lanes: Sequence[Lane],
        *,
        make_room: Callable[[], bool],
        on_commit: Callable[[str, float], None],
    ) -> None:
        self._lanes = {lane.name: lane for lane in lanes}
        self._queues: dict[str, deque[_Job]] = {lane.name: deque() for lane in lanes}
        self._make_room = make_room
        self._on_commit = on_commit
        self._wanted = threading.Condition()
        self._stopping = False
        self.failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name=name)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Commit what was handed over, then end the thread. Blocks until it has ended."""
        with self._wanted:
            self._stopping = True
            self._wanted.notify()
        if self._thread.ident is not None:
            self._thread.join()

    def submit(self, lane: str, subject: Any) -> asyncio.Future[Any]:
        """Hand over a job from the event loop."""
        future = asyncio.wrap_future(self._put(lane, subject))
        future.add_done_callback(_heard)  # whoever asked may have gone by then
        return future

    def call(self, lane: str, subject: Any) -> Any:
        """Hand over a job from another writer's thread, and wait for it."""
        return self._put(lane, subject).result()

    def _put(self, lane: str, subject: Any) -> Future[Any]:
        done: Future[Any] = Future()
        with self._wanted:
            if self.failure is not None or self._stopping:
                done.set_exception(CommitFailed(str(self.failure or "the journal is closed")))
                return done
            self._queues[lane].append(_Job(subject, done, time.monotonic()))
            self._wanted.notify()
        return done

    def _run(self) -> None:
        while True:
            with self._wanted:
                while not any(self._queues.values()) and not self._stopping:
                    self._wanted.wait()
                name = next((name for name, queue in self._queues.items() if queue), None)
                if name is None:
                    return
                lane, queue = self._lanes[name], self._queues[name]
                jobs = [queue.popleft() for _ in range(min(len(queue), lane.limit or len(queue)))]
            try:
                results = lane.work([job.subject for job in jobs])
            except Exception as error:
                if _is_full(error):
                    self._out_of_room(lane, jobs)
                    continue
                self._fail(error, jobs)
                log.exception("commit_failed")
                return
            now = time.monotonic()
            for job, result in zip(jobs, results, strict=True):
                _settle(job, result)
                self._on_commit(name, now - job.since)

    def _out_of_room(self, lane: Lane, jobs: list[_Job]) -> None:
        """Nothing of the jobs is on disk. Telemetry gives way, all else is tried again."""
        has_room = self._make_room()
        given_up: list[_Job] = []
        with self._wanted:
            self._queues[lane.name].extendleft(reversed(jobs))
            for name, queue in self._queues.items():
                if self._stopping or not self._lanes[name].waits_for_room:
                    given_up += queue
                    queue.clear()
            if lane.waits_for_room and not has_room and not self._stopping:
                self._wanted.wait(RETRY_S)
        for job in given_up:
            _settle(job, DiskFull("the disk is full"))

    def _fail(self, error: BaseException, jobs: list[_Job]) -> None:
        with self._wanted:
            self.failure = error
            for queue in self._queues.values():
                jobs += queue
                queue.clear()
        for job in jobs:
            _settle(job, CommitFailed(f"{type(error).__name__}: {error}"))


def _is_full(error: BaseException) -> bool:
    """Whether the disk was full: here, or for a job that this one waited for."""
    code = getattr(error, "sqlite_errorcode", None)
    return isinstance(error, DiskFull) or code == sqlite3.SQLITE_FULL


def _settle(job: _Job, outcome: Any) -> None:
    with contextlib.suppress(InvalidStateError):  # whoever waited has cancelled it
        if isinstance(outcome, CommitFailed):
            job.done.set_exception(outcome)
        else:
            job.done.set_result(outcome)


def _heard(future: asyncio.Future[Any]) -> None:
    """A failure is logged once, by the writer, not again for each future that nobody awaits."""
    if not future.cancelled():
        future.exception()
