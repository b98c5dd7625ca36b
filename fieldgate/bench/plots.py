"""The figures drawn: SVG by matplotlib, the same bytes for the same figures."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fieldgate.bench.figures import Figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes

OURS, THEIRS = "#1f5fa8", "#b0b0b0"
ROLES = {
    "gateway": OURS,
    "broker": "#6aa84f",
    "generator": "#e69138",
    "consumer": "#8e63ce",
    "others": "#dddddd",
}


def draw(folder: Path, figures: list[Figure]) -> list[tuple[str, str]]:
    """Draw what there are figures for; title and file name of each plot."""
    import matplotlib  # noqa: PLC0415 - heavy, and needed for plots alone

    matplotlib.use("svg")
    from matplotlib import pyplot  # noqa: PLC0415

    folder.mkdir(parents=True, exist_ok=True)
    made = []
    with matplotlib.rc_context(
        {"svg.hashsalt": "fieldgate", "svg.fonttype": "none", "font.size": 9}
    ):
        for name, (title, wanted, plot) in PLOTS.items():
            some = [figure for figure in figures if wanted(figure)]
            if not some:
                continue
            canvas, axes = pyplot.subplots(figsize=(7.2, 3.6), layout="constrained")
            plot(axes, some)
            axes.set_title(title, loc="left")
            axes.spines[["top", "right"]].set_visible(False)
            canvas.savefig(folder / f"performance-{name}.svg", metadata={"Date": None})
            pyplot.close(canvas)
            made.append((title, f"performance-{name}.svg"))
    return made


def _alarms(axes: Axes, figures: list[Figure]) -> None:
    """How many of the alarms had come after how long."""
    shades = ("#0b3d6b", "#2e75b6", "#9dc3e6")
    rows = [("reference, at rest", THEIRS, figures[0].series["reference_ms"])]
    for figure, shade in zip(figures, shades, strict=False):
        among = figure.work.removeprefix("press to feed ").removesuffix(", p99")
        rows.append((among, shade, figure.series["feed_ms"]))
    for label, shade, values in rows:
        ordered = sorted(values)
        shares = [100 * (n + 1) / len(ordered) for n in range(len(ordered))]
        axes.step(ordered, shares, where="post", label=label, color=shade)
    axes.set_xscale("log")
    axes.set_xlabel("ms from the press to the feed")
    axes.set_ylabel("% of the alarms")
    axes.legend(frameon=False, loc="lower right")


def _cost(axes: Axes, figures: list[Figure]) -> None:
    """CPU of each message, beside that of mosquitto_sub."""
    for n, figure in enumerate(figures):
        for at, value, spread, colour in (
            (n - 0.2, figure.figure, figure.spread, OURS),
            (n + 0.2, figure.reference or 0.0, figure.reference_spread, THEIRS),
        ):
            axes.bar(at, value, 0.38, color=colour)
            if spread is not None:
                axes.plot([at, at], spread, color="black", linewidth=1)
            axes.annotate(f"{value:.3g}", (at, value), ha="center", va="bottom", fontsize=8)
    labels = [f"{_short(figure)}\n{_rate(figure)} a second" for figure in figures]
    axes.set_xticks(range(len(figures)), labels, fontsize=7)
    axes.set_ylabel("µs of CPU")
    axes.bar(0, 0, color=OURS, label="gateway")
    axes.bar(0, 0, color=THEIRS, label="mosquitto_sub")
    axes.legend(frameon=False)


def _cores(axes: Axes, figures: list[Figure]) -> None:
    """How much of a core each process took while it was measured."""
    for n, figure in enumerate(figures):
        left = 0.0
        for role, colour in ROLES.items():
            share = figure.cores.get(role, 0.0)
            axes.barh(n, share, left=left, color=colour)
            left += share
    labels = [f"{_short(figure)}, {_rate(figure)}/s" for figure in figures]
    axes.set_yticks(range(len(figures)), labels, fontsize=7)
    axes.invert_yaxis()
    axes.set_xlabel("cores")
    for role, colour in ROLES.items():
        axes.barh(0, 0, color=colour, label=role)
    axes.legend(frameon=False, ncols=len(ROLES), loc="upper center", bbox_to_anchor=(0.5, -0.15))


def _memory(axes: Axes, figures: list[Figure]) -> None:
    """Memory of the gateway by the number of devices that it knows."""
    series = figures[0].series
    mib = [size / 2**20 for size in series["resident"]]
    axes.plot(series["known"], mib, marker="o", color=OURS, label="gateway")
    floor = [mib[0] + 2048 * (n - series["known"][0]) / 2**20 for n in series["known"]]
    axes.plot(series["known"], floor, linestyle="--", color=THEIRS, label="2 KiB a device")
    axes.set_xscale("log")
    axes.set_xlabel("known devices")
    axes.set_ylabel("MiB resident")
    axes.legend(frameon=False)


def _short(figure: Figure) -> str:
    return figure.bench.removeprefix("ingest ")


def _rate(figure: Figure) -> str:
    return figure.work.rpartition(" a second")[0].rpartition(" ")[2]


def _has_cost(figure: Figure) -> bool:
    return figure.bench.startswith("ingest") and figure.unit == "us"


PLOTS: dict[str, tuple[str, Callable[[Figure], bool], Callable[[Any, list[Figure]], None]]] = {
    "alarm": (
        "An alarm from the press to the feed",
        lambda figure: figure.bench == "alarm" and "feed_ms" in figure.series,
        _alarms,
    ),
    "cost": ("CPU of a message", _has_cost, _cost),
    "cores": ("Where the cores went", _has_cost, _cores),
    "memory": (
        "Memory by the number of known devices",
        lambda figure: figure.bench == "devices" and "resident" in figure.series,
        _memory,
    ),
}
"""By file name: the title, which figures belong to it, and how they are drawn."""
