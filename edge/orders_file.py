"""What a device remembers of commands over a restart: which came, and what it holds of them.

That a command came is on disk before anything is done about it: after a restart, a power cut or
a kill it is not carried out a second time, even if nobody can say how far the first time went.
"""

from __future__ import annotations

import contextlib
import logging
import sqlite3
import time
from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple
from zlib import crc32

import msgspec

from edge.spool_file import is_damage, mend_log, move_aside, open_durable

FILE_NAME = "orders.db"
MAX_SEEN = 4096  # commands remembered by their id alone

_SCHEMA = """
CREATE TABLE IF NOT EXISTS seen (  -- every command that came
    key BLOB PRIMARY KEY,
    exp INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS seen_exp ON seen (exp);
CREATE TABLE IF NOT EXISTS held (  -- those that somebody may still want to read
    key BLOB PRIMARY KEY,
    n INTEGER NOT NULL,  -- order of arrival
    body BLOB NOT NULL
);
CREATE TABLE IF NOT EXISTS said (name TEXT PRIMARY KEY, value BLOB) WITHOUT ROWID;
"""

_COLUMNS = {"seen": 2, "held": 3, "said": 2}

log = logging.getLogger(__name__)


class _Change(NamedTuple):
    """A statement and its values."""

    query: str
    values: Sequence[object]


