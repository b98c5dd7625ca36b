"""Who did what, when, from where: written once, never changed, each entry sealed to the one before.

Kept in ``DIR/audit.db``, beside the registry, so that the command line writes there too while the
gateway runs. An entry's seal is the SHA-256 of its words and of the seal before it: whoever changes
an entry, or takes one out, must make all later seals anew, and the newest is known elsewhere (in
backups, in what ``fieldgate audit --verify`` printed).
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from gateway.aside import opened

FILE = "audit.db"
MAX_FACTS_BYTES = 2000
"""More of what was asked for is not kept."""

SCHEMA = """
CREATE TABLE IF NOT EXISTS entry (
    no      INTEGER PRIMARY KEY,
    t       INTEGER NOT NULL,
    who     TEXT NOT NULL,
    role    TEXT NOT NULL,
    source  TEXT NOT NULL,
    act     TEXT NOT NULL,
    target  TEXT NOT NULL,
    outcome TEXT NOT NULL,
    count   INTEGER NOT NULL,
    facts   TEXT NOT NULL,  -- JSON
    seal    TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS entry_who ON entry (who);
CREATE INDEX IF NOT EXISTS entry_target ON entry (target);
CREATE TRIGGER IF NOT EXISTS no_change BEFORE UPDATE ON entry
    BEGIN SELECT RAISE(ABORT, 'an entry is never changed'); END;
CREATE TRIGGER IF NOT EXISTS no_delete BEFORE DELETE ON entry
    BEGIN SELECT RAISE(ABORT, 'an entry is never deleted'); END;
"""


class Entry(Struct, frozen=True, kw_only=True):
    """One act. ``t``: ms since 1970. ``who``: the token's name; of the command line, the account.

    ``source``: the address that it came from, or ``command line``. ``target``: what it was done to.
    ``outcome``: ``done``, or the status and why not. ``count``: of refusals, how many alike.
    """

    act: str
    t: int = 0
    who: str = ""
    role: str = ""
    source: str = ""
    target: str = ""
    outcome: str = "done"
    count: int = 1
    facts: dict[str, Any] = {}
    no: int = 0
    seal: str = ""


class Query(Struct, frozen=True, kw_only=True):
    """Which entries: below a number, of these words, from a time to before another."""

    who: str | None = None
    act: str | None = None
    target: str | None = None
    since_ms: int
    until_ms: int
    before: int
    limit: int


class Verdict(Struct, frozen=True, kw_only=True):
    """What looking at every seal has shown. ``broken``: the first entry that does not fit."""

    entries: int
    newest: str
    broken: int | None


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


class AuditLog:
    """The entries. ``with`` opens the file; calls are short and may be made in any thread."""

    def __init__(self, folder: Path, *, now_ms: Callable[[], int] = _now_ms) -> None:
        self._path = folder / FILE
        self._now_ms = now_ms
        self._lock = threading.Lock()
        self._db: sqlite3.Connection

    def __enter__(self) -> AuditLog:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._db = opened(self._path, self._connect)
        return self

    def __exit__(self, *_: object) -> None:
        self._db.close()

    def _connect(self) -> sqlite3.Connection:
        os.close(os.open(self._path, os.O_CREAT | os.O_RDWR, 0o600))
        db = sqlite3.connect(self._path, isolation_level=None, timeout=10, check_same_thread=False)
        try:
            db.execute("PRAGMA journal_mode = WAL")
            db.execute("PRAGMA synchronous = FULL")
            db.executescript(SCHEMA)
        except BaseException:
            db.close()
            raise
        return db

    def append(self, entries: Sequence[Entry]) -> None:
        """Keep these; on disk when it returns."""
        with self._lock:
            self._db.execute("BEGIN IMMEDIATE")  # the command line may write too
            try:
                last = self._db.execute("SELECT no, seal FROM entry ORDER BY no DESC LIMIT 1")
                no, seal = last.fetchone() or (0, "")
                for entry in entries:
                    no += 1
                    words = (no, entry.t or self._now_ms(), *_words(entry), _facts(entry.facts))
                    seal = _seal(seal, words)
                    self._db.execute(
                        "INSERT INTO entry VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", (*words, seal)
                    )
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")

    def page(self, query: Query) -> list[Entry]:
        """Entries, newest first."""
        sql = (
            f"SELECT {_COLUMNS} FROM entry WHERE no < ?1"  # noqa: S608 - our own words
            " AND (?2 IS NULL OR who = ?2) AND (?3 IS NULL OR act = ?3)"
            " AND (?4 IS NULL OR target = ?4) AND t >= ?5 AND t < ?6 ORDER BY no DESC LIMIT ?7"
        )
        q = query
        values = q.before, q.who, q.act, q.target, q.since_ms, q.until_ms, q.limit
        with self._lock:
            return [_entry(row) for row in self._db.execute(sql, values).fetchall()]

    def verify(self) -> Verdict:
        """Look at every seal."""
        seal, count = "", 0
        for row in self._rows():
            count += 1
            if row[0] != count or row[-1] != _seal(seal, row[:-1]):
                return Verdict(entries=count, newest=seal, broken=row[0])
            seal = row[-1]
        return Verdict(entries=count, newest=seal, broken=None)

    def _rows(self) -> Iterator[tuple[Any, ...]]:
        with self._lock:
            yield from self._db.execute(
                f"SELECT {_COLUMNS} FROM entry ORDER BY no"  # noqa: S608 - our own words
            )


def keep(folder: Path, *entries: Entry) -> None:
    """Write what was done beside the gateway: by a command on its machine."""
    with AuditLog(folder) as audit:
        audit.append(entries)


# In the order of the table.
_COLUMNS = "no, t, who, role, source, act, target, outcome, count, facts, seal"


def _words(entry: Entry) -> tuple[str | int, ...]:
    return (
        entry.who,
        entry.role,
        entry.source,
        entry.act,
        entry.target,
        entry.outcome,
        entry.count,
    )


def _facts(facts: Mapping[str, Any]) -> str:
    """As JSON; what makes it too long is left out, and said."""
    text = msgspec.json.encode(facts)
    if len(text) > MAX_FACTS_BYTES:
        text = msgspec.json.encode({"too_long_bytes": len(text), "keys": [*facts][:20]})
    return text.decode()


def _seal(before: str, words: Sequence[Any]) -> str:
    return hashlib.sha256(msgspec.json.encode([before, *words])).hexdigest()


def _entry(row: tuple[Any, ...]) -> Entry:
    keys = dict(zip(_COLUMNS.split(", "), row, strict=True))
    return Entry(**{**keys, "facts": msgspec.json.decode(keys["facts"])})
