"""Reading the journal on SQLite: committed events in order, alarms, tracks, quarantine."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sqlite3
import threading
from collections.abc import AsyncGenerator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, Self, TypeVar

import msgspec

from gateway.journal.base import (
    BLOCK_TYPES,
    AlarmRecord,
    Event,
    EventType,
    Page,
    Positions,
    Quarantined,
    Runs,
)
from gateway.journal.blocks import BlockCodec
from gateway.journal.tracks import Piece, in_order_of_time
from protocols.model import Stage

T = TypeVar("T")

READERS, READER_START_S = 2, 10.0

WAL_BYTES = 16 * 1024 * 1024
"""A write-ahead log that grew beyond it, for a reader was slow or the disk full, shrinks again."""

_decode_event = msgspec.msgpack.Decoder(Event).decode
decode_alarm = msgspec.msgpack.Decoder(AlarmRecord).decode


class SqliteReader:
    """See base.Reader. Every query runs in a thread of ours, on a connection of that thread.

    ``async with`` alone reads what is there, also beside a gateway that runs.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._readers = ThreadPoolExecutor(READERS, thread_name_prefix="asyncio_journal")
        # Tracks take long: in a thread of their own they hold up no feed.
        self._trackers = ThreadPoolExecutor(max_workers=1, thread_name_prefix="asyncio_tracks")
        self._local = threading.local()
        self._opened: list[sqlite3.Connection] = []
        self._last = 0
        self._waiters: list[tuple[int, asyncio.Future[None]]] = []

    async def __aenter__(self) -> Self:
        if not (self._folder / "journal.db").exists():
            raise FileNotFoundError(f"no journal in {self._folder}")
        # Both threads' connections, before file descriptors can run short.
        threads = threading.Barrier(READERS)

        def open_main() -> None:
            self._reader("journal.db")
            threads.wait(READER_START_S)

        await asyncio.gather(*(self._in_reader(open_main) for _ in range(READERS)))
        self._last = await self._in_reader(self._newest)
        return self

    async def __aexit__(self, *exception: object) -> None:
        self._readers.shutdown()
        self._trackers.shutdown()
        for connection in self._opened:
            connection.close()
        for _, waiter in self._waiters:
            waiter.cancel()

    def _advance_to(self, last: int) -> None:
        """Events up to here are committed: wake who waits for them."""
        if last <= self._last:
            return
        self._last = last
        waiters, self._waiters = self._waiters, []
        for cursor, waiter in waiters:
            if cursor >= last:
                self._waiters.append((cursor, waiter))
            elif not waiter.done():
                waiter.set_result(None)

    @property
    def last_cursor(self) -> int:
        """See Reader."""
        return self._last

    async def wait_beyond(self, cursor: int) -> None:
        """See Reader."""
        if self._last <= cursor:
            waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiters.append((cursor, waiter))
            await waiter

    async def read(self, after: int, limit: int, types: frozenset[EventType]) -> Page:
        """See Reader."""
        return await self._in_reader(self._read, after, limit, types, self._last)

    async def read_runs(self, after: int, limit: int, types: frozenset[EventType]) -> Runs:
        """See Reader."""
        return await self._in_reader(self._read_runs, after, limit, types, self._last)

    async def event(self, event_id: str) -> Event | None:
        """See Reader."""

        def find() -> Event | None:
            row = (
                self._reader("journal.db")
                .execute("SELECT cursor, body FROM event WHERE id = ?", (event_id,))
                .fetchone()
            )
            return None if row is None else _event(*row)

        return await self._in_reader(find)

    async def feed_cursor(self, name: str) -> int | None:
        """See Reader."""
        rows = await self._rows("SELECT cursor FROM feed WHERE name = ?", name)
        return rows[0][0] if rows else None

    async def alarm(self, alarm_id: str) -> AlarmRecord | None:
        """See Reader."""
        rows = await self._rows("SELECT body FROM alarm WHERE id = ?", alarm_id)
        return decode_alarm(rows[0][0]) if rows else None

    async def alarms(
        self, *, stages: frozenset[Stage] | None, device: str | None, before: int, limit: int
    ) -> list[tuple[int, AlarmRecord]]:
        """See Reader."""
        rows = await self._rows(
            "SELECT cursor, body FROM alarm WHERE cursor < ?1"
            " AND (?2 IS NULL OR stage IN (SELECT value FROM json_each(?2)))"
            " AND (?3 IS NULL OR device = ?3) ORDER BY cursor DESC LIMIT ?4",
            before,
            None if stages is None else json.dumps(sorted(stages)),
            device,
            limit,
        )
        return [(cursor, decode_alarm(body)) for cursor, body in rows]

    async def quarantine(self, before: int, limit: int) -> list[Quarantined]:
        """See Reader."""
        rows = await self._rows(
            "SELECT topic, device, reason, detail, payload, first_ms, last_ms, count, no"
            " FROM quarantine WHERE no < ? ORDER BY no DESC LIMIT ?",
            before,
            limit,
        )
        return [
            Quarantined(**dict(zip(Quarantined.__struct_fields__, row, strict=True)))
            for row in rows
        ]

    async def track(self, device: str, since_ms: int, until_ms: int) -> list[Event]:
        """See Reader."""
        parts = self.track_parts(device, since_ms, until_ms)
        return [event async for part in parts for event in part]

    async def track_parts(
        self, device: str, since_ms: int, until_ms: int
    ) -> AsyncGenerator[list[Event], None]:
        """See Reader."""
        loop, span = asyncio.get_running_loop(), range(since_ms, until_ms)
        parts = in_order_of_time(
            await loop.run_in_executor(self._trackers, self._pieces, device, span)
        )
        while part := await loop.run_in_executor(self._trackers, next, parts, None):
            yield part

    def _pieces(self, device: str, span: range) -> list[Piece]:
        """The blocks that may hold positions of a device with a time in the span."""
        main, codec = self._reader("journal.db"), BlockCodec()
        number = main.execute("SELECT no FROM device WHERE id = ?", (device,)).fetchone()
        if number is None:
            return []

        def load(connection: sqlite3.Connection, first: int) -> list[Event]:
            sql = "SELECT body FROM block WHERE first = ?"
            content = codec.open(connection.execute(sql, (first,)).fetchone()[0], number[0])
            return content.track(first, number[0], device, span)

        return [
            Piece(max(since, span.start), partial(load, connection, first))
            for _, connection in self._days(0)
            for first, since in connection.execute(
                "SELECT first, since FROM block WHERE until >= ? AND since < ?",
                (span.start, span.stop),
            )
        ]

    def _newest(self) -> int:
        """The newest cursor on disk."""
        main = self._reader("journal.db")
        newest: int = main.execute("SELECT max(cursor) FROM event").fetchone()[0] or 0
        day = main.execute("SELECT first, name FROM day ORDER BY first DESC LIMIT 1").fetchone()
        if day is not None and (self._folder / day[1]).exists():
            last = (
                self._reader(day[1])
                .execute("SELECT last FROM block ORDER BY first DESC LIMIT 1")  # walks none of them
                .fetchone()
            )
            newest = max(newest, day[0] - 1, last[0] if last else 0)
        return newest

    def _read(self, after: int, limit: int, types: frozenset[EventType], upper: int) -> Page:
        runs = self._read_runs(after, limit, types, upper)
        events = list[Event]()
        for item in runs.items:
            if isinstance(item, Positions):
                events += item.events()
            else:
                events.append(item)
        return Page(events, runs.next)

    def _read_runs(self, after: int, limit: int, types: frozenset[EventType], upper: int) -> Runs:
        """Rows and blocks are merged below ``upper``: what is committed meanwhile waits."""
        items: list[Event | Positions] = []
        if types - BLOCK_TYPES:
            items += [
                _event(cursor, body)
                for cursor, body in self._reader("journal.db").execute(
                    "SELECT cursor, body FROM event WHERE cursor > ? AND cursor <= ?"
                    " AND type IN (SELECT value FROM json_each(?)) ORDER BY cursor LIMIT ?",
                    (after, upper, json.dumps(sorted(types)), limit),
                )
            ]
        if types & BLOCK_TYPES:
            bound = _first_cursor(items[-1]) if len(items) == limit else upper
            items += self._read_blocks(after, bound, limit, types)
            items.sort(key=_first_cursor)  # no row's cursor lies within a block
        room = limit
        for at, item in enumerate(items):
            count = len(item.cursor) if isinstance(item, Positions) else 1
            if count >= room:
                last = item.first(room) if isinstance(item, Positions) else item
                items[at:] = [last]
                return Runs(items, last.cursor[-1] if isinstance(last, Positions) else last.cursor)
            room -= count
        return Runs(items, max(after, upper))

    def _read_blocks(
        self, after: int, upper: int, limit: int, types: frozenset[EventType]
    ) -> list[Event | Positions]:
        codec, names, found = BlockCodec(), self._names(), list[Event | Positions]()
        count = 0
        for _, connection in self._days(after):
            start = connection.execute(
                "SELECT max(first) FROM block WHERE first <= ?", (after + 1,)
            ).fetchone()[0]
            for first, body in connection.execute(
                "SELECT first, body FROM block WHERE first >= ? AND first <= ? AND last > ?"
                " ORDER BY first",
                (start or 0, upper, after),
            ):
                run = codec.open(body).read(first, names.__getitem__, types, after, upper)
                if isinstance(run, Positions):
                    found.append(run)
                    count += len(run.cursor)
                else:
                    found += run
                    count += len(run)
                if count >= limit:
                    return found
        return found

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

    def _days(self, after: int) -> Iterator[tuple[int, sqlite3.Connection]]:
        """The daily files that may hold events beyond the cursor, in order."""
        days = self._reader("journal.db").execute("SELECT first, name FROM day ORDER BY first")
        found = days.fetchall()
        for at, (first, name) in enumerate(found):
            is_past = at + 1 < len(found) and found[at + 1][0] - 1 <= after
            if not is_past and (self._folder / name).exists():
                yield first, self._reader(name)

    def _reader(self, name: str) -> sqlite3.Connection:
        """This thread's connection to that file."""
        files: dict[str, sqlite3.Connection] | None = getattr(self._local, "open", None)
        if files is None:
            files = self._local.open = {}
        if name not in files:
            files[name] = open_database(self._folder / name)
            self._opened.append(files[name])
        return files[name]

    async def _rows(self, sql: str, *values: object) -> list[Any]:
        return await self._in_reader(
            lambda: self._reader("journal.db").execute(sql, values).fetchall()
        )

    async def _in_reader(self, work: Callable[..., T], *values: object) -> T:
        return await asyncio.get_running_loop().run_in_executor(
            self._readers, partial(work, *values)
        )


def _first_cursor(item: Event | Positions) -> int:
    return item.cursor[0] if isinstance(item, Positions) else item.cursor


def _event(cursor: int, body: bytes) -> Event:
    event: Event = _decode_event(body)
    return msgspec.structs.replace(event, cursor=cursor)


def open_database(path: Path) -> sqlite3.Connection:
    """A connection whose commits survive a power cut."""
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=5)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA temp_store = MEMORY")  # a full disk has no room for these either
    connection.execute(f"PRAGMA journal_size_limit = {WAL_BYTES}")
    return connection


@contextlib.contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    """All or nothing. After an error nothing of it is under way any more."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield connection
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            with contextlib.suppress(sqlite3.Error):  # the first error is the one to tell
                connection.execute("ROLLBACK")
        raise
