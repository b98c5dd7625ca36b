"""The dispatch stand-in's incidents on disk, and which answer each alarm waits for."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

FROM_THE_START = "0"


class Answer(StrEnum):
    """What the dispatch core says about an alarm."""

    ACCEPT = "accept"
    ACKNOWLEDGE = "acknowledge"
    CLOSE = "close"


# Which answer follows once the one before is done.
NEXT: dict[Answer, Answer | None] = {
    Answer.ACCEPT: Answer.ACKNOWLEDGE,
    Answer.ACKNOWLEDGE: Answer.CLOSE,
    Answer.CLOSE: None,
}


class Alarm(NamedTuple):
    """What the dispatch core needs to know of an alarm."""

    id: str
    device: str
    kind: str


class Incident(NamedTuple):
    """An incident as it is kept. ``waits_for``: the answer that comes next."""

    number: int
    alarm: str
    device: str
    kind: str
    opened_ms: int
    waits_for: Answer | None
    due_ms: int


class Incidents:
    """Incidents on disk: opened once per alarm, and what is to be answered when.

    Not for several threads at a time.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._db.executescript(
            """
            PRAGMA journal_mode = WAL;
            PRAGMA synchronous = FULL;
            CREATE TABLE IF NOT EXISTS incident (
                number INTEGER PRIMARY KEY,
                alarm TEXT NOT NULL UNIQUE,
                device TEXT NOT NULL,
                kind TEXT NOT NULL,
                opened_ms INTEGER NOT NULL,
                waits_for TEXT,
                due_ms INTEGER NOT NULL
            ) STRICT;
            CREATE INDEX IF NOT EXISTS due ON incident (due_ms) WHERE waits_for IS NOT NULL;
            CREATE TABLE IF NOT EXISTS place (cursor TEXT NOT NULL) STRICT;
            """
        )

    def close(self) -> None:
        """Let go of the file."""
        self._db.close()

    def open(self, alarms: Iterable[Alarm], at_ms: int, due_ms: int) -> dict[str, int]:
        """Open an incident for each alarm that has none; all numbers by alarm. One commit."""
        numbers: dict[str, int] = {}
        with self._db:
            self._db.execute("BEGIN IMMEDIATE")
            for alarm in alarms:
                self._db.execute(
                    "INSERT INTO incident (alarm, device, kind, opened_ms, waits_for, due_ms)"
                    " VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (alarm) DO NOTHING",
                    (alarm.id, alarm.device, alarm.kind, at_ms, Answer.ACCEPT, due_ms),
                )
                found = self._db.execute("SELECT number FROM incident WHERE alarm = ?", (alarm.id,))
                (numbers[alarm.id],) = found.fetchone()
        return numbers

    def all(self) -> list[Incident]:
        """All, oldest first."""
        return self._select("ORDER BY number")

    def due(self, now_ms: int, limit: int) -> list[Incident]:
        """Those whose answer is due, the most urgent first."""
        return self._select(
            "WHERE waits_for IS NOT NULL AND due_ms <= ? ORDER BY due_ms LIMIT ?", now_ms, limit
        )

    def next_due_ms(self) -> int | None:
        """When the next answer is due, if any is to be given."""
        (due_ms,) = self._db.execute(
            "SELECT min(due_ms) FROM incident WHERE waits_for IS NOT NULL"
        ).fetchone()
        return None if due_ms is None else int(due_ms)

    def wait_for(self, number: int, answer: Answer | None, due_ms: int) -> None:
        """The incident waits for that answer, due then."""
        self._db.execute(
            "UPDATE incident SET waits_for = ?, due_ms = ? WHERE number = ?",
            (answer, due_ms, number),
        )

    def cursor(self) -> str:
        """The gateway's cursor up to which the stream was followed."""
        found = self._db.execute("SELECT cursor FROM place").fetchone()
        return str(found[0]) if found else FROM_THE_START

    def move_to(self, cursor: str) -> None:
        """The stream was followed up to here."""
        with self._db:
            self._db.execute("BEGIN IMMEDIATE")
            self._db.execute("DELETE FROM place")
            self._db.execute("INSERT INTO place VALUES (?)", (cursor,))

    def _select(self, rest: str, *values: int) -> list[Incident]:
        columns = ", ".join(Incident._fields)
        rows = self._db.execute(f"SELECT {columns} FROM incident {rest}", values)  # noqa: S608 - ours
        return [
            Incident(number, alarm, device, kind, opened_ms, waits and Answer(waits), due_ms)
            for number, alarm, device, kind, opened_ms, waits, due_ms in rows
        ]
