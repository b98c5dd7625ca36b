"""Which pictures of the spool go out first, and which give way when it is full."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from enum import IntEnum
from typing import NamedTuple


class Rank(IntEnum):
    """What a picture is for, in the order of sending."""

    COMMAND = 0  # somebody waits for it
    ALARM = 1  # at the press and after it, and a selection of before it
    LIVE = 2
    PERIODIC = 3
    REST = 4  # what else was seen before an alarm


GIVES_WAY = (Rank.LIVE, Rank.PERIODIC, Rank.REST, Rank.COMMAND, Rank.ALARM)
"""In this order: what was seen before an alarm is worth more than an old view of the street."""


class Place(NamedTuple):
    """Where a picture stands: by rank, the newest ``alarm`` (its place in the spool) first,
    the smallest ``order`` first, then as they came."""

    rank: Rank = Rank.PERIODIC
    alarm: int = 0
    order: int = 0


ORDINARY = Place()

SCHEMA = """
CREATE TABLE IF NOT EXISTS picture (  -- messages first to last are its chunks
    first INTEGER PRIMARY KEY,
    last INTEGER NOT NULL,
    rank INTEGER NOT NULL,
    alarm INTEGER NOT NULL,
    place INTEGER NOT NULL
);
CREATE INDEX IF NOT EXISTS picture_order ON picture (rank, alarm DESC, place, first);
"""

_CHUNKS = "FROM message WHERE n BETWEEN picture.first AND picture.last AND channel = 'media'"


def note(db: sqlite3.Connection, first: int, last: int, place: Place) -> None:
    """These messages are one picture; those that have gone out whole are forgotten."""
    db.execute(f"DELETE FROM picture WHERE NOT EXISTS (SELECT 1 {_CHUNKS})")  # noqa: S608 - our own names
    db.execute("REPLACE INTO picture VALUES (?, ?, ?, ?, ?)", [first, last, *place])


def adopt(db: sqlite3.Connection) -> None:
    """Chunks that no picture is known of, of an older or a mended spool, are periodic."""
    db.execute(
        "INSERT OR IGNORE INTO picture SELECT n, n, ?, 0, 0 FROM message WHERE channel = 'media'"
        " AND NOT EXISTS (SELECT 1 FROM picture WHERE n BETWEEN first AND last)",
        [Rank.PERIODIC],
    )


def in_order(db: sqlite3.Connection) -> Iterator[tuple[int, int, int]]:
    """The chunks that wait as n, boot, seq, in the order of sending."""
    return db.execute(
        "SELECT n, boot, seq FROM picture CROSS JOIN message"
        " ON n BETWEEN first AND last AND channel = 'media'"
        " ORDER BY rank, alarm DESC, place, first, n"
    )


def least(db: sqlite3.Connection) -> list[tuple[int, int, int]]:
    """The chunks of the picture that gives way next."""
    for rank in GIVES_WAY:
        rows = db.execute(
            f"SELECT first, last FROM picture WHERE rank = ? AND EXISTS (SELECT 1 {_CHUNKS})"  # noqa: S608 - our own names
            " ORDER BY alarm, place DESC, first LIMIT 1",
            [rank],
        ).fetchall()
        for picture in rows:
            return db.execute(
                "SELECT n, boot, seq FROM message WHERE n BETWEEN ? AND ? AND channel = 'media'",
                picture,
            ).fetchall()
    return []
