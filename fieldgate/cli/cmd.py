"""`fieldgate cmd`: order something of a device, a unit, a grid; see what became of it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fieldgate.cli.asking import DataOption, Gateway, TokenOption, UrlOption, gateway
from fieldgate.cli.folder import fail
from fieldgate.cli.times import shown

if TYPE_CHECKING:
    from rich.text import Text

cmd = typer.Typer(no_args_is_help=True, help="Commands to devices: send, list, show, cancel.")

JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")]
ByOption = Annotated[str | None, typer.Option("--by", help="Who orders it.")]
IdArgument = Annotated[str, typer.Argument(metavar="ID", help="The command's id.")]

WAIT_S = 30
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
ENDS = ("done", "refused", "failed", "expired", "cancelled")


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
    chosen = {"by": by, "expires_s": expires_s, "id": command_id}
    body: dict[str, Any] = {"act": act, "args": _args(act, args or ())}
    body |= {key: value for key, value in chosen.items() if value is not None}
    there = gateway(url, token, data)
    to = {"device": device, "unit": unit, "grid": grid, "near": near}
    named = {key: value for key, value in to.items() if value is not None}
    if len(named) != 1:
        fail("give one of --device, --unit, --grid, --near")
    if device is not None:
        sent = there.ask(f"/api/v1/devices/{_quoted(device)}/commands", method="POST", body=body)
        answer, commands = sent, [sent]
    else:
        body["to"] = {"near": _near(near)} if near is not None else named
        answer = there.ask("/api/v1/commands", method="POST", body=body)
        commands = answer["commands"]
        if not as_json:
            for each in answer["left_out"]:
                typer.echo(f"left out: {each['device']}, {each['why']}", err=True)
            if not commands:
                typer.echo("nobody was addressed", err=True)
    if wait:
        commands = [_follow(there, command, as_json) for command in commands]
        answer = commands[0] if device is not None else {**answer, "commands": commands}
    elif not as_json:
        for command in commands:
            typer.echo(f"{command['id']}  {command['device']}  {command['state']}")
    if as_json:
        typer.echo(json.dumps(answer))
    if not commands or (wait and any(command["state"] != "done" for command in commands)):
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
    query = {"device": device, "state": state, "group": group, "limit": str(limit)}
    given = {key: value for key, value in query.items() if value is not None}
    answer = gateway(url, token, data).ask("/api/v1/commands", given)
    if as_json:
        typer.echo(json.dumps(answer))
        return
    from rich.console import Console
    from rich.text import Text

    console = Console(highlight=False)
    for command in answer["commands"]:
        last = [each for each in command["timeline"] if each["state"] not in BESIDE][-1]
        shown = (f"{command['state']:<9}", STYLES.get(command["state"], ""))
        by = f"  by {command['by']}" if command["by"] else ""
        what = f"  {command['act']} to {command['device']}  {command['id']}{by}"
        since = f" since {_time(last['t'])[11:19]}"
        late = ("  overdue" if command["overdue"] else "", STYLES["overdue"])
        told = Text.assemble((_time(command["t"])[:19], "dim"), "  ", shown, since, late, what)
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
    answer = gateway(url, token, data).ask(f"/api/v1/commands/{_quoted(command_id)}")
    if as_json:
        typer.echo(json.dumps(answer))
        return
    typer.echo(f"{answer['act']} to {answer['device']}, id {answer['id']}")
    checklist = answer["args"].pop("checklist", None)
    for key, value in answer["args"].items():
        typer.echo(f"  {key:<8}  {value if isinstance(value, str) else json.dumps(value)}")
    if checklist is not None:
        done = {moment["step"] for moment in answer["timeline"] if moment["state"] == "step"}
        typer.echo(f"  checklist {checklist['title']['zh']} {checklist['title']['en']}")
        for number, step in enumerate(checklist["steps"]):
            typer.echo(f"  [{'x' if number in done else ' '}] {number} {step['zh']} {step['en']}")
    typer.echo(f"holds to  {_time(answer['exp'])}")
    _print(answer, answer["timeline"])


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
    what = f"commands/{_quoted(command_id)}" if command_id else f"groups/{_quoted(group or '')}"
    body = {} if by is None else {"by": by}
    answer = gateway(url, token, data).ask(f"/api/v1/{what}/cancel", method="POST", body=body)
    if as_json:
        typer.echo(json.dumps(answer))
        return
    for command in [answer] if command_id else answer["commands"]:
        typer.echo(f"{command['id']} is {command['state']}")


def _follow(there: Gateway, command: dict[str, Any], as_json: bool) -> dict[str, Any]:
    """The command at its end; what comes is printed meanwhile."""
    shown = 0
    path = f"/api/v1/commands/{_quoted(command['id'])}"
    if not as_json:
        typer.echo(f"{command['act']} to {command['device']}, id {command['id']}")
    while True:
        if not as_json:
            _print(command, command["timeline"][shown:])
        shown = len(command["timeline"])
        if command["state"] in ENDS:
            return command
        command = there.ask(path, {"beyond": str(shown), "wait_s": str(WAIT_S)})


def _print(command: dict[str, Any], moments: Iterable[dict[str, Any]]) -> None:
    from rich.console import Console

    console = Console(highlight=False)
    for moment in moments:
        console.print(line(command, moment), soft_wrap=True)


def line(command: dict[str, Any], moment: dict[str, Any]) -> Text:
    """An entry of a timeline as people read it: when, how long after the order, what, why."""
    from rich.text import Text

    said = [f"step {moment['step']}"] if moment["step"] is not None else []
    said += [f"by {moment['by']}"] if moment["by"] else []
    said += [moment[key] for key in ("cause", "detail") if moment[key]]
    if moment["device_t"] is not None:
        said.append(f"(device: {_time(moment['device_t'])})")
    after_s = (moment["t"] - command["t"]) / 1000
    return Text.assemble(
        (f"{_time(moment['t'])} ", "dim"),
        f"{after_s:+10.3f} s  ",
        (f"{moment['state']:<10}", STYLES.get(moment["state"], "")),
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


def _quoted(text: str) -> str:
    from urllib.parse import quote

    return quote(text, safe="")
