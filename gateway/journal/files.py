"""The journal's files: a connection for each thread, which hold what, and what is damaged."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from gateway.journal.damage import UNREADABLE, Damage, Gap, is_damage, readable, suppress_damage
from gateway.journal.database import open_database

MAX_CURSOR = 2**63 - 2

NARROW_MS = 600_000
"""Nearly all blocks hold positions of seconds. An index by their beginnings finds those; one by
their ends the few of a backlog, or of a clock that is wrong (schema/telemetry.sql)."""

HAS_INDEX = "SELECT 1 FROM sqlite_master WHERE name = 'block_narrow'"
IN_TIME = f"""
SELECT first, last, since, until FROM block WHERE until - since <= {NARROW_MS} AND since <= until
 AND since >= :before_a AND since < :b AND until >= :a
UNION ALL
SELECT first, last, since, until FROM block WHERE until - since > {NARROW_MS}
 AND until >= :a AND since < :b
"""  # noqa: S608 - a number of ours


class Files:
    """What readers of the journal share. ``damage``: what they have found so far."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.damage = Damage()
        self._local = threading.local()
        self._opened: list[sqlite3.Connection] = []

    def _close_files(self) -> None:
        for connection in self._opened:
            connection.close()

    def _blocks(
        self, name: str, columns: str, after: int, condition: str, upper: int = MAX_CURSOR
    ) -> Iterator[tuple[Any, ...]]:
        """Columns of the blocks of a day from the one that holds the next cursor on, in order."""
        start = 0
        with self._noting(name, after + 1, after + 1):
            connection = self._reader(name)
            with suppress_damage():  # then from the first block that can be read
                sql = "SELECT max(first) FROM block WHERE first <= ?"
                start = connection.execute(sql, (after + 1,)).fetchone()[0] or 0
            query = (
                f"SELECT {columns} FROM block WHERE first >= ? AND first <= ?"  # noqa: S608 - ours
                f" AND {condition} ORDER BY first"
            )
            note = partial(self._note_pages, name)
            yield from readable(connection, query, start - 1, upper, note)

    def _blocks_of(self, name: str, span: range) -> list[tuple[int, int, int, int]]:
        """The blocks of a day that may hold positions with a time in the span: the first and last
        cursor, the first and last time.

        A file of before there was an index is walked, and one whose index is damaged.
        """
        connection = self._reader(name)
        with suppress_damage():
            if connection.execute(HAS_INDEX).fetchone() is not None:
                values = {
                    "a": span.start,
                    "b": span.stop,
                    "before_a": max(span.start - NARROW_MS, -(2**63)),
                }
                return connection.execute(IN_TIME, values).fetchall()
        overlaps = f"until >= {span.start:d} AND since < {span.stop:d}"
        found = self._blocks(name, "first, last, since, until", 0, overlaps)
        return [(first, last, since, until) for first, last, since, until in found]

    def _body(self, name: str, first: int) -> bytes:
        """A block's bytes."""
        sql = "SELECT body FROM block WHERE first = ?"
        body: bytes = self._reader(name).execute(sql, (first,)).fetchone()[0]
        return body

    @contextlib.contextmanager
    def _noting(self, file: str, first: int, last: int) -> Iterator[None]:
        """Go on where what is read in here is not what was written."""
        try:
            yield
        except sqlite3.DatabaseError as error:
            if not is_damage(error):
                raise
            self._note(file, first, last, str(error))
        except UNREADABLE as error:
            self._note(file, first, last, f"{type(error).__name__}: {error}")

    def _note(self, file: str, first: int, last: int, problem: str) -> None:
        self.damage.note(Gap(file, first, last, problem))

    def _note_pages(self, file: str, first: int, last: int) -> None:
        self._note(file, first, last, "pages of the file")
        if file == "journal.db":
            self._main_is_damaged()

    def _main_is_damaged(self) -> None:
        """``journal.db`` itself cannot be read as it is; called by any thread."""

    def _names(self) -> dict[int, str]:
        """Device numbers to ids, read once, and the new ones since."""
        names: dict[int, str] | None = getattr(self._local, "names", None)
        if names is None:
            names = self._local.names = {}
        names.update(
            self._reader("journal.db").execute(
                "SELECT no, id FROM device WHERE no > ?", (len(names),)
            )
        )
        return names

    def _days(self, after: int) -> Iterator[str]:
        """The daily files that may hold events beyond the cursor, in order."""
        days = self._reader("journal.db").execute("SELECT first, name FROM day ORDER BY first")
        found = days.fetchall()
        for at, (_, name) in enumerate(found):
            is_past = at + 1 < len(found) and found[at + 1][0] - 1 <= after
            if not is_past and (self._folder / name).exists():
                yield name

    def _reader(self, name: str) -> sqlite3.Connection:
        """This thread's connection to that file."""
        files: dict[str, sqlite3.Connection] | None = getattr(self._local, "open", None)
        if files is None:
            files = self._local.open = {}
        if name not in files:
            files[name] = open_database(self._folder / name)
            self._opened.append(files[name])
        return files[name]
