"""A time is found in a day's file by its indexes, and in a file of before by a walk."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from gateway.journal.base import Block
from gateway.journal.files import IN_TIME
from gateway.journal.sqlite import SqliteJournal
from tests.gateway.outward import NOW_MS, fix, fixes

HOUR_MS = 3_600_000
BLOCKS = (
    (0, 1, 2),
    (HOUR_MS, HOUR_MS + 1),
    (2 * HOUR_MS, 3 * HOUR_MS, HOUR_MS + 500),  # a backlog
    (4 * HOUR_MS,),
)
INDEXES = ("block_narrow", "block_wide")


def block(*times: int) -> Block:
    return fixes("car-1", *(fix(10**6 + t, t=NOW_MS + t) for t in times))


async def test_a_new_day_is_searched_by_its_indexes(tmp_path: Path) -> None:
    async with SqliteJournal(tmp_path, now_ms=lambda: NOW_MS) as journal:
        await journal.commit_block(block(0))
    [day] = tmp_path.glob("telemetry-*.db")
    with sqlite3.connect(day) as database:
        plan = str(
            database.execute(
                f"EXPLAIN QUERY PLAN {IN_TIME}", {"a": 0, "b": 1, "before_a": 0}
            ).fetchall()
        )
    for index in INDEXES:
        assert f"COVERING INDEX {index}" in plan


@pytest.mark.parametrize("is_of_before", [False, True])
@pytest.mark.parametrize(
    ("since", "until", "due"),
    [
        (0, 3, [0, 1, 2]),
        (1, 2, [1]),
        (HOUR_MS, HOUR_MS + 600, [HOUR_MS, HOUR_MS + 1, HOUR_MS + 500]),
        (2 * HOUR_MS + 1, 4 * HOUR_MS, [3 * HOUR_MS]),
        (4 * HOUR_MS, 5 * HOUR_MS, [4 * HOUR_MS]),
        (5 * HOUR_MS, 6 * HOUR_MS, []),
        (-(2**63) - NOW_MS, 2**63 - 1 - NOW_MS, sorted(t for each in BLOCKS for t in each)),
    ],
)
async def test_what_lies_in_a_time_is_found(
    tmp_path: Path, since: int, until: int, due: list[int], *, is_of_before: bool
) -> None:
    async with SqliteJournal(tmp_path, now_ms=lambda: NOW_MS) as journal:
        for times in BLOCKS:
            await journal.commit_block(block(*times))
    if is_of_before:
        [day] = tmp_path.glob("telemetry-*.db")
        with sqlite3.connect(day) as database:
            for index in INDEXES:
                database.execute(f"DROP INDEX {index}")
    async with SqliteJournal(tmp_path, now_ms=lambda: NOW_MS) as journal:
        track = await journal.track("car-1", NOW_MS + since, NOW_MS + until)
    assert [event.t - NOW_MS for event in track] == due
