"""`fieldgate edge`: the agent on a device, and what its panel or button calls."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

edge = typer.Typer(help="The agent on a device; its commands speak to a running one.")

ConfigOption = Annotated[
    Path | None, typer.Option("--config", help="The agent's configuration, agent.toml.")
]
SocketOption = Annotated[Path | None, typer.Option("--socket", help="The agent's control socket.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")]
DEFAULT_SOCKET = Path("/run/fieldgate/edge.sock")
PERSONAL = ("instruct", "checklist", "text")
STAGES = ("spooled", "sent", "stored", "accepted", "acknowledged", "closed")


@edge.callback(invoke_without_command=True)
def run(context: typer.Context, config: ConfigOption = None) -> None:
    """Run the agent until SIGTERM or Ctrl-C."""
    context.obj = config
    if context.invoked_subcommand is not None:
        return
    if config is None:
        raise typer.BadParameter("give the agent's configuration", param_hint="--config")

    import os
    import sys

    # A process of its own, without the weight of the command line: 33 MB instead of 43.
    os.execv(sys.executable, [sys.executable, "-P", "-m", "edge", str(config)])  # noqa: S606 - no shell is wanted


@edge.command()
def press(
    context: typer.Context,
    *,
    kind: Annotated[str, typer.Option(help="What is wrong.")] = "panic",
    zone: Annotated[str | None, typer.Option(help="Which button or room.")] = None,
    silent: Annotated[bool, typer.Option("--silent", help="Make no sound at the place.")] = False,
    text: Annotated[str | None, typer.Option(help="What else to tell.")] = None,
    follow: Annotated[bool, typer.Option("--follow", help="Show each stage until closed.")] = False,
    wait: Annotated[
        str | None, typer.Option(help=f"Return at a stage: {', '.join(STAGES)}.")
    ] = None,
    timeout: Annotated[float, typer.Option(help="Seconds to wait for a stage.")] = 30.0,
    socket: SocketOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Press the button. It is durably spooled when this returns."""
    if wait is not None and wait not in STAGES:
        raise typer.BadParameter(f"{wait!r} is none of {', '.join(STAGES)}", param_hint="--wait")
    asked = {"kind": kind, "zone": zone, "silent": silent or None, "text": text}
    body = {name: value for name, value in asked.items() if value is not None}
    following = follow or wait is not None
    path = "/press?follow=1" if following else "/press"
    timeout_s = None if follow and wait is None else timeout
    reached: str | None = None
    try:
        for line in _call(_socket(context, socket, config), "POST", path, body, timeout_s):
            _show(line, f"{line['id']}  {line['stage']}  presses: {line['count']}", as_json)
            reached = line["stage"]
            if wait is not None and STAGES.index(line["stage"]) >= STAGES.index(wait):
                return
    except TimeoutError:
        typer.echo(f"not {wait} within {timeout:g} s, so far: {reached}", err=True)
        raise typer.Exit(3) from None


