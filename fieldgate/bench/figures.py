"""What a figure of the bench is: measured, beside its reference, with its goal."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import median
from typing import Any

from msgspec import Struct


class Figure(Struct, kw_only=True):
    """One line of the table.

    ``reference`` is in the same unit, measured in the same run, and ``against`` says
    of what. ``goal`` is what was asked for, in words; ``met`` is None where there is none,
    or where the run was too small to judge. ``spread``: least and greatest of the runs.
    ``cores``: how much of a core each process used. ``series``: what plots draw.
    """

    bench: str
    work: str
    figure: float
    unit: str
    reference: float | None = None
    ratio: float | None = None
    goal: str | None = None
    met: bool | None = None
    against: str | None = None
    runs: int = 1
    spread: tuple[float, float] | None = None
    reference_spread: tuple[float, float] | None = None
    cores: dict[str, float] = {}
    notes: list[str] = []
    series: dict[str, Any] = {}


def figure_of(
    bench: str,
    work: str,
    values: Sequence[float],
    unit: str,
    *,
    reference: Sequence[float] = (),
    against: str | None = None,
    goal: str | None = None,
    at_most: float | None = None,
    at_least: float | None = None,
    ratio_at_most: float | None = None,
    **more: Any,
) -> Figure:
    """The medians of the runs, their ratio, and whether all limits of the goal hold."""
    value, other = median(values), median(reference) if reference else None
    ratio = value / other if other else None
    limits = [
        holds
        for limit, holds in (
            (at_most, at_most is not None and value <= at_most),
            (at_least, at_least is not None and value >= at_least),
            (ratio_at_most, ratio_at_most is not None and ratio is not None
             and ratio <= ratio_at_most),
        )
        if limit is not None
    ]  # fmt: skip
    return Figure(
        bench=bench,
        work=work,
        figure=significant(value),
        unit=unit,
        reference=None if other is None else significant(other),
        ratio=None if ratio is None else significant(ratio),
        goal=goal,
        met=all(limits) if goal is not None and limits else None,
        against=against,
        runs=len(values),
        spread=_spread(values),
        reference_spread=_spread(reference),
        **more,
    )


def percentile(values: Sequence[float], share: float) -> float:
    """The least value that so large a share of all does not exceed (nearest rank)."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def significant(value: float, digits: int = 4) -> float:
    """Rounded to so many digits: no more of them are known."""
    return float(f"{value:.{digits}g}")


def _spread(values: Sequence[float]) -> tuple[float, float] | None:
    if len(values) < 2:
        return None
    return significant(min(values)), significant(max(values))
