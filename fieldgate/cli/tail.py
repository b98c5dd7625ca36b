"""`fieldgate tail`: the live feed, a line for each event."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from fieldgate.cli.device import fail, gateway_at

if TYPE_CHECKING:
    import aiohttp
    from rich.text import Text

RETRY_S = 1.0

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


class Refused(Exception):
    """The gateway answers, but not with the feed: says why."""


class ServerEvent(NamedTuple):
    """One server-sent event: ``id`` resumes after it."""

    id: str
    data: str


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
    import asyncio

    if data is not None:
        url = url or gateway_at(data).get("http")
        token = token or _admin_token(data)
    if url is None or token is None:
        fail("give --url and --token, or the folder of a running gateway as --data")
    try:
        asyncio.run(_show(url, token, types, as_json))
    except Refused as error:
        fail(str(error))
    except KeyboardInterrupt:
        return


def _admin_token(data: Path) -> str | None:
    path = data / "admin.token"
    return path.read_text().strip() if path.exists() else None


async def _show(url: str, token: str, types: str | None, as_json: bool) -> None:
    """Print events; come back after the last one when the connection breaks."""
    import asyncio

    import aiohttp
    from rich.console import Console

    console = Console(highlight=False)
    headers = {"Authorization": f"Bearer {token}"}
    query = {} if types is None else {"types": types}
    address = f"{url.rstrip('/')}/api/v1/events/stream"
    is_lost = False
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(sock_read=60)) as session:
        while True:
            try:
                async with session.get(address, params=query, headers=headers) as response:
                    if response.status != 200:
                        raise Refused(await _problem(response))
                    is_lost = False
                    async for event in server_events(response.content):
                        headers["Last-Event-ID"] = event.id
                        if as_json:
                            typer.echo(event.data)
                        else:
                            console.print(line(json.loads(event.data)), soft_wrap=True)
            except (aiohttp.ClientError, TimeoutError) as error:
                if not is_lost:
                    why = (
                        "does not answer" if isinstance(error, aiohttp.ClientError) else "is silent"
                    )
                    typer.echo(f"fieldgate: {url} {why}; trying again until Ctrl-C", err=True)
                is_lost = True
            await asyncio.sleep(RETRY_S)


async def server_events(stream: aiohttp.StreamReader) -> AsyncIterator[ServerEvent]:
    """The events of a stream, as its standard has them; comments and other fields left out."""
    fields: dict[str, list[str]] = {}
    async for raw in stream:
        text = raw.decode().rstrip("\r\n")
        if text:
            name, _, value = text.partition(":")
            fields.setdefault(name, []).append(value.removeprefix(" "))
            continue
        if "data" in fields:
            yield ServerEvent(fields.get("id", [""])[-1], "\n".join(fields["data"]))
        fields = {}


async def _problem(response: aiohttp.ClientResponse) -> str:
    if response.content_type != "application/problem+json":
        return f"{response.url} answers with status {response.status}"
    return str((await response.json(content_type=None))["detail"])


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
