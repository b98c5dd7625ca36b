"""`python -m tests.faults.launcher SEAM …`: `fieldgate …` with a fault sewn in before it starts.

The product has no code for its tests: what no signal from outside can hit, such as the
moment between a commit and its receipt, is reached by wrapping a function in the child.

| seam | what |
|---|---|
| kill-after-commit:N | the gateway dies once the Nth alarm is on disk, before anyone is told |
| kill-after-incident:N | the core dies once its Nth incident is on disk, before its ledger has it |
| kill-before-answer:N | the core dies once it has taken N alarms, before it answers the gateway |
| no-deduplication | the gateway takes each message for a new one |
| receipt-before-commit | the gateway's commits return at once and happen 0.3 s later |

A killed process leaves the ids of the alarms it held in the file that FIELDGATE_SEAM_NOTE names.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable, Iterable
from itertools import count
from typing import Any

from msgspec import structs

LATE_S = 0.3


def _note_and_die(ids: Iterable[str]) -> None:
    fd = os.open(os.environ["FIELDGATE_SEAM_NOTE"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.write(fd, "".join(f"{id_}\n" for id_ in ids).encode())
    os.kill(os.getpid(), signal.SIGKILL)


def _raised(change: Any) -> list[str]:
    """The alarms that a change of the gateway's journal raises."""
    from gateway.journal.base import EventType

    return [event.id for event in change.events if event.type is EventType.ALARM_RAISED]


def kill_after_commit(nth: int) -> None:
    """The future of a commit tells the harness first, and then nobody."""
    from gateway.journal.sqlite import SqliteJournal

    commit, seen = SqliteJournal.commit, count(1)

    def wrapped(self: SqliteJournal, change: Any) -> Any:
        future = commit(self, change)
        ids = _raised(change)
        if ids and next(seen) == nth:
            future.add_done_callback(lambda _: _note_and_die(ids))
        return future

    SqliteJournal.commit = wrapped  # type: ignore[method-assign]


def kill_after_incident(nth: int) -> None:
    """Durable in the dispatch core, and nobody knows."""
    from simulators.incidents import Incidents

    opening, opened = Incidents.open, 0

    def wrapped(self: Incidents, alarms: Any, at_ms: int, due_ms: int) -> Any:
        nonlocal opened
        numbers = opening(self, alarms, at_ms, due_ms)
        opened += len(numbers)
        if opened >= nth:
            _note_and_die(numbers)
        return numbers

    Incidents.open = wrapped  # type: ignore[method-assign]


def kill_before_answer(nth: int) -> None:
    """The core has the alarms in all its books; the gateway does not hear of it."""
    from simulators.dispatch_core import ALARM_RAISED, DispatchCore

    take, taken = DispatchCore.take, 0

    async def wrapped(self: DispatchCore, events: Any) -> None:
        nonlocal taken
        await take(self, events)
        alarms = [event.id for event in events if event.type == ALARM_RAISED]
        taken += len(alarms)
        if alarms and taken >= nth:
            _note_and_die(alarms)

    DispatchCore.take = wrapped  # type: ignore[method-assign]


def no_deduplication(_: int) -> None:
    """No number was ever seen before, no alarm is known, and no id is taken."""
    from gateway.alarms import Alarms
    from gateway.journal.sqlite import SqliteJournal
    from gateway.ledger import Ledger

    take, commit, arrivals = Alarms.take, SqliteJournal.commit, count(1)
    seen: set[str] = set()

    async def taken_anew(self: Alarms, message: Any) -> Any:
        self.forget(message.id)
        return await take(self, message)

    def wrapped(self: SqliteJournal, change: Any) -> Any:
        raised = set(_raised(change))
        if again := raised & seen:
            mark = f"#{next(arrivals)}"
            change = change._replace(
                events=tuple(_renamed(each, again, mark) for each in change.events),
                alarms=tuple(_renamed(each, again, mark) for each in change.alarms),
            )
        seen.update(raised)
        return commit(self, change)

    SqliteJournal.commit = wrapped  # type: ignore[method-assign]
    Alarms.take = taken_anew  # type: ignore[method-assign]
    Ledger.holds = lambda *_: False  # type: ignore[method-assign]


def _renamed(thing: Any, ids: set[str], mark: str) -> Any:
    return structs.replace(thing, id=thing.id + mark) if thing.id in ids else thing


def receipt_before_commit(_: int) -> None:
    """Everybody is told at once; the disk follows."""
    from gateway.journal.sqlite import SqliteJournal

    commit = SqliteJournal.commit

    def wrapped(self: SqliteJournal, change: Any) -> Any:
        if not _raised(change):
            return commit(self, change)
        loop = asyncio.get_running_loop()
        loop.call_later(LATE_S, lambda: commit(self, change))
        told: asyncio.Future[Any] = loop.create_future()
        told.set_result(([self.last_cursor + 1] * len(change.events), self.last_cursor))
        return told

    SqliteJournal.commit = wrapped  # type: ignore[method-assign]


SEAMS: dict[str, Callable[[int], None]] = {
    "kill-after-commit": kill_after_commit,
    "kill-after-incident": kill_after_incident,
    "kill-before-answer": kill_before_answer,
    "no-deduplication": no_deduplication,
    "receipt-before-commit": receipt_before_commit,
}


if __name__ == "__main__":
    _seam, _, _nth = sys.argv.pop(1).partition(":")
    SEAMS[_seam](int(_nth or 0))

    from fieldgate.cli import main

    main()
