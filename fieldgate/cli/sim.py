"""`fieldgate sim`: play a scenario, stand in for the dispatch core, list what there is."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from fieldgate.cli import logs

if TYPE_CHECKING:
    from collections.abc import Callable

    from simulators.run import State

sim = typer.Typer(help="Stand-ins for devices and for the dispatch core.", no_args_is_help=True)

AsJson = Annotated[bool, typer.Option("--json", help="One JSON object a line.")]


@sim.command("list")
def list_scenarios(as_json: AsJson = False) -> None:
    """The scenarios that come with the project."""
    import msgspec

    from simulators import scenario

    for name in scenario.names():
        devices = msgspec.structs.asdict(scenario.load(name).devices)
        if as_json:
            print(msgspec.json.encode({"name": name, "devices": devices}).decode())
        else:
            print(f"{name:8}", ", ".join(f"{count} {what}" for what, count in devices.items()))


@sim.command("run")
def run(
    scenario_name: Annotated[
        str, typer.Argument(metavar="SCENARIO", help="One of ours, or the path of a TOML file.")
    ],
    *,
    mqtt: Annotated[str, typer.Option(metavar="HOST:PORT", help="The broker.")],
    credentials: Annotated[
        Path, typer.Option(help='JSON lines {"user": …, "password": …}, one for each device.')
    ],
    ledger: Annotated[Path, typer.Option(help="Where to write what happened; appended to.")],
    seconds: Annotated[
        float | None, typer.Option(help="How long to make new things; else as the scenario says.")
    ] = None,
    drain: Annotated[float, typer.Option(help="How long to wait for receipts after that.")] = 15.0,
    as_json: AsJson = False,
) -> None:
    """Play a scenario; stop it with Ctrl-C."""
    import asyncio
    import logging
    import signal

    import msgspec
    import uvloop

    from simulators import run as runner
    from simulators import scenario
    from simulators.ledger import Ledger
    from simulators.link import Address

    logs.to_stderr(logging.WARNING)
    logging.getLogger("gmqtt").setLevel(logging.CRITICAL)  # it warns of each lost connection
    try:
        day = scenario.load(scenario_name)
        city = runner.city_of(day)
        broker = Address.parse(mqtt)
        passwords = runner.read_passwords(credentials)
    except (scenario.ScenarioInvalid, ValueError, OSError, msgspec.DecodeError) as error:
        raise typer.BadParameter(str(error)) from None
    seconds = day.duration_s if seconds is None else seconds
    show = _print_state if as_json else _progress(seconds + drain)

    async def play() -> State:
        async with Ledger(ledger) as book:
            play = runner.Run(
                day,
                city,
                broker=broker,
                passwords=passwords,
                book=book,
                folder=ledger.with_suffix(".spools"),
                seconds=seconds,
                drain_s=drain,
                on_state=show,
            )
            for number in (signal.SIGINT, signal.SIGTERM):
                asyncio.get_running_loop().add_signal_handler(number, play.stop.set)
            return await play.play()

    try:
        show(uvloop.run(play()))
    except scenario.ScenarioInvalid as error:
        raise typer.BadParameter(str(error), param_hint="SCENARIO") from None
    except runner.PasswordsMissing as error:
        raise typer.BadParameter(str(error), param_hint="--credentials") from None


@sim.command("core")
def core(
    *,
    gateway: Annotated[str, typer.Option(metavar="URL", help="The gateway's HTTP address.")],
    token: Annotated[
        str, typer.Option(help="A bearer token for a dispatcher.", envvar="FIELDGATE_TOKEN")
    ],
    data: Annotated[Path, typer.Option(help="Where its incidents are kept.")],
    ledger: Annotated[Path, typer.Option(help="Where to write what happened; appended to.")],
    listen: Annotated[str, typer.Option(metavar="HOST:PORT")] = "127.0.0.1:0",
    secret: Annotated[
        str, typer.Option(help="The webhook's secret, whsec_…", envvar="FIELDGATE_WEBHOOK_SECRET")
    ] = "",
    source: Annotated[str, typer.Option(help="webhook or stream")] = "webhook",
    delay: Annotated[float, typer.Option(help="Seconds it takes over each batch.")] = 0.0,
    accept_after: Annotated[float, typer.Option(help="Seconds from incident to accept.")] = 1.0,
    acknowledge_after: Annotated[float, typer.Option(help="Seconds from accept on.")] = 3.0,
    instruct: Annotated[
        bool, typer.Option("--instruct", help="Send the nearest car to each incident.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Stand in for the dispatch core: open incidents, accept and acknowledge alarms."""
    import asyncio
    import signal

    import msgspec
    import uvloop

    from simulators.dispatch_core import DispatchCore, SecretInvalid
    from simulators.ledger import Ledger
    from simulators.link import Address

    logs.to_stderr()
    if source not in ("webhook", "stream"):
        raise typer.BadParameter(
            f"expected webhook or stream, got {source!r}", param_hint="--source"
        )
    way: Literal["webhook", "stream"] = "webhook" if source == "webhook" else "stream"

    async def serve() -> None:
        stop = asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        async with (
            Ledger(ledger) as book,
            DispatchCore(
                listen=Address.parse(listen),
                gateway=gateway,
                token=token,
                secret=secret,
                folder=data,
                book=book,
                source=way,
                delay_s=delay,
                accept_after_s=accept_after,
                acknowledge_after_s=acknowledge_after,
                instructs=instruct,
            ) as standin,
        ):
            ready = {"ready": True, "http": standin.url, "webhook": f"{standin.url}/events"}
            print(
                msgspec.json.encode(ready).decode() if as_json else f"listening at {standin.url}",
                flush=True,
            )
            await stop.wait()

    try:
        uvloop.run(serve())
    except (SecretInvalid, ValueError, OSError) as error:
        raise typer.BadParameter(str(error)) from None


def _print_state(state: State) -> None:
    import msgspec

    print(msgspec.json.encode(state).decode(), flush=True)


def _progress(seconds: float) -> Callable[[State], None]:
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    progress = Progress(
        TextColumn("{task.fields[phase]:8}"), BarColumn(), TimeElapsedColumn(),
        TextColumn("{task.description}"),
    )  # fmt: skip
    bar = progress.add_task("connecting", total=seconds, phase="running")

    def show(state: State) -> None:
        progress.start()
        progress.update(
            bar,
            completed=seconds if state.phase == "done" else state.elapsed_s,
            phase=state.phase,
            description=(
                f"{state.online}/{state.devices} online, {state.positions_sent} positions, "
                f"alarms {state.alarms_pressed} pressed {state.alarms_stored} stored "
                f"{state.alarms_acknowledged} acknowledged, {state.waiting} waiting"
            ),
        )
        if state.phase == "done":
            progress.stop()

    return show
