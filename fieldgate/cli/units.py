"""`fieldgate units`: what each crew is doing, and where it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from fieldgate.cli.asking import DataOption, TokenOption, UrlOption, asked
from fieldgate.cli.times import TIME, shown

if TYPE_CHECKING:
    from gateway.api.units import UnitPosition


def units(
    url: UrlOption = None,
    token: TokenOption = None,
    data: DataOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")] = False,
) -> None:
    """Show every unit: its state, its crew, where it is, and what does not fit."""
    import msgspec

    with asked(url, token, data) as client:
        found = list(client.units())
    if as_json:
        typer.echo(msgspec.json.encode({"units": found}))
        return
    for unit in found:
        facts = (
            f"{unit.unit:<12}",
            f"{unit.state or '-':<14}",
            f"since {shown(unit.since, TIME)}" if unit.since else "",
            f"incident {unit.incident}" if unit.incident else "",
            " ".join(device.id for device in unit.devices),
            " ".join(["officers", *unit.officers]) if unit.officers else "",
            _place(unit.position),
            " ".join(f"! {each.kind}" for each in unit.contradictions),
        )
        typer.echo("  ".join(filter(None, facts)))


def _place(position: UnitPosition | None) -> str:
    if position is None:
        return ""
    age_s = position.age_ms / 1000
    return f"{position.lat:.5f} {position.lon:.5f}, {position.device}, {age_s:.0f} s ago"
