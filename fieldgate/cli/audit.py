"""`fieldgate audit`: who did what, when, from where."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fieldgate.cli.asking import DataOption, TokenOption, UrlOption, gateway
from fieldgate.cli.folder import fail

if TYPE_CHECKING:
    from gateway.audit import Verdict


def audit(
    who: Annotated[str | None, typer.Option(help="Of this token's name alone.")] = None,
    act: Annotated[str | None, typer.Option(help="This act alone: alarm.accept, say.")] = None,
    target: Annotated[str | None, typer.Option(help="Done to this alone: an alarm's id.")] = None,
    since: Annotated[
        str | None, typer.Option("--from", help="RFC 3339, or ms since 1970: then or later.")
    ] = None,
    until: Annotated[str | None, typer.Option("--to", help="The same: before.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many at most.")] = 50,
    verify: Annotated[
        bool, typer.Option("--verify", help="Look at every seal in --data; 1 if one is broken.")
    ] = False,
    url: UrlOption = None,
    token: TokenOption = None,
    data: DataOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")] = False,
) -> None:
    """Show who did what, newest first; or look whether anybody has changed it."""
    if verify:
        verdict = _verify(data)
        if as_json:
            import msgspec

            typer.echo(msgspec.json.encode(verdict))
        elif verdict.broken is None:
            typer.echo(
                f"{verdict.entries} entries, none changed; the newest seal: {verdict.newest}"
            )
        else:
            typer.echo(f"entry {verdict.broken} has been changed, or one before it taken out")
        raise typer.Exit(0 if verdict.broken is None else 1)
    query = {"who": who, "act": act, "target": target, "from": since, "to": until}
    given = {key: value for key, value in query.items() if value is not None}
    answer = gateway(url, token, data).ask("/api/v1/audit", {**given, "limit": str(limit)})
    if as_json:
        typer.echo(json.dumps(answer))
        return
    for entry in answer["audit"]:
        typer.echo(line(entry))


def line(entry: dict[str, Any]) -> str:
    """An entry as people read it."""
    from datetime import datetime

    when = datetime.fromtimestamp(entry["t"] / 1000)
    facts = " ".join(
        f"{key}={value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)}"
        for key, value in entry["facts"].items()
    )
    who = f"{entry['who'] or 'nobody'} ({entry['role']})" if entry["role"] else entry["who"]
    times = f" ×{entry['count']}" if entry["count"] > 1 else ""
    words = f"{who or 'nobody'}  {entry['source']}  {entry['act']}  {entry['target']}"
    text = f"{when:%Y-%m-%d %H:%M:%S}  {words}  {entry['outcome']}{times}  {facts}".rstrip()
    return "".join(letter if letter.isprintable() else "�" for letter in text)


def _verify(data: Path | None) -> Verdict:
    from gateway.audit import FILE, AuditLog

    if data is None or not (data / FILE).exists():
        fail("--verify reads the gateway's folder: give it as --data")
    with AuditLog(data) as log:
        return log.verify()
