"""The spool's file: how it is opened, how damage shows, and what is saved out of a damaged one."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple
from zlib import crc32

import msgspec

from edge import picture_order
from protocols.errors import ProtocolError
from protocols.model import Alarm, Lane
from protocols.native import codec
from protocols.native.topics import LANES, Up
from protocols.write_ahead_log import mend

FILE_NAME = "spool.db"
DAMAGED = "(damaged on the device's disk)"
DESTROYED = "a message of this device was destroyed on its disk: it may have been an alarm"
THOROUGH_BYTES = 8 << 20  # files up to here have their indexes checked too: a second for 64 MiB

_SCHEMA = """
CREATE TABLE IF NOT EXISTS message (
    n INTEGER PRIMARY KEY AUTOINCREMENT,  -- order of arrival
    boot INTEGER NOT NULL,
    lane TEXT NOT NULL,
    seq INTEGER NOT NULL,
    channel TEXT NOT NULL,
    body BLOB NOT NULL,
    crc INTEGER  -- of all of these but n; none in rows of before there was one
);
CREATE UNIQUE INDEX IF NOT EXISTS message_id ON message (boot, lane, seq);
CREATE INDEX IF NOT EXISTS message_channel ON message (channel, n);
CREATE TABLE IF NOT EXISTS lost (  -- telemetry given up, and the status that tells of it
    boot INTEGER NOT NULL,
    first INTEGER NOT NULL,
    last INTEGER NOT NULL,
    told_boot INTEGER,
    told_seq INTEGER
);
CREATE TABLE IF NOT EXISTS latest_boot (only INTEGER PRIMARY KEY CHECK (only = 0), boot INTEGER);
CREATE TABLE IF NOT EXISTS damage (  -- up to this boot, messages may be gone without a trace
    only INTEGER PRIMARY KEY CHECK (only = 0),
    boot INTEGER NOT NULL
);
"""

log = logging.getLogger(__name__)


class Row(NamedTuple):
    """A message as it lies in the file."""

    n: int
    boot: int
    lane: str
    seq: int
    channel: str
    body: bytes
    crc: int | None

    @property
    def is_whole(self) -> bool:
        """Whether no bit of it has changed since it was written."""
        return self.is_filed and self.crc in (None, row_crc(*self[1:6]))

    @property
    def is_filed(self) -> bool:
        """Whether it is a message under some number of some channel, right or wrong."""
        kinds = tuple(map(type, self[:6]))
        return (
            kinds == (int, int, str, int, str, bytes)
            and f"{self.lane} {self.channel}" in _FILED
            and self.seq > 0
            and 0 <= self.boot < 1 << 32
        )


_COLUMNS = ", ".join(Row._fields)
_FILED = [f"{lane} {channel}" for channel, lane in LANES.items()]


def row_crc(boot: int, lane: str, seq: int, channel: str, body: bytes) -> int:
    """The checksum of a message and of what it is filed under."""
    return crc32(body, crc32(f"{boot} {lane} {seq} {channel}".encode()))


def is_damage(error: sqlite3.Error) -> bool:
    """Whether the file itself is wrong, and not the disk, its space or a permission."""
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT) & 0xFF
    return code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def open_durable(path: str | Path, schema: str, *, cache_kib: int) -> sqlite3.Connection:
    """A database with its tables whose commits survive a power cut; raise sqlite3.Error."""
    db = sqlite3.connect(path, isolation_level=None)
    try:
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = FULL")
        db.execute(f"PRAGMA cache_size = -{cache_kib}")
        db.executescript(schema)
    except BaseException:
        db.close()
        raise
    return db


def open_spool(path: str | Path) -> sqlite3.Connection:
    """The database with its tables; raise sqlite3.Error. ``:memory:`` is one too."""
    db = open_durable(path, _SCHEMA + picture_order.SCHEMA, cache_kib=512)
    try:
        columns = [name for _, name, *_ in db.execute("PRAGMA table_info (message)")]
        if "crc" not in columns:  # a spool of before there was one
            db.execute("ALTER TABLE message ADD COLUMN crc INTEGER")
    except BaseException:
        db.close()
        raise
    return db


def open_checked(path: Path) -> sqlite3.Connection:
    """As open_spool, for a file that may be damaged: raise sqlite3.DatabaseError if it is."""
    mend_log(path)
    db = open_spool(path)
    check = "integrity_check" if path.stat().st_size <= THOROUGH_BYTES else "quick_check"
    try:
        (found,) = db.execute(f"PRAGMA {check}").fetchone()
        if found != "ok":
            raise sqlite3.DatabaseError(found)
        filed = f"lane || ' ' || channel IN ({', '.join(map(repr, _FILED))})"
        if db.execute(f"SELECT 1 FROM message WHERE NOT ({filed}) LIMIT 1").fetchone():  # noqa: S608 - our own names
            raise sqlite3.DatabaseError("a message of no channel")
    except BaseException:
        db.close()
        raise
    return db


def mend_log(path: Path) -> None:
    """Before a database is opened: see that its write-ahead log is read to its end."""
    log_path = path.with_name(f"{path.name}-wal")
    mended = mend(log_path.read_bytes()) if log_path.exists() else None
    if mended is not None:
        log_path.write_bytes(mended.log)
        log.error("spool_log_mended restored=%d damaged=%s", mended.restored, mended.damaged)


def move_aside(path: Path, suffix: str) -> Path:
    """The damaged file and its log under another name, which tells since when."""
    aside = path.with_name(f"{path.name}.damaged-{suffix}")
    for end in ("", "-wal", "-shm"):
        part = path.with_name(path.name + end)
        if part.exists():
            part.rename(f"{aside}{end}")
    return aside


def readable_rows(path: Path) -> Iterator[Row]:
    """The messages of a damaged file that can be read, in their order; not all need be whole."""
    db = sqlite3.connect(path, isolation_level=None)
    db.text_factory = lambda text: text.decode(errors="replace")
    try:
        after: int | None = -1
        last = _last_place(db)
        while after is not None:
            try:
                for row in _rows_from(db, after + 1):
                    yield Row(*row)
                    after = row[0]
                return
            except sqlite3.DatabaseError:
                after = _beyond_damage(db, after, last)
    finally:
        db.close()


def damaged_message(row: Row) -> dict[str, Any] | None:
    """What goes out under the number of a message that is no longer what was written; None for
    telemetry, which is given up. An alarm is raised whatever is left of it."""
    if row.channel == Up.ALARM:
        try:
            alarm = codec.decode(row.body, Alarm)
        except ProtocolError:
            alarm = None
        if alarm is None or (alarm.boot, alarm.seq) != (row.boot, row.seq):
            return {"kind": "panic", "text": DAMAGED}
        keys: dict[str, Any] = msgspec.to_builtins(alarm)
        keys["text"] = f"{DAMAGED} {keys.get('text', '')}"[:1000].strip()
        return keys
    # The gateway finds no meaning in it: it puts the bytes aside, and the number is used up.
    return {"damaged": row.body} if row.lane == Lane.PRIORITY else None


def latest_boot(db: sqlite3.Connection) -> int | None:
    """The boot number that the file knows, if it does."""
    row = db.execute("SELECT boot FROM latest_boot").fetchone()
    return None if row is None else row[0]


def _rows_from(db: sqlite3.Connection, n: int) -> sqlite3.Cursor:
    return db.execute(f"SELECT {_COLUMNS} FROM message WHERE n >= ? ORDER BY n", [n])  # noqa: S608 - our own columns


def _last_place(db: sqlite3.Connection) -> int:
    """No place in the order of arrival is above this one."""
    for query in ("SELECT seq FROM sqlite_sequence WHERE name = 'message'", "SELECT 1 << 42"):
        try:
            row = db.execute(query).fetchone()
        except sqlite3.DatabaseError:
            continue
        if row is not None:
            return int(row[0])
    return 0


def _beyond_damage(db: sqlite3.Connection, after: int, last: int) -> int | None:
    """The place before the first one that can be read again; None if there is none."""
    bad, step = after, 1
    while not _reads(db, after + step):
        bad = after + step
        step *= 2
        if bad > last:
            return None
    good = after + step
    while good - bad > 1:
        middle = (good + bad) // 2
        if _reads(db, middle):
            good = middle
        else:
            bad = middle
    return good - 1


def _reads(db: sqlite3.Connection, n: int) -> bool:
    try:
        return _rows_from(db, n).fetchone() is not None
    except sqlite3.DatabaseError:
        return False
