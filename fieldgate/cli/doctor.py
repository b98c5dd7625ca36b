"""`fieldgate doctor`: what is missing on this machine, and how to get it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from fieldgate.checkup import Check


def doctor(
    data: Annotated[str | None, typer.Option(help="Folder of all state.")] = None,
    mqtt: Annotated[str | None, typer.Option(help="HOST:PORT for the private broker.")] = None,
    http: Annotated[str | None, typer.Option(help="HOST:PORT for the API.")] = None,
    config: Annotated[Path | None, typer.Option(help="Settings in TOML.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Say what `fieldgate up` with these options would lack here. Status 1: it would not run."""
    import msgspec

    from fieldgate.checkup import Grade, check_all
    from gateway.config import ConfigError, host_port, load

    try:
        settings = load(config, {"data": data, "mqtt": mqtt, "http": http})
    except ConfigError as error:
        typer.echo(f"fieldgate: {error}", err=True)
        raise typer.Exit(1) from error
    at = {name: host_port(name, getattr(settings, name)) for name in ("mqtt", "http")}
    checks = list(check_all(settings.folder, **at))
    runs = all(check.grade is not Grade.MISSING for check in checks)
    if as_json:
        typer.echo(msgspec.json.encode({"ok": runs, "checks": checks}))
    else:
        _show(checks)
    if not runs:
        raise typer.Exit(1)


def _show(checks: list[Check]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    colours = {"ok": "green", "optional": "cyan", "poor": "yellow", "missing": "red"}
    table = Table("check", "", "found", "what to do")
    for check in checks:
        grade = Text(check.grade, style=colours[check.grade])
        table.add_row(Text(check.name), grade, Text(check.found), Text(check.advice))
    Console().print(table)
