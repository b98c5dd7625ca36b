"""`fieldgate verify`: the ledgers of a run against the journal."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.table import Table

    from fieldgate.verification import Proof


def verify(
    data: Annotated[Path, typer.Option(help="The gateway's folder; the gateway may run.")],
    ledger: Annotated[
        list[Path] | None, typer.Option(help="A ledger of the simulators; may be given again.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Say what was lost, falsely acknowledged, twice or phantom; status 0 only if nothing was."""
    import asyncio

    import msgspec
    from rich.console import Console

    from fieldgate import verification
    from simulators.ledger import LedgerCorrupt

    try:
        proof = asyncio.run(verification.verify(data, ledger or []))
    except (FileNotFoundError, LedgerCorrupt) as error:
        typer.echo(f"fieldgate: {error}", err=True)
        raise typer.Exit(2) from error
    if as_json:
        print(msgspec.json.encode(proof).decode())
    else:
        Console().print(table(proof))
    raise typer.Exit(0 if proof.clean and not proof.damage else 1)


def table(proof: Proof) -> Table:
    """The proof as a person reads it."""
    from rich.markup import escape
    from rich.table import Table

    rows = Table(title="Proof", title_justify="left", show_header=False)
    for name in ("pressed", "stored", "dispatched"):
        rows.add_row(name, str(getattr(proof, name)))
    for name in ("lost", "false_ack", "twice", "phantom"):
        count = getattr(proof, name)
        shown = ", ".join(proof.findings.get(name, ()))
        rows.add_row(name, f"[bold red]{count}[/]  {shown}" if count else "[green]0[/]")
    for name in ("positions_sent", "positions_stored", "positions_missing"):
        rows.add_row(name.replace("_", " "), str(getattr(proof, name)))
    for label, latency in (
        ("press to feed", proof.alarm_ms),
        ("press to feed, pressed offline", proof.alarm_ms_offline),
    ):
        if latency is not None:
            figures = f"p50 {latency.p50} ms, p99 {latency.p99} ms, max {latency.max} ms"
            rows.add_row(label, f"{figures}  ({latency.count} alarms)")
    whole = "all readable, no gap" if not proof.damage else "[bold red]damaged[/]"
    rows.add_row("events in the journal", f"{proof.events}, {whole}")
    for place in proof.damage:
        rows.add_row("damaged", escape(place))
    return rows
