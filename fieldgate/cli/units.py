"""`fieldgate units`: what each crew is doing, and where it is."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from fieldgate.cli.asking import DataOption, TokenOption, UrlOption, gateway


def units(
    url: UrlOption = None,
    token: TokenOption = None,
    data: DataOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")] = False,
) -> None:
    """Show every unit: its state, its crew, where it is, and what does not fit."""
    answer = gateway(url, token, data).ask("/api/v1/units")
    if as_json:
        typer.echo(json.dumps(answer))
        return
    from rich.console import Console
    from rich.table import Table

    table = Table("unit", "state", "since", "incident", "devices", "officers", "position", "")
    for unit in answer["units"]:
        table.add_row(
            unit["unit"],
            unit["state"] or "",
            _time(unit["since"]),
            unit["incident"] or "",
            " ".join(device["id"] for device in unit["devices"]),
            " ".join(unit["officers"]),
            _place(unit["position"]),
            " ".join(each["kind"] for each in unit["contradictions"]),
        )
    Console().print(table)


def _time(millis: int | None) -> str:
    from datetime import datetime

    return "" if millis is None else f"{datetime.fromtimestamp(millis / 1000):%H:%M:%S}"


def _place(position: dict[str, Any] | None) -> str:
    if position is None:
        return ""
    age_s = position["age_ms"] / 1000
    return f"{position['lat']:.5f} {position['lon']:.5f}, {position['device']}, {age_s:.0f} s ago"