class OrdersFile:
    """Use as a context manager. Each change is one commit, and survives a power cut.

    As the spool, it never refuses to work: a damaged file is moved aside, and where none can be
    had it goes on in memory. ``trouble`` says so.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE_NAME
        self.trouble: str | None = None

    def __enter__(self) -> OrdersFile:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._db = self._open_file()
        except (sqlite3.Error, OSError) as error:
            self._db = self._open_memory(error)
        self._count = self._db.execute("SELECT count(*) FROM seen").fetchone()[0]
        return self

    def __exit__(self, *_: object) -> None:
        self._db.close()

    def has_seen(self, identity: str) -> bool:
        """Whether the command has come before."""
        return bool(self._read("SELECT 1 FROM seen WHERE key = ?", _key(identity)))

    @property
    def forgotten_to_ms(self) -> int:
        """A command that expired by then, and is not known, may be one that was forgotten."""
        return int(self.said("forgotten_to") or 0)

    def see(self, identity: str, exp: int, now_ms: int, body: bytes | None = None) -> bool:
        """The command has come; with ``body`` it is held too. False: it cannot be remembered, as
        too many are that have not expired by ``now_ms``."""
        if self._count >= MAX_SEEN and not self._forget(now_ms):
            return False
        key = _key(identity)
        changes = [_change("INSERT OR IGNORE INTO seen VALUES (?, ?)", key, exp)]
        if body is not None:
            query = "INSERT INTO held SELECT ?, 1 + coalesce(max(n), 0), ? FROM held"
            changes.append(_change(query, key, _sealed(body)))
        self._commit(changes)
        self._count += 1
        return True

    def hold(self, identity: str, body: bytes) -> None:
        """What is held of a command has changed."""
        query = "UPDATE held SET body = ? WHERE key = ?"
        self._commit([_change(query, _sealed(body), _key(identity))])

    def let_go(self, identity: str) -> None:
        """Nobody wants to read it any more; that it came stays known."""
        self._commit([_change("DELETE FROM held WHERE key = ?", _key(identity))])

    def held(self) -> list[bytes]:
        """What is held, in the order of arrival."""
        rows = self._read("SELECT key, body FROM held ORDER BY n")
        whole = [body[4:] for _, body in rows if _sealed(body[4:]) == body]
        if len(whole) < len(rows):
            log.error("orders_damaged count=%d", len(rows) - len(whole))
        return whole

    def said(self, name: str) -> Any:
        """A value kept under a name; None if there is none."""
        rows = self._read("SELECT value FROM said WHERE name = ?", name)
        return msgspec.msgpack.decode(rows[0][0]) if rows else None

    def say(self, values: Mapping[str, object]) -> None:
        """Keep values under their names."""
        query = "REPLACE INTO said VALUES (?, ?)"
        self._commit(
            [_change(query, name, msgspec.msgpack.encode(value)) for name, value in values.items()]
        )

    def _forget(self, now_ms: int) -> bool:
        """Of those that have expired, the quarter of all that did so first."""
        query = "SELECT key, exp FROM seen WHERE exp < ? ORDER BY exp LIMIT ?"
        gone = self._read(query, now_ms, MAX_SEEN // 4)
        if not gone:
            return False
        forgotten_to = msgspec.msgpack.encode(max(self.forgotten_to_ms, gone[-1][1]))
        deletions = [_change("DELETE FROM seen WHERE key = ?", key) for key, _ in gone]
        told = _change("REPLACE INTO said VALUES ('forgotten_to', ?)", forgotten_to)
        self._commit([*deletions, told])
        self._count -= len(gone)
        return True

    # -- the file ---------------------------------------------------------

    def _open_file(self) -> sqlite3.Connection:
        try:
            mend_log(self._path)
            db = _open(self._path)
            (found,) = db.execute("PRAGMA integrity_check").fetchone()
            if found != "ok":
                db.close()
                raise sqlite3.DatabaseError(found)
        except sqlite3.DatabaseError as error:
            if not is_damage(error):
                raise
            return self._begin_anew(error)
        return db

    def _begin_anew(self, error: sqlite3.Error) -> sqlite3.Connection:
        """Move the damaged file aside, and take over what can be read of it."""
        aside = move_aside(self._path, str(int(time.time())))
        self.trouble = f"damaged orders moved to {aside}: {error}"
        log.error("orders_damaged moved_to=%s: %s", aside, error)
        db = _open(self._path)
        old = sqlite3.connect(aside, isolation_level=None)
        try:
            _copy(old, db)
        finally:
            old.close()
        return db

    def _go_on_after(self, error: sqlite3.Error) -> None:
        old = self._db
        if is_damage(error):
            old.close()
            try:
                self._db = self._begin_anew(error)
            except (sqlite3.Error, OSError) as another:
                error.add_note(str(another))
            else:
                return
        self._db = self._open_memory(error)
        try:
            _copy(old, self._db)
        finally:
            old.close()

    def _open_memory(self, error: Exception) -> sqlite3.Connection:
        self.trouble = f"orders in memory only: {error}"
        log.error("orders_in_memory_only folder=%s: %s", self._path.parent, error)
        return _open(":memory:")

    def _read(self, query: str, *values: object) -> list[Any]:
        try:
            return self._db.execute(query, values).fetchall()
        except sqlite3.Error as error:
            self._go_on_after(error)
            return self._db.execute(query, values).fetchall()

    def _commit(self, changes: Sequence[_Change]) -> None:
        """One durable transaction. If the disk does not work, the crew gets its orders still."""
        try:
            self._transact(changes)
        except sqlite3.Error as error:
            self._go_on_after(error)
            self._transact(changes)

    def _transact(self, changes: Sequence[_Change]) -> None:
        with self._db:
            self._db.execute("BEGIN IMMEDIATE")
            for change in changes:
                self._db.execute(change.query, change.values)


def _open(path: str | Path) -> sqlite3.Connection:
    return open_durable(path, _SCHEMA, cache_kib=128)


def _copy(old: sqlite3.Connection, new: sqlite3.Connection) -> None:
    """The rows that can be read."""
    for table, columns in _COLUMNS.items():
        put = f"INSERT OR IGNORE INTO {table} VALUES ({', '.join('?' * columns)})"  # noqa: S608 - our own names
        with contextlib.suppress(sqlite3.Error):
            for row in old.execute(f"SELECT * FROM {table}"):  # noqa: S608
                new.execute(put, row)


def _change(query: str, *values: object) -> _Change:
    return _Change(query, values)


def _key(identity: str) -> bytes:
    return sha256(identity.encode("utf-8", "surrogatepass")).digest()[:16]


def _sealed(body: bytes) -> bytes:
    """With a checksum before it: an order with a flipped bit may send a car to a wrong house."""
    return crc32(body).to_bytes(4, "big") + body
