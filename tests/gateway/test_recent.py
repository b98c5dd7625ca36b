"""The newest alarms come from memory: the same as from the disk, and none waits for telemetry."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from gateway.journal import recent
from gateway.journal.base import BLOCK_TYPES, FED_TYPES, Change, Event, EventType
from gateway.journal.reading import SqliteReader
from gateway.journal.sqlite import SqliteJournal
from tests.gateway.house import fix, house

FOLLOWED = FED_TYPES - BLOCK_TYPES


def alarm(number: int) -> Event:
    return Event(
        type=EventType.ALARM_RAISED,
        id=f"box-1:1:p:{number}",
        device="box-1",
        t=number,
        received=number,
    )


async def from_disk(folder: Path, after: int = 0, limit: int = 10_000) -> Any:
    async with SqliteReader(folder) as reader:
        return await reader.read(after, limit, FOLLOWED)


async def test_memory_tells_what_the_disk_tells(tmp_path: Path) -> None:
    async with house(tmp_path) as gw:
        await gw.alarm(pos={"lat": 24.5, "lon": 117.6}, media=["a", "b"], zone="counter")
        await gw.telemetry_of("pos", fix(1), fix(2))
        await gw.alarm(seq=2, of=1, count=3)
        await gw.alarm(b"\xc1 nobody can read this")
        await gw.alarm()  # the first number with another body
        await gw.telemetry_of("pos", fix(3))
        await gw.alarm(seq=3)
        whole = await from_disk(tmp_path)
        assert len(whole.events) == 5
        for after in range(whole.next + 2):
            for limit in (1, 2, 10_000):
                assert await gw.journal.read(after, limit, FOLLOWED) == await from_disk(
                    tmp_path, after, limit
                )


async def test_who_is_further_back_reads_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recent, "KEPT", 3)
    async with SqliteJournal(tmp_path) as journal:
        await asyncio.gather(*(journal.commit(Change([alarm(n)])) for n in range(1, 9)))
        for after in range(9):
            page = await journal.read(after, 10, FOLLOWED)
            assert [event.cursor for event in page.events] == list(range(after + 1, 9))
    async with SqliteJournal(tmp_path) as journal:
        assert len((await journal.read(0, 10, FOLLOWED)).events) == 8


async def test_an_alarm_is_fed_beside_telemetry_that_is_under_way(tmp_path: Path) -> None:
    async with SqliteJournal(tmp_path) as journal:
        with journal._cursors.lock:
            journal._cursors.take(journal._cursors.newest + 50)
        waiting = asyncio.create_task(journal.wait_beyond(0, FOLLOWED))
        ((cursor,), _) = await journal.commit(Change([alarm(1)]))
        assert cursor == 51
        await asyncio.wait_for(waiting, 30)
        page = await journal.read(0, 10, FOLLOWED)
        assert ([event.cursor for event in page.events], page.next) == ([51], 51)
        # Who follows telemetry too sees neither: what is below may still come.
        assert (await journal.read(0, 10, FED_TYPES)).next == 0
