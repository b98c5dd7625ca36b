"""Room on the disk: what gives way in which order, and that it comes back."""

from __future__ import annotations

import asyncio
import os
import random
import sqlite3
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import msgspec
import pytest

from gateway.journal.base import Block, Change, DiskFull
from gateway.journal.sqlite import SqliteJournal
from gateway.reserve import FILES, DiskState, Room
from protocols.model import Fix
from tests.gateway.test_journal import alarm, block, cursors

RESERVE = 16 * 4096


class Disk:
    """A disk of so much room beside the reserve, in reserves, as statvfs tells it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.room = 10.0
        self.inodes = 1_000_000
        self.rooms = Room(folder, reserve_bytes=RESERVE, statvfs=self._statvfs)

    def _statvfs(self, _: Path) -> os.statvfs_result:
        held = sum(p.stat().st_size for p in (self.folder / "reserve").glob("*"))
        free = int(self.room * RESERVE) + RESERVE - held
        seen = {"f_bavail": free, "f_frsize": 1, "f_blocks": 100 * RESERVE}
        return cast(
            os.statvfs_result,
            SimpleNamespace(**seen, f_favail=self.inodes, f_files=2_000_000),
        )

    def state(self, room: float) -> DiskState:
        """The state with so much room."""
        self.room = room
        self.rooms.look()
        return self.rooms.state


@pytest.fixture
def disk(tmp_path: Path) -> Disk:
    disk = Disk(tmp_path)
    assert disk.state(10) is DiskState.OK
    assert disk.rooms.is_reserved
    return disk


def test_pictures_give_way_first_then_positions_then_the_reserve(disk: Disk) -> None:
    seen = [disk.state(room) for room in (10, 3.9, 1.9, 0.4)]
    assert seen == list(DiskState)
    assert not disk.rooms.is_reserved


def test_alarms_are_never_asked_and_pictures_before_positions(disk: Disk) -> None:
    disk.state(3)
    assert (disk.rooms.admits("pos"), disk.rooms.admits("media")) == (True, False)
    disk.state(1)
    assert (disk.rooms.admits("pos"), disk.rooms.admits("status")) == (False, False)


def test_what_gave_way_comes_back_with_room_to_spare(disk: Disk) -> None:
    disk.state(1)
    assert disk.state(2.1) is DiskState.TELEMETRY_OFF
    assert disk.state(3.1) is DiskState.PICTURES_OFF
    assert disk.state(5) is DiskState.PICTURES_OFF
    assert disk.state(6.1) is DiskState.OK


def test_the_reserve_is_made_again_before_anything_comes_back(disk: Disk) -> None:
    assert disk.rooms.release()
    assert not disk.rooms.release(), "there is nothing left to give"
    disk.room = 0.6
    disk.rooms.look()
    assert (disk.rooms.state, disk.rooms.is_reserved) == (DiskState.RESERVE_RELEASED, False)
    assert disk.state(1) is DiskState.TELEMETRY_OFF
    assert disk.rooms.is_reserved


def test_inodes_run_out_like_bytes(disk: Disk) -> None:
    disk.inodes = 3 * FILES
    assert disk.state(10) is DiskState.PICTURES_OFF
    disk.inodes = 3
    assert disk.state(10) is DiskState.RESERVE_RELEASED


def test_a_start_on_a_full_disk_begins_with_the_reserve(disk: Disk) -> None:
    again = Disk(disk.folder)
    assert again.rooms.is_reserved
    assert again.state(0.1) is DiskState.RESERVE_RELEASED
    assert not again.rooms.is_reserved


def test_a_folder_that_cannot_be_written_is_told(disk: Disk) -> None:
    assert disk.rooms.probe() is None
    (disk.folder / "probe").mkdir()  # a write fails for root too
    assert "Is a directory" in str(disk.rooms.probe())


# The journal on a full disk: SQLite has its own limit, and says the same.


class FullJournal:
    """A journal whose files may not grow, until there is room. Its writers' threads ask for it."""

    def __init__(self, folder: Path) -> None:
        self.asked = asyncio.Event()
        self.has_room = False
        self._loop = asyncio.get_running_loop()
        self.journal = SqliteJournal(folder, make_room=self._make_room)

    def fill(self) -> None:
        """The files are as large as they may be."""
        for connection in (self.journal._main, self.journal._telemetry):
            if connection is not None:
                connection.execute("PRAGMA max_page_count = 1")

    def _make_room(self) -> bool:
        if self.has_room:
            self.journal._main.execute("PRAGMA max_page_count = 100000")
        self._loop.call_soon_threadsafe(self.asked.set)
        return self.has_room


