"""The spool: what it keeps, what gives way, what survives."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.covered import covered
from edge.spool import MAX_LOST_RANGES, Spool
from protocols.model import AlarmStage, Lane, Receipt, Stage
from protocols.native.topics import Up

NOW_S = 1_790_000_000.0
FIX = {"lat": 24.5, "lon": 117.6, "fix": 3}
PANIC = {"kind": "panic"}


def opened(folder: Path, max_bytes: int = 1 << 20, now_s: float = NOW_S) -> Spool:
    return Spool(folder, max_bytes, now_s=lambda: now_s)


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    with opened(tmp_path) as spool:
        yield spool


def bodies(spool: Spool, channel: Up) -> list[dict[str, object]]:
    return [msgpack.unpackb(spool.body(m.n) or b"") for m in spool.waiting(channel)]


def seqs(spool: Spool, channel: Up) -> list[int]:
    return [message.seq for message in spool.waiting(channel)]


def test_each_lane_is_numbered_from_one_without_gaps(spool: Spool) -> None:
    assert spool.put(Up.ALARM, 5, PANIC).seq == 1
    assert spool.put(Up.POS, 5, FIX).seq == 1
    assert spool.put(Up.DUTY, 5, {"act": "on_duty"}).seq == 2
    assert [m.seq for m in spool.put_all(Up.MEDIA, 5, [{"n": 0}, {"n": 1}])] == [2, 3]
    assert bodies(spool, Up.ALARM) == [{"boot": spool.boot, "seq": 1, "t": 5, "kind": "panic"}]


def test_a_message_that_cannot_be_encoded_takes_no_number(spool: Spool) -> None:
    with pytest.raises(TypeError):
        spool.put(Up.ALARM, 5, {"kind": object()})
    assert spool.put(Up.ALARM, 5, PANIC).seq == 1
    assert spool.count[Up.ALARM] == 1


def test_messages_of_an_earlier_boot_keep_their_ids(tmp_path: Path) -> None:
    with opened(tmp_path) as before:
        pressed = before.put(Up.ALARM, 5, PANIC)
    with opened(tmp_path) as after:
        assert after.boot == pressed.boot + 1
        assert [m.id("a") for m in after.waiting(Up.ALARM)] == [pressed.id("a")]
        assert after.put(Up.ALARM, 6, PANIC).seq == 1
        assert after.forget(Receipt(boot=pressed.boot, p=1, t=0)) == {pressed.n}
        assert [m.boot for m in after.waiting(Up.ALARM)] == [after.boot]


def test_a_first_start_numbers_its_boot_by_the_clock(tmp_path: Path) -> None:
    """The device may have had a spool before it was set up anew."""
    with opened(tmp_path) as spool:
        assert spool.boot == NOW_S + 1


def test_without_a_clock_the_first_boot_is_one(tmp_path: Path) -> None:
    with opened(tmp_path, now_s=12.0) as spool:
        assert spool.boot == 1


@pytest.mark.parametrize("damage", [b"not a database at all" * 500, b""])
def test_a_damaged_spool_is_moved_aside_and_the_boot_number_grows(
    tmp_path: Path, damage: bytes
) -> None:
    with opened(tmp_path) as before:
        before.put(Up.ALARM, 5, PANIC)
    (tmp_path / "spool.db").write_bytes(damage)
    with opened(tmp_path, now_s=12.0) as after:
        assert after.boot == before.boot + 1
        assert after.put(Up.ALARM, 5, PANIC).seq == 1
        assert (after.trouble is not None) == bool(damage)
    assert len(list(tmp_path.glob("spool.db.damaged-12"))) == bool(damage)


def test_a_damaged_page_is_found_at_the_start(tmp_path: Path) -> None:
    with opened(tmp_path) as before:
        before.put_all(Up.POS, 5, [FIX] * 500)
    content = bytearray((tmp_path / "spool.db").read_bytes())
    content[8192:12288] = b"\xa5" * 4096
    (tmp_path / "spool.db").write_bytes(content)
    with opened(tmp_path) as after:
        assert after.boot == before.boot + 1
        assert "damaged" in (after.trouble or "")


def test_without_a_disk_alarms_are_kept_in_memory(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    with opened(tmp_path / "file") as spool:
        assert "memory" in (spool.trouble or "")
        assert spool.boot == NOW_S + 1
        assert spool.put(Up.ALARM, 5, PANIC).seq == 1
        assert seqs(spool, Up.ALARM) == [1]


def test_a_commit_that_fails_does_not_lose_the_alarm(tmp_path: Path) -> None:
    with opened(tmp_path) as spool:
        first = spool.put(Up.ALARM, 5, PANIC)
        # Another program has the file, for longer than we wait.
        spool._db.execute("PRAGMA busy_timeout = 0")
        other = sqlite3.connect(tmp_path / "spool.db", isolation_level=None)
        other.execute("BEGIN EXCLUSIVE")
        second = spool.put(Up.ALARM, 6, PANIC)
        other.close()
        assert (second.boot, second.seq) == (first.boot, 2)
        assert spool.body(second.n) is not None
        assert spool.body(first.n) is None  # in the file, for the next start
    with opened(tmp_path) as spool:
        assert seqs(spool, Up.ALARM) == [1]


@pytest.mark.slow
def test_positions_give_way_first_the_oldest_first(tmp_path: Path) -> None:
    with opened(tmp_path, max_bytes=64 * 1024) as spool:
        spool.put(Up.ALARM, 0, PANIC)
        spool.put(Up.STATUS, 0, {})
        for t in range(1000):
            spool.put(Up.POS, t, FIX)
        assert spool.bytes <= 64 * 1024
        assert spool.count[Up.STATUS] == spool.count[Up.ALARM] == 1
        left = seqs(spool, Up.POS)
        assert left == list(range(left[0], 1002))
        assert spool.dropped[Up.POS] == 1000 - len(left)


@pytest.mark.slow
def test_alarms_never_give_way(tmp_path: Path) -> None:
    with opened(tmp_path, max_bytes=64 * 1024) as spool:
        for t in range(1000):
            spool.put(Up.ALARM, t, PANIC)
        spool.put(Up.POS, 0, FIX)
        assert spool.count[Up.ALARM] == 1000
        assert spool.count[Up.POS] == 0


def test_the_next_status_tells_what_was_lost_until_one_is_receipted(tmp_path: Path) -> None:
    with opened(tmp_path, max_bytes=64 * 1024) as spool:
        spool.put_all(Up.POS, 0, [FIX] * 1000)
        first_left = seqs(spool, Up.POS)[0]
        lost = [[spool.boot, 1, first_left - 1]]
        status = spool.put(Up.STATUS, 0, {})
        assert bodies(spool, Up.STATUS)[0]["lost"] == lost
        spool.put(Up.STATUS, 0, {})
        assert "lost" not in bodies(spool, Up.STATUS)[1]  # the first is still on its way
        boot = spool.boot
    with opened(tmp_path, max_bytes=64 * 1024) as spool:
        assert bodies(spool, Up.STATUS)[0]["lost"] == lost
        spool.forget(Receipt(boot=boot, p=0, t=status.seq))
        spool.put(Up.STATUS, 0, {})
        assert "lost" not in bodies(spool, Up.STATUS)[-1]
        assert spool._db.execute("SELECT count(*) FROM lost").fetchone() == (0,)


def test_a_status_that_is_lost_itself_has_told_nothing(tmp_path: Path) -> None:
    with opened(tmp_path, max_bytes=64 * 1024) as spool:
        spool.put_all(Up.POS, 0, [FIX] * 1000)
        told = spool.put(Up.STATUS, 0, {})
        spool.put_all(Up.MEDIA, 0, [{"data": bytes(8192)}] * 10)
        assert spool.count[Up.POS] == spool.count[Up.STATUS] == 0
        spool.put(Up.STATUS, 0, {})
        [status] = bodies(spool, Up.STATUS)
        lost = status["lost"]
        assert isinstance(lost, list)
        gone = {seq for _, first, last in lost for seq in range(first, last + 1)}
        assert gone >= set(range(1, told.seq + 1))
        assert not gone & {*seqs(spool, Up.MEDIA), *seqs(spool, Up.STATUS)}


@pytest.mark.slow
def test_ranges_of_lost_positions_stay_bounded(tmp_path: Path) -> None:
    """A status between every two positions keeps the ranges apart."""
    with opened(tmp_path, max_bytes=256 * 1024) as spool:
        for _ in range(3 * MAX_LOST_RANGES):
            spool.put_all(Up.POS, 0, [FIX])
            spool.put(Up.STATUS, 0, {})
        spool.put_all(Up.POS, 0, [FIX] * 2000)
        (ranges,) = spool._db.execute("SELECT count(*) FROM lost").fetchone()
        assert ranges <= MAX_LOST_RANGES + 1


def test_a_receipt_with_high_covers_what_is_not_missing(spool: Spool) -> None:
    spool.put_all(Up.POS, 0, [FIX] * 10)
    spool.forget(
        Receipt(
            boot=spool.boot,
            p=0,
            t=2,
            miss={Lane.TELEMETRY: [(3, 4), (7, 7)]},
            high={Lane.TELEMETRY: 8},
        )
    )
    assert seqs(spool, Up.POS) == [3, 4, 7, 9, 10]
    assert spool.count[Up.POS] == 5


def test_a_receipt_without_high_covers_only_up_to_the_first_gap(spool: Spool) -> None:
    spool.put_all(Up.POS, 0, [FIX] * 5)
    spool.forget(Receipt(boot=spool.boot, p=0, t=2, miss={Lane.TELEMETRY: [(3, 3)]}))
    assert seqs(spool, Up.POS) == [3, 4, 5]


def test_an_alarm_with_a_stage_is_held_even_beyond_a_gap(spool: Spool) -> None:
    spool.put_all(Up.ALARM, 0, [PANIC] * 3)
    stage = AlarmStage(seq=3, stage=Stage.STORED, t=1)
    spool.forget(Receipt(boot=spool.boot, p=1, t=0, alarms=[stage]))
    assert seqs(spool, Up.ALARM) == [2]


@pytest.mark.parametrize(
    "receipt",
    [
        Receipt(boot=0, p=2, t=0),
        Receipt(boot=0, p=0, t=1),
        Receipt(boot=0, p=0, t=0, high={Lane.PRIORITY: 9}),
        Receipt(boot=0, p=0, t=0, alarms=[AlarmStage(seq=2, stage=Stage.STORED, t=0)]),
        Receipt(boot=1, p=1, t=0),
    ],
)
def test_a_receipt_for_what_was_never_sent_is_not_believed(spool: Spool, receipt: Receipt) -> None:
    spool.put(Up.ALARM, 0, PANIC)
    boot = spool.boot + receipt.boot
    keys = {name: getattr(receipt, name) for name in receipt.__struct_fields__}
    assert spool.forget(Receipt(**{**keys, "boot": boot})) is None
    assert spool.count[Up.ALARM] == 1


@given(
    held_to=st.integers(0, 20),
    missing=st.lists(st.tuples(st.integers(1, 30), st.integers(0, 5))),
    high=st.none() | st.integers(0, 40),
)
def test_nothing_is_forgotten_that_a_receipt_does_not_cover(
    held_to: int, missing: list[tuple[int, int]], high: int | None
) -> None:
    ranges = [(first, first + length) for first, length in missing]
    receipt = Receipt(
        boot=1,
        p=0,
        t=held_to,
        miss={Lane.TELEMETRY: ranges},
        high={} if high is None else {Lane.TELEMETRY: high},
    )
    forgotten = {
        seq for first, last in covered(receipt, Lane.TELEMETRY) for seq in range(first, last + 1)
    }
    is_missing = {seq for first, last in ranges for seq in range(first, last + 1)}
    expected = {
        seq
        for seq in range(1, 60)
        if seq <= held_to or (high is not None and seq <= high and seq not in is_missing)
    }
    assert forgotten == expected
