"""`fieldgate bench`: measure, beside references, what the gateway and the agent can do."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

BENCHES = (
    "all", "ingest", "alarm", "devices", "restart", "disk", "track", "edge", "feed", "firmware",
    "camera", "reach", "map", "snapshot",
)  # fmt: skip


def bench(
    name: Annotated[str, typer.Argument(help=f"One of {', '.join(BENCHES)}.")] = "all",
    qos: Annotated[int | None, typer.Option(min=0, max=1, help="ingest: at this QoS.")] = None,
    batch: Annotated[
        int | None, typer.Option(min=2, max=200, help="ingest: so many fixes in a message.")
    ] = None,
    rate: Annotated[
        int | None, typer.Option(min=1, help="ingest: at so many fixes a second alone.")
    ] = None,
    quick: Annotated[bool, typer.Option(help="Small numbers: judges no goal.")] = False,
    data_dir: Annotated[
        Path | None, typer.Option(help="A folder on the disk to measure; else TMPDIR, or here.")
    ] = None,
    report: Annotated[
        Path | None, typer.Option(help="The folder whose performance.md gets the figures.")
    ] = None,
    plots: Annotated[
        Path | None, typer.Option(help="A folder for the plots, as SVG; else the report's.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON list of all figures.")] = False,
) -> None:
    """Measure, each figure beside a reference of the same run. Status 1: a goal is missed."""
    import importlib.util

    import msgspec
    from rich.console import Console

    from fieldgate.bench.parts import PartFailed
    from fieldgate.bench.plots import draw
    from fieldgate.bench.report import publish
    from fieldgate.bench.run import Choice, measure
    from fieldgate.bench.table import table_of

    if name not in BENCHES:
        raise typer.BadParameter(f"expected one of {', '.join(BENCHES)}, got {name!r}")
    choice = Choice(name=name, qos=qos, batch=batch, rate=rate, quick=quick, data_dir=data_dir)
    if quick and report is not None:
        raise typer.BadParameter("a quick pass judges no goal: it makes no report")
    if (report or plots) and importlib.util.find_spec("matplotlib") is None:
        raise typer.BadParameter("plots need matplotlib: pip install 'fieldgate[bench]'")
    if report is not None and not (report / "performance.md").exists():
        raise typer.BadParameter(f"{report} has no performance.md", param_hint="--report")
    try:
        figures, machine = measure(choice, lambda text: typer.echo(text, err=True))
    except PartFailed as error:
        typer.echo(f"fieldgate: {error}", err=True)
        raise typer.Exit(2) from error
    if report is not None:
        publish(report, figures, machine, plots or report)
    elif plots is not None:
        draw(plots, figures)
    if as_json:
        typer.echo(msgspec.json.encode(figures))
    else:
        title = "a quick pass: judges no goal" if quick else ""
        Console().print(table_of(figures, title))
    if any(figure.met is False for figure in figures):
        raise typer.Exit(1)
