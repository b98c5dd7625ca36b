"""The spool: every message on disk before it is sent, until a receipt covers it.

One row per message, one transaction per call, and a commit means that it
survives a power cut. Each start takes a new boot number, durably, and counts
each lane from 1; messages of earlier boots stay under their old ids. Telemetry
gives way when the spool is full, positions first, the oldest first; alarms,
duty reports and replies never do. What gave way is declared to the gateway in
the next status message (`lost`), until one of those is receipted.
"""

from __future__ import annotations

import logging
import os
import sqlite3
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from edge import wire
from protocols.model import Lane, Receipt, message_id
from protocols.native.topics import LANES, Up

FILE_NAME = "spool.db"
BOOT_FILE_NAME = "boot"
ROW_BYTES = 64  # what a row and its index entries take beside the body
GIVES_WAY = (Up.POS, Up.STATUS, Up.MEDIA)  # in this order
SLACK = 0.05  # of the bound is freed at once, so that making room is rare
MAX_LOST_IN_STATUS = 64
MAX_LOST_RANGES = 512
MAX_BOOT = 2**32 - 1
MAX_ROW_SEQ = 2**63 - 1  # SQLite's integers end there
_CLOCK_IS_SET_S = 1_735_689_600  # 2025-01-01

_SCHEMA = """
CREATE TABLE IF NOT EXISTS message (
    n INTEGER PRIMARY KEY AUTOINCREMENT,  -- order of arrival
    boot INTEGER NOT NULL,
    lane TEXT NOT NULL,
    seq INTEGER NOT NULL,
    channel TEXT NOT NULL,
    body BLOB NOT NULL
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
"""

_T = TypeVar("_T")
log = logging.getLogger(__name__)


class Spooled(NamedTuple):
    """A message in the spool; ``n`` is its place in the order of arrival."""

    n: int
    boot: int
    seq: int
    channel: Up

    def id(self, device: str) -> str:
        """The message id of the contract."""
        return message_id(device, self.boot, LANES[self.channel], self.seq)