def scattered(first: int, count: int) -> Block:
    """Positions that no codec makes small."""
    entries = block(first, count).entries
    for entry in entries:
        assert isinstance(entry.message, Fix)
        place = {"lat": random.uniform(-90, 90), "lon": random.uniform(-180, 180)}
        entry.message = msgspec.structs.replace(entry.message, **place)
    return Block(entries)


def large(number: int) -> Change:
    """An alarm that no page in use has room for."""
    return Change([msgspec.structs.replace(alarm(number), data={"text": "x" * 9000})])


async def test_an_alarm_waits_for_room_and_telemetry_is_told_that_there_is_none(
    tmp_path: Path,
) -> None:
    full = FullJournal(tmp_path)
    async with full.journal as journal:
        await journal.commit_block(block(1))
        full.fill()
        waiting = journal.commit(large(1))
        await asyncio.wait_for(full.asked.wait(), 30)
        assert not waiting.done()
        blocks = [journal.commit_block(scattered(first, 2000)) for first in (10, 10_000)]
        for each in blocks:
            with pytest.raises(DiskFull):
                await asyncio.wait_for(each, 30)
        assert not journal.failed.is_set()
        full.has_room = True
        (cursor,), _ = await asyncio.wait_for(waiting, 30)
        assert cursor == 4
        await journal.commit_block(block(10))  # a few fit into a page in use
        assert await cursors(journal) == [1, 2, 3, 4, 5, 6, 7]
    async with SqliteJournal(tmp_path) as journal:
        assert await cursors(journal) == [1, 2, 3, 4, 5, 6, 7]


async def test_the_reserve_is_given_before_anything_waits(tmp_path: Path) -> None:
    given: list[None] = []

    def make_room() -> bool:
        given.append(None)
        journal._main.execute("PRAGMA max_page_count = 100000")
        return True

    async with SqliteJournal(tmp_path, make_room=make_room) as journal:
        await journal.commit(Change())
        journal._main.execute("PRAGMA max_page_count = 1")
        await asyncio.wait_for(journal.commit(large(1)), 30)
        assert len(given) == 1
        assert await cursors(journal) == [1]


async def test_a_journal_that_waits_for_room_closes_when_it_is_told(tmp_path: Path) -> None:
    full = FullJournal(tmp_path)
    async with full.journal as journal:
        full.fill()
        waiting = journal.commit(large(1))
        await asyncio.wait_for(full.asked.wait(), 30)
    with pytest.raises(DiskFull):
        await waiting
    async with SqliteJournal(tmp_path) as journal:
        assert await cursors(journal) == []


async def test_a_heartbeat_is_written(tmp_path: Path) -> None:
    now = 1_790_000_000_000
    async with SqliteJournal(tmp_path, now_ms=lambda: now) as journal:
        assert await journal.commit(Change()) == ([], now)
        connection = sqlite3.connect(tmp_path / "journal.db")
        row = connection.execute("SELECT value FROM meta WHERE key = 'beat'").fetchone()
        connection.close()
        assert row == (now,)


def test_a_reserve_that_cannot_be_made_stops_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: Any) -> None:
        raise OSError(27, "File too large")

    monkeypatch.setattr(os, "posix_fallocate", refused)
    disk = Disk(tmp_path)
    assert disk.state(10) is DiskState.OK
    assert not disk.rooms.is_reserved
