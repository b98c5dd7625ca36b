"""What the journal knows of commands: pages, damage, journals from before there were any."""

from __future__ import annotations

import contextlib
import random
import sqlite3
from collections.abc import AsyncIterator
from itertools import pairwise
from pathlib import Path
from typing import Any, get_args

import pytest

from gateway.journal import sqlite
from gateway.journal.migration import migrate
from gateway.journal.rescue import MAIN, MARK
from gateway.journal.rows import REBUILT, command_from_events
from gateway.journal.sqlite import SqliteJournal
from gateway.order import Ended
from protocols.commands import NEXT
from protocols.model import ReplyState
from tests.gateway.house import House, house
from tests.gateway.terminal import Car, settle

SCHEMA = Path(sqlite.__file__).parent / "schema"


@pytest.fixture
async def gateway(tmp_path: Path) -> AsyncIterator[House]:
    async with house(tmp_path) as started:
        yield started


async def test_a_damaged_record_is_told_by_its_events(tmp_path: Path) -> None:
    async with house(tmp_path) as gateway:
        car = Car(gateway)
        await car.connects()
        record = await gateway.commands.send("car-1", "text", {"text": "words"}, by="Li")
        await car.says(record.id, "delivered")
        await car.says(record.id, "shown", detail="on the screen")
        whole = await gateway.journal.command(record.id)
    assert whole is not None
    with sqlite3.connect(tmp_path / "journal.db") as db:
        db.execute("UPDATE command SET body = replace(body, 'words', 'swords')")
        db.execute("UPDATE command SET body = cast(body AS BLOB)")
    db.close()
    async with SqliteJournal(tmp_path) as journal:
        told = await journal.command(record.id)
        assert told is not None
        assert told.flags == (REBUILT,)
        assert (told.args, told.steps) == (whole.args, whole.steps)


async def test_when_the_file_is_rescued_commands_are_told_by_their_events(tmp_path: Path) -> None:
    async with house(tmp_path) as gateway:
        car = Car(gateway)
        await car.connects()
        record = await gateway.commands.send("car-1", "text", {"text": "words"}, by="Li")
        await car.says(record.id, "delivered")
        whole = await gateway.journal.command(record.id)
    assert whole is not None
    with sqlite3.connect(tmp_path / "journal.db") as db:
        db.execute("DELETE FROM command")
    db.close()
    (tmp_path / MARK).write_text(f"{MAIN}\n")  # found damaged while it was open
    path = tmp_path / MAIN
    content = bytearray(path.read_bytes())
    content[-4096:] = b"\xa5" * 4096
    path.write_bytes(content)
    async with SqliteJournal(tmp_path) as journal:
        assert journal.put_aside
        told = await journal.command(record.id)
        assert told is not None
        assert (told.args, told.by, told.steps) == (whole.args, whole.by, whole.steps)


def test_a_journal_from_before_there_were_commands_takes_them(tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / MAIN, isolation_level=None)
    for step in ("0001.sql", "0002.sql"):
        connection.executescript((SCHEMA / step).read_text())
    connection.execute("PRAGMA user_version = 2")
    connection.execute("INSERT INTO alarm VALUES ('a', 1, 'box-1', 'closed', x'', NULL)")
    migrate(connection)
    assert connection.execute("SELECT count(*) FROM command").fetchone() == (0,)
    assert connection.execute("SELECT count(*) FROM alarm").fetchone() == (1,)
    connection.close()


async def test_commands_are_read_page_by_page(gateway: House) -> None:
    for number in range(5):
        device = "car-1" if number % 2 else "box-1"
        await gateway.commands.send(device, "identify", {}, command_id=f"c{number}")
    await gateway.commands.cancel("c3")
    read: dict[str, Any] = {"states": None, "device": None, "group": None, "before": 2**62}
    page = await gateway.journal.commands(**read, limit=2)
    assert [r.id for _, r in page] == ["c4", "c3"]
    page = await gateway.journal.commands(**read | {"before": page[-1][0]}, limit=9)
    assert [r.id for _, r in page] == ["c2", "c1", "c0"]
    page = await gateway.journal.commands(**read | {"device": "car-1"}, limit=9)
    assert [r.id for _, r in page] == ["c3", "c1"]
    page = await gateway.journal.commands(**read | {"states": {"cancelled"}}, limit=9)
    assert [r.id for _, r in page] == ["c3"]


@pytest.mark.parametrize("seed", range(8))
async def test_whatever_comes_a_record_is_what_its_events_say(tmp_path: Path, seed: int) -> None:
    """Orders, answers of every kind, callings back, time and breaks, in any order."""
    rng = random.Random(seed)
    async with house(tmp_path) as gateway:
        car, ids = Car(gateway), list[str]()
        for number in range(60):
            match rng.randrange(8):
                case 0 | 1:
                    act = rng.choice(("identify", "locate", "snapshot"))
                    expires_s = rng.choice((1, 60))
                    record = await gateway.commands.send("car-1", act, {}, expires_s=expires_s)
                    ids.append(record.id)
                case 2:
                    await car.connects(boot=number)
                case 3:
                    await car.leaves()
                case 4:
                    gateway.now += rng.choice((10, 2000))
                    gateway.clock_s += rng.choice((1, 20))
                    gateway.commands.look()
                    await settle(gateway)
                case 5 if ids:
                    with contextlib.suppress(Ended):
                        await gateway.commands.cancel(rng.choice(ids))
                case _ if ids:
                    state = rng.choice(get_args(ReplyState))
                    step = {"step": rng.randrange(40)} if state == "step" else {}
                    await car.says(rng.choice(ids), state, **step)
        await settle(gateway)
        for command_id in ids:
            kept = await gateway.journal.command(command_id)
            assert kept is not None
            told = command_from_events(gateway.journal._main, command_id)
            assert told is not None
            assert (told.steps, told.ticks, told.exp) == (kept.steps, kept.ticks, kept.exp)
            assert await gateway.commands.find(command_id) == kept
            for before, after in pairwise(kept.steps):
                assert after.state in NEXT[before.state]
        assert gateway.commands.waiting_count == len(gateway.journal.waiting_commands())
