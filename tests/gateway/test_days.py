"""What is missing of today, and what of days before: by the wall's clock, through a restart."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from gateway.days import Days, day_at, left_s
from gateway.ledger import Ledger
from tests.gateway.house import House, fix, house

SHANGHAI = ZoneInfo("Asia/Shanghai")


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=SHANGHAI).timestamp() * 1000)


def counts(ledger: Ledger) -> tuple[int, int]:
    totals = ledger.totals()
    return totals["missing_today"], totals["missing"] - totals["missing_today"]


async def days_of(gate: House) -> Days:
    """Days that a house on its first has been told of."""
    gate.now = at("2026-03-01 23:58:00")
    days = Days(gate.ledger, SHANGHAI, lambda: gate.now)
    await days.look()
    return days


async def test_what_is_missing_at_midnight_is_of_days_before(tmp_path: Path) -> None:
    async with house(tmp_path) as gate:
        days = await days_of(gate)
        await gate.telemetry_of("pos", fix(1), fix(4))
        assert counts(gate.ledger) == (2, 0)
        gate.now = at("2026-03-02 00:00:00")
        await days.look()
        assert counts(gate.ledger) == (0, 2)
        await gate.telemetry_of("pos", fix(6))
        assert counts(gate.ledger) == (1, 2)
        [lane] = (gate.ledger.view("car-1") or {})["lanes"]
        assert (lane["missing"], lane["missing_today"]) == (3, 1)
        await gate.telemetry_of("pos", fix(2), fix(5))
        assert counts(gate.ledger) == (0, 1)
        gate.now = at("2026-03-01 23:59:00")  # the clock is set back: no other day
        await days.look()
        await gate.telemetry_of("pos", fix(8))
        assert counts(gate.ledger) == (1, 1)


async def test_a_restart_keeps_the_day_and_a_day_that_nobody_saw_begin_has_begun(
    tmp_path: Path,
) -> None:
    async with house(tmp_path) as gate:
        days = await days_of(gate)
        await gate.telemetry_of("pos", fix(3))
        gate.now = at("2026-03-02 08:00:00")
        await days.look()
        await gate.telemetry_of("pos", fix(5))
        kept = gate.ledger.snapshot("car-1")
        same_day, next_day, of_old = (Ledger(day_at(gate.now, SHANGHAI) + n) for n in (0, 1, 1))
        same_day.restore("car-1", kept)
        assert counts(same_day) == (1, 2)
        next_day.restore("car-1", kept)
        assert counts(next_day) == (0, 3)
        of_old.restore("car-1", {name: kept[name] for name in ("windows", "counts")})
        assert counts(of_old) == (0, 3)
        await gate.checkpoints.keep()
    async with house(tmp_path) as gate:
        assert counts(gate.ledger) == (0, 3)


@pytest.mark.parametrize(
    ("moment", "left"),
    [("2026-03-01 23:59:59", 1), ("2026-03-01 00:00:00", 86_400), ("2026-03-01 12:00:00", 43_200)],
)
def test_a_day_ends_at_midnight(moment: str, left: float) -> None:
    assert left_s(at(moment), SHANGHAI) == left
    assert day_at(at(moment), SHANGHAI) == datetime(2026, 3, 1).toordinal()
