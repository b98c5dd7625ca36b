"""`fieldgate up`: run the gateway."""

from __future__ import annotations

import asyncio
import gc
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from gateway.app import Ready

FILES = 1_000_000


def up(
    data: Annotated[str | None, typer.Option(help="Folder of all state.")] = None,
    mqtt: Annotated[str | None, typer.Option(help="HOST:PORT of the private broker.")] = None,
    http: Annotated[str | None, typer.Option(help="HOST:PORT of the API.")] = None,
    broker: Annotated[
        str | None, typer.Option(help="An outside broker: mqtt://USER:PASSWORD@HOST:PORT.")
    ] = None,
    prefix: Annotated[str | None, typer.Option(help="First part of all topics.")] = None,
    config: Annotated[Path | None, typer.Option(help="Settings in TOML.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Tell when ready in JSON.")] = False,
) -> None:
    """Run the gateway until it is told to stop. Port 0 picks a free one."""
    from gateway.broker import BrokerFailed
    from gateway.config import ConfigError, load

    options = {"data": data, "mqtt": mqtt, "http": http, "broker": broker, "prefix": prefix}
    told: list[BaseException] = []
    try:
        _run(load(config, options), as_json)
    except* (ConfigError, BrokerFailed, OSError) as errors:
        told += _each(errors)
    for error in told:
        typer.echo(f"fieldgate: {error}", err=True)
    if told:  # not within except*, which may make a group of what is raised there
        raise typer.Exit(1)


def _each(errors: BaseExceptionGroup[Any]) -> Iterator[BaseException]:
    """The errors in a group of groups."""
    for error in errors.exceptions:
        if isinstance(error, BaseExceptionGroup):
            yield from _each(error)
        else:
            yield error


def _run(settings: Any, as_json: bool) -> None:
    import msgspec
    import uvloop

    from fieldgate.cli.logs import to_stderr
    from gateway.app import admin_token, run

    to_stderr()
    _allow_files()

    # A message leaves tens of objects behind and no cycles among them. To look for cycles after
    # every 700 took a sixth of the processor time, and to look through all that is known of a
    # city's devices would stop the alarms meanwhile.
    gc.set_threshold(100_000, 50, 1000)
    # A commit asks for the interpreter's lock ten times, and may wait so long for each: of 5, 1,
    # 0.2, 0.05 and 0.02 ms this took alarms through fastest at 20,000 positions a second.
    sys.setswitchinterval(0.0002)

    def on_ready(ready: Ready) -> None:
        gc.freeze()
        if as_json:
            print(msgspec.json.encode(ready).decode(), flush=True)
        else:
            print(f"ready: devices at mqtt://{ready.mqtt}, API at {ready.http}", flush=True)

    async def main() -> None:
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        admin_token(settings.folder)
        await run(settings, on_ready, stop)

    uvloop.run(main())


def _allow_files() -> None:
    """As many file descriptors as we may have, for the broker too: it needs one for each device."""
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = FILES if hard == resource.RLIM_INFINITY else min(hard, FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
