"""The one thread that commits: the priority lane first, each commit all or nothing."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import structlog

from gateway.journal.base import Block, Change, CommitFailed, DiskFull

log = structlog.get_logger()

T = TypeVar("T")
Job = tuple[T, "asyncio.Future[Any]"]

RETRY_S = 0.25
"""On a full disk what has to be kept is tried again so often."""


class Writer:
    """Takes changes and blocks from the event loop, commits them in its thread.

    All changes that wait go into one commit; a block waits until no change does.
    After the first failure nothing is committed any more: see CommitFailed.

    A full disk is no such failure: SQLite says SQLITE_FULL when it could not append to
    the write-ahead log, which is before a commit can be on disk, so nothing of it is. Changes
    and chores wait for room, blocks raise DiskFull (docs/decisions/0011-disk-full.md).
    """

    def __init__(
        self,
        commit_changes: Callable[[Sequence[Change]], Sequence[Any]],
        commit_block: Callable[[Block], Any],
        run_chore: Callable[[Callable[[], Any]], Any],
        make_room: Callable[[], bool],
    ) -> None:
        self._commit_changes = commit_changes
        self._commit_block = commit_block
        self._run_chore = run_chore
        self._make_room = make_room
        self._changes: deque[Job[Change]] = deque()
        self._blocks: deque[Job[Block]] = deque()
        self._chores: deque[Job[Callable[[], Any]]] = deque()
        self._wanted = threading.Condition()
        self._stopping = False
        self.failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="journal-writer")
        self._loop: asyncio.AbstractEventLoop | None = None

    def start(self) -> None:
        """Start the thread; futures belong to the loop that runs now."""
        self._loop = asyncio.get_running_loop()
        self._thread.start()

    def stop(self) -> None:
        """Commit what was handed over, then end the thread. Blocks until it has ended."""
        with self._wanted:
            self._stopping = True
            self._wanted.notify()
        if self._thread.ident is not None:
            self._thread.join()

    def submit_change(self, change: Change) -> asyncio.Future[Any]:
        """Commit a change before any block that waits."""
        return self._submit(self._changes, change)

    def submit_block(self, block: Block) -> asyncio.Future[Any]:
        """Commit a block in its turn."""
        return self._submit(self._blocks, block)

    def submit_chore(self, chore: Callable[[], Any]) -> asyncio.Future[Any]:
        """Run something else on the writing connection when nothing waits."""
        return self._submit(self._chores, chore)

    def _submit(self, queue: deque[Any], work: object) -> asyncio.Future[Any]:
        assert self._loop is not None
        future: asyncio.Future[Any] = self._loop.create_future()
        future.add_done_callback(_heard)  # whoever asked may have gone by then
        with self._wanted:
            if self.failure is not None or self._stopping:
                future.set_exception(CommitFailed(str(self.failure or "the journal is closed")))
                return future
            queue.append((work, future))
            self._wanted.notify()
        return future

    def _run(self) -> None:
        while True:
            with self._wanted:
                while not (self._changes or self._blocks or self._chores or self._stopping):
                    self._wanted.wait()
                work: Callable[[Sequence[Any]], Sequence[Any]]
                queue: deque[Any]
                if self._changes:
                    jobs: list[Job[Any]] = list(self._changes)
                    self._changes.clear()
                    queue, work = self._changes, self._commit_changes
                elif self._blocks:
                    jobs = [self._blocks.popleft()]
                    queue, work = self._blocks, self._one_block
                elif self._chores:
                    jobs = [self._chores.popleft()]
                    queue, work = self._chores, self._one_chore
                else:
                    return
            try:
                results = work([job[0] for job in jobs])
            except Exception as error:
                if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL:
                    self._out_of_room(queue, jobs)
                    continue
                self._fail(error, jobs)
                log.exception("commit_failed")
                return
            self._settle([(job[1], result) for job, result in zip(jobs, results, strict=True)])

    def _one_block(self, blocks: Sequence[Block]) -> Sequence[Any]:
        return [self._commit_block(block) for block in blocks]

    def _one_chore(self, chores: Sequence[Callable[[], Any]]) -> Sequence[Any]:
        return [self._run_chore(chore) for chore in chores]

    def _out_of_room(self, queue: deque[Any], jobs: list[Job[Any]]) -> None:
        """Nothing of the jobs is on disk. Telemetry gives way, all else is tried again."""
        has_room = self._make_room()
        with self._wanted:
            given_up = list(self._blocks)
            self._blocks.clear()
            if queue is self._blocks or self._stopping:
                given_up += jobs
            else:
                queue.extendleft(reversed(jobs))
                if not has_room:
                    self._wanted.wait(RETRY_S)
        self._settle([(future, DiskFull("the disk is full")) for _, future in given_up])

    def _fail(self, error: BaseException, jobs: list[Job[Any]]) -> None:
        with self._wanted:
            self.failure = error
            jobs += [*self._changes, *self._blocks, *self._chores]
            self._changes.clear()
            self._blocks.clear()
            self._chores.clear()
        self._settle(
            [(future, CommitFailed(f"{type(error).__name__}: {error}")) for _, future in jobs]
        )

    def _settle(self, outcomes: list[tuple[asyncio.Future[Any], Any]]) -> None:
        assert self._loop is not None

        def settle() -> None:
            for future, outcome in outcomes:
                if future.done():
                    continue
                if isinstance(outcome, CommitFailed):
                    future.set_exception(outcome)
                else:
                    future.set_result(outcome)

        try:
            self._loop.call_soon_threadsafe(settle)
        except RuntimeError:  # the loop is closed: nobody waits any more
            log.warning("commit_unheard", outcomes=len(outcomes))


def _heard(future: asyncio.Future[Any]) -> None:
    """A failure is logged once, by the writer, not again for each future that nobody awaits."""
    if not future.cancelled():
        future.exception()
