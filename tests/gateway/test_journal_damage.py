"""A damaged journal: what is whole is read, the rest is told, and no alarm is silent."""

from __future__ import annotations

import random
import shutil
import sqlite3
from pathlib import Path

import pytest

from gateway.journal.base import (
    FED_TYPES,
    AlarmRecord,
    Block,
    Change,
    CommitFailed,
    Event,
    EventType,
    StageChange,
    Telemetry,
)
from gateway.journal.rows import REBUILT
from gateway.journal.sqlite import SqliteJournal
from protocols.model import Fix, Stage

NOON = 20_000 * 24 * 3600 * 1000 + 12 * 3600 * 1000
ALARMS = 60


def alarm_id(number: int) -> str:
    return f"box-1:1:p:{number}"


def alarm(number: int) -> Change:
    """An alarm is raised: its event and its record."""
    data = {"boot": 1, "seq": number, "kind": "panic", "zone": f"zone {number}"}
    id_ = alarm_id(number)
    event = Event(
        type=EventType.ALARM_RAISED, id=id_, device="box-1", t=NOON, received=NOON, data=data
    )
    record = AlarmRecord(
        id=id_, device="box-1", boot=1, seq=number, kind="panic", t=NOON, received=NOON,
        stages=(StageChange(stage=Stage.STORED, t=NOON),), data=data,
    )  # fmt: skip
    return Change([event], [record])


def block(first: int, count: int = 20) -> Block:
    return Block(
        [
            Telemetry(
                "car-1", NOON, 0, (), Fix(boot=1, seq=n, t=NOON + n, lat=24.5, lon=117.6, fix=3)
            )
            for n in range(first, first + count)
        ]
    )


def journal_in(folder: Path) -> SqliteJournal:
    return SqliteJournal(folder, now_ms=lambda: NOON)


async def fill(journal: SqliteJournal) -> None:
    for number in range(1, ALARMS + 1):
        await journal.commit(alarm(number))
        await journal.commit_block(block(number * 20))
    await journal.save_states({f"car-{n}": bytes(200) for n in range(50)}, 10)


async def raised(journal: SqliteJournal) -> list[Event]:
    return await read(journal, frozenset({EventType.ALARM_RAISED}))


async def read(journal: SqliteJournal, types: frozenset[EventType]) -> list[Event]:
    """All of them, page by page, as a feed reads."""
    found: list[Event] = []
    cursor = 0
    while True:
        page = await journal.read(cursor, 25, types)
        found += page.events
        if not page.events:
            return found
        cursor = page.next


def change_once(path: Path, old: bytes, new: bytes) -> None:
    """Change the first place of a file where these bytes are."""
    content = path.read_bytes()
    assert old in content
    path.write_bytes(content.replace(old, new, 1))


@pytest.mark.parametrize("table", ["event", "alarm"])
async def test_of_an_alarm_the_one_record_tells_what_the_other_has_lost(
    tmp_path: Path, table: str
) -> None:
    async with journal_in(tmp_path) as journal:
        await fill(journal)
    with sqlite3.connect(tmp_path / "journal.db") as db:
        (body,) = db.execute(f"SELECT body FROM {table} WHERE id = ?", [alarm_id(7)]).fetchone()
        db.execute(
            f"UPDATE {table} SET body = ? WHERE id = ?",
            [body.replace(b"zone 7", b"zone 8"), alarm_id(7)],
        )
    db.close()
    async with journal_in(tmp_path) as journal:
        events = await raised(journal)
        assert [event.data["zone"] for event in events] == [f"zone {n}" for n in range(1, 61)]
        assert [e.id for e in events if REBUILT in e.flags] == (
            [alarm_id(7)] if table == "event" else []
        )
        record = await journal.alarm(alarm_id(7))
        assert record is not None
        assert record.data["zone"] == "zone 7"
        assert (record.boot, record.seq, record.stage) == (1, 7, Stage.STORED)
        assert len(journal.open_alarms()) == ALARMS
        assert journal.damage.gaps == []


async def test_a_block_that_is_not_what_was_written_is_a_gap_that_is_told(tmp_path: Path) -> None:
    async with journal_in(tmp_path) as journal:
        await fill(journal)
        (day,) = tmp_path.glob("telemetry-*.db")
    with sqlite3.connect(day) as db:
        first, last, body = db.execute("SELECT first, last, body FROM block").fetchall()[5]
        damaged = body[:-9] + bytes([body[-9] ^ 4]) + body[-8:]
        db.execute("UPDATE block SET body = ? WHERE first = ?", [damaged, first])
    db.close()
    async with journal_in(tmp_path) as journal:
        cursors = [event.cursor for event in await read(journal, FED_TYPES)]
        assert sorted(set(range(1, 21 * ALARMS + 1)) - set(cursors)) == list(range(first, last + 1))
        assert [(gap.first, gap.last) for gap in journal.damage.gaps] == [(first, last)]
        assert str(first) in journal.damage_told()[0]