class Spool:
    """Use as a context manager: entering opens the file and takes the new boot number.

    It never refuses to work. A damaged file is moved aside; where no file can be
    had at all, or a commit fails, it goes on in memory and says so in ``trouble``.
    """

    def __init__(
        self, folder: Path, max_bytes: int, *, now_s: Callable[[], float] = time.time
    ) -> None:
        self._folder, self._max_bytes, self._now_s = folder, max_bytes, now_s
        self.boot = 0
        self.count: Counter[Up] = Counter()  # messages waiting, by channel
        self.bytes = 0
        self.dropped: Counter[Up] = Counter()  # since the start
        self.trouble: str | None = None
        self._last = {Lane.PRIORITY: 0, Lane.TELEMETRY: 0}

    def __enter__(self) -> Spool:
        known = [self._boot_from_file()]
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._db, stored_boot = self._open_file()
            self.boot = self._next_boot([*known, stored_boot])
            self._transaction(self._keep_boot)
            self._measure()
        except (sqlite3.Error, OSError) as error:
            self._go_on_in_memory(error)
            self.boot = self._next_boot([*known, self._boot_from_clock()])
        self._boot_to_file()
        return self

    def __exit__(self, *_: object) -> None:
        self._db.close()

    def put(self, channel: Up, t: int, keys: Mapping[str, Any]) -> Spooled:
        """Number a message and keep it. A status also declares what was lost."""
        return self.put_all(channel, t, [keys])[0]

    def put_all(self, channel: Up, t: int, messages: Sequence[Mapping[str, Any]]) -> list[Spooled]:
        """Number and keep several messages of a channel: all of them, or none."""
        lane = LANES[channel]
        first = self._last[lane] + 1
        spooled = self._write(
            lambda: [
                self._insert(channel, seq, t, keys) for seq, keys in enumerate(messages, first)
            ]
        )
        self._last[lane] += len(messages)
        if self.bytes > self._max_bytes:
            self._write(self._make_room)
        return spooled

    def waiting(self, channel: Up, *, newest_first: bool = False) -> Iterator[Spooled]:
        """The messages of a channel. Don't write while iterating."""
        order = "DESC" if newest_first else "ASC"
        query = f"SELECT n, boot, seq FROM message WHERE channel = ? ORDER BY n {order}"  # noqa: S608 - not from outside
        return (
            Spooled(n, boot, seq, channel) for n, boot, seq in self._db.execute(query, [channel])
        )

    def body(self, n: int) -> bytes | None:
        """The bytes of a message, unless it is gone."""
        row = self._db.execute("SELECT body FROM message WHERE n = ?", [n]).fetchone()
        return None if row is None else row[0]

    def numbers(self, boot: int, lane: Lane, first: int, last: int) -> list[Spooled]:
        """The messages of one lane and boot with these sequence numbers; a part, if they are
        many."""
        rows = self._db.execute(
            "SELECT n, seq, channel FROM message"
            " WHERE boot = ? AND lane = ? AND seq BETWEEN ? AND ? LIMIT 500",
            [boot, lane, min(first, MAX_ROW_SEQ), min(last, MAX_ROW_SEQ)],
        )
        return [Spooled(n, boot, seq, Up(channel)) for n, seq, channel in rows]

    def forget(self, receipt: Receipt) -> set[int] | None:
        """Drop what a receipt covers; give back its places in the order of arrival.

        None: it speaks of numbers that this boot has not given out yet. That is not
        ours to believe, as a later message of that number would pass for stored.
        """
        if self._is_beyond(receipt):
            log.error("receipt_beyond_what_was_sent boot=%d receipt=%r", self.boot, receipt)
            return None
        return self._write(
            lambda: {
                n
                for lane in Lane
                for first, last in _covered(receipt, lane)
                for n in self._delete_range(receipt.boot, lane, first, last)
            }
        )

    def _is_beyond(self, receipt: Receipt) -> bool:
        if receipt.boot != self.boot:
            return receipt.boot > self.boot
        named = [stage.seq for stage in receipt.alarms]
        told = {Lane.PRIORITY: max([receipt.p, *named]), Lane.TELEMETRY: receipt.t}
        return any(max(told[lane], receipt.high.get(lane, 0)) > self._last[lane] for lane in Lane)

    def _delete_range(self, boot: int, lane: Lane, first: int, last: int) -> Iterator[int]:
        while messages := self.numbers(boot, lane, first, last):
            self._delete(messages)
            yield from (message.n for message in messages)

    # -- the file ---------------------------------------------------------

    def _open_file(self) -> tuple[sqlite3.Connection, int | None]:
        path = self._folder / FILE_NAME
        try:
            return _open(str(path))
        except sqlite3.DatabaseError as error:
            if isinstance(error, sqlite3.OperationalError):
                raise  # no permission, no space: moving the file aside would not help
            damaged = path.with_name(f"{FILE_NAME}.damaged-{int(self._now_s())}")
            for suffix in ("", "-wal", "-shm"):
                part = path.with_name(FILE_NAME + suffix)
                if part.exists():
                    part.rename(f"{damaged}{suffix}")
            self.trouble = f"damaged spool moved to {damaged}: {error}"
            log.error("spool_damaged moved_to=%s: %s", damaged, error)
            return _open(str(path))

    def _next_boot(self, known: Sequence[int | None]) -> int:
        """Above every number known. Where none is known there may have been boots before,
        and the clock, which is larger than any count of starts, begins the numbering."""
        latest = [boot for boot in known if boot is not None] or [self._boot_from_clock()]
        return min(max(latest) + 1, MAX_BOOT)

    def _boot_from_clock(self) -> int:
        now_s = int(self._now_s())
        return now_s if _CLOCK_IS_SET_S <= now_s < MAX_BOOT else 0

    def _keep_boot(self) -> None:
        self._db.execute("REPLACE INTO latest_boot VALUES (0, ?)", [self.boot])

    def _boot_from_file(self) -> int | None:
        try:
            boot = int((self._folder / BOOT_FILE_NAME).read_bytes())
        except (OSError, ValueError):
            return None
        return boot if 0 <= boot <= MAX_BOOT else None

    def _boot_to_file(self) -> None:
        """A second place for the number, should the database be damaged."""
        temporary = self._folder / f"{BOOT_FILE_NAME}.new"
        try:
            with temporary.open("w") as file:
                file.write(f"{self.boot}\n")
                file.flush()
                os.fsync(file.fileno())
            temporary.rename(self._folder / BOOT_FILE_NAME)
            folder = os.open(self._folder, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
        except OSError as error:
            self.trouble = self.trouble or f"boot number not written: {error}"
            log.error("boot_number_not_written: %s", error)

    def _go_on_in_memory(self, error: Exception) -> None:
        self.trouble = f"spool in memory only: {error}"
        log.error("spool_in_memory_only folder=%s: %s", self._folder, error)
        self._db, _ = _open(":memory:")
        # A place in the order of arrival that the file has given out stays unknown here.
        self._db.execute("INSERT INTO sqlite_sequence VALUES ('message', 1 << 40)")
        self._measure()

    def _write(self, change: Callable[[], _T]) -> _T:
        """One durable transaction. An alarm must go out even if the disk does not work: what
        is in the file then comes back with the next start, under the ids that it has."""
        try:
            return self._transaction(change)
        except sqlite3.Error as error:
            self._db.close()
            self._go_on_in_memory(error)
            return self._transaction(change)

    def _transaction(self, change: Callable[[], _T]) -> _T:
        with self._db:
            self._db.execute("BEGIN IMMEDIATE")
            return change()

    def _measure(self) -> None:
        self.count.clear()
        self.bytes = 0
        for channel, count, size in self._db.execute(
            "SELECT channel, count(*), sum(length(body)) FROM message GROUP BY channel"
        ):
            self.count[Up(channel)] = count
            self.bytes += size + ROW_BYTES * count

    def _insert(self, channel: Up, seq: int, t: int, keys: Mapping[str, Any]) -> Spooled:
        if channel is Up.STATUS:
            keys = {**keys, **self._losses_to_tell(seq)}
        body = wire.message(self.boot, seq, t, keys)
        n = self._db.execute(
            "INSERT INTO message (boot, lane, seq, channel, body) VALUES (?, ?, ?, ?, ?)",
            [self.boot, LANES[channel], seq, channel, body],
        ).lastrowid
        assert n is not None
        self.count[channel] += 1
        self.bytes += len(body) + ROW_BYTES
        return Spooled(n, self.boot, seq, channel)

    # -- what is given up -------------------------------------------------

    def _losses_to_tell(self, status_seq: int) -> dict[str, Any]:
        """The ranges that no status has told of yet: this one does."""
        rows = self._db.execute(
            "SELECT rowid, boot, first, last FROM lost WHERE told_seq IS NULL"
            " ORDER BY boot, first LIMIT ?",
            [MAX_LOST_IN_STATUS],
        ).fetchall()
        self._db.executemany(
            "UPDATE lost SET told_boot = ?, told_seq = ? WHERE rowid = ?",
            [(self.boot, status_seq, rowid) for rowid, *_ in rows],
        )
        return {"lost": [list(ranges) for _, *ranges in rows]} if rows else {}

    def _delete(self, messages: Sequence[Spooled]) -> None:
        """Take messages out, and with a status the ranges that it told of."""
        for message in messages:
            (size,) = self._db.execute(
                "DELETE FROM message WHERE n = ? RETURNING length(body)", [message.n]
            ).fetchone()
            self.count[message.channel] -= 1
            self.bytes -= size + ROW_BYTES
            if message.channel is Up.STATUS:
                self._db.execute(
                    "DELETE FROM lost WHERE told_boot = ? AND told_seq = ?",
                    [message.boot, message.seq],
                )

    def _make_room(self) -> None:
        log.warning("spool_full bytes=%d max_bytes=%d", self.bytes, self._max_bytes)
        target = self._max_bytes * (1 - SLACK)
        for channel in GIVES_WAY:
            while self.bytes > target and self.count[channel]:
                self._give_up(channel, limit=100)
        if self._join_lost() > MAX_LOST_RANGES:  # statuses between the positions part them
            self._give_up(Up.STATUS, limit=self.count[Up.STATUS])
            self._join_lost()

    def _give_up(self, channel: Up, limit: int) -> None:
        rows = self._db.execute(
            "SELECT n, boot, seq FROM message WHERE channel = ? ORDER BY n LIMIT ?",
            [channel, limit],
        ).fetchall()
        for n, boot, seq in rows:
            # A status that is lost has told nothing.
            self._db.execute(
                "UPDATE lost SET told_boot = NULL, told_seq = NULL"
                " WHERE told_boot = ? AND told_seq = ?",
                [boot, seq],
            )
            self._delete([Spooled(n, boot, seq, channel)])
            self._db.execute(
                "INSERT INTO lost (boot, first, last) VALUES (?, ?, ?)", [boot, seq, seq]
            )
        self.dropped[channel] += len(rows)

    def _join_lost(self) -> int:
        """Make one range of neighbours that nothing still to come lies between; how many are
        left. What lies between and is not here is held by the gateway: naming it does no harm."""
        rows = self._db.execute(
            "SELECT boot, first, last FROM lost WHERE told_seq IS NULL ORDER BY boot, first"
        ).fetchall()
        joined: list[tuple[int, int, int]] = []
        for boot, first, last in rows:
            if joined and joined[-1][0] == boot:
                _, near_first, near_last = joined[-1]
                if not self.numbers(boot, Lane.TELEMETRY, near_last + 1, first - 1):
                    joined[-1] = boot, near_first, max(last, near_last)
                    continue
            joined.append((boot, first, last))
        self._db.execute("DELETE FROM lost WHERE told_seq IS NULL")
        self._db.executemany("INSERT INTO lost (boot, first, last) VALUES (?, ?, ?)", joined)
        (ranges,) = self._db.execute("SELECT count(*) FROM lost").fetchone()
        return int(ranges)


def _covered(receipt: Receipt, lane: Lane) -> Iterator[tuple[int, int]]:
    """The ranges of a lane that the gateway holds: up to its first gap, and with ``high``
    what lies between the missing ranges."""
    held_to = receipt.p if lane is Lane.PRIORITY else receipt.t
    if held_to:
        yield 1, held_to
    since = held_to + 1
    if lane in receipt.high:
        for first, last in sorted(receipt.miss.get(lane, [])):
            if since < first:
                yield since, min(first - 1, receipt.high[lane])
            since = max(since, last + 1)
        if since <= receipt.high[lane]:
            yield since, receipt.high[lane]
    if lane is Lane.PRIORITY:  # an alarm that has a stage is at least stored
        yield from ((stage.seq, stage.seq) for stage in receipt.alarms)


def _open(path: str) -> tuple[sqlite3.Connection, int | None]:
    """The database, and the boot number that it knows; raise sqlite3.Error."""
    db = sqlite3.connect(path, isolation_level=None)
    try:
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = FULL")
        db.execute("PRAGMA cache_size = -512")  # KiB
        if path != ":memory:" and db.execute("PRAGMA quick_check").fetchone() != ("ok",):
            raise sqlite3.DatabaseError("quick_check found damage")
        db.executescript(_SCHEMA)
        row = db.execute("SELECT boot FROM latest_boot").fetchone()
    except BaseException:
        db.close()
        raise
    return db, None if row is None else row[0]
