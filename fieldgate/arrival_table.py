"""A report on arrivals as a table in the terminal, as CSV, as a plot."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from io import StringIO
from pathlib import Path
from typing import Any

from rich.table import Table

from protocols.cloudevents import rfc3339

Report = Mapping[str, Any]
"""As ``GET /api/v1/reports/arrivals`` answers."""

STEPS = ("dispatched", "en_route", "near", "on_scene")
COLUMNS = (
    "incident", "grid", "shift", "unit", "counts", "duration_ms", *STEPS, "source", "device",
    "distance_m", "acc_m", "late_ms", "clock_offset_ms", "doubts",
)  # fmt: skip

RUN = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
"""A spreadsheet takes what begins so for a formula."""

CHINESE_FONTS = ("Noto Sans CJK SC", "Source Han Sans SC", "WenQuanYi Zen Hei", "SimHei")
"""For the names of grids. Without one of them a PNG has boxes there; an SVG has the viewer's."""


class NoMatplotlib(Exception):
    """What draws is not installed."""

    def __init__(self) -> None:
        super().__init__("a plot needs matplotlib: pip install 'fieldgate[bench]'")


def table(report: Report) -> Table:
    """Figures of all, of each grid, of each shift."""
    found = Table("", "incidents", "arrived", "mean", "median", "≤ 5 min", "≤ 10 min")
    for column in found.columns[1:]:
        column.no_wrap = True
    rows = [("all", report["total"])]
    rows += [(f"grid {each['grid'] or '(none)'}", each) for each in report["by_grid"]]
    rows += [(f"shift {each['shift']}", each) for each in report["by_shift"]]
    for name, figures in rows:
        found.add_row(
            name,
            str(figures["incidents"]),
            str(figures["arrived"]),
            minutes(figures["mean_ms"]),
            minutes(figures["median_ms"]),
            _share(figures["share_5_min"]),
            _share(figures["share_10_min"]),
        )
    return found


def minutes(millis: int | None) -> str:
    """``4:05.120``: minutes, seconds."""
    if millis is None:
        return ""
    return f"{millis // 60_000}:{millis % 60_000 / 1000:06.3f}"


def _share(share: float | None) -> str:
    return "" if share is None else f"{share:.2%}"


def as_csv(report: Report) -> str:
    """A line for each unit that was sent or came; times in RFC 3339, by the gateway's clock.

    For spreadsheets: they know UTF-8 by its mark, and run no text as a formula.
    """
    text = StringIO()
    text.write("\ufeff")
    writer = csv.DictWriter(text, COLUMNS)
    writer.writeheader()
    writer.writerows(_lines(report))
    return text.getvalue()


def _lines(report: Report) -> Iterator[dict[str, Any]]:
    for incident in report["incidents"]:
        for unit in incident["units"]:
            counted = unit["near"] or unit["on_scene"]
            line = {
                "incident": _text(incident["incident"]),
                "grid": _text(incident["grid"]),
                "shift": incident["shift"],
                "unit": unit["unit"],
                "counts": int(unit["unit"] == incident["arrived_unit"]),
                "doubts": " ".join(unit["doubts"]),
            }
            line |= {step: rfc3339(unit[step]["at"]) for step in STEPS if unit[step] is not None}
            if counted is not None:
                keys = "source", "device", "distance_m", "acc_m", "late_ms", "clock_offset_ms"
                line |= {key: counted.get(key) for key in keys}
                if unit["dispatched"] is not None:
                    line["duration_ms"] = max(0, counted["at"] - unit["dispatched"]["at"])
            yield line


def _text(word: str) -> str:
    """With a mark before it if a spreadsheet would run it."""
    return f"'{word}" if word.startswith(RUN) else word


def plot(report: Report, path: Path) -> None:
    """How many were reached after how many minutes, and the median of each grid.

    Raise NoMatplotlib; ValueError or OSError if the file cannot be written.
    """
    try:
        from matplotlib import font_manager, rc_context  # noqa: PLC0415 - heavy, and an extra
        from matplotlib.figure import Figure  # noqa: PLC0415
    except ImportError:
        raise NoMatplotlib from None

    known = {font.name for font in font_manager.fontManager.ttflist}
    fonts = [name for name in CHINESE_FONTS if name in known]
    with rc_context({"font.sans-serif": [*fonts, "DejaVu Sans"], "svg.fonttype": "none"}):
        _draw(report, Figure(figsize=(10, 4), layout="constrained"), path)


def _draw(report: Report, figure: Any, path: Path) -> None:
    times = sorted(
        each["duration_ms"] / 60_000
        for each in report["incidents"]
        if each["duration_ms"] is not None
    )
    reached, by_grid = figure.subplots(1, 2)
    shares = [100 * (n + 1) / len(times) for n in range(len(times))]
    reached.step([0.0, *times], [0.0, *shares], where="post")
    for limit in (5, 10):
        reached.axvline(limit, linestyle=":", color="grey")
    reached.set(xlabel="minutes after the order", ylabel="% arrived", xlim=(0, None), ylim=(0, 101))
    reached.set_title(f"{len(times)} arrivals")
    _bars(by_grid, [each for each in report["by_grid"] if each["median_ms"] is not None])
    figure.savefig(path)


def _bars(axes: Any, grids: Sequence[Mapping[str, Any]]) -> None:
    axes.barh(
        [each["grid"] or "(none)" for each in grids],
        [each["median_ms"] / 60_000 for each in grids],
    )
    axes.axvline(5, linestyle=":", color="grey")
    axes.set(xlabel="median, minutes")
    axes.set_title("by grid")
