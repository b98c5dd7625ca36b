"""`fieldgate tail`: the live feed, a line for each event."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fieldgate.cli.folder import fail, gateway_at

if TYPE_CHECKING:
    from rich.text import Text

RETRY_S = 1.0
SILENCE_S = 60.0

# What a line shows of each type: style, and the keys of its data.
LINES: dict[str, tuple[str, tuple[str, ...]]] = {
    "alarm.raised": ("bold white on red", ("kind", "count", "zone", "silent", "text")),
    "alarm.updated": ("red", ("kind", "count", "of", "text")),
    "alarm.stage": ("bold yellow", ("alarm", "stage", "by", "note")),
    "unit.changed": ("cyan", ("unit", "was", "state", "incident", "devices", "officers")),
    "unit.contradiction": ("yellow", ("unit", "state", "kind", "word")),
    "unit.arrival": ("bold green", ("unit", "incident", "distance_m")),
    "duty": ("cyan", ("act", "ref", "crew")),
    "presence": ("green", ("online", "kind", "fw", "boot")),
    "command": ("magenta", ("cmd", "act", "state", "step", "by", "cause", "detail")),
    "media": ("blue", ("id", "mime", "size", "reason", "ref")),
    "media.custody": ("blue", ("act", "media", "alarm", "by", "why", "note")),
    "status": ("dim", ("batt", "mains", "net", "gnss", "cam", "clock", "spool")),
    "position": ("dim", ("lat", "lon", "fix", "spd", "hdg", "acc", "src")),
}


def tail(
    url: Annotated[str | None, typer.Option(help="The gateway, http://HOST:PORT.")] = None,
    token: Annotated[
        str | None, typer.Option(envvar="FIELDGATE_TOKEN", help="A bearer token for it.")
    ] = None,
    data: Annotated[
        Path | None, typer.Option("--data", help="The gateway's folder, instead of both.")
    ] = None,
    types: Annotated[
        str | None, typer.Option(help=f"Types of events: {', '.join(LINES)}; all if not given.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print CloudEvents, one a line.")] = False,
) -> None:
    """Show events as they are committed, until Ctrl-C."""
    from fieldgate.client.connection import Refused

    if data is not None:
        url = url or gateway_at(data).get("http")
        token = token or _admin_token(data)
    if url is None or token is None:
        fail("give --url and --token, or the folder of a running gateway as --data")
    try:
        _show(url, token, types, as_json)
    except (Refused, ValueError) as error:
        fail(str(error))
    except KeyboardInterrupt:
        return


def _admin_token(data: Path) -> str | None:
    path = data / "admin.token"
    return path.read_text().strip() if path.exists() else None


def _show(url: str, token: str, types: str | None, as_json: bool) -> None:
    """Print events; come back after the last one when the connection breaks."""
    import time

    from rich.console import Console

    from fieldgate.client.connection import Connection, Unreachable
    from fieldgate.client.stream import server_events

    console = Console(highlight=False)
    connection = Connection(url, token, timeout_s=SILENCE_S)
    last_id, is_lost = "", False
    while True:
        lines = connection.lines("/api/v1/events/stream", {"types": types}, last_id=last_id)
        try:
            for event in server_events(lines):
                last_id, is_lost = event.id, False
                if as_json:
                    typer.echo(event.data)
                else:
                    console.print(line(json.loads(event.data)), soft_wrap=True)
        except Unreachable as error:
            if not is_lost:
                typer.echo(f"fieldgate: {error}; trying again until Ctrl-C", err=True)
            is_lost = True
        time.sleep(RETRY_S)


def line(event: dict[str, Any]) -> Text:
    """An event as people read it: time, device, type, main facts, doubts."""
    from rich.text import Text

    name = event["type"].removeprefix("fieldgate.").removesuffix(".v1")
    style, keys = LINES.get(name, ("", ()))
    data = event["data"]
    facts = [f"{key}={data[key]}" for key in keys if data.get(key) is not None]
    when = datetime.fromisoformat(event["time"]).astimezone()
    return Text.assemble(
        (f"{when:%H:%M:%S}.{when.microsecond // 1000:03d} ", "dim"),
        (f"{event['subject']:<16} ", "bold"),
        (f"{name:<14}", style),
        " " + " ".join(facts),
        (" " + " ".join(data.get("flags", ())), "yellow"),
    )
