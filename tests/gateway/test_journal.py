"""The journal: order, restart, what a failed commit means, schemas that only move forward."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.journal import sqlite
from gateway.journal.base import (
    FED_TYPES,
    Block,
    Change,
    CommitFailed,
    Event,
    EventType,
    Telemetry,
)
from gateway.journal.database import transaction
from gateway.journal.migration import migrate
from gateway.journal.sqlite import SqliteJournal
from protocols.model import Fix

DAY_MS = 24 * 3600 * 1000
NOON = 20_000 * DAY_MS + DAY_MS // 2


def alarm(number: int) -> Event:
    return Event(
        type=EventType.ALARM_RAISED, id=f"box-1:1:p:{number}", device="box-1", t=NOON, received=NOON
    )


def block(first: int, count: int = 3, device: str = "car-1") -> Block:
    return Block(
        [
            Telemetry(
                device, NOON, 0, (), Fix(boot=1, seq=n, t=NOON + n, lat=24.5, lon=117.6, fix=3)
            )
            for n in range(first, first + count)
        ]
    )


async def cursors(journal: SqliteJournal, *types: EventType) -> list[int]:
    page = await journal.read(0, 1000, frozenset(types) or FED_TYPES)
    return [event.cursor for event in page.events]


async def test_rows_and_blocks_are_read_in_the_order_of_their_commits(tmp_path: Path) -> None:
    async with SqliteJournal(tmp_path) as journal:
        await journal.commit(Change([alarm(1)]))
        await journal.commit_block(block(1))
        await journal.commit(Change([alarm(2)]))
        await journal.commit_block(block(4))
        assert await cursors(journal) == [1, 2, 3, 4, 5, 6, 7, 8]
        assert await cursors(journal, EventType.ALARM_RAISED) == [1, 5]
        page = await journal.read(2, 3, FED_TYPES)
        assert ([e.cursor for e in page.events], page.next) == ([3, 4, 5], 5)
        page = await journal.read(5, 100, frozenset({EventType.ALARM_RAISED}))
        assert (page.events, page.next) == ([], 8)


async def test_cursors_go_on_after_a_restart(tmp_path: Path) -> None:
    async with SqliteJournal(tmp_path) as journal:
        await journal.commit(Change([alarm(1)]))
        await journal.commit_block(block(1))
    async with SqliteJournal(tmp_path) as journal:
        assert journal.last_cursor == 4
        assert (await journal.commit(Change([alarm(2)])))[0] == [5]


async def test_telemetry_goes_into_daily_files_and_never_back(tmp_path: Path) -> None:
    now = NOON
    async with SqliteJournal(tmp_path, now_ms=lambda: now) as journal:
        await journal.commit_block(block(1))
        now += DAY_MS
        await journal.commit_block(block(4))
        now -= DAY_MS  # the clock was set back
        await journal.commit_block(block(7))
        assert len(list(tmp_path.glob("telemetry-*.db"))) == 2
        assert await cursors(journal) == list(range(1, 10))
    async with SqliteJournal(tmp_path, now_ms=lambda: now) as journal:
        assert await cursors(journal) == list(range(1, 10))
        assert (await journal.commit_block(block(10)))[0] == (10, 12)


async def test_an_id_is_kept_once(tmp_path: Path) -> None:
    async with SqliteJournal(tmp_path) as journal:
        await journal.commit(Change([alarm(1)]))
        assert (await journal.commit(Change([alarm(1)])))[0] == [0]
        assert await cursors(journal) == [1]


async def test_an_alarm_is_committed_before_telemetry_that_waited_longer(tmp_path: Path) -> None:
    async with SqliteJournal(tmp_path) as journal:
        blocks = [journal.commit_block(block(1 + 3 * n)) for n in range(20)]
        (cursor,), _ = await journal.commit(Change([alarm(1)]))
        done = await asyncio.gather(*blocks)
        assert cursor < done[-1][0][0]


async def test_an_alarm_waits_for_no_telemetry_and_is_read_after_what_came_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    under_way, go_on = threading.Event(), threading.Event()

    @contextlib.contextmanager
    def slow(connection: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
        with transaction(connection):
            yield connection
            if connection is journal._telemetry:
                under_way.set()
                go_on.wait(30)

    async with SqliteJournal(tmp_path) as journal:
        await journal.commit_block(block(1))
        monkeypatch.setattr(sqlite, "transaction", slow)
        telemetry = journal.commit_block(block(4))
        assert await asyncio.to_thread(under_way.wait, 30)
        assert (await journal.commit(Change([alarm(1)])))[0] == [7]
        assert not telemetry.done()
        assert await cursors(journal) == [1, 2, 3]  # a feed that saw 7 would never ask for 4 to 6
        go_on.set()
        assert (await telemetry)[0] == (4, 6)
        assert await cursors(journal) == [1, 2, 3, 4, 5, 6, 7]


async def test_after_a_failed_commit_nothing_is_committed_any_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with SqliteJournal(tmp_path) as journal:
        await journal.commit(Change([alarm(1)]))
        monkeypatch.setattr(sqlite, "sealed", _no_space)
        with pytest.raises(CommitFailed, match="disk is full"):
            await journal.commit(Change([alarm(2)]))
        monkeypatch.undo()
        with pytest.raises(CommitFailed):
            await journal.commit(Change([alarm(3)]))
        await asyncio.wait_for(journal.failed.wait(), 30)
    async with SqliteJournal(tmp_path) as journal:
        assert await cursors(journal) == [1]


def _no_space(*_: object) -> bytes:
    raise sqlite3.OperationalError("database or disk is full")


async def test_who_waits_is_woken_by_the_commit_that_passes_his_cursor(tmp_path: Path) -> None:
    async with SqliteJournal(tmp_path) as journal:
        first = asyncio.create_task(journal.wait_beyond(0))
        second = asyncio.create_task(journal.wait_beyond(1))
        await journal.commit(Change([alarm(1)]))
        await asyncio.wait_for(first, 30)
        assert not second.done()
        await journal.commit(Change([alarm(2)]))
        await asyncio.wait_for(second, 30)


def test_a_journal_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / "journal.db")
    migrate(connection)
    connection.execute("PRAGMA user_version = 99")
    with pytest.raises(RuntimeError, match="99"):
        migrate(connection)
    connection.close()


def test_a_schema_is_applied_once(tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / "journal.db")
    migrate(connection)
    connection.execute("INSERT INTO meta VALUES ('x', 1)")
    connection.commit()
    migrate(connection)
    assert connection.execute("SELECT value FROM meta").fetchall() == [(1,)]
    connection.close()
