"""A damaged spool: what is whole goes out as it was, the rest is told, and no alarm is silent."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

import msgpack
import pytest

from edge.spool import Spool
from protocols.model import Lane, Receipt
from protocols.native.topics import Up

NOW_S = 1_790_000_000.0
FIX = {"lat": 24.5, "lon": 117.6, "fix": 3}
PANIC = {"kind": "panic", "zone": "counter seven"}


def opened(folder: Path) -> Spool:
    return Spool(folder, 1 << 24, now_s=lambda: NOW_S)


def bodies(spool: Spool, channel: Up) -> list[dict[str, object]]:
    return [msgpack.unpackb(spool.body(m.n) or b"") for m in list(spool.waiting(channel))]


def replace(path: Path, old: bytes, new: bytes) -> None:
    """Change bytes of a file where they lie."""
    content = path.read_bytes()
    assert content.count(old) == 1
    path.write_bytes(content.replace(old, new))


def test_an_alarm_with_a_flipped_bit_goes_out_and_says_so(tmp_path: Path) -> None:
    with opened(tmp_path) as before:
        first = before.put(Up.ALARM, 5, PANIC)
        second = before.put(Up.ALARM, 5, {"kind": "fire", "zone": "hall"})
    replace(tmp_path / "spool.db", b"counter seven", b"counter sevem")
    replace(tmp_path / "spool.db", b"\xa4fire", b"\xa4fir\xe5")
    with opened(tmp_path) as spool:
        assert [m.id("a") for m in spool.waiting(Up.ALARM)] == [first.id("a"), second.id("a")]
        one, other = bodies(spool, Up.ALARM)
        note = "(damaged on the device's disk)"
        assert one == {
            "boot": first.boot, "seq": 1, "t": 5, "kind": "panic", "zone": "counter sevem",
            "text": note,
        }  # fmt: skip
        assert other == {"boot": first.boot, "seq": 2, "t": 0, "kind": "panic", "text": note}
        assert bodies(spool, Up.ALARM) == [one, other]


def test_a_duty_report_with_a_flipped_bit_is_not_passed_for_one(tmp_path: Path) -> None:
    with opened(tmp_path) as before:
        before.put(Up.DUTY, 5, {"act": "on_scene", "ref": "110-4711"})
    replace(tmp_path / "spool.db", b"110-4711", b"110-4710")
    with opened(tmp_path) as spool:
        (duty,) = bodies(spool, Up.DUTY)
        assert duty.keys() == {"boot", "seq", "t", "damaged"}


def test_a_position_with_a_flipped_bit_is_declared_lost(tmp_path: Path) -> None:
    with opened(tmp_path) as before:
        before.put_all(Up.POS, 5, [FIX, {**FIX, "alt": 1234.5678}, FIX])
    replace(tmp_path / "spool.db", msgpack.packb(1234.5678), msgpack.packb(1234.5679))
    with opened(tmp_path) as spool:
        assert [spool.body(m.n) is None for m in list(spool.waiting(Up.POS))] == [
            False,
            True,
            False,
        ]
        assert [m.seq for m in spool.waiting(Up.POS)] == [1, 3]
        spool.put(Up.STATUS, 6, {})
        assert bodies(spool, Up.STATUS)[0]["lost"] == [[before.boot, 2, 2]]


def fill(spool: Spool) -> None:
    for n in range(200):
        spool.put_all(Up.POS, 5, [{**FIX, "alt": float(n)}] * 10)
        spool.put(Up.ALARM, 5, {**PANIC, "zone": f"zone {n}"})


def overwrite_page(path: Path, number: int) -> None:
    with path.open("r+b") as file:
        file.seek((number - 1) * 4096)
        file.write(b"\xa5" * 4096)


def leaf_with(path: Path, text: bytes) -> int:
    return path.read_bytes().index(text) // 4096 + 1


def test_what_other_pages_hold_is_saved_under_its_old_place(tmp_path: Path) -> None:
    with opened(tmp_path) as before:
        fill(before)
        places = {m.n: m.seq for m in before.waiting(Up.ALARM)}
        count = before.count.total()
    overwrite_page(tmp_path / "spool.db", leaf_with(tmp_path / "spool.db", b"zone 100"))
    with opened(tmp_path) as spool:
        assert "damaged" in (spool.trouble or "")
        assert count - 60 < spool.count.total() < count
        saved = {m.n: m.seq for m in spool.waiting(Up.ALARM)}
        assert saved.items() < places.items()
        assert spool.put(Up.ALARM, 6, PANIC).n > max(places)


def test_what_was_destroyed_is_told_when_the_gateway_asks(tmp_path: Path) -> None:
    with opened(tmp_path) as before:
        fill(before)
    overwrite_page(tmp_path / "spool.db", leaf_with(tmp_path / "spool.db", b"zone 100"))
    with opened(tmp_path) as spool:
        held = {m.seq for m in spool.waiting(Up.POS)}
        gone = sorted(set(range(1, 2001)) - held)
        silent = sorted(set(range(1, 201)) - {m.seq for m in spool.waiting(Up.ALARM)})
        asked = Receipt(
            boot=before.boot, p=0, t=0,
            miss={Lane.TELEMETRY: [(1, 2000)], Lane.PRIORITY: [(1, 200)]},
        )  # fmt: skip
        raised = spool.replace_missing(asked)
        assert [m.seq for m in raised] == silent
        assert {m.channel for m in raised} == {Up.ALARM}
        assert spool.replace_missing(asked) == []  # once is enough
        told = msgpack.unpackb(spool.body(raised[0].n) or b"")
        assert "may have been an alarm" in told["text"]
        spool.put(Up.STATUS, 6, {})
        lost = bodies(spool, Up.STATUS)[0]["lost"]
        assert isinstance(lost, list)
        assert [seq for _, first, last in lost for seq in range(first, last + 1)] == gone


def test_without_damage_nothing_stands_in_for_what_was_asked(tmp_path: Path) -> None:
    with opened(tmp_path) as spool:
        spool.put(Up.ALARM, 5, PANIC)
        spool.forget(Receipt(boot=spool.boot, p=1, t=0))
        asked = Receipt(boot=spool.boot, p=0, t=0, miss={Lane.PRIORITY: [(1, 1)]})
        assert spool.replace_missing(asked) == []


def test_damage_while_running_costs_no_more_than_the_damaged_page(tmp_path: Path) -> None:
    with opened(tmp_path) as spool:
        fill(spool)
        spool._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        spool._db.execute("PRAGMA cache_size = 0")
        overwrite_page(tmp_path / "spool.db", leaf_with(tmp_path / "spool.db", b"zone 100"))
        seqs = [m.seq for m in spool.waiting(Up.ALARM)]
        for m in list(spool.waiting(Up.ALARM)):
            spool.body(m.n)
        assert "damaged" in (spool.trouble or "")
        left = [m.seq for m in spool.waiting(Up.ALARM)]
        assert len(seqs) - 20 < len(left) < 200
        assert left == sorted(set(left))
        assert spool.put(Up.ALARM, 6, PANIC).seq == 201
        assert len(bodies(spool, Up.POS)) == spool.count[Up.POS]


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(20))
def test_one_flipped_bit_anywhere_never_silences_an_alarm(tmp_path: Path, seed: int) -> None:
    """In the database or its log, as a killed agent leaves them. What is destroyed without a
    trace is missed by the gateway: the agent then raises it."""
    rng = random.Random(seed)
    alive, killed = tmp_path / "alive", tmp_path / "killed"
    with opened(alive) as before:
        fill(before)
        if seed % 2:
            before._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            before.put_all(Up.POS, 5, [FIX] * 10)
        shutil.copytree(alive, killed)
    file = rng.choice([path for path in killed.glob("spool.db*") if path.suffix != ".db-shm"])
    content = bytearray(file.read_bytes())
    if file.name == "spool.db":
        content[rng.randrange(100, len(content))] ^= 1 << rng.randrange(8)
    else:
        content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
    file.write_bytes(content)
    with opened(killed) as spool:
        assert spool.boot > before.boot
        asked = Receipt(boot=before.boot, p=0, t=0, miss={Lane.PRIORITY: [(1, 200)]})
        while spool.replace_missing(asked):
            pass
        heard = [msgpack.unpackb(spool.body(m.n) or b"") for m in list(spool.waiting(Up.ALARM))]
        assert sorted(alarm["seq"] for alarm in heard) == list(range(1, 201))
        zones = [alarm.get("zone") for alarm in heard]
        for zone, alarm in zip(zones, heard, strict=True):
            assert (
                zone == f"zone {alarm['seq'] - 1}"
                or "damaged" in alarm["text"]
                or ("destroyed" in alarm["text"])
            )
