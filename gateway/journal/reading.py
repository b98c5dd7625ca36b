"""Reading the journal on SQLite: committed events in order, alarms, tracks, quarantine."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import threading
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, Self, TypeVar

import numpy as np

from gateway.journal.base import (
    BLOCK_TYPES,
    FED_TYPES,
    AlarmRecord,
    CommandRecord,
    Event,
    EventType,
    Page,
    Positions,
    Quarantined,
    Runs,
)
from gateway.journal.blocks import BlockCodec
from gateway.journal.damage import is_damage, readable, suppress_damage
from gateway.journal.files import Files
from gateway.journal.fixes import Glance
from gateway.journal.hunt import Hunt
from gateway.journal.rows import alarm_of, command_of, event_of
from gateway.journal.sweep import Sheet, Span, in_steps
from gateway.journal.tracks import Piece, in_order_of_time, joined
from gateway.seen import Lookout, Seen
from protocols.commands import CommandState
from protocols.model import Stage

T = TypeVar("T")

LOOKED_AT_ONCE = 32
"""Blocks, before others get their turn."""
Of = Callable[[sqlite3.Connection, str, bytes, int | None], T | None]
"""Makes a record of its row; None if it is damaged and nothing else tells of it."""

READERS, READER_START_S = 2, 10.0


class SqliteReader(Files):
    """See base.Reader. Every query runs in a thread of ours, on a connection of that thread.

    ``async with`` alone reads what is there, also beside a gateway that runs.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._readers = ThreadPoolExecutor(READERS, thread_name_prefix="asyncio_journal")
        # Tracks take long: in a thread of their own they hold up no feed.
        self._trackers = ThreadPoolExecutor(max_workers=1, thread_name_prefix="asyncio_tracks")
        self._last = 0
        self._waiters: list[tuple[int, frozenset[EventType], asyncio.Future[None]]] = []

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
        self._close_files()
        for *_, waiter in self._waiters:
            waiter.cancel()

    def _advance_to(self, last: int) -> None:
        """Events up to here are committed, or more of some types: wake who waits for them."""
        self._last = max(self._last, last)
        waiters, self._waiters = self._waiters, []
        for cursor, types, waiter in waiters:
            if cursor >= self._until(types):
                self._waiters.append((cursor, types, waiter))
            elif not waiter.done():
                waiter.set_result(None)

    def _until(self, types: frozenset[EventType]) -> int:
        """Events of these types are committed up to this cursor, and none will come below."""
        return self._last

    @property
    def last_cursor(self) -> int:
        """See Reader."""
        return self._last

    async def wait_beyond(self, cursor: int, types: frozenset[EventType] = FED_TYPES) -> None:
        """See Reader."""
        if self._until(types) <= cursor:
            waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiters.append((cursor, types, waiter))
            await waiter

    async def read(self, after: int, limit: int, types: frozenset[EventType]) -> Page:
        """See Reader."""
        return await self._in_reader(self._read, after, limit, types, self._until(types))

    async def read_runs(self, after: int, limit: int, types: frozenset[EventType]) -> Runs:
        """See Reader."""
        return await self._in_reader(self._read_runs, after, limit, types, self._until(types))

    async def event(self, event_id: str) -> Event | None:
        """See Reader."""

        def find() -> Event | None:
            sql = "SELECT cursor, id, body, crc FROM event WHERE id = ?"
            row = self._reader("journal.db").execute(sql, (event_id,)).fetchone()
            return None if row is None else self._event(*row)

        return await self._in_reader(find)

    async def feed_cursor(self, name: str) -> int | None:
        """See Reader."""
        rows = await self._rows("SELECT cursor FROM feed WHERE name = ?", name)
        return rows[0][0] if rows else None

    async def alarm(self, alarm_id: str) -> AlarmRecord | None:
        """See Reader."""
        return await self._record("alarm", alarm_id, alarm_of)

    async def alarms(
        self, *, stages: frozenset[Stage] | None, device: str | None, before: int, limit: int
    ) -> list[tuple[int, AlarmRecord]]:
        """See Reader."""
        where = (
            "cursor < ?1 AND (?2 IS NULL OR stage IN (SELECT value FROM json_each(?2)))"
            " AND (?3 IS NULL OR device = ?3)"
        )
        values = before, _json_list(stages), device, limit
        return await self._records("alarm", where, values, alarm_of)

    async def command(self, command_id: str) -> CommandRecord | None:
        """See Reader."""
        return await self._record("command", command_id, command_of)

    async def commands(
        self,
        *,
        states: frozenset[CommandState] | None,
        device: str | None,
        group: str | None,
        before: int,
        limit: int,
    ) -> list[tuple[int, CommandRecord]]:
        """See Reader."""
        where = (
            "cursor < ?1 AND (?2 IS NULL OR state IN (SELECT value FROM json_each(?2)))"
            " AND (?3 IS NULL OR device = ?3) AND (?4 IS NULL OR batch = ?4)"
        )
        values = before, _json_list(states), device, group, limit
        return await self._records("command", where, values, command_of)

    async def _record(self, table: str, record_id: str, of: Of[T]) -> T | None:
        def find() -> T | None:
            main = self._reader("journal.db")
            sql = f"SELECT id, body, crc FROM {table} WHERE id = ?"  # noqa: S608 - our own tables
            row = main.execute(sql, (record_id,)).fetchone()
            return None if row is None else of(main, *row)

        return await self._in_reader(find)

    async def _records(
        self, table: str, where: str, values: tuple[object, ...], of: Of[T]
    ) -> list[tuple[int, T]]:
        """The records of a page with their cursors; the last of the values is its limit."""
        rows = await self._rows(
            f"SELECT cursor, id, body, crc FROM {table} WHERE {where}"  # noqa: S608 - our own words
            f" ORDER BY cursor DESC LIMIT ?{len(values)}",
            *values,
        )

        def decode() -> Iterator[tuple[int, T]]:
            for cursor, *row in rows:
                record = of(self._reader("journal.db"), *row)
                if record is not None:
                    yield cursor, record
                else:
                    self._note("journal.db", cursor, cursor, f"the record of {table} {row[0]}")

        return await self._in_reader(lambda: list(decode()))

    async def quarantine(
        self, before: int, limit: int, *, device: str | None = None, reason: str | None = None
    ) -> list[Quarantined]:
        """See Reader."""
        rows = await self._rows(
            "SELECT topic, device, reason, detail, payload, first_ms, last_ms, count, no"
            " FROM quarantine WHERE no < ?1 AND (?3 IS NULL OR device = ?3)"
            " AND (?4 IS NULL OR reason = ?4) ORDER BY no DESC LIMIT ?2",
            *(before, limit, device, reason),
        )
        names = Quarantined.__struct_fields__
        return [Quarantined(**dict(zip(names, row, strict=True))) for row in rows]

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
        while part := await loop.run_in_executor(self._trackers, joined, parts):
            yield part

    def _pieces(self, device: str, span: range) -> list[Piece]:
        """The blocks that may hold positions of a device with a time in the span."""
        main, codec = self._reader("journal.db"), BlockCodec()
        number = main.execute("SELECT no FROM device WHERE id = ?", (device,)).fetchone()
        if number is None:
            return []

        def load(name: str, first: int, last: int) -> list[Event]:
            with self._noting(name, first, last):
                return codec.track(self._body(name, first), first, number[0], device, span)
            return []

        return [
            Piece(max(since, span.start), partial(load, name, first, last))
            for name in self._days(0)
            for first, last, since, _ in self._blocks_of(name, span)
        ]

    async def sweep(self, since_ms: int, until_ms: int, step_ms: int) -> AsyncGenerator[Seen, None]:
        """See Reader."""
        loop, span = asyncio.get_running_loop(), Span(since_ms, until_ms, step_ms)
        parts = in_steps(
            await loop.run_in_executor(self._trackers, self._swept, span.searched), span
        )
        while (seen := await loop.run_in_executor(self._trackers, next, parts, None)) is not None:
            yield await loop.run_in_executor(self._trackers, self._named, seen)

    def _swept(self, span: range) -> list[Sheet]:
        """The blocks that may hold positions of any device with a time in the span."""
        codec = BlockCodec()

        def load(name: str, first: int, last: int) -> list[Glance]:
            with self._noting(name, first, last):
                return codec.glance(self._body(name, first))
            return []

        return [
            Sheet(since, partial(load, name, first, last))
            for name in self._days(0)
            for first, last, since, _ in self._blocks_of(name, span)
        ]

    async def first_near(self, lookouts: Sequence[Lookout]) -> list[int | None]:
        """See Reader."""
        loop = asyncio.get_running_loop()
        hunt = await loop.run_in_executor(self._trackers, self._hunt, lookouts)
        parts = self._hunted(hunt)
        while await loop.run_in_executor(self._trackers, next, parts, 0):
            pass
        return hunt.firsts

    def _hunt(self, lookouts: Sequence[Lookout]) -> Hunt:
        return Hunt(lookouts, {device: number for number, device in self._names().items()})

    def _hunted(self, hunt: Hunt) -> Iterator[int]:
        """Look at all blocks, some at a time."""
        codec, looked, days = BlockCodec(), 0, list(self._days(0))
        for span in hunt.slices():
            for name in days:
                for first, last, since, until in self._blocks_of(name, span):
                    if not hunt.is_new((name, first), since, span):
                        continue
                    with self._noting(name, first, last):
                        boxes = hunt.boxes_for(until)
                        hunt.look(codec.glance(self._body(name, first), boxes.asked), boxes)
                    looked += 1
                    if looked % LOOKED_AT_ONCE == 0:
                        yield looked

    def _named(self, seen: Seen) -> Seen:
        names, devices = self._names(), np.unique(seen.device).tolist()
        return seen._replace(names={number: names[number] for number in devices})

    def _newest(self) -> int:
        """The newest cursor on disk."""
        main = self._reader("journal.db")
        newest: int = main.execute("SELECT max(cursor) FROM event").fetchone()[0] or 0
        day = main.execute("SELECT first, name FROM day ORDER BY first DESC LIMIT 1").fetchone()
        if day is not None and (self._folder / day[1]).exists():
            newest = max(newest, day[0] - 1)
            with suppress_damage():
                sql = "SELECT last FROM block ORDER BY first DESC LIMIT 1"  # walks none of them
                last = self._reader(day[1]).execute(sql).fetchone()
                newest = max(newest, last[0] if last else 0)
        floor = main.execute("SELECT value FROM meta WHERE key = 'cursor_floor'").fetchone()
        return max(newest, floor[0] if floor else 0)

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
            items += islice(self._read_rows(after, upper, types), limit)
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

    def _read_rows(self, after: int, upper: int, types: frozenset[EventType]) -> Iterator[Event]:
        query = (
            "SELECT cursor, id, body, crc FROM event WHERE cursor >= ? AND cursor <= ?"  # noqa: S608 - numbers
            f" AND type IN ({', '.join(str(int(kind)) for kind in types)}) ORDER BY cursor"
        )
        note = partial(self._note_pages, "journal.db")
        for row in readable(self._reader("journal.db"), query, after, upper, note):
            if (event := self._event(*row)) is not None:
                yield event

    def _read_blocks(
        self, after: int, upper: int, limit: int, types: frozenset[EventType]
    ) -> list[Event | Positions]:
        codec, names, found = BlockCodec(), self._names(), list[Event | Positions]()
        count = 0
        for name in self._days(after):
            beyond = f"last > {after:d}"
            for first, last, body in self._blocks(name, "first, last, body", after, beyond, upper):
                run: Positions | list[Event] = []
                with self._noting(name, first, last):
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

    def _event(self, cursor: int, event_id: str, body: bytes, crc: int | None) -> Event | None:
        event = event_of(self._reader("journal.db"), cursor, event_id, body, crc)
        if event is None:
            self._note("journal.db", cursor, cursor, f"event {event_id}")
        return event

    async def _rows(self, sql: str, *values: object) -> list[Any]:
        return await self._in_reader(
            lambda: self._reader("journal.db").execute(sql, values).fetchall()
        )

    async def _in_reader(self, work: Callable[..., T], *values: object) -> T:
        try:
            return await asyncio.get_running_loop().run_in_executor(
                self._readers, partial(work, *values)
            )
        except sqlite3.DatabaseError as error:
            if is_damage(error):
                self._main_is_damaged()
            raise


def _json_list(words: frozenset[str] | None) -> str | None:
    return None if words is None else json.dumps(sorted(words))


def _first_cursor(item: Event | Positions) -> int:
    return item.cursor[0] if isinstance(item, Positions) else item.cursor
