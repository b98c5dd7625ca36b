"""The figures as a table in the terminal."""

from __future__ import annotations

from rich.table import Table
from rich.text import Text

from fieldgate.bench.figures import Figure

VERDICTS = {True: Text("met", "green"), False: Text("missed", "red"), None: Text("", "")}


def table_of(figures: list[Figure], title: str) -> Table:
    """One row a figure, with its notes beneath."""
    table = Table("bench", "work", title=title, title_justify="left")
    for heading in ("figure", "reference", "ratio"):
        table.add_column(heading, justify="right")
    table.add_column("goal")
    table.add_column("")
    for figure in figures:
        work = Text(figure.work)
        for note in dict.fromkeys(figure.notes):
            work.append(f"\n{note}", "dim")
        table.add_row(
            Text(figure.bench),
            work,
            Text(f"{shown(figure.figure)} {figure.unit}"),
            Text("" if figure.reference is None else f"{shown(figure.reference)} {figure.unit}"),
            Text("" if figure.ratio is None else shown(figure.ratio)),
            Text(figure.goal or ""),
            VERDICTS[figure.met],
        )
    return table


def shown(value: float) -> str:
    """A number of at most four digits that mean something."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"
