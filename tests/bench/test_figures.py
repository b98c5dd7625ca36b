"""Does a figure say what was measured, and no more?"""

from __future__ import annotations

from fieldgate.bench.figures import figure_of, percentile
from fieldgate.bench.scale import Scale


def test_a_figure_is_the_median_beside_the_median_of_its_reference() -> None:
    figure = figure_of("b", "w", [9.0, 12.0, 30.0], "us", reference=[8.0, 6.0, 10.0], against="r")
    assert (figure.figure, figure.reference, figure.ratio) == (12.0, 8.0, 1.5)
    assert (figure.spread, figure.reference_spread) == ((9.0, 30.0), (6.0, 10.0))
    assert figure.met is None


def test_a_goal_is_met_only_if_all_its_limits_hold() -> None:
    def met(value: float, reference: float) -> bool | None:
        return figure_of(
            "b", "w", [value], "ms", reference=[reference], goal="g", at_most=15, ratio_at_most=3
        ).met

    assert met(12, 4) is True
    assert met(13, 4) is False
    assert met(16, 8) is False


def test_a_ratio_that_was_asked_for_and_not_measured_is_missed() -> None:
    assert figure_of("b", "w", [1.0], "ms", goal="g", ratio_at_most=3).met is False


def test_the_99th_of_300_is_the_third_worst() -> None:
    assert percentile([float(n) for n in range(1, 301)], 0.99) == 297
    assert percentile([1.0, 2.0], 1.0) == 2.0


def test_a_quick_pass_judges_nothing() -> None:
    (figure,) = Scale(quick=True).judged([figure_of("b", "w", [1.0], "s", goal="g", at_most=2)])
    assert figure.met is None
    assert "quick" in figure.notes[0]
