"""Does the report put figures into the page and leave what people have written?"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from fieldgate.bench.figures import Figure, figure_of
from fieldgate.bench.report import publish

DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture
def docs(tmp_path: Path) -> Path:
    """A copy of the page."""
    shutil.copy(DOCS / "performance.md", tmp_path)
    return tmp_path


def feed(per_s: float) -> Figure:
    return figure_of(
        "feed", "events", [per_s], "/s", reference=[400_000.0], against="memory",
        goal="at least 100,000 a second", at_least=100_000,
    )  # fmt: skip


def alarm() -> Figure:
    times = {"feed_ms": [4.0, 5.0, 9.0], "reference_ms": [2.0, 3.0, 4.0]}
    return figure_of(
        "alarm", "press to feed at rest, p99", [9.0], "ms", reference=[4.0], against="raw",
        goal="at most 3 times and 15 ms", at_most=15, ratio_at_most=3, series=times,
    )  # fmt: skip


def test_a_bench_run_again_takes_the_place_of_its_own_figures_alone(docs: Path) -> None:
    publish(docs, [feed(50_000), alarm()], {"processor": "two"}, docs)
    page = (docs / "performance.md").read_text()
    assert "| 50,000 /s | 400,000 /s | 0.125 | at least 100,000 a second | **missed** |" in page
    assert "- `feed`, events: 50,000 /s, 0.125 times the reference" in page
    publish(docs, [feed(120_000)], {"processor": "four"}, docs)
    page = (docs / "performance.md").read_text()
    assert "50,000 /s | 400,000" not in page
    assert "| 120,000 /s | 400,000 /s | 0.3 |" in page
    assert "| 9 ms | 4 ms | 2.25 | at most 3 times and 15 ms | met |" in page
    assert "Every goal is met." in page
    data = json.loads((docs / "performance.json").read_text())
    assert list(data["runs"]) == ["alarm", "feed"]


def test_what_people_wrote_stays_and_plots_are_shown(docs: Path) -> None:
    written = "Nothing is pinned, no priority is raised."
    publish(docs, [alarm()], {}, docs / "plots")
    page = (docs / "performance.md").read_text()
    assert written in page
    assert "(plots/performance-alarm.svg)" in page
    assert (docs / "plots/performance-alarm.svg").read_text().startswith("<?xml")


def test_the_same_figures_are_drawn_as_the_same_bytes(docs: Path) -> None:
    drawn = []
    for _ in range(2):
        publish(docs, [alarm()], {}, docs)
        drawn.append((docs / "performance-alarm.svg").read_bytes())
    assert drawn[0] == drawn[1]
