"""What commands on the gateway's own machine share: its folder, its registry, and how they fail."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

if TYPE_CHECKING:
    from gateway.registry import Registry

DataOption = Annotated[Path, typer.Option("--data", help="The gateway's folder.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")]


def open_registry(data: Path) -> Registry:
    """The registry of this folder, which must be there: a mistyped folder is not made."""
    from gateway.registry import Registry

    if not (data / "registry.db").exists():
        fail(f"{data} holds no registry: is it the gateway's folder?")
    return Registry(data)


def gateway_at(data: Path) -> dict[str, Any]:
    """Where the gateway of this folder answers, if it has ever been ready."""
    try:
        found: dict[str, Any] = json.loads((data / "gateway.json").read_text())
    except FileNotFoundError:
        return {}
    return found


def fail(why: str) -> NoReturn:
    """End the command with status 1."""
    typer.echo(f"fieldgate: {why}", err=True)
    raise typer.Exit(1)


def note(data: Path, act: str, target: str, **facts: str) -> None:
    """Write that a command has done something on the gateway's machine."""
    import getpass

    from gateway.audit import Entry, keep

    try:
        who = getpass.getuser()
    except (KeyError, OSError):  # an account without a name
        who = "unknown"
    keep(data, Entry(act=act, who=who, source="command line", target=target, facts=facts))
