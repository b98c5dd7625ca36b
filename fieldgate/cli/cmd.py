"""`fieldgate cmd`: order something of a device, a unit, a grid; see what became of it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fieldgate.cli.asking import DataOption, TokenOption, UrlOption, asked
from fieldgate.cli.folder import fail
from fieldgate.cli.times import shown

if TYPE_CHECKING:
    from rich.text import Text

    from fieldgate.client import Client
    from gateway.api.commands import CommandView, GroupView, Moment

cmd = typer.Typer(no_args_is_help=True, help="Commands to devices: send, list, show, cancel.")

JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")]
ByOption = Annotated[str | None, typer.Option("--by", help="Who orders it.")]
IdArgument = Annotated[str, typer.Argument(metavar="ID", help="The command's id.")]

STYLES = {
    "done": "bold green",
    "refused": "bold red",
    "failed": "bold red",
    "expired": "bold red",
    "cancelled": "bold yellow",
    "overdue": "bold red",
    "step": "cyan",
}
BESIDE = ("step", "overdue")  # what a timeline tells beside the states


@cmd.command()
def send(
    act: Annotated[str, typer.Argument(help="What to do: snapshot, locate, instruct, text, …")],
    args: Annotated[
        list[str] | None, typer.Argument(metavar="KEY=VALUE", help="What the action takes.")
    ] = None,
    device: Annotated[str | None, typer.Option(help="The device that is to do it.")] = None,
    unit: Annotated[str | None, typer.Option(help="All devices of this unit.")] = None,
    grid: Annotated[str | None, typer.Option(help="All units in this patrol grid.")] = None,
    near: Annotated[
        str | None, typer.Option(help="All units around a place: LAT,LON,METRES.")
    ] = None,
    by: ByOption = None,
    expires_s: Annotated[
        float | None, typer.Option(help="For how long it holds; by the action if not given.")
    ] = None,
    command_id: Annotated[
        str | None, typer.Option("--id", help="An id of your choice: sent again, it is the same.")
    ] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Follow it to its end; 0 if done.")] = False,
    url: UrlOption = None,
    token: TokenOption = None,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Order something of a device, or of many; each gets a command of its own."""
    import msgspec

    chosen = {"by": by, "expires_s": expires_s, "id": command_id}
    order: dict[str, Any] = {"act": act, "args": _args(act, args or ())}
    order |= {key: value for key, value in chosen.items() if value is not None}
    to = {"device": device, "unit": unit, "grid": grid, "near": near}
    named = {key: value for key, value in to.items() if value is not None}
    if len(named) != 1:
        fail("give one of --device, --unit, --grid, --near")
    group: GroupView | None = None
    with asked(url, token, data) as client:
        if device is not None:
            commands = [client.order(order, device)]
        else:
            order["to"] = {"near": _near(near)} if near is not None else named
            group = client.order_of_many(order)
            commands = group.commands
        if group is not None and not as_json:
            for each in group.left_out:
                typer.echo(f"left out: {each.device}, {each.why}", err=True)
            if not commands:
                typer.echo("nobody was addressed", err=True)
        if wait:
            commands = [_follow(client, command, as_json) for command in commands]
        elif not as_json:
            for command in commands:
                typer.echo(f"{command.id}  {command.device}  {command.state}")
    if as_json:
        made = commands[0] if group is None else msgspec.structs.replace(group, commands=commands)
        typer.echo(msgspec.json.encode(made))
    if not commands or (wait and any(command.state != "done" for command in commands)):
        raise typer.Exit(1)


