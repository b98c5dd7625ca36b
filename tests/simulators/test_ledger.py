"""The ledger: lines count after their fsync, and the verdict is plain set arithmetic."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulators import ledger
from simulators.ledger import Dispatched, Ledger, Line, Pressed, Receipted, Telemetry


def press(id_: str, at: int = 1000, *, online: bool = True) -> Pressed:
    return Pressed(id=id_, at=at, kind="panic", online=online)


async def test_a_written_line_is_in_the_file_when_write_returns(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    async with Ledger(path) as book:
        await book.write(press("box-1:7:p:1"))
        assert list(ledger.read(path)) == [press("box-1:7:p:1")]
    assert msgspec.json.decode(path.read_bytes()) == {
        "what": "pressed", "id": "box-1:7:p:1", "at": 1000, "kind": "panic", "online": True,
    }  # fmt: skip


async def test_a_press_waits_for_nothing_that_others_do_in_threads(tmp_path: Path) -> None:
    over = threading.Event()
    async with Ledger(tmp_path / "ledger.jsonl") as book:
        slow = [asyncio.create_task(asyncio.to_thread(over.wait)) for _ in range(64)]
        try:
            await book.write(press("box-1:7:p:1"))
        finally:
            over.set()
            await asyncio.gather(*slow)


async def test_lines_of_many_devices_share_an_fsync_and_keep_their_order(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    async with Ledger(path) as book:
        await asyncio.gather(*(book.write(press(str(n))) for n in range(500)))
    assert [line.id for line in ledger.read(path) if isinstance(line, Pressed)] == [
        str(n) for n in range(500)
    ]


async def test_a_line_cut_short_by_a_crash_does_not_count_and_harms_no_later_one(
    tmp_path: Path,
) -> None:
    path = tmp_path / "ledger.jsonl"
    async with Ledger(path) as book:
        await book.write(press("a"))
    with path.open("ab") as file:
        file.write(b'{"what":"pressed","id":"b","at"')
    assert list(ledger.read(path)) == [press("a")]
    async with Ledger(path) as book:
        await book.write(press("c"))
    assert list(ledger.read(path)) == [press("a"), press("c")]


def test_a_whole_line_that_is_none_names_its_place(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    path.write_bytes(b'{"what":"sent","id":"a","at":1}\n{"what":"eaten","id":"a","at":1}\n')
    with pytest.raises(ledger.LedgerCorrupt, match="line 2") as raised:
        list(ledger.read(path))
    assert raised.value.number == 2


def test_a_clean_day_is_clean_and_latencies_are_split_by_link() -> None:
    lines: list[Line] = [
        press("a", 1000),
        press("b", 2000, online=False),
        Receipted(id="a", at=1005),
        Dispatched(id="a", at=1010, incident=1),
        Dispatched(id="b", at=9000, incident=2),
        Dispatched(id="a", at=1500, incident=1),  # fed again, the same incident
        Telemetry(device="car-1", boot=1, seq=60, fixes=58, at=1),
    ]
    found = ledger.verdict(lines, {"a", "b", "of an earlier run"})
    assert found.clean
    assert found.counts() == {
        "pressed": 2, "stored": 2, "dispatched": 2,
        "lost": 0, "false_ack": 0, "twice": 0, "phantom": 0,
    }  # fmt: skip
    assert found.alarm_ms == ledger.Latency(1, 10, 10, 10)
    assert found.alarm_ms_offline == ledger.Latency(1, 7000, 7000, 7000)


def test_each_kind_of_wrong_is_found() -> None:
    lines: list[Line] = [
        press("lost"),
        press("twice"),
        Receipted(id="false", at=1),
        Dispatched(id="twice", at=1, incident=1),
        Dispatched(id="twice", at=2, incident=2),
        Dispatched(id="phantom", at=1, incident=3),
    ]
    found = ledger.verdict(lines, {"lost", "twice"})
    assert not found.clean
    assert found.lost == {"lost"}
    assert found.false_ack == {"false"}
    assert found.twice == {"twice"}
    assert found.phantom == {"phantom"}


@given(st.lists(st.integers(0, 10_000), min_size=1))
def test_percentiles_are_values_that_were_measured(values: list[int]) -> None:
    latency = ledger.Latency.of(values)
    assert latency is not None
    assert {latency.p50, latency.p99} <= set(values)
    assert latency.p50 <= latency.p99 <= latency.max == max(values)
    assert sum(value <= latency.p50 for value in values) * 2 >= len(values)
