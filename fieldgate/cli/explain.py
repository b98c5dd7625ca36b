"""`fieldgate explain`: captured bytes, field by field, or why they are refused."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.console import Console

    from gateway.explained import Explanation, Reading


def explain(
    topic: Annotated[str, typer.Argument(help="field/v1/DEVICE/up|dn/CHANNEL")],
    payload: Annotated[
        str | None,
        typer.Argument(metavar="[BYTES]", help="Hex, or JSON as it is; - reads standard input."),
    ] = None,
    *,
    as_hex: Annotated[bool, typer.Option("--hex", help="BYTES or standard input are hex.")] = False,
    as_base64: Annotated[
        bool, typer.Option("--base64", help="BYTES or standard input are base64.")
    ] = False,
    file: Annotated[Path | None, typer.Option(help="The bytes lie in this file.")] = None,
    prefix: Annotated[str, typer.Option(help="First part of all topics.")] = "field",
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Say what a message means and what the gateway does with it. Status 1: refused."""
    import msgspec

    from gateway import explanation
    from protocols.cloudevents import finite

    if as_hex and as_base64:
        raise typer.BadParameter("--hex and --base64 exclude each other")
    if (payload is None) == (file is None):
        raise typer.BadParameter("give either BYTES or --file")
    found = explanation.explain(topic, _bytes(payload, file, as_hex, as_base64), prefix)
    if as_json:
        plain, _ = finite(msgspec.to_builtins(found, str_keys=True, enc_hook=repr))
        typer.echo(msgspec.json.encode(plain))
    else:
        _show(found)
    if not found.accepted:
        raise typer.Exit(1)


def _bytes(payload: str | None, file: Path | None, as_hex: bool, as_base64: bool) -> bytes:
    """The bytes; raise BadParameter where they cannot be had."""
    import base64
    import binascii

    if file is not None or payload == "-":
        try:
            raw = file.read_bytes() if file is not None else sys.stdin.buffer.read()
        except OSError as error:
            raise typer.BadParameter(f"{file}: {error.strerror}") from None
        if not (as_hex or as_base64):
            return raw
        payload = raw.decode("ascii", "replace")
    assert payload is not None
    if payload[:1] in ("{", "["):
        return payload.encode("utf-8", "surrogateescape")
    text = "".join(payload.split())
    try:
        if as_base64:
            return base64.b64decode(text, validate=True)
        return bytes.fromhex(text.removeprefix("0x"))
    except binascii.Error as error:
        raise typer.BadParameter(f"not base64: {error}", param_hint="BYTES") from None
    except ValueError as error:
        raise typer.BadParameter(
            f"not hex: {error} (--base64 takes base64, --file a file)", param_hint="BYTES"
        ) from None


def _show(found: Explanation) -> None:
    from rich.console import Console

    console = Console(highlight=False, markup=False)
    place = f"{found.channel} of {found.device}" if found.device else "no topic of the contract"
    lanes = {"p": "priority lane", "t": "telemetry lane"}
    lane = lanes[found.lane] if found.lane else "no lane"
    console.print(f"{found.topic}: {place}, {lane}; {found.form}, {found.size} bytes")
    for message in found.messages:
        _show_message(console, message)


def _show_message(console: Console, message: Reading) -> None:
    from rich.table import Table
    from rich.text import Text

    console.print()
    if message.id is not None:
        console.print(f"message {message.id}", style="bold")
    if message.fields:
        wrong = {problem.field for problem in message.problems}
        table = Table("key", "value", "unit", "meaning")
        for field in message.fields:
            style = "red" if field.name in wrong else ""
            cells = (field.name, field.shown, field.unit, field.meaning)
            table.add_row(*(Text(cell) for cell in cells), style=style)
        console.print(table)
    for name in message.ignored:
        console.print(f"ignored: {name} (no key of the contract)")
    for problem in message.problems:
        console.print(f"wrong: {problem.detail} [{problem.reason}]", style="red")
    if message.flags:
        taken = "the clock taken to be right, no place registered"
        console.print(f"flags ({taken}): {', '.join(message.flags)}")
    style = "green" if message.verdict in ("accepted", "salvaged") else "red"
    console.print(f"{message.verdict}: {message.effect}", style=style)
