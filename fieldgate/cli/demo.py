"""`fieldgate demo`: gateway, broker, simulated city and dispatch core in one, shown live."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def demo(
    scenario: Annotated[str, typer.Option(help="One of ours, or a TOML file's path.")] = "city",
    seconds: Annotated[
        float | None, typer.Option(min=1, help="How long; else until Ctrl-C.")
    ] = None,
    data: Annotated[
        Path | None, typer.Option(help="A new folder to keep all in; else a temporary one.")
    ] = None,
    accept_after: Annotated[
        float, typer.Option(min=0, help="Seconds that the stand-in core leaves an alarm to you.")
    ] = 1.0,
    lang: Annotated[str, typer.Option(help="Language of the screen: zh or en.")] = "en",
    as_json: Annotated[bool, typer.Option("--json", help="No screen; the proof in JSON.")] = False,
) -> None:
    """Play a city against a gateway and prove that nothing was lost; status 0 only then."""
    import asyncio
    import shutil
    import signal
    import sys
    import tempfile

    import msgspec
    from rich.console import Console

    from fieldgate.cli.verify import table
    from fieldgate.demo import Parts, play
    from fieldgate.processes import ChildFailed
    from fieldgate.screen import Screen, texts_of
    from fieldgate.verification import Proof
    from simulators.scenario import ScenarioInvalid

    if lang not in ("zh", "en"):
        raise typer.BadParameter(f"expected zh or en, got {lang!r}", param_hint="--lang")
    if data is not None and data.exists() and any(data.iterdir()):
        raise typer.BadParameter(f"{data} is not empty", param_hint="--data")
    folder = data or Path(tempfile.mkdtemp(prefix="fieldgate-demo-"))
    folder.mkdir(parents=True, exist_ok=True)

    async def main() -> Proof:
        stop = asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        screens: list[asyncio.Task[None]] = []

        def on_start(parts: Parts) -> None:
            if not as_json:
                screen = Screen(parts, Console(), texts_of(lang), seconds)
                screens.append(asyncio.create_task(screen.run(), name="screen"))

        try:
            return await play(
                scenario,
                folder,
                seconds=seconds,
                accept_after_s=accept_after,
                stop=stop,
                on_start=on_start,
            )
        finally:
            for screen in screens:
                screen.cancel()
            await asyncio.gather(*screens, return_exceptions=True)

    try:
        proof = asyncio.run(main())
    except ScenarioInvalid as error:
        raise typer.BadParameter(str(error), param_hint="--scenario") from None
    except ChildFailed as error:
        typer.echo(f"fieldgate: {error}\nlogs: {folder}/logs", err=True)
        raise typer.Exit(2) from error
    if as_json:
        print(msgspec.json.encode(proof).decode())
    else:
        Console().print(table(proof))
    if data is None and proof.clean:
        shutil.rmtree(folder)
    else:
        print(f"everything is kept in {folder}", file=sys.stderr)
    raise typer.Exit(0 if proof.clean else 1)
