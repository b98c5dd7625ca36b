"""Health that tells the truth: ready only while an alarm would be kept and fed."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from gateway import health as module
from gateway.health import Counts, Health, Trail
from gateway.journal import sqlite
from gateway.journal.database import transaction
from gateway.journal.sqlite import SqliteJournal
from gateway.reserve import Room


class Client:
    def __init__(self) -> None:
        self.is_connected = True


class Feed:
    name = "webhook-core-p"
    lag = 0


class Watched:
    """A journal whose health is watched, ten times as often as in earnest."""

    def __init__(self, folder: Path, journal: SqliteJournal) -> None:
        self.journal = journal
        self.clients = {"priority": Client(), "telemetry": Client()}
        self.feed = Feed()
        self.room = Room(folder, reserve_bytes=1024 * 1024)
        self.health = Health(
            journal=journal,
            has_failed=journal.failed.is_set,
            clients=self.clients,
            feeds=[self.feed],
            room=self.room,
            on_lag=lambda lag_s: None,
        )

    async def until_wrong(self, text: str) -> None:
        """Return when that is said to be wrong."""
        async with asyncio.timeout(30):
            while text not in "; ".join(self.health.condition().wrong):
                await asyncio.sleep(0.01)


@pytest.fixture
async def watched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Watched]:
    monkeypatch.setattr(module, "BEAT_EVERY_S", 0.05)
    monkeypatch.setattr(module, "BEAT_LATE_S", 0.3)
    async with SqliteJournal(tmp_path) as journal:
        each = Watched(tmp_path, journal)
        watching = asyncio.create_task(each.health.run())
        yield each
        watching.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await watching


async def test_it_is_ready_while_commits_go_through(watched: Watched) -> None:
    await asyncio.sleep(0.5)  # longer than a proof holds
    assert watched.health.condition().wrong == []


async def test_a_commit_that_hangs_is_told_and_its_end_too(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    go_on = threading.Event()

    @contextlib.contextmanager
    def hanging(connection: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
        with transaction(connection):
            yield connection
            go_on.wait(30)

    monkeypatch.setattr(sqlite, "transaction", hanging)
    await watched.until_wrong("no commit has gone through")
    watched.room.release()
    await watched.until_wrong("the disk is full")
    go_on.set()
    async with asyncio.timeout(30):
        while watched.health.condition().wrong:
            await asyncio.sleep(0.01)


async def test_without_a_broker_alarms_are_not_taken_and_telemetry_is_a_warning(
    watched: Watched,
) -> None:
    watched.clients["telemetry"].is_connected = False
    condition = watched.health.condition()
    assert (condition.wrong, condition.warnings) == ([], ["the telemetry lane has no broker"])
    watched.clients["priority"].is_connected = False
    assert watched.health.condition().wrong == ["the priority lane has no broker"]


async def test_a_message_that_stays_under_way_is_told(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "STUCK_S", 0.1)
    taken = asyncio.Event()

    async def take(_: str) -> None:
        await taken.wait()

    message = asyncio.create_task(watched.health.followed(take)("an alarm"))
    await watched.until_wrong("the priority lane is stuck")
    assert watched.health.under_way == 1
    taken.set()
    await message
    assert (watched.health.under_way, watched.health.condition().wrong) == (0, [])


async def test_a_feed_that_stays_behind_is_a_warning(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watched.health, "behind_s", lambda feed: 31.0)
    watched.feed.lag = 7
    condition = watched.health.condition()
    assert (condition.wrong, condition.warnings) == (
        [],
        ["webhook-core-p is 7 events and 31 s behind"],
    )


@pytest.mark.parametrize(
    ("left", "wrong", "warnings"), [(100, 0, 0), (63, 0, 1), (8, 0, 1), (7, 1, 0)]
)
async def test_file_descriptors_are_told_before_they_are_out(
    watched: Watched, left: int, wrong: int, warnings: int
) -> None:
    watched.health.files_used, watched.health.files_limit = 1024 - left, 1024
    condition = watched.health.condition()
    assert (len(condition.wrong), len(condition.warnings)) == (wrong, warnings)


def test_a_feed_is_behind_since_the_first_event_that_it_lacks() -> None:
    trail = Trail()
    for now_s, cursor in ((0, 10), (1, 10), (2, 15), (3, 20)):
        trail.note(now_s, cursor)
    assert trail.behind_s(10, 20) == 0
    assert trail.behind_s(10, 15) == 7
    assert trail.behind_s(10, 12) == 8
    assert trail.behind_s(10, 0) == 10


async def test_counts_are_made_aside_and_again_when_a_device_came_meanwhile() -> None:
    walks = iter(range(2))

    def walk() -> dict[str, int]:
        if next(walks) == 0:
            raise RuntimeError("dictionary changed size during iteration")
        return {"online": 3}

    counts = Counts(walk)
    assert counts.newest == {}
    counting = asyncio.create_task(counts.run())
    async with asyncio.timeout(30):
        while counts.newest != {"online": 3}:
            await asyncio.sleep(0.01)
    counting.cancel()