async def test_a_state_that_is_damaged_is_learnt_again_from_all_events(tmp_path: Path) -> None:
    async with journal_in(tmp_path) as journal:
        await fill(journal)
        assert journal.recover().checkpoint == 10
    with sqlite3.connect(tmp_path / "journal.db") as db:
        db.execute("UPDATE state SET body = ? WHERE device = 'car-3'", [bytes(199) + b"\1"])
    db.close()
    async with journal_in(tmp_path) as journal:
        recovered = journal.recover()
        assert recovered.checkpoint == 0
        assert "car-3" not in recovered.states


def overwrite_page_of_events(path: Path) -> None:
    """The one with an alarm in the middle."""
    pages = path.read_bytes()
    db = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    (body,) = db.execute("SELECT body FROM event WHERE id = ?", [alarm_id(30)]).fetchone()
    db.close()
    at = pages.index(body) // 4096 * 4096
    with path.open("r+b") as file:
        file.seek(at)
        file.write(b"\xa5" * 4096)


async def test_a_damaged_file_of_alarms_is_put_aside_and_what_is_readable_goes_on(
    tmp_path: Path,
) -> None:
    async with journal_in(tmp_path) as journal:
        await fill(journal)
        last = journal.last_cursor
    overwrite_page_of_events(tmp_path / "journal.db")
    async with journal_in(tmp_path) as journal:
        events = {event.id for event in await raised(journal)}
        assert events == {alarm_id(n) for n in range(1, ALARMS + 1)}
        assert journal.put_aside == [f"journal.db.damaged-{NOON}"]
        assert "put aside" in journal.damage_told()[0]
        ((cursor,), _) = await journal.commit(alarm(ALARMS + 1))
        assert cursor > last
        ((again,), _) = await journal.commit(alarm(5))
        assert again == 0  # it is known still


async def test_damage_that_a_feed_meets_has_the_file_rescued(tmp_path: Path) -> None:
    async with journal_in(tmp_path) as journal:
        await fill(journal)
        journal._main.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        overwrite_page_of_events(tmp_path / "journal.db")
        # Alarms alone would come from memory, where all are that were raised since the start.
        both = await read(journal, frozenset({EventType.ALARM_RAISED, EventType.POSITION}))
        assert sum(event.type is EventType.ALARM_RAISED for event in both) < ALARMS
        await journal.failed.wait()
    async with journal_in(tmp_path) as journal:
        assert len(await raised(journal)) == ALARMS


async def test_alarms_go_on_beside_a_damaged_day(tmp_path: Path) -> None:
    async with journal_in(tmp_path) as journal:
        await fill(journal)
    (day,) = tmp_path.glob("telemetry-*.db")
    content = bytearray(day.read_bytes())
    content[-4096:] = b"\xa5" * 4096  # blocks; indexes lie before them
    day.write_bytes(content)
    async with journal_in(tmp_path) as journal:
        assert len(await raised(journal)) == ALARMS
        assert len(list(tmp_path.glob("telemetry-*.db"))) == 2
        (first, _), _ = await journal.commit_block(block(5000))
        positions = await read(journal, frozenset({EventType.POSITION}))
        assert positions[-1].cursor == first + 19
        assert len(positions) > 20
        assert journal.damage.gaps
    async with journal_in(tmp_path) as journal:
        assert (await journal.commit_block(block(6000)))[0][0] == first + 20


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(12))
async def test_one_flipped_bit_anywhere_silences_no_alarm(tmp_path: Path, seed: int) -> None:
    """In any file of a journal that was killed. Commits go on, cursors never go back."""
    rng = random.Random(seed)
    alive, killed = tmp_path / "alive", tmp_path / "killed"
    async with journal_in(alive) as journal:
        await fill(journal)
        if seed % 3:
            journal._main.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            await journal.commit(alarm(ALARMS + 1))
        shutil.copytree(alive, killed)
        count = ALARMS + bool(seed % 3)
        last = journal.last_cursor
    files = [path for path in killed.glob("*.db*") if path.suffix != ".db-shm"]
    file = rng.choice([path for path in files if path.stat().st_size])
    content = bytearray(file.read_bytes())
    content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
    file.write_bytes(content)
    try:
        async with journal_in(killed) as journal:
            events = await raised(journal)
            is_rescued = journal.failed.is_set()
            assert journal.last_cursor >= last or journal.damage_told()
    except (CommitFailed, sqlite3.DatabaseError):
        is_rescued = True
    if is_rescued:
        async with journal_in(killed) as journal:
            events = await raised(journal)
    async with journal_in(killed) as journal:
        ((cursor,), _) = await journal.commit(alarm(1000))
        assert cursor > max((event.cursor for event in events), default=0)
    missing = {alarm_id(n) for n in range(1, count + 1)} - {event.id for event in events}
    assert not missing, file.name
