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
import sqlite3
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from edge import boots, picture_order, wire
from edge.covered import covered, is_beyond
from edge.picture_order import ORDINARY, Place
from edge.spool_file import (
    DESTROYED,
    FILE_NAME,
    Row,
    damaged_message,
    is_damage,
    latest_boot,
    move_aside,
    open_checked,
    open_spool,
    readable_rows,
    row_crc,
)
from protocols.model import Lane, Receipt, message_id
from protocols.native.topics import LANES, Up

ROW_BYTES = 64  # what a row and its index entries take beside the body
GIVES_WAY = (Up.POS, Up.STATUS, Up.MEDIA)  # in this order
SLACK = 0.05  # of the bound is freed at once, so that making room is rare
MAX_LOST_IN_STATUS = 64
MAX_LOST_RANGES = 512
MAX_STAND_INS = 100  # for each gap that the gateway asks for
MAX_ROW_SEQ = 2**63 - 1  # SQLite's integers end there

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

    It never refuses to work. A damaged file is moved aside, and what can be read of it taken
    over; where no file can be had at all, or a commit fails, it goes on in memory. Either way
    it says so in ``trouble``.
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
        self._newest = 0  # the last place in the order of arrival

    def __enter__(self) -> Spool:
        known = [boots.from_file(self._folder)]
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._open_file()
            self.boot = boots.following([*known, latest_boot(self._db)], self._now_s())
            self._transaction(self._keep_boot)
            self._measure()
        except (sqlite3.Error, OSError) as error:
            self._go_on_in_memory(error)
            # The file may hold later ones than are known: the clock is beyond them.
            self.boot = boots.following([*known, boots.from_clock(self._now_s())], self._now_s())
        try:
            boots.to_file(self._folder, self.boot)
        except OSError as error:
            self.trouble = self.trouble or f"boot number not written: {error}"
            log.error("boot_number_not_written: %s", error)
        return self

    def __exit__(self, *_: object) -> None:
        self._db.close()

    def put(self, channel: Up, t: int, keys: Mapping[str, Any]) -> Spooled:
        """Number a message and keep it. A status also declares what was lost."""
        return self.put_all(channel, t, [keys])[0]

    def put_all(
        self,
        channel: Up,
        t: int,
        messages: Sequence[Mapping[str, Any]],
        *,
        place: Place = ORDINARY,
    ) -> list[Spooled]:
        """Number and keep several messages of a channel: all of them, or none. Media is one
        picture, and has a place among the pictures."""
        first = self._last[LANES[channel]] + 1
        spooled = self._write(lambda: self._insert_all(channel, first, t, messages, place))
        self._last[LANES[channel]] += len(messages)
        if self.bytes > self._max_bytes:
            self._write(self._make_room)
        return spooled

    def waiting(self, channel: Up, *, newest_first: bool = False) -> Iterator[Spooled]:
        """The messages of a channel. Don't write while iterating."""
        beyond, order = (">", "ASC") if not newest_first else ("<", "DESC")
        query = (
            "SELECT n, boot, seq FROM message"  # noqa: S608 - not from outside
            f" WHERE channel = ? AND n {beyond} ? ORDER BY n {order}"
        )
        at = -1 if not newest_first else MAX_ROW_SEQ
        while True:
            try:
                for row in self._db.execute(query, [channel, at]):
                    yield Spooled(row[0], row[1], row[2], channel)
                    at = row[0]
                return
            except sqlite3.DatabaseError as error:
                self._go_on_after(error)

    def waiting_pictures(self) -> Iterator[Spooled]:
        """The chunks of pictures in the order of sending. Don't write while iterating."""
        try:
            for row in picture_order.in_order(self._db):
                yield Spooled(*row, Up.MEDIA)
        except sqlite3.DatabaseError as error:
            self._go_on_after(error)

    def move_picture(self, chunks: Sequence[Spooled], place: Place) -> None:
        """A picture that is here already has another place now."""
        self._write(lambda: picture_order.note(self._db, chunks[0].n, chunks[-1].n, place))

    def body(self, n: int) -> bytes | None:
        """The bytes of a message, unless it is gone."""
        rows = self._read("SELECT * FROM message WHERE n = ?", [n])
        if not rows:
            return None
        row = Row(*rows[0])
        return row.body if row.is_whole else self._write(lambda: self._set_right(row))

    def numbers(self, boot: int, lane: Lane, first: int, last: int) -> list[Spooled]:
        """The messages of one lane and boot with these sequence numbers; a part, if they are
        many."""
        rows = self._read(
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
        if is_beyond(receipt, self.boot, self._last):
            log.error("receipt_beyond_what_was_sent boot=%d receipt=%r", self.boot, receipt)
            return None
        return self._write(
            lambda: {
                n
                for lane in Lane
                for first, last in covered(receipt, lane)
                for n in self._delete_range(receipt.boot, lane, first, last)
            }
        )

    def _delete_range(self, boot: int, lane: Lane, first: int, last: int) -> Iterator[int]:
        while messages := self.numbers(boot, lane, first, last):
            self._delete(messages)
            yield from (message.n for message in messages)

    # -- the file ---------------------------------------------------------

    def _open_file(self) -> None:
        try:
            self._db = open_checked(self._folder / FILE_NAME)
        except sqlite3.DatabaseError as error:
            if not is_damage(error):
                raise  # no permission, no space: moving the file aside would not help
            self._rescue(error)

    def _rescue(self, error: sqlite3.Error) -> None:
        """Move the damaged file aside and go on with what can be read of it."""
        path = self._folder / FILE_NAME
        aside = move_aside(path, str(int(self._now_s())))
        self._db = open_spool(path)
        saved = self._transaction(lambda: self._take_over(aside))
        self._measure()
        self.trouble = f"damaged spool moved to {aside}, {saved} messages saved: {error}"
        log.error("spool_damaged moved_to=%s saved=%d: %s", aside, saved, error)

    def _take_over(self, aside: Path) -> int:
        """Messages under their old places, for these are known elsewhere; how many."""
        latest = max(self.boot, boots.from_file(self._folder) or 0)
        for row in readable_rows(aside):
            self._newest = max(self._newest, row.n)
            if row.is_filed:
                self._db.execute(
                    "INSERT OR IGNORE INTO message VALUES (?, ?, ?, ?, ?, ?, ?)",
                    row if row.is_whole else row._replace(crc=-1),
                )
                latest = max(latest, row.boot)
        self._db.execute("DELETE FROM sqlite_sequence")
        self._db.execute("INSERT INTO sqlite_sequence VALUES ('message', ?)", [self._newest])
        self._db.execute("REPLACE INTO latest_boot VALUES (0, ?)", [latest])
        self._db.execute("REPLACE INTO damage VALUES (0, ?)", [latest])
        (saved,) = self._db.execute("SELECT count(*) FROM message").fetchone()
        return int(saved)

    def _set_right(self, row: Row) -> bytes | None:
        """A message that is no longer what was written: what goes out under its number."""
        keys = damaged_message(row)
        log.error("message_damaged boot=%d lane=%s seq=%d", row.boot, row.lane, row.seq)
        if keys is None:
            self._give_up_one(Spooled(row.n, row.boot, row.seq, Up(row.channel)))
            return None
        body = wire.message(row.boot, row.seq, 0, keys)
        crc = row_crc(row.boot, row.lane, row.seq, row.channel, body)
        self._db.execute("UPDATE message SET body = ?, crc = ? WHERE n = ?", [body, crc, row.n])
        self.bytes += len(body) - len(row.body)
        return body

    def _keep_boot(self) -> None:
        self._db.execute("REPLACE INTO latest_boot VALUES (0, ?)", [self.boot])

    def _go_on_in_memory(self, error: Exception) -> None:
        self.trouble = f"spool in memory only: {error}"
        log.error("spool_in_memory_only folder=%s: %s", self._folder, error)
        self._db = open_spool(":memory:")
        # A place in the order of arrival that the file has given out stays unknown here.
        self._db.execute("INSERT INTO sqlite_sequence VALUES ('message', 1 << 40)")
        self._measure()

    def _read(self, query: str, values: Sequence[object]) -> list[Any]:
        try:
            return self._db.execute(query, values).fetchall()
        except sqlite3.Error as error:
            self._go_on_after(error)
            return self._db.execute(query, values).fetchall()

    def _write(self, change: Callable[[], _T]) -> _T:
        """One durable transaction. An alarm must go out even if the disk does not work: what
        is in the file then comes back with the next start, under the ids that it has."""
        try:
            return self._transaction(change)
        except sqlite3.Error as error:
            self._go_on_after(error)
            return self._transaction(change)

    def _go_on_after(self, error: sqlite3.Error) -> None:
        self._db.close()
        if is_damage(error):
            try:
                return self._rescue(error)
            except (sqlite3.Error, OSError) as another:
                error.add_note(str(another))
        self._go_on_in_memory(error)

    def _transaction(self, change: Callable[[], _T]) -> _T:
        with self._db:
            self._db.execute("BEGIN IMMEDIATE")
            return change()

    def _measure(self) -> None:
        picture_order.adopt(self._db)
        self.count.clear()
        self.bytes = 0
        for channel, count, size in self._db.execute(
            "SELECT channel, count(*), sum(length(body)) FROM message GROUP BY channel"
        ):
            self.count[Up(channel)] = count
            self.bytes += size + ROW_BYTES * count

    def _insert_all(
        self, channel: Up, first: int, t: int, messages: Sequence[Mapping[str, Any]], place: Place
    ) -> list[Spooled]:
        spooled = [self._insert(channel, seq, t, keys) for seq, keys in enumerate(messages, first)]
        if channel is Up.MEDIA and spooled:
            picture_order.note(self._db, spooled[0].n, spooled[-1].n, place)
        return spooled

    def _insert(self, channel: Up, seq: int, t: int, keys: Mapping[str, Any]) -> Spooled:
        if channel is Up.STATUS:
            keys = {**keys, **self._losses_to_tell(seq)}
        body = wire.message(self.boot, seq, t, keys)
        return self._add(self.boot, channel, seq, body)

    def _add(self, boot: int, channel: Up, seq: int, body: bytes) -> Spooled:
        filed = boot, LANES[channel].value, seq, channel.value, body
        n = self._db.execute(
            "INSERT INTO message (boot, lane, seq, channel, body, crc) VALUES (?, ?, ?, ?, ?, ?)",
            [*filed, row_crc(*filed)],
        ).lastrowid
        assert n is not None
        self._newest = n
        self.count[channel] += 1
        self.bytes += len(body) + ROW_BYTES
        return Spooled(n, boot, seq, channel)

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
        """The oldest; of pictures the one that is worth least, whole: a part of it is no use."""
        rows = picture_order.least(self._db) if channel is Up.MEDIA else []
        rows = (
            rows
            or self._db.execute(
                "SELECT n, boot, seq FROM message WHERE channel = ? ORDER BY n LIMIT ?",
                [channel, limit],
            ).fetchall()
        )
        for n, boot, seq in rows:
            self._give_up_one(Spooled(n, boot, seq, channel))

    def _give_up_one(self, message: Spooled) -> None:
        boot, seq = message.boot, message.seq
        # A status that is lost has told nothing.
        self._db.execute(
            "UPDATE lost SET told_boot = NULL, told_seq = NULL"
            " WHERE told_boot = ? AND told_seq = ?",
            [boot, seq],
        )
        self._delete([message])
        self._db.execute("INSERT INTO lost (boot, first, last) VALUES (?, ?, ?)", [boot, seq, seq])
        self.dropped[message.channel] += 1

    def replace_missing(self, receipt: Receipt) -> list[Spooled]:
        """After damage: what the gateway asks for and is here no more. Telemetry is declared
        lost; in the place of the others, each of which may have been an alarm, one is raised."""
        damaged_to = self._read("SELECT boot FROM damage", [])
        if not damaged_to or receipt.boot > damaged_to[0][0]:
            return []
        return self._write(lambda: list(self._replace_missing(receipt)))

    def _replace_missing(self, receipt: Receipt) -> Iterator[Spooled]:
        for lane, ranges in receipt.miss.items():
            for first, last in ranges[:MAX_LOST_IN_STATUS]:
                for since, until in self._gone(receipt.boot, lane, first, last):
                    if lane is Lane.TELEMETRY:
                        self._db.execute(
                            "INSERT INTO lost (boot, first, last) VALUES (?, ?, ?)",
                            [receipt.boot, since, until],
                        )
                        continue
                    keys = {"kind": "tamper", "text": DESTROYED}
                    for seq in range(since, min(until, since + MAX_STAND_INS) + 1):
                        body = wire.message(receipt.boot, seq, 0, keys)
                        yield self._add(receipt.boot, Up.ALARM, seq, body)

    def _gone(self, boot: int, lane: Lane, first: int, last: int) -> Iterator[tuple[int, int]]:
        """The ranges between these numbers that are neither in the spool nor declared lost."""
        held = self._db.execute(
            "SELECT seq, seq FROM message WHERE boot = ?1 AND lane = ?2 AND seq BETWEEN ?3 AND ?4"
            " UNION SELECT first, last FROM lost"
            " WHERE boot = ?1 AND ?2 = 't' AND first <= ?4 AND last >= ?3 ORDER BY 1",
            [boot, lane, first, last],
        ).fetchall()
        for since, until in held:
            if first < since:
                yield first, since - 1
            first = max(first, until + 1)
        if first <= last:
            yield first, last

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
