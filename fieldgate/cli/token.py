"""`fieldgate token`: who may read the API, and who may answer alarms."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from fieldgate.cli.folder import DataOption, JsonOption, fail, note, open_registry

token = typer.Typer(no_args_is_help=True, help="Bearer tokens of the API: add, list, revoke.")


@token.command()
def add(
    data: DataOption,
    role: Annotated[
        str, typer.Option(help="viewer reads, dispatcher answers alarms, admin may do all.")
    ],
    name: Annotated[str, typer.Option(help="Whose it is.")] = "",
    as_json: JsonOption = False,
) -> None:
    """Make a token and print it, once."""
    from gateway.registry import Registry, Role

    if role not in list(Role):
        fail(f"role: must be one of {', '.join(Role)}, got {role!r}")
    with Registry(data) as registry:
        secret = registry.add_token(Role(role), name)
    note(data, "token.add", name, role=role)
    typer.echo(json.dumps({"token": secret, "role": role, "name": name}) if as_json else secret)


@token.command("list")
def list_(data: DataOption, as_json: JsonOption = False) -> None:
    """All tokens ever made, by number; the tokens themselves are not kept."""
    import msgspec

    with open_registry(data) as registry:
        tokens = registry.tokens()
    if as_json:
        typer.echo(msgspec.json.encode({"tokens": tokens}))
        return
    from rich.console import Console
    from rich.table import Table

    table = Table("no", "role", "name", "")
    for t in tokens:
        table.add_row(str(t.no), t.role, t.name, "revoked" if t.revoked else "")
    Console().print(table)


@token.command()
def revoke(
    number: Annotated[int, typer.Argument(metavar="NO", help="Its number in `token list`.")],
    data: DataOption,
    as_json: JsonOption = False,
) -> None:
    """Let a token open nothing any more, at once."""
    from gateway.registry import UnknownToken

    try:
        with open_registry(data) as registry:
            registry.revoke_token(number)
    except UnknownToken as error:
        fail(str(error))
    note(data, "token.revoke", str(number))
    typer.echo(json.dumps({"revoked": number}) if as_json else f"token {number} is revoked")
