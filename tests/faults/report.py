"""The table of a campaign: in the terminal, and in docs/reliability.md between its marks."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Sequence
from pathlib import Path

from rich.table import Table

from tests.faults.experiment import Experiment, Outcome

BEGIN, END = "<!-- campaign -->", "<!-- end of campaign -->"
GOOD = {"held", "fails, as it must", "skipped"}
STYLE = {"held": "green", "fails, as it must": "green", "skipped": "yellow"}

Row = tuple[Experiment, Outcome]


def is_good(outcomes: Sequence[Outcome]) -> bool:
    """Whether nothing was violated, and everything was tried."""
    return all(outcome.result in GOOD for outcome in outcomes)


def said(outcome: Outcome) -> str:
    """The result in words, with what was violated."""
    if outcome.result in {"skipped", "broken"}:
        return f"{outcome.result}: {outcome.why}"
    violated = [f"{check.what} ({check.kind})" for check in outcome.checks if not check.held]
    if outcome.result == "violated":
        return "violated: " + (", ".join(violated) or "nothing failed")
    if outcome.result == "fails, as it must":
        unsafe = [check for check in outcome.checks if check.kind == "safety" and not check.held]
        return "fails, as it must: " + ", ".join(check.what for check in unsafe)
    return outcome.result


def figures(outcome: Outcome) -> list[str]:
    """What was seen: safety, liveness, and the rest, each in a line."""
    lines = []
    for kind in ("safety", "liveness"):
        checks = [check for check in outcome.checks if check.kind == kind]
        if checks:
            lines.append(f"{kind}: " + ", ".join(f"{c.what} {c.figure}" for c in checks))
    return lines + ([", ".join(outcome.figures)] if outcome.figures else [])


def on_screen(rows: Sequence[Row]) -> Table:
    """The table as a person sees it in a terminal."""
    table = Table(show_lines=True)
    for title in ("#", "break", "must hold", "result", "figures", "seed/time"):
        table.add_column(title, overflow="fold")
    for experiment, outcome in rows:
        table.add_row(
            str(experiment.number),
            f"{experiment.breaks}\n[dim]{experiment.name}",
            experiment.holds,
            f"[{STYLE.get(outcome.result, 'bold red')}]{said(outcome)}",
            "\n".join(figures(outcome)),
            f"{outcome.seed}\n{outcome.seconds:g} s",
        )
    return table


def markdown(rows: Sequence[Row], *, seconds: float, short: bool) -> str:
    """The table as it is committed, with where and when it was made."""
    memory_gib = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    lines = [
        f"{'The short campaign' if short else 'The full campaign'} of "
        f"{time.strftime('%Y-%m-%d', time.gmtime())}: {len(rows)} experiments in "
        f"{seconds / 60:.1f} minutes on {os.cpu_count()} cores with {memory_gib:.0f} GiB, "
        f"Linux {platform.release().partition('-')[0]}, Python {platform.python_version()}.",
        "",
        "| # | break | must hold | result | figures | seed/time |",
        "|---|---|---|---|---|---|",
    ]
    for experiment, outcome in rows:
        cells = [
            str(experiment.number),
            f"{experiment.breaks}<br>`{experiment.name}`",
            experiment.holds,
            said(outcome),
            "<br>".join(figures(outcome)),
            f"{outcome.seed}<br>{outcome.seconds:g} s",
        ]
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines)


def write_into(page: Path, table: str) -> None:
    """Put the table between the marks of the page; ValueError if it has none."""
    text = page.read_text()
    head, begin, rest = text.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"{page}: no {BEGIN} … {END}")
    page.write_text(f"{head}{BEGIN}\n{table}\n{END}{tail}")
