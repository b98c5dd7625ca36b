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
from importlib import resources
from pathlib import Path
from typing import Any, Self

import msgspec

from gateway.journal.base import (
    REPEAT_MS,
    AlarmRecord,
    Block,
    Change,
    DiskFull,
    Quarantined,
    Recovered,
)
from gateway.journal.blocks import BlockCodec
from gateway.journal.pictures import PictureStore
from gateway.journal.reading import SqliteReader, decode_alarm, open_database, transaction
from gateway.journal.writer import Writer
from protocols.model import Fix

QUARANTINE_ROWS = 100_000

_BEAT = Change()

_encode = msgspec.msgpack.Encoder().encode


class SqliteJournal(SqliteReader):
    """See base.Journal. ``async with`` opens the files and starts the writer."""

    def __init__(
        self,
        folder: Path,
        *,
        now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
        make_room: Callable[[], bool] = lambda: False,
    ) -> None:
        super().__init__(folder)
        self._now_ms = now_ms
        self.pictures: PictureStore
        self.failed = asyncio.Event()
        self._writer = Writer(self._commit_changes, self._commit_block, self._chore, make_room)
        # Of the writer's thread alone:
        self._codec = BlockCodec()
        self._cursor = 0
        self._numbers: dict[str, int] = {}
        self._day = ""
        self._main: sqlite3.Connection
        self._telemetry: sqlite3.Connection | None = None

    async def __aenter__(self) -> Self:
        self._folder.mkdir(parents=True, exist_ok=True)
        self._main = open_database(self._folder / "journal.db")
        migrate(self._main)
        self.pictures = PictureStore(self._folder / "pictures")
        self._numbers = dict(self._main.execute("SELECT id, no FROM device"))
        day = self._main.execute("SELECT name FROM day ORDER BY first DESC LIMIT 1").fetchone()
        if day is not None:
            self._open_day(day[0])
        await super().__aenter__()
        self._cursor = self._last
        self._writer.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await asyncio.to_thread(self._writer.stop)
        await super().__aexit__()
        self.pictures.close()
        self._main.close()
        if self._telemetry is not None:
            self._telemetry.close()

    @property
    def failure(self) -> str:
        """What made it fail, once ``failed`` is set."""
        return str(self._writer.failure)

    def commit(self, change: Change) -> asyncio.Future[tuple[list[int], int]]:
        """Commit at once. A cursor of 0 stands for an event whose id was known already."""
        future = self._writer.submit_change(change)
        future.add_done_callback(self._advance)
        return future

    def commit_block(self, block: Block) -> asyncio.Future[tuple[tuple[int, int], int]]:
        """Commit telemetry in its turn."""
        future = self._writer.submit_block(block)
        future.add_done_callback(self._advance)
        return future

    def save_states(self, states: dict[str, bytes], checkpoint: int) -> asyncio.Future[None]:
        """Keep what is known of devices, no older than the checkpoint's cursor."""

        def chore() -> None:
            self._main.executemany(
                "INSERT OR REPLACE INTO state (device, body) VALUES (?, ?)", states.items()
            )
            self._main.execute(
                "INSERT OR REPLACE INTO meta VALUES ('checkpoint', ?)", (checkpoint,)
            )

        return self._writer.submit_chore(chore)

    async def save_feed_cursor(self, name: str, cursor: int) -> None:
        """See Reader."""

        def chore() -> None:
            self._main.execute("INSERT OR REPLACE INTO feed VALUES (?, ?)", (name, cursor))

        await self._writer.submit_chore(chore)

    def _advance(self, future: asyncio.Future[Any]) -> None:
        if future.cancelled():
            return
        if (failure := future.exception()) is not None:
            if not isinstance(failure, DiskFull):
                self.failed.set()
            return
        cursors, _ = future.result()
        self._advance_to(max(cursors, default=0))

    def _commit_changes(self, changes: Sequence[Change]) -> list[tuple[list[int], int]]:
        stored = self._now_ms()
        outcomes = []
        cursor = self._cursor
        with transaction(self._main):
            for change in changes:
                if change == _BEAT:
                    self._main.execute("INSERT OR REPLACE INTO meta VALUES ('beat', ?)", (stored,))
                cursors = []
                for event in change.events:
                    body = _encode(msgspec.structs.replace(event, cursor=0, stored=stored))
                    added = self._main.execute(
                        "INSERT OR IGNORE INTO event VALUES (?, ?, ?, ?, ?)",
                        (cursor + 1, event.type, event.id, event.device, body),
                    ).rowcount
                    cursor += added
                    cursors.append(cursor if added else 0)
                if 0 not in cursors:
                    for alarm in change.alarms:
                        self._keep_alarm(alarm, cursors[0] if cursors else 0)
                self._keep_quarantined(change.quarantined)
                outcomes.append((cursors, stored))
        self._cursor = cursor
        return outcomes

    def _keep_alarm(self, alarm: AlarmRecord, cursor: int) -> None:
        self._main.execute(
            "INSERT INTO alarm VALUES (?, ?, ?, ?, ?)"
            " ON CONFLICT (id) DO UPDATE SET stage = excluded.stage, body = excluded.body",
            (alarm.id, cursor, alarm.device, alarm.stage, _encode(alarm)),
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

    def _commit_block(self, block: Block) -> tuple[tuple[int, int], int]:
        stored = self._now_ms()
        if block.quarantined:
            with transaction(self._main):
                self._keep_quarantined(block.quarantined)
        if not block.entries:
            return (self._cursor, self._cursor), stored
        if block.chunks:
            self.pictures.keep(block.chunks)
        self._number_devices(block)
        telemetry = self._telemetry_of(stored)
        first, last = self._cursor + 1, self._cursor + len(block.entries)
        times = [e.message.t for e in block.entries if isinstance(e.message, Fix)]
        row = (
            first,
            last,
            min(times, default=1),
            max(times, default=0),
            self._codec.pack(block.entries, stored, self._numbers.__getitem__),
        )
        with transaction(telemetry):
            telemetry.execute("INSERT INTO block VALUES (?, ?, ?, ?, ?)", row)
        self._cursor = last
        return (first, last), stored

    def _number_devices(self, block: Block) -> None:
        new = {e.device for e in block.entries}.difference(self._numbers)
        if new:
            rows = [(len(self._numbers) + n, device) for n, device in enumerate(sorted(new), 1)]
            with transaction(self._main):
                self._main.executemany("INSERT INTO device VALUES (?, ?)", rows)
            self._numbers.update((device, no) for no, device in rows)

    def _telemetry_of(self, stored: int) -> sqlite3.Connection:
        day = f"telemetry-{datetime.fromtimestamp(stored / 1000, UTC):%Y-%m-%d}.db"
        if day > self._day:  # a clock that went back goes on in the newest file
            self._open_day(day)  # before its name is known: a reader needs its table
            with transaction(self._main):
                self._main.execute("INSERT INTO day VALUES (?, ?)", (self._cursor + 1, day))
        assert self._telemetry is not None
        return self._telemetry

    def _open_day(self, name: str) -> None:
        if self._telemetry is not None:
            self._telemetry.close()
        self._telemetry = open_database(self._folder / name)
        self._telemetry.executescript(_schema("telemetry.sql"))
        folder = os.open(self._folder, os.O_RDONLY)
        os.fsync(folder)  # the name of a new file must survive a power cut too
        os.close(folder)
        self._day = name

    def _chore(self, chore: Callable[[], Any]) -> Any:
        with transaction(self._main):
            return chore()

    def recover(self) -> Recovered:
        """The states at the last checkpoint. Blocks: for the start."""
        row = self._main.execute("SELECT value FROM meta WHERE key = 'checkpoint'").fetchone()
        states = dict(self._main.execute("SELECT device, body FROM state"))
        return Recovered(row[0] if row else 0, states)

    def open_alarms(self) -> list[AlarmRecord]:
        """All alarms not closed, oldest first. Blocks: for the start."""
        sql = "SELECT body FROM alarm WHERE stage <> 'closed' ORDER BY cursor"
        return [decode_alarm(body) for (body,) in self._main.execute(sql)]


def migrate(connection: sqlite3.Connection) -> None:
    """Bring the schema forward: apply each ``NNNN.sql`` beyond ``user_version``, in order."""
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    steps = sorted(
        entry.name
        for entry in resources.files("gateway.journal").joinpath("schema").iterdir()
        if entry.name[:4].isdigit()
    )
    if version > len(steps):
        raise RuntimeError(
            f"journal.db has schema {version}, newer than the {len(steps)} that this version knows"
        )
    for number, name in enumerate(steps[version:], version + 1):
        connection.executescript(
            f"BEGIN IMMEDIATE;\n{_schema(name)}\nPRAGMA user_version = {number};\nCOMMIT;"
        )


def _schema(name: str) -> str:
    return resources.files("gateway.journal").joinpath("schema", name).read_text()