@edge.command()
def duty(
    context: typer.Context,
    act: Annotated[str, typer.Argument(help="on_duty, off_duty, en_route, on_scene, …")],
    *,
    ref: Annotated[str | None, typer.Option(help="The incident.")] = None,
    crew: Annotated[list[str] | None, typer.Option(help="Who; may be repeated.")] = None,
    socket: SocketOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Report duty. It is durably spooled when this returns."""
    asked = {"act": act, "ref": ref, "crew": crew or None}
    body = {name: value for name, value in asked.items() if value is not None}
    for line in _call(_socket(context, socket, config), "POST", "/duty", body):
        _show(line, f"{line['id']}  {act}", as_json)


@edge.command()
def reset(context: typer.Context, socket: SocketOption = None, config: ConfigOption = None) -> None:
    """Let go of the latched buttons: the next press raises a new alarm."""
    list(_call(_socket(context, socket, config), "POST", "/reset"))


@edge.command()
def orders(
    context: typer.Context,
    socket: SocketOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show the orders of the dispatch core. Those for the crew count as shown then, but for
    --json."""
    path = _socket(context, socket, config)
    for held in _call(path, "GET", "/orders"):
        for order in held["orders"]:
            if not as_json and order["state"] == "delivered" and order["act"] in PERSONAL:
                order = next(_call(path, "POST", _order(order["id"]), {"state": "shown"}))  # noqa: PLW2901 - as it is now
            _show(order, _order_text(order), as_json)


@edge.command()
def answer(
    context: typer.Context,
    order: Annotated[str, typer.Argument(help="The order's id.")],
    state: Annotated[str, typer.Argument(help="shown, accepted, refused, done or failed.")],
    *,
    detail: Annotated[str | None, typer.Option(help="What else to tell.")] = None,
    socket: SocketOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Answer an order. It is durably spooled when this returns."""
    body = {"state": state} if detail is None else {"state": state, "detail": detail}
    for line in _call(_socket(context, socket, config), "POST", _order(order), body):
        _show(line, _order_text(line), as_json)


@edge.command()
def tick(
    context: typer.Context,
    order: Annotated[str, typer.Argument(help="The order's id.")],
    step: Annotated[int, typer.Argument(help="Which step of its checklist, from 0.")],
    *,
    socket: SocketOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Tick a step of an order's checklist. It is durably spooled when this returns."""
    target = f"{_order(order)}/step"
    for line in _call(_socket(context, socket, config), "POST", target, {"step": step}):
        _show(line, _order_text(line), as_json)


@edge.command()
def status(
    context: typer.Context,
    socket: SocketOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show how the device is."""
    for line in _call(_socket(context, socket, config), "GET", "/status"):
        _show(line, "\n".join(f"{name:12} {value}" for name, value in line.items()), as_json)


def _order(identity: str) -> str:
    from urllib.parse import quote

    return f"/orders/{quote(identity, safe='')}"


def _order_text(order: dict[str, Any]) -> str:
    """A line, and a line for each step of its checklist."""
    args = order["args"]
    about = [args.get(key) for key in ("incident", "kind", "address", "caller", "text")]
    words = "  ".join(str(word) for word in about if word)
    lines = [f"{order['id']}  {order['state']}  {order['act']}  {words}"]
    checklist = args if order["act"] == "checklist" else args.get("checklist") or {}
    ticked = {tick["step"] for tick in order["ticks"]}
    for index, step in enumerate(checklist.get("steps", [])):
        mark = "x" if index in ticked else " "
        lines.append(f"  [{mark}] {index}  {step['zh']}  {step['en']}")
    return "\n".join(lines)


def _settings(path: Path) -> Any:
    from edge.config import load
    from protocols.errors import FieldInvalid

    try:
        return load(path)
    except (OSError, FieldInvalid) as error:
        typer.echo(f"{path}: {error}", err=True)
        raise typer.Exit(2) from None


def _socket(context: typer.Context, socket: Path | None, config: Path | None) -> Path:
    """The control socket: as given, or as the configuration says, or the usual one."""
    config = config or context.obj
    if socket is not None or config is None:
        return socket or DEFAULT_SOCKET
    control = _settings(config).control
    if control is None:
        raise typer.BadParameter(f"{config} has no [control] socket", param_hint="--config")
    return Path(control.socket)


def _call(
    path: Path, method: str, target: str, body: object = None, timeout_s: float | None = 10.0
) -> Iterator[dict[str, Any]]:
    """The lines of the agent's answer as they come; exits if there is none."""
    from edge.control_client import NotTaken, call

    try:
        yield from call(path, method, target, body, timeout_s)
    except NotTaken as refusal:
        typer.echo(str(refusal), err=True)
        raise typer.Exit(2) from None
    except (FileNotFoundError, ConnectionError) as error:
        typer.echo(f"no agent at {path}: {error}", err=True)
        raise typer.Exit(1) from None


def _show(line: dict[str, Any], text: str, as_json: bool) -> None:
    import json

    typer.echo(json.dumps(line, ensure_ascii=False) if as_json else text)
