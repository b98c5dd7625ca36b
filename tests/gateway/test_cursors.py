"""Two threads number events of one journal: no number twice, and no reader too far."""

from __future__ import annotations

import sqlite3

import pytest

from gateway.journal.base import CommitFailed, DiskFull
from gateway.journal.writer import Cursors


def taken(cursors: Cursors, count: int) -> int | None:
    with cursors.lock:
        return cursors.take(cursors.newest + count)


def test_readers_wait_for_a_commit_under_way_below() -> None:
    cursors = Cursors()
    cursors.start(68)
    alarm, block = taken(cursors, 1), taken(cursors, 10)
    assert (alarm, block) == (69, 70)
    cursors.settle(block)
    assert cursors.settled == 68
    cursors.settle(alarm)
    assert cursors.settled == 79


def test_what_found_no_room_gives_its_numbers_back() -> None:
    cursors = Cursors()
    cursors.start(68)
    cursors.settle(taken(cursors, 3), DiskFull("the disk is full"))
    assert (cursors.settled, taken(cursors, 1)) == (68, 69)


def test_a_commit_that_failed_may_be_on_disk_so_nobody_gets_its_numbers() -> None:
    cursors = Cursors()
    cursors.start(68)
    cursors.settle(taken(cursors, 1), sqlite3.OperationalError("disk I/O error"))
    with pytest.raises(CommitFailed):
        taken(cursors, 10)
    assert cursors.settled == 68
