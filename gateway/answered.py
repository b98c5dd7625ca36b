"""What was answered under an idempotency key: for a day, so that asking again does nothing twice.

Kept in ``DIR/answered.db``: through a restart, and a crash but for the last moments, after which a
request is done again as if it came first. Orders to devices are safe even then: their key is their
id, which the journal keeps for ever.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path

import msgspec
from msgspec import Struct

from gateway.aside import opened

FILE = "answered.db"
KEPT_MS = 24 * 3600 * 1000
MAX_KEPT = 20_000
"""Beyond that the oldest are forgotten."""

MAX_ANSWER_BYTES = 16 * 1024
"""Larger ones are not kept: a picture's bytes, an order to hundreds."""

SCHEMA = """
CREATE TABLE IF NOT EXISTS answer (
    key     BLOB PRIMARY KEY,   -- SHA-256 of the token's number and the key
    request BLOB NOT NULL,      -- SHA-256 of method, path, query and body
    t       INTEGER NOT NULL,
    status  INTEGER NOT NULL,
    headers TEXT NOT NULL,      -- JSON
    body    BLOB NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS answer_t ON answer (t);
"""


class Answered(Struct, frozen=True, kw_only=True):
    """An answer, and which request it was to."""

    request: bytes
    status: int
    headers: dict[str, str]
    body: bytes


class AnsweredStore:
    """The answers. ``with`` opens the file; calls are short and may be made in any thread."""

    def __init__(self, folder: Path, *, now_ms: Callable[[], int]) -> None:
        self._path = folder / FILE
        self._now_ms = now_ms
        self._lock = threading.Lock()
        self._db: sqlite3.Connection

    def __enter__(self) -> AnsweredStore:
        self._db = opened(self._path, self._connect)
        return self

    def __exit__(self, *_: object) -> None:
        self._db.close()

    def _connect(self) -> sqlite3.Connection:
        os.close(os.open(self._path, os.O_CREAT | os.O_RDWR, 0o600))
        db = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False)
        try:
            db.execute("PRAGMA journal_mode = WAL")
            db.execute("PRAGMA synchronous = NORMAL")
            db.executescript(SCHEMA)
        except BaseException:
            db.close()
            raise
        return db

    def find(self, key: bytes) -> Answered | None:
        """What was answered under the key, if it is not forgotten."""
        with self._lock:
            row = self._db.execute(
                "SELECT request, status, headers, body FROM answer WHERE key = ? AND t > ?",
                (key, self._now_ms() - KEPT_MS),
            ).fetchone()
        if row is None:
            return None
        request, status, headers, body = row
        kept = msgspec.json.decode(headers, type=dict[str, str])
        return Answered(request=request, status=status, headers=kept, body=body)

    def keep(self, key: bytes, answer: Answered) -> None:
        """Remember an answer, and forget what is too old or too much."""
        now, headers = self._now_ms(), msgspec.json.encode(answer.headers).decode()
        with self._lock, self._db:
            self._db.execute("BEGIN")
            self._db.execute(
                "INSERT OR REPLACE INTO answer VALUES (?, ?, ?, ?, ?, ?)",
                (key, answer.request, now, answer.status, headers, answer.body),
            )
            self._db.execute("DELETE FROM answer WHERE t <= ?", (now - KEPT_MS,))
            self._db.execute(
                "DELETE FROM answer WHERE key IN (SELECT key FROM answer ORDER BY t LIMIT"
                " max(0, (SELECT count(*) FROM answer) - ?))",
                (MAX_KEPT,),
            )
