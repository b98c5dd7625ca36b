"""`fieldgate report`: figures as a table, a line for each unit, a plot where one can be drawn."""

from __future__ import annotations

import csv
import io
import sys
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest
from rich.console import Console
from typer.testing import CliRunner

from fieldgate.arrival_table import NoMatplotlib, as_csv, minutes, plot, table
from fieldgate.cli import app
from gateway.reports.figures import incidents_of, report
from gateway.shifts import shifts_of
from tests.gateway.house import NOW
from tests.gateway.test_arrivals import MIN, Day, S, counted


@pytest.fixture
def told() -> Any:
    """Two incidents: one reached in 4 min 5 s, one not at all."""
    day = Day()
    day.order(0)
    day.pos(245 * S, 50)
    day.order(10 * S, "c-2", "car-2", incident="110-8")
    found = incidents_of(
        counted(day.events), grids=[], shifts=shifts_of("08:00,20:00"), zone=ZoneInfo("UTC")
    )
    return msgspec.to_builtins(report(found, since=NOW, until=NOW + 60 * MIN, timezone="UTC"))


def test_the_table_has_a_row_for_all_for_each_grid_and_each_shift(told: Any) -> None:
    console = Console(width=120, record=True, file=io.StringIO())
    console.print(table(told))
    text = console.export_text()
    assert [text.count(name) for name in ("all", "grid (none)", "shift ")] == [1, 1, 1]
    assert text.count("4:05.000") == 6  # mean and median, three times
    assert "100.00%" in text


def test_minutes_are_those_of_a_clock() -> None:
    assert [minutes(ms) for ms in (None, 0, 245_120, 3_600_000)] == [
        "", "0:00.000", "4:05.120", "60:00.000",
    ]  # fmt: skip


def test_each_unit_has_a_line(told: Any) -> None:
    came, late = csv.DictReader(io.StringIO(as_csv(told).removeprefix("\ufeff")))
    assert (came["incident"], came["duration_ms"], came["source"]) == (
        "110-7", "245000", "position",
    )  # fmt: skip
    assert (came["counts"], late["counts"], late["duration_ms"]) == ("1", "0", "")


@pytest.mark.parametrize("hostile", ["=1+1", "@sum(1)", "-2", "＝1"])
def test_a_spreadsheet_knows_its_letters_and_runs_nothing_of_it(told: Any, hostile: str) -> None:
    told["incidents"][0].update(incident=hostile, grid="城西")
    text = as_csv(told)
    assert text.startswith("\ufeff")
    row = next(csv.DictReader(io.StringIO(text.removeprefix("\ufeff"))))
    assert (row["incident"], row["grid"]) == (f"'{hostile}", "城西")


def test_it_is_drawn(told: Any, tmp_path: Path) -> None:
    plot(told, tmp_path / "arrivals.svg")
    assert (tmp_path / "arrivals.svg").stat().st_size > 1000


def test_without_matplotlib_it_says_what_is_missing(
    told: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(NoMatplotlib, match=r"pip install 'fieldgate\[bench\]'"):
        plot(told, tmp_path / "arrivals.svg")


def test_a_folder_that_is_none_is_told(tmp_path: Path) -> None:
    asked = CliRunner().invoke(
        app, ["report", "arrivals", "--offline", "--data", str(tmp_path / "nothing")]
    )
    assert asked.exit_code == 1
    assert "--offline needs the gateway's folder" in asked.output
