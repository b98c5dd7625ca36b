"""The journal on SQLite: alarms and life cycles in one file, telemetry in daily ones.

Write-ahead log with ``synchronous=FULL``: a commit that returned survives a
power cut (docs/decisions/0001-journal.md).
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import sqlite3
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

import msgspec
import structlog

from gateway.journal import picture_rescue, rescue
from gateway.journal.base import (
    BLOCK_TYPES,
    REPEAT_MS,
    AlarmRecord,
    Block,
    Change,
    CommandRecord,
    DiskFull,
    Event,
    EventType,
    Page,
    Quarantined,
    Recovered,
)
from gateway.journal.blocks import BlockCodec
from gateway.journal.damage import is_damage, is_whole, row_crc
from gateway.journal.database import open_database, transaction
from gateway.journal.migration import migrate, schema
from gateway.journal.pictures import PictureStore
from gateway.journal.reading import SqliteReader
from gateway.journal.recent import Recent
from gateway.journal.rows import alarm_of, all_units, command_of, keep_units, sealed
from gateway.journal.shelf import Shelf
from gateway.journal.writer import Cursors, Lane, Writer
from gateway.unit import UnitRecord
from protocols.model import Fix

QUARANTINE_ROWS = 100_000

_BEAT = Change()

log = structlog.get_logger()


class SqliteJournal(SqliteReader):
    """See base.Journal. ``async with`` opens the files and starts the writer."""

    def __init__(
        self,
        folder: Path,
        *,
        now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
        make_room: Callable[[], bool] = lambda: False,
        on_commit: Callable[[str, float], None] = lambda lane, seconds: None,
    ) -> None:
        super().__init__(folder)
        self._now_ms = now_ms
        self.pictures: PictureStore
        self.shelf: Shelf
        self.failed = asyncio.Event()
        self._is_suspect = False
        self._loop: asyncio.AbstractEventLoop
        self.put_aside: list[str] = []  # damaged files that lie beside the journal
        self._cursors = Cursors()
        # Two files, two threads: an alarm waits for no sync of telemetry.
        self._upper = Writer(
            "journal-priority",
            [
                Lane("priority", self._commit_changes, None, waits_for_room=True),
                Lane("notes", self._run_chores, 1, waits_for_room=False),
                Lane("chores", self._run_chores, 1, waits_for_room=True),
            ],
            make_room=make_room,
            on_commit=on_commit,
        )
        self._lower = Writer(
            "journal-telemetry",
            [Lane("telemetry", self._commit_blocks, 1, waits_for_room=False)],
            make_room=make_room,
            on_commit=on_commit,
        )
        self._main: sqlite3.Connection  # of the upper writer
        self._recent: Recent
        # Of the lower writer:
        self._codec = BlockCodec()
        self._numbers: dict[str, int] = {}
        self._day = ""
        self._telemetry: sqlite3.Connection | None = None

    async def __aenter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        self._folder.mkdir(parents=True, exist_ok=True)
        rescue.mend_logs(self._folder)
        self._main = rescue.open_main(self._folder, migrate, self.damage, self._now_ms())
        picture_rescue.mend(
            self._folder / "pictures",
            self._main,
            is_suspect=rescue.is_marked(self._folder, picture_rescue.NAME),
            now_ms=self._now_ms(),
        )
        self.pictures = PictureStore(self._folder / "pictures")
        self.shelf = Shelf(self._folder / "pictures")
        self._numbers = dict(self._main.execute("SELECT id, no FROM device"))
        day = self._main.execute(
            "SELECT first, name FROM day ORDER BY first DESC LIMIT 1"
        ).fetchone()
        if day is not None:
            self._open_day_or_next(*day)
        rescue.unmark(self._folder)
        self.put_aside = rescue.put_aside(self._folder)
        await super().__aenter__()
        self._cursors.start(self._last)
        self._recent = Recent(self._last)
        self._upper.start()
        self._lower.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await asyncio.to_thread(self._lower.stop)  # its last block may need the other
        await asyncio.to_thread(self._upper.stop)
        damaged = [
            name
            for writer, name in ((self._upper, rescue.MAIN), (self._lower, self._day))
            if is_damage(writer.failure) or (name == rescue.MAIN and self._is_suspect)
        ]
        if is_damage(self._lower.failure):  # of the two files that it writes
            damaged.append(picture_rescue.NAME)
        if damaged:
            rescue.mark(self._folder, damaged)
        await super().__aexit__()
        self.pictures.close()
        self.shelf.close()
        self._main.close()
        if self._telemetry is not None:
            self._telemetry.close()

    @property
    def failure(self) -> str:
        """What made it fail, once ``failed`` is set."""
        return str(self._upper.failure or self._lower.failure or "journal.db is damaged")

    def damage_told(self) -> list[str]:
        """What an operator has to know of damage to the journal's files."""
        told = [f"damaged, put aside: {', '.join(self.put_aside)}"] if self.put_aside else []
        gaps = self.damage.gaps
        if gaps:
            told.append(f"{self.damage.found} places of the journal are damaged, first {gaps[0]}")
        return told

    def _main_is_damaged(self) -> None:
        """Called by readers: with its file closed and rescued, all that can be read is."""
        if not self._is_suspect:
            self._is_suspect = True
            self._loop.call_soon_threadsafe(self.failed.set)

    def commit(self, change: Change) -> asyncio.Future[tuple[list[int], int]]:
        """Commit at once. A cursor of 0 stands for an event whose id was known already."""
        future = self._upper.submit("priority", change)
        future.add_done_callback(self._advance)
        return future

    def commit_block(self, block: Block) -> asyncio.Future[tuple[tuple[int, int], int]]:
        """Commit telemetry in its turn."""
        future = self._lower.submit("telemetry", block)
        future.add_done_callback(self._advance)
        return future

    async def read(self, after: int, limit: int, types: frozenset[EventType]) -> Page:
        """See Reader."""
        if not types & BLOCK_TYPES:
            page = self._recent.read(after, limit, types, self._until(types))
            if page is not None:
                return page
        return await super().read(after, limit, types)

    def _until(self, types: frozenset[EventType]) -> int:
        """An alarm waits for no telemetry that is under way with lower cursors."""
        return self._last if types & BLOCK_TYPES else max(self._last, self._recent.newest)

    def save_states(self, states: dict[str, bytes], checkpoint: int) -> asyncio.Future[None]:
        """Keep what is known of devices, no older than the checkpoint's cursor."""

        def chore() -> None:
            self._main.executemany(
                "INSERT OR REPLACE INTO state VALUES (?, ?, ?)",
                ((device, body, row_crc(body, device)) for device, body in states.items()),
            )
            self._main.execute(
                "INSERT OR REPLACE INTO meta VALUES ('checkpoint', ?)", (checkpoint,)
            )

        return self._upper.submit("chores", chore)

    async def save_feed_cursor(self, name: str, cursor: int) -> None:
        """See Reader."""

        def chore() -> None:
            self._main.execute("INSERT OR REPLACE INTO feed VALUES (?, ?)", (name, cursor))

        await self._upper.submit("chores", chore)

    def _advance(self, future: asyncio.Future[Any]) -> None:
        if future.cancelled():
            return
        if (failure := future.exception()) is not None:
            if not isinstance(failure, DiskFull):
                self.failed.set()
            return
        self._advance_to(self._cursors.settled)

    def _commit_changes(self, changes: Sequence[Change]) -> list[tuple[list[int], int]]:
        stored = self._now_ms()
        outcomes: list[tuple[list[int], int]] = []
        kept: list[Event] = []
        taken = None
        try:
            with transaction(self._main), self._cursors.lock:  # which is free while it commits
                cursor = self._cursors.newest
                for change in changes:
                    cursors, cursor = self._keep_events(change, cursor, stored, kept)
                    outcomes.append((cursors, stored))
                taken = self._cursors.take(cursor)
        except BaseException as error:
            self._cursors.settle(taken, error)
            raise
        self._recent.add(kept)
        self._cursors.settle(taken)
        return outcomes

    def _keep_events(
        self, change: Change, cursor: int, stored: int, kept: list[Event]
    ) -> tuple[list[int], int]:
        """Write all that a change adds, from the cursor on; gives its cursors, and the last one.

        What is written is added to ``kept`` as a reader will find it.
        """
        if change == _BEAT:
            self._main.execute("INSERT OR REPLACE INTO meta VALUES ('beat', ?)", (stored,))
        cursors = []
        for event in change.events:
            row = msgspec.structs.replace(event, cursor=0, stored=stored)
            added = self._main.execute(
                "INSERT OR IGNORE INTO event VALUES (?, ?, ?, ?, ?, ?)",
                (
                    cursor + 1,
                    event.type,
                    event.id,
                    event.device,
                    *sealed(row, cursor + 1, event.id),
                ),
            ).rowcount
            cursor += added
            cursors.append(cursor if added else 0)
            if added:
                kept.append(msgspec.structs.replace(row, cursor=cursor))
        if 0 not in cursors:
            for alarm in change.alarms:
                self._keep_alarm(alarm, cursors[0] if cursors else 0)
            keep_units(self._main, change.units)
            of_event = dict(zip((event.id for event in change.events), cursors, strict=True))
            for command in change.commands:
                self._keep_command(command, of_event.get(f"{command.id}/created", 0))
        self._keep_quarantined(change.quarantined)
        return cursors, cursor

    def _keep_alarm(self, alarm: AlarmRecord, cursor: int) -> None:
        self._main.execute(
            "INSERT INTO alarm VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE"
            " SET stage = excluded.stage, body = excluded.body, crc = excluded.crc",
            (alarm.id, cursor, alarm.device, alarm.stage, *sealed(alarm, alarm.id)),
        )

    def _keep_command(self, command: CommandRecord, cursor: int) -> None:
        self._main.execute(
            "INSERT INTO command VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE"
            " SET state = excluded.state, body = excluded.body, crc = excluded.crc",
            (
                command.id,
                cursor,
                command.device,
                command.state,
                command.group,
                *sealed(command, command.id),
            ),
        )

    def _keep_quarantined(self, records: Sequence[Quarantined]) -> None:
        for q in records:
            digest = hashlib.sha256(f"{q.topic}\0{q.reason}\0".encode() + q.payload).digest()[:16]
            raised = self._main.execute(
                "UPDATE quarantine SET count = count + 1, last_ms = ?"
                " WHERE digest = ? AND last_ms > ?",
                (q.last_ms, digest, q.last_ms - REPEAT_MS),
            ).rowcount
            if not raised:
                number = self._main.execute(
                    "INSERT INTO quarantine"
                    " (device, topic, reason, detail, digest, payload, count, first_ms, last_ms)"
                    " VALUES (?, ?, ?, ?, ?, ?, 1, ?, ?)",
                    (
                        q.device,
                        q.topic,
                        q.reason,
                        q.detail,
                        digest,
                        q.payload,
                        q.first_ms,
                        q.last_ms,
                    ),
                ).lastrowid
                self._main.execute(
                    "DELETE FROM quarantine WHERE no <= ?", ((number or 0) - QUARANTINE_ROWS,)
                )

    def _commit_blocks(self, blocks: Sequence[Block]) -> list[tuple[tuple[int, int], int]]:
        return [self._commit_block(block) for block in blocks]

    def _commit_block(self, block: Block) -> tuple[tuple[int, int], int]:
        stored = self._now_ms()
        if block.quarantined:
            self._in_main(lambda: self._keep_quarantined(block.quarantined))
        if not block.entries:
            return (0, 0), stored
        if block.chunks:
            self.pictures.keep(block.chunks)
        self._number_devices(block)
        telemetry = self._telemetry_of(stored)
        times = [e.message.t for e in block.entries if isinstance(e.message, Fix)]
        least, most = min(times, default=1), max(times, default=0)
        packed = self._codec.pack(block.entries, stored, self._numbers.__getitem__)
        taken = None
        try:
            with transaction(telemetry), self._cursors.lock:  # which is free while it commits
                first = self._cursors.newest + 1
                last = first + len(block.entries) - 1
                telemetry.execute(
                    "INSERT INTO block VALUES (?, ?, ?, ?, ?)", (first, last, least, most, packed)
                )
                taken = self._cursors.take(last)
        except BaseException as error:
            self._cursors.settle(taken, error)
            raise
        self._cursors.settle(taken)
        return (first, last), stored

    def _in_main(self, work: Callable[[], Any]) -> None:
        """Have the upper writer commit something in its file, and wait for it."""
        self._upper.call("notes", work)

    def _number_devices(self, block: Block) -> None:
        new = {e.device for e in block.entries}.difference(self._numbers)
        if new:
            rows = [(len(self._numbers) + n, device) for n, device in enumerate(sorted(new), 1)]
            self._in_main(lambda: self._main.executemany("INSERT INTO device VALUES (?, ?)", rows))
            self._numbers.update((device, no) for no, device in rows)

    def _telemetry_of(self, stored: int) -> sqlite3.Connection:
        day = f"telemetry-{datetime.fromtimestamp(stored / 1000, UTC):%Y-%m-%d}.db"
        if day > self._day:  # a clock that went back goes on in the newest file
            self._open_day(day)  # before its name is known: a reader needs its table
            with self._cursors.lock:
                row = (self._cursors.newest + 1, day)
            self._in_main(lambda: self._main.execute("INSERT INTO day VALUES (?, ?)", row))
        assert self._telemetry is not None
        return self._telemetry

    def _open_day(self, name: str) -> None:
        if self._telemetry is not None:
            self._telemetry.close()
        self._telemetry = open_database(self._folder / name)
        if self._telemetry.execute("SELECT 1 FROM sqlite_master").fetchone() is None:
            self._telemetry.executescript(f"BEGIN;{schema('telemetry.sql')}COMMIT;")
        folder = os.open(self._folder, os.O_RDONLY)
        os.fsync(folder)  # the name of a new file must survive a power cut too
        os.close(folder)
        self._day = name

    def _open_day_or_next(self, first: int, name: str) -> None:
        """The newest day, or a file to go on in beside it if it is damaged."""
        path = self._folder / name
        try:
            if path.exists():
                rescue.open_sound(path, rescue.is_marked(self._folder, name)).close()
            return self._open_day(name)
        except sqlite3.DatabaseError as error:
            if not is_damage(error):
                raise
            log.error("day_damaged", file=name, problem=str(error))
        last = rescue.last_readable(path, first, self.damage) + rescue.FLOOR_STEP
        stem, _, part = name.removesuffix(".db").partition("~")
        following = f"{stem}~{int(part or 0) + 1}.db"  # sorts behind it, and before the next day
        self._open_day(following)
        with transaction(self._main):
            self._main.execute("INSERT INTO day VALUES (?, ?)", (last + 1, following))
            self._main.execute("INSERT OR REPLACE INTO meta VALUES ('cursor_floor', ?)", (last,))

    def _run_chores(self, chores: Sequence[Callable[[], Any]]) -> list[Any]:
        with transaction(self._main):
            return [chore() for chore in chores]

    def recover(self) -> Recovered:
        """The states at the last checkpoint. Blocks: for the start."""
        row = self._main.execute("SELECT value FROM meta WHERE key = 'checkpoint'").fetchone()
        rows = self._main.execute("SELECT device, body, crc FROM state").fetchall()
        states = {device: body for device, body, crc in rows if is_whole(crc, body, device)}
        if len(states) < len(rows):  # all is known again once every event is replayed
            log.error("states_damaged", devices=len(rows) - len(states))
            return Recovered(0, states)
        return Recovered(row[0] if row else 0, states)

    def open_alarms(self) -> list[AlarmRecord]:
        """All alarms not closed, oldest first. Blocks: for the start."""
        sql = "SELECT id, body, crc FROM alarm WHERE stage <> 'closed' ORDER BY cursor"
        found = [alarm_of(self._main, *row) for row in self._main.execute(sql).fetchall()]
        return [alarm for alarm in found if alarm is not None]

    def units(self) -> list[UnitRecord]:
        """All units that there ever were. Blocks: for the start."""
        return all_units(self._main)

    def waiting_commands(self) -> list[CommandRecord]:
        """All commands that their devices do not have yet. Blocks: for the start."""
        sql = "SELECT id, body, crc FROM command WHERE state IN ('created', 'sent') ORDER BY cursor"
        found = [command_of(self._main, *row) for row in self._main.execute(sql).fetchall()]
        return [command for command in found if command is not None]
