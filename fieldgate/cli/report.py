"""`fieldgate report`: what the journal shows of a time: how soon units came."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from fieldgate.cli.asking import DataOption, TokenOption, UrlOption, gateway
from fieldgate.cli.folder import fail

TIMEOUT_S = 3600.0
"""A month of a city is read for minutes."""

report = typer.Typer(no_args_is_help=True, help="Reports: arrivals.")


@report.callback()
def _group() -> None:
    """Reports on what the journal holds."""


@report.command()
def arrivals(
    since: Annotated[
        str | None,
        typer.Option("--from", help="RFC 3339, or ms since 1970; a day before --to if not given."),
    ] = None,
    until: Annotated[str | None, typer.Option("--to", help="The same; now if not given.")] = None,
    grid: Annotated[
        str | None, typer.Option("--grid", help="Incidents in this grid alone.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")] = False,
    csv: Annotated[
        Path | None, typer.Option("--csv", help="Write a line for each unit to this file.")
    ] = None,
    plot: Annotated[
        Path | None, typer.Option("--plot", help="Draw it to this file, .png or .svg.")
    ] = None,
    url: UrlOption = None,
    token: TokenOption = None,
    data: DataOption = None,
    offline: Annotated[
        bool, typer.Option("--offline", help="Read --data itself: no gateway need run.")
    ] = False,
    config: Annotated[
        Path | None, typer.Option("--config", help="Settings with grids and shifts, for --offline.")
    ] = None,
) -> None:
    """How soon units came to their incidents, by grid and by shift."""
    from fieldgate.arrival_table import NoMatplotlib, as_csv, table
    from fieldgate.arrival_table import plot as draw

    if offline:
        found = _read(data, config, since, until, grid)
    else:
        query = {"from": since, "to": until, "grid": grid}
        given = {key: value for key, value in query.items() if value is not None}
        asked = gateway(url, token, data)._replace(timeout_s=TIMEOUT_S)
        found = asked.ask("/api/v1/reports/arrivals", given)
    try:
        if csv is not None:
            csv.write_text(as_csv(found))
        if plot is not None:
            draw(found, plot)
    except (NoMatplotlib, OSError, ValueError) as error:
        fail(str(error))
    if as_json:
        typer.echo(json.dumps(found))
        return
    from rich.console import Console

    Console().print(table(found))


def _read(
    data: Path | None, config: Path | None, since: str | None, until: str | None, grid: str | None
) -> Any:
    """The report, from the folder itself."""
    import asyncio
    import time

    import msgspec

    from gateway.api.params import moment_ms
    from gateway.config import ConfigError, load
    from gateway.journal.reading import SqliteReader
    from gateway.reports.gathering import DAY_MS, ArrivalReports

    if data is None or not (data / "journal" / "journal.db").exists():
        fail("--offline needs the gateway's folder as --data")
    try:
        end = time.time_ns() // 1_000_000 if until is None else moment_ms(until)
        begin = end - DAY_MS if since is None else moment_ms(since)
        settings = load(config, {})
    except ValueError as error:
        fail(f"--from, --to: {error}")
    except ConfigError as error:
        fail(str(error))

    async def gather() -> Any:
        async with SqliteReader(data / "journal") as reader:
            found = await ArrivalReports(reader, settings).arrivals(begin, end, grid)
            return msgspec.to_builtins(found)

    return asyncio.run(gather())
