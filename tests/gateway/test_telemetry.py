"""The telemetry lane: groups, duplicates, refusals, pictures, and what a restart knows."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import msgpack
import pytest

from gateway import telemetry
from gateway.journal.base import EventType
from protocols.model import Lane
from tests.gateway.house import NOW, House, fix, house


@pytest.fixture
async def gw(tmp_path: Path) -> AsyncIterator[House]:
    async with house(tmp_path) as each:
        yield each


async def test_positions_are_kept_as_sent_and_receipted_in_groups(gw: House) -> None:
    await gw.telemetry_of("pos", *(fix(n, spd=n / 3) for n in range(1, 64)))
    assert gw.sent == []
    await gw.telemetry_of("pos", fix(64))
    (receipt,) = gw.receipts_of()
    assert (receipt.p, receipt.t) == (0, 64)
    events = await gw.events("position")
    assert [e.data["spd"] for e in events[:63]] == [n / 3 for n in range(1, 64)]
    assert events[0].id == "car-1:1:t:1"


async def test_a_few_positions_are_receipted_after_five_seconds(gw: House) -> None:
    await gw.telemetry_of("pos", fix(1))
    gw.clock_s += 4.9
    gw.receipts.send_due()
    assert gw.sent == []
    gw.clock_s += 0.2
    gw.receipts.send_due()
    assert gw.receipts_of()[0].t == 1


async def test_one_bad_fix_harms_no_neighbour_and_is_not_asked_for_again(gw: House) -> None:
    await gw.telemetry_of("pos", [fix(1), fix(2, lat=91), fix(3)])
    assert [e.data["seq"] for e in await gw.events("position")] == [1, 3]
    (kept,) = await gw.journal.quarantine(2**62, 10)
    assert "lat" in kept.detail
    assert "91" in kept.detail
    assert gw.ledger.of("car-1").window(1, Lane.TELEMETRY).held_to == 3


async def test_a_repeated_fix_is_one_and_another_body_a_conflict(gw: House) -> None:
    await gw.telemetry_of("pos", fix(1), fix(1))
    await gw.telemetry_of("pos", fix(1), fix(1, lat=25.0))
    assert len(await gw.events()) == 1
    totals = gw.ledger.totals()
    assert (totals["duplicates"], totals["conflicts"]) == (2, 1)
    assert (await gw.journal.quarantine(2**62, 10))[0].reason == "conflict"


async def test_the_newest_position_is_the_one_of_the_newest_fix(gw: House) -> None:
    await gw.telemetry_of("pos", fix(5, lat=24.55))
    await gw.telemetry_of("pos", [fix(n) for n in (1, 2, 3, 4)])
    assert gw.twins.of("car-1").fix is not None
    assert gw.twins.of("car-1").fix.lat == 24.55  # type: ignore[union-attr]


async def test_a_clock_that_runs_ahead_pins_no_position(gw: House) -> None:
    await gw.telemetry_of("pos", fix(1, t=NOW + 3600_000))
    gw.now += 1000
    await gw.telemetry_of("pos", fix(2, t=gw.now, lat=24.6))
    assert gw.twins.of("car-1").fix.lat == 24.6  # type: ignore[union-attr]


async def test_what_a_device_gave_up_is_asked_for_no_more(gw: House) -> None:
    await gw.telemetry_of("pos", fix(1), fix(10))
    status = {"boot": 1, "seq": 11, "t": NOW, "batt": 80, "lost": [[1, 2, 8]]}
    await gw.telemetry_of("status", status)
    window = gw.ledger.of("car-1").window(1, Lane.TELEMETRY)
    assert list(window.missing()) == [(9, 9)]
    view = gw.ledger.view("car-1")
    assert view is not None
    assert view["given_up"] == 7


async def test_telemetry_is_shed_under_overload_and_counted(
    gw: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(telemetry, "MAX_WAITING", 10)
    await gw.telemetry_of("pos", *(fix(n) for n in range(1, 16)))
    assert len(await gw.events()) == 10
    assert gw.metrics.registry.get_sample_value("fieldgate_telemetry_shed_total") == 5


async def test_telemetry_with_too_many_gaps_is_shed_and_not_receipted(gw: House) -> None:
    for first in range(2, 2602, 400):
        await gw.telemetry_of("pos", [fix(n) for n in range(first, first + 400, 2)])
    events = await gw.events("position")
    assert gw.ledger.of("car-1").window(1, Lane.TELEMETRY).held_to == 0
    shed = gw.metrics.registry.get_sample_value("fieldgate_telemetry_shed_total")
    assert shed is not None
    assert (len(events) + shed, shed > 0) == (1400, True)
    await gw.telemetry_of("pos", fix(1), fix(3))
    assert gw.ledger.of("car-1").window(1, Lane.TELEMETRY).held_to == 4


async def test_telemetry_of_an_unknown_device_is_kept_aside(gw: House) -> None:
    await gw.telemetry_of("pos", fix(1), device="stranger")
    assert await gw.events() == []
    assert (await gw.journal.quarantine(2**62, 10))[0].reason == "unregistered"


@pytest.mark.parametrize("checkpoint", [False, True])
async def test_a_restart_knows_what_was_known(tmp_path: Path, checkpoint: bool) -> None:
    async with house(tmp_path) as gw:
        await gw.telemetry_of("pos", fix(1), fix(2), fix(5, lat=24.9))
        if checkpoint:
            await gw.checkpoints.keep()
        await gw.telemetry_of("pos", msgpack.packb(fix(7)), fix(8, lat=99.0))
        before = gw.twins.view("car-1"), gw.ledger.view("car-1")
        assert before[1] is not None
    async with house(tmp_path) as gw:
        assert gw.twins.view("car-1") == before[0]
        view = gw.ledger.view("car-1")
        assert view is not None
        assert view["lanes"] == before[1]["lanes"]
        await gw.telemetry_of("pos", fix(7, lat=1.0))
        assert gw.ledger.totals()["conflicts"] == 1


async def test_a_figure_that_is_none_costs_no_position_and_no_restart(tmp_path: Path) -> None:
    async with house(tmp_path) as gw:
        await gw.telemetry_of("pos", fix(1, acc=float("nan"), spd=float("inf")), fix(3))
        await gw.telemetry_of("pos", fix(4, acc=float("nan")))
        await gw.checkpoints.keep()
    async with house(tmp_path) as gw:
        assert [e.data["seq"] for e in await gw.events("position")] == [1, 3, 4]
        assert gw.twins.of("car-1").fix.seq == 4  # type: ignore[union-attr]
        assert list(gw.ledger.of("car-1").window(1, Lane.TELEMETRY).missing()) == [(2, 2)]


async def test_a_track_is_in_the_order_of_its_fixes(gw: House) -> None:
    await gw.telemetry_of("pos", [fix(3), fix(4)], [fix(1), fix(2)])
    track = await gw.journal.track("car-1", NOW, NOW + 4)
    assert [e.data["seq"] for e in track] == [1, 2, 3]
    assert {e.type for e in track} == {EventType.POSITION}
