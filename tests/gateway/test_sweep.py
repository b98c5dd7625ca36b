"""A sweep of a time that has passed: the newest of each device in each step, told once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.journal.base import Block, Telemetry
from gateway.journal.fixes import Glance
from gateway.journal.sqlite import SqliteJournal
from gateway.journal.sweep import Sheet, Span, in_steps
from tests.gateway.outward import NOW_MS, fix

SPAN = Span(1_000_000, 1_000_400, 10)
Sight = tuple[int, int]  # device, when


def sheet(*sights: Sight) -> Sheet:
    times = np.array([t for _, t in sights], np.int64)
    one, nothing = np.ones(len(sights)), np.full(len(sights), np.nan)
    devices = np.array([device for device, _ in sights], np.int64)
    numbers = devices, times, one.astype(np.int64), times + 5, np.zeros(len(sights), np.int64)
    glance = Glance(*numbers, one, one, nothing, nothing, nothing)
    return Sheet(min((t for _, t in sights), default=0), lambda: [glance])


sights = st.tuples(st.integers(1, 3), st.integers(SPAN.since - 20, SPAN.until + 20))


@given(st.lists(st.lists(sights, min_size=1, max_size=8), max_size=8))
def test_each_step_has_the_newest_of_each_device(sheets: list[list[Sight]]) -> None:
    due: dict[Sight, int] = {}
    for device, t in (each for some in sheets for each in some):
        if SPAN.since <= t < SPAN.until:
            key = SPAN.step_at(t), device
            due[key] = max(due.get(key, 0), t)
    told: list[tuple[Sight, int]] = []
    for seen in in_steps([sheet(*some) for some in sheets], SPAN):
        keys = zip(seen.step.tolist(), seen.device.tolist(), strict=True)
        told += zip(keys, seen.at.tolist(), strict=True)
    assert told == sorted(due.items())


def test_steps_are_told_before_all_sheets_are_looked_at() -> None:
    loaded: list[int] = []
    span = Span(0, 400_000, 100_000)

    def noted(t: int) -> Sheet:
        return Sheet(t, lambda: loaded.append(t) or sheet((1, t)).load())  # type: ignore[func-returns-value]

    parts = in_steps([noted(t) for t in (1000, 200_000, 390_000)], span)
    assert next(parts).step.tolist() == [0]
    assert loaded == [1000]


@pytest.mark.parametrize("each", [1, 20])
async def test_rows_and_tables_on_disk_say_the_same(tmp_path: Path, each: int) -> None:
    """A quiet town's positions stand as rows, a city's in tables."""

    def entry(number: int, seq: int) -> Telemetry:
        moved = fix(seq, lat=24.0 + seq / 1000, spd=None if seq % 2 else 3.5, acc=float(number))
        return Telemetry(f"car-{number}", NOW_MS + 1000 * seq + 100, 5, (), moved)

    async with SqliteJournal(tmp_path, now_ms=lambda: NOW_MS) as journal:
        for seq in range(30):
            await journal.commit_block(Block([entry(number, seq) for number in range(each)]))
        lost = fix(31, fix=0)
        await journal.commit_block(Block([Telemetry("car-0", NOW_MS, None, (), lost)]))
        late = fix(32, t=NOW_MS - 500_000, lat=1.0)  # a clock that is 505 s behind
        await journal.commit_block(Block([Telemetry("car-0", NOW_MS + 6000, 505_000, (), late)]))
        parts = [seen async for seen in journal.sweep(NOW_MS, NOW_MS + 40_000, 10_000)]
    rows = [
        (step, seen.names[device], at - NOW_MS, round(lat, 3), spd == 3.5, acc)
        for seen in parts
        for step, device, at, lat, spd, acc in zip(
            seen.step.tolist(), seen.device.tolist(), seen.at.tolist(), seen.lat.tolist(),
            seen.spd.tolist(), seen.acc.tolist(), strict=True,
        )
    ]  # fmt: skip
    assert len(rows) == 3 * each
    assert rows[0] == (0, "car-0", 9000, 24.009, False, 0.0)
    assert rows[each] == (1, "car-0", 19000, 24.019, False, 0.0)
    assert all(row[5] == int(row[1][4:]) for row in rows)
