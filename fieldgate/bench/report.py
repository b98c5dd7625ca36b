"""docs/performance.md: the figures put between the marks of a page that people write.

Beside the page lies performance.json with all that was measured. A bench that is run again
takes the place of its own earlier figures alone: each stands beside its own reference.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
from msgspec import Struct

from fieldgate.bench.figures import Figure
from fieldgate.bench.plots import draw
from fieldgate.bench.table import shown

PAGE, DATA = "performance.md", "performance.json"
_SECTION = "<!-- {name}: made by `fieldgate bench --report` -->"
_END = "<!-- end -->"


class Run(Struct):
    """The figures of one bench, and when and where they were measured."""

    date: str
    machine: dict[str, str]
    figures: list[Figure]


class Measured(Struct):
    """All that stands in the report, by bench."""

    runs: dict[str, Run] = {}

    @property
    def figures(self) -> list[Figure]:
        """All of them."""
        return [figure for run in self.runs.values() for figure in run.figures]


def publish(folder: Path, figures: list[Figure], machine: dict[str, str], plots: Path) -> None:
    """Bring page, data and plots up to these figures."""
    measured = _merged(folder, figures, machine)
    drawn = draw(plots, measured.figures)
    way = os.path.relpath(plots, folder)
    _write(folder, measured, [(title, os.path.normpath(f"{way}/{name}")) for title, name in drawn])


def _merged(folder: Path, figures: list[Figure], machine: dict[str, str]) -> Measured:
    """What was measured before, with these in place of those of the same benches; kept."""
    path = folder / DATA
    measured = msgspec.json.decode(path.read_bytes(), type=Measured) if path.exists() else None
    measured = measured or Measured()
    for bench in dict.fromkeys(figure.bench for figure in figures):
        some = [figure for figure in figures if figure.bench == bench]
        measured.runs[bench] = Run(time.strftime("%Y-%m-%d", time.gmtime()), machine, some)
    order = (
        "ingest",
        "alarm",
        "devices",
        "restart",
        "disk",
        "track",
        "edge",
        "feed",
        "firmware",
        "camera",
        "reach",
        "map",
        "snapshot",
    )
    measured.runs = dict(
        sorted(measured.runs.items(), key=lambda item: (order.index(item[0].split()[0]), item[0]))
    )
    path.write_bytes(msgspec.json.format(msgspec.json.encode(measured), indent=1) + b"\n")
    return measured


def _write(folder: Path, measured: Measured, plots: list[tuple[str, str]]) -> None:
    """Put the figures, and the plots (title, path from the page), into the page."""
    page = folder / PAGE
    text = page.read_text()
    sections = {
        "machine": _machine(measured),
        "figures": _figures(measured),
        "plots": (f"![{title}]({path})" for title, path in plots),
        "cores": _cores(measured),
        "missed": _missed(measured),
    }
    for name, lines in sections.items():
        begin = _SECTION.format(name=name)
        body = "\n".join(lines)
        text, count = re.subn(
            f"{re.escape(begin)}.*?{re.escape(_END)}",
            lambda _, new=f"{begin}\n{body}\n{_END}": new,  # type: ignore[misc]
            text,
            flags=re.S,
        )
        if count != 1:
            raise ValueError(f"{page} has {count} sections {begin}")
    page.write_text(text)


def _machine(measured: Measured) -> Iterator[str]:
    newest = max(measured.runs.values(), key=lambda run: run.date)
    yield "| | |"
    yield "|---|---|"
    for name, value in newest.machine.items():
        yield f"| {name} | {value} |"
    dates = sorted({run.date for run in measured.runs.values()})
    yield f"| measured | {', '.join(dates)} |"


def _figures(measured: Measured) -> Iterator[str]:
    yield "| bench | work | figure | reference | ratio | goal | |"
    yield "|---|---|--:|--:|--:|---|---|"
    for figure in measured.figures:
        cells = [
            f"`{figure.bench}`",
            "<br>".join([figure.work, *(f"<sub>{note}</sub>" for note in figure.notes)]),
            f"{shown(figure.figure)} {figure.unit}{_between(figure.spread)}",
            "" if figure.reference is None
            else f"{shown(figure.reference)} {figure.unit}{_between(figure.reference_spread)}",
            "" if figure.ratio is None else shown(figure.ratio),
            figure.goal or "",
            {True: "met", False: "**missed**", None: ""}[figure.met],
        ]  # fmt: skip
        yield f"| {' | '.join(cells)} |"


def _between(spread: tuple[float, float] | None) -> str:
    """The least and the greatest of the runs."""
    return "" if spread is None else f"<br><sub>{shown(spread[0])} to {shown(spread[1])}</sub>"


def _cores(measured: Measured) -> Iterator[str]:
    told = [figure for figure in measured.figures if figure.cores]
    roles = list(dict.fromkeys(role for figure in told for role in figure.cores))
    yield f"| bench | work | {' | '.join(roles)} |"
    yield f"|---|---|{'--:|' * len(roles)}"
    for figure in told:
        shares = [f"{figure.cores[role]:.2f}" if role in figure.cores else "" for role in roles]
        yield f"| `{figure.bench}` | {figure.work} | {' | '.join(shares)} |"


def _missed(measured: Measured) -> Iterator[str]:
    missed = [figure for figure in measured.figures if figure.met is False]
    if not missed:
        yield "Every goal is met."
    for figure in missed:
        ratio = "" if figure.ratio is None else f", {shown(figure.ratio)} times the reference"
        yield (
            f"- `{figure.bench}`, {figure.work}: {shown(figure.figure)} {figure.unit}{ratio};"
            f" goal: {figure.goal}."
        )