@cmd.command("list")
def list_(
    device: Annotated[str | None, typer.Option(help="Commands to this device alone.")] = None,
    state: Annotated[str | None, typer.Option(help="States, separated by commas.")] = None,
    group: Annotated[str | None, typer.Option(help="Those that were ordered together.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many at most.")] = 20,
    url: UrlOption = None,
    token: TokenOption = None,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Commands, newest first."""
    import msgspec

    from gateway.api.commands import CommandPage

    query = {"device": device, "state": state, "group": group, "limit": limit}
    with asked(url, token, data) as client:
        page = client.get("/api/v1/commands", CommandPage, query)
    if as_json:
        typer.echo(msgspec.json.encode(page))
        return
    from rich.console import Console
    from rich.text import Text

    console = Console(highlight=False)
    for command in page.commands:
        last = [each for each in command.timeline if each.state not in BESIDE][-1]
        shown = (f"{command.state:<9}", STYLES.get(command.state, ""))
        by = f"  by {command.by}" if command.by else ""
        what = f"  {command.act} to {command.device}  {command.id}{by}"
        since = f" since {_time(last.t)[11:19]}"
        late = ("  overdue" if command.overdue else "", STYLES["overdue"])
        told = Text.assemble((_time(command.t)[:19], "dim"), "  ", shown, since, late, what)
        console.print(told, soft_wrap=True)  # lines, that an id can be copied from


@cmd.command()
def show(
    command_id: IdArgument,
    url: UrlOption = None,
    token: TokenOption = None,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """One command, and all that became of it, in order."""
    import msgspec

    with asked(url, token, data) as client:
        command = client.command(command_id)
    if as_json:
        typer.echo(msgspec.json.encode(command))
        return
    typer.echo(f"{command.act} to {command.device}, id {command.id}")
    checklist = command.args.pop("checklist", None)
    for key, value in command.args.items():
        typer.echo(f"  {key:<8}  {value if isinstance(value, str) else json.dumps(value)}")
    if checklist is not None:
        done = {moment.step for moment in command.timeline if moment.state == "step"}
        typer.echo(f"  checklist {checklist['title']['zh']} {checklist['title']['en']}")
        for number, step in enumerate(checklist["steps"]):
            typer.echo(f"  [{'x' if number in done else ' '}] {number} {step['zh']} {step['en']}")
    typer.echo(f"holds to  {_time(command.exp)}")
    _print(command, command.timeline)


@cmd.command()
def cancel(
    command_id: Annotated[
        str | None, typer.Argument(metavar="ID", help="The command's id.", show_default=False)
    ] = None,
    group: Annotated[
        str | None, typer.Option(help="In its place: all that were ordered together.")
    ] = None,
    by: ByOption = None,
    url: UrlOption = None,
    token: TokenOption = None,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Call a command back, at the device too if it may have been sent."""
    if (command_id is None) == (group is None):
        fail("give one of ID, --group")
    import msgspec

    with asked(url, token, data) as client:
        answer: CommandView | GroupView
        if command_id is not None:
            answer = command = client.cancel(command_id, by=by)
            commands = [command]
        else:
            answer = cancelled = client.cancel_group(group or "", by=by)
            commands = cancelled.commands
    if as_json:
        typer.echo(msgspec.json.encode(answer))
        return
    for command in commands:
        typer.echo(f"{command.id} is {command.state}")


def _follow(client: Client, command: CommandView, as_json: bool) -> CommandView:
    """The command at its end; what comes is printed meanwhile."""
    shown = 0
    if not as_json:
        typer.echo(f"{command.act} to {command.device}, id {command.id}")
    for newer in client.follow(command):
        if not as_json:
            _print(newer, newer.timeline[shown:])
        command, shown = newer, len(newer.timeline)
    return command


def _print(command: CommandView, moments: Iterable[Moment]) -> None:
    from rich.console import Console

    console = Console(highlight=False)
    for moment in moments:
        console.print(line(command.t, moment), soft_wrap=True)


def line(ordered: int, moment: Moment) -> Text:
    """An entry of a timeline as people read it: when, how long after the order, what, why."""
    from rich.text import Text

    said = [f"step {moment.step}"] if moment.step is not None else []
    said += [f"by {moment.by}"] if moment.by else []
    said += [told for told in (moment.cause, moment.detail) if told]
    if moment.device_t is not None:
        said.append(f"(device: {_time(moment.device_t)})")
    return Text.assemble(
        (f"{_time(moment.t)} ", "dim"),
        f"{(moment.t - ordered) / 1000:+10.3f} s  ",
        (f"{moment.state:<10}", STYLES.get(moment.state, "")),
        "  " + "  ".join(said),
    )


def _time(millis: int) -> str:
    return shown(millis, to_the_ms=True)


def _args(act: str, given: Iterable[str]) -> dict[str, Any]:
    """KEY=VALUE as the action's types have it; what does not fit is the gateway's to name."""
    import msgspec

    from protocols.commands import ACTIONS

    kind: Any = ACTIONS.get(act)
    is_struct = isinstance(kind, type) and issubclass(kind, msgspec.Struct)
    types = {field.name: field.type for field in msgspec.structs.fields(kind)} if is_struct else {}
    args: dict[str, Any] = {}
    for pair in given:
        key, equals, text = pair.partition("=")
        if not equals:
            fail(f"expected KEY=VALUE, got {pair!r}")
        args[key] = text
        try:
            args[key] = json.loads(text)
            args[key] = msgspec.to_builtins(msgspec.convert(text, types[key], strict=False))
        except (ValueError, KeyError, msgspec.MsgspecError):
            continue
    return args


def _near(text: str) -> dict[str, float]:
    try:
        lat, lon, radius_m = map(float, text.split(","))
    except ValueError:
        fail(f"--near: expected LAT,LON,METRES, got {text!r}")
    return {"lat": lat, "lon": lon, "radius_m": radius_m}
