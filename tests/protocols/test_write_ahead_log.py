"""The write-ahead log: a flipped bit anywhere in it costs no commit, a torn end stays an end."""

from __future__ import annotations

import random
import sqlite3
from pathlib import Path

import pytest

from protocols.write_ahead_log import FRAME_HEADER_BYTES, HEADER_BYTES, mend

FRAME_BYTES = FRAME_HEADER_BYTES + 4096


class Killed:
    """A database and its log as a killed process left them: ten commits, all in the log."""

    def __init__(self, folder: Path, *, with_an_older_log: bool) -> None:
        self._folder = folder
        path = folder / "alive.db"
        db = sqlite3.connect(path, isolation_level=None)
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = FULL")
        db.execute("CREATE TABLE word (n INTEGER PRIMARY KEY, text TEXT)")
        if with_an_older_log:  # longer than the newer one, which is written over it
            for _ in range(30):
                db.execute("REPLACE INTO word VALUES (0, hex(randomblob(3000)))")
            db.execute("PRAGMA wal_checkpoint(RESTART)")
        for n in range(1, 11):
            db.execute("INSERT INTO word VALUES (?, ?)", (n, f"{n} " * 300))
        self.words = db.execute("SELECT * FROM word").fetchall()
        self._database = path.read_bytes()
        self.log = path.with_name("alive.db-wal").read_bytes()
        self.frames_used = db.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()[1]
        db.close()

    def read(self, log: bytes) -> list[tuple[int, str]]:
        """What SQLite reads with that log."""
        path = self._folder / "again.db"
        path.write_bytes(self._database)
        path.with_name("again.db-wal").write_bytes(log)
        path.with_name("again.db-shm").unlink(missing_ok=True)
        db = sqlite3.connect(path)
        try:
            return db.execute("SELECT * FROM word").fetchall()
        except sqlite3.OperationalError:  # the table itself was in the log
            return []
        finally:
            db.close()


@pytest.fixture(params=[False, True], ids=["new log", "log written over an older one"])
def killed(tmp_path: Path, request: pytest.FixtureRequest) -> Killed:
    return Killed(tmp_path, with_an_older_log=request.param)


def flipped(log: bytes, bit: int) -> bytes:
    value = bytearray(log)
    value[bit // 8] ^= 1 << bit % 8
    return bytes(value)


def test_a_log_without_damage_is_left_alone(killed: Killed) -> None:
    assert killed.read(killed.log) == killed.words
    assert mend(killed.log) is None
    assert mend(b"") is None
    assert mend(killed.log[:20]) is None


def test_a_flipped_bit_in_a_header_is_set_right(killed: Killed) -> None:
    used = HEADER_BYTES + killed.frames_used * FRAME_BYTES
    of_a_frame = [8 * HEADER_BYTES + 8 * FRAME_BYTES * 3 + bit for bit in range(8 * 8, 8 * 24)]
    of_the_log = range(8 * 12, 8 * 32)
    for bit in [*of_a_frame[::5], *of_the_log[::7]]:
        mended = mend(flipped(killed.log, bit))
        assert mended is not None
        assert mended.log[:used] == killed.log[:used]


@pytest.mark.slow
def test_a_flipped_bit_in_a_page_costs_no_commit_after_it(killed: Killed) -> None:
    rng = random.Random(3)
    used = HEADER_BYTES + killed.frames_used * FRAME_BYTES
    lost = restored = 0
    for _ in range(40):
        bit = rng.randrange(8 * (HEADER_BYTES + FRAME_HEADER_BYTES), 8 * used)
        damaged = flipped(killed.log, bit)
        lost += killed.read(damaged) != killed.words
        mended = mend(damaged)
        assert mended is not None, bit
        if mended.restored:
            restored += 1
            assert mended.log[:used] == killed.log[:used]
            assert killed.read(mended.log) == killed.words
        else:  # one bit differs still
            assert len(mended.damaged) == 1
            assert len(killed.read(mended.log)) >= len(killed.words) - 1
    assert lost > 30  # without mending
    assert restored > 20


def test_what_follows_a_page_of_which_more_is_wrong_is_kept(killed: Killed) -> None:
    at = HEADER_BYTES + (killed.frames_used - 6) * FRAME_BYTES + 3000
    damaged = killed.log[:at] + b"\xa5" * 200 + killed.log[at + 200 :]
    mended = mend(damaged)
    assert mended is not None
    assert len(mended.damaged) == 1
    unmended = killed.read(damaged)
    assert len(killed.read(mended.log)) > len(unmended)


def test_the_torn_end_of_an_unsynced_commit_stays_an_end(killed: Killed) -> None:
    """Two pages of the last commit had been written when the power went, one of them in part."""
    at = HEADER_BYTES + (killed.frames_used - 1) * FRAME_BYTES + 2000
    torn = killed.log[:at] + bytes(FRAME_BYTES) + killed.log[at + FRAME_BYTES :]
    assert mend(torn) is None
