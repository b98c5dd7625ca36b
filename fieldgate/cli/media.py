"""`fieldgate media`: which pictures there are, what is true of one, legal holds, the proof."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from fieldgate.cli.asking import DataOption, TokenOption, UrlOption, gateway
from fieldgate.cli.folder import fail
from fieldgate.cli.times import shown

media = typer.Typer(
    no_args_is_help=True,
    help="Pictures: list, show, get, snapshot, verify, hold, holds, release.",
)

JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")]
IdArgument = Annotated[str, typer.Argument(metavar="ID", help="The picture's SHA-256.")]
HeldArgument = Annotated[
    str, typer.Argument(metavar="ID", help="The picture's SHA-256, or the alarm's id.")
]
AlarmOption = Annotated[
    bool, typer.Option("--alarm", help="ID is an alarm: all its pictures, those to come too.")
]
ByOption = Annotated[str, typer.Option("--by", help="Who orders it.")]
NoteOption = Annotated[str | None, typer.Option("--note", help="Why.")]


@media.command("list")
def list_(
    device: Annotated[str | None, typer.Option(help="Pictures of this device alone.")] = None,
    alarm: Annotated[str | None, typer.Option(help="Of this alarm.")] = None,
    command: Annotated[str | None, typer.Option(help="For this command.")] = None,
    reason: Annotated[
        str | None, typer.Option(help="alarm, command, pre_alarm, periodic or live.")
    ] = None,
    since: Annotated[
        str | None, typer.Option("--from", help="Came then or later: RFC 3339, or ms since 1970.")
    ] = None,
    until: Annotated[str | None, typer.Option("--to", help="Came before.")] = None,
    before: Annotated[int | None, typer.Option(help="`next` of the page before.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many at most.")] = 20,
    url: UrlOption = None,
    token: TokenOption = None,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Pictures as they were sent, newest first."""
    query = {
        "device": device, "alarm": alarm, "command": command, "reason": reason, "from": since,
        "to": until, "before": before, "limit": limit,
    }  # fmt: skip
    given = {key: str(value) for key, value in query.items() if value is not None}
    answer = gateway(url, token, data).ask("/api/v1/media", given)
    if as_json:
        typer.echo(json.dumps(answer))
        return
    for each in answer["media"]:
        asked = each["asked"] or {}
        facts = (
            shown(each["began"]),
            each["device"],
            each["reason"] or "-",
            each["ref"] or "-",
            _state(each),
            f"by {asked['by']}" if asked.get("by") else "",
            _marks(each),
            each["id"],
        )
        typer.echo("  ".join(filter(None, facts)))


@media.command()
def show(
    picture: IdArgument,
    url: UrlOption = None,
    token: TokenOption = None,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """All that is known of a picture: who sent it, when, why, what it is, who holds it."""
    about = gateway(url, token, data).ask(f"/api/v1/media/{_quoted(picture)}/about")
    if as_json:
        typer.echo(json.dumps(about))
        return
    lines = {
        "sha256": about["sha256"],
        "state": about["state"],
        "bytes": about["size"],
        "is": _is(about["found"] or {}),
        "damaged": shown(about["damaged"]),
        "deleted": _told(about["deleted"]),
    }
    for name, value in lines.items():
        if value not in {None, ""}:
            typer.echo(f"{name:<9} {value}")
    for hold in about["holds"]:
        typer.echo(f"held      {_told(hold)}")
    for each in about["sendings"]:
        typer.echo(f"sent by   {each['device']}  {each['reason'] or ''} {each['ref'] or ''}")
        asked = each["asked"]
        if asked is not None:
            typer.echo(f"  asked   {shown(asked['t'])}  {asked['act']}  {asked['by'] or ''}")
        times = ("taken_corrected", "began", "received")
        for name in times:
            typer.echo(f"  {name.removesuffix('_corrected'):<9} {shown(each[name]) or 'not known'}")
        typer.echo(f"  chunks    {each['received_chunks']} of {each['of']}, {each['state']}")


@media.command()
def get(
    picture: IdArgument,
    out: Annotated[Path, typer.Option(help="The file to write.")],
    thumbnail: Annotated[bool, typer.Option("--thumbnail", help="The small one.")] = False,
    url: UrlOption = None,
    token: TokenOption = None,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write a picture's bytes to a file. The original's hash is checked once more, here."""
    import hashlib

    path = f"/api/v1/media/{_quoted(picture)}{'/thumbnail' if thumbnail else ''}"
    received = gateway(url, token, data).fetch(path)
    digest = hashlib.sha256(received).hexdigest()
    if not thumbnail and digest != picture:
        fail(f"what came has the SHA-256 {digest}: nothing is written")
    try:
        out.write_bytes(received)
    except OSError as error:
        fail(f"{out}: {error.strerror}")
    told = {"file": str(out), "bytes": len(received), "sha256": digest}
    typer.echo(json.dumps(told) if as_json else f"{out}  {len(received)} bytes")


@media.command()
def snapshot(
    device: Annotated[str, typer.Argument(metavar="DEVICE", help="Whose camera.")],
    out: Annotated[Path, typer.Option(help="The file to write.")],
    timeout_ms: Annotated[
        int, typer.Option(min=100, max=30_000, help="How long to wait for it.")
    ] = 10_000,
    by: Annotated[str | None, typer.Option("--by", help="Who asks.")] = None,
    url: UrlOption = None,
    token: TokenOption = None,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Have a device take a picture now and write it to a file; never an older one."""
    import hashlib
    from urllib.parse import unquote

    query = {"timeout_ms": str(timeout_ms), **({} if by is None else {"by": by})}
    there = gateway(url, token, data)
    path = f"/api/v1/devices/{_quoted(device)}/snapshot"
    received, headers = there.answer(path, query, method="POST", body={})
    told: dict[str, Any] = {
        name.removeprefix("Fieldgate-").lower().replace("-", "_"): unquote(value)
        for name, value in headers.items()
        if name.startswith("Fieldgate-")
    }
    words = ("id", "device", "command", "by")
    told = {name: value if name in words else int(value) for name, value in told.items()}
    if hashlib.sha256(received).hexdigest() != told["id"]:
        fail("what came has another SHA-256 than was told: nothing is written")
    try:
        out.write_bytes(received)
    except OSError as error:
        fail(f"{out}: {error.strerror}")
    if as_json:
        typer.echo(json.dumps({"file": str(out), "bytes": len(received), **told}))
        return
    taken = shown(told["taken"]) if "taken" in told else "at a time that the device does not know"
    typer.echo(
        f"{out}  {len(received)} bytes, taken {taken}, asked for {told['round_trip_ms']} ms before"
    )


@media.command()
def verify(
    data: Annotated[Path, typer.Option(help="The gateway's folder; the gateway may run.")],
    as_json: JsonOption = False,
) -> None:
    """Hash every picture that is kept and hold it against the journal; status 0 if all is well."""
    import asyncio

    import msgspec

    from fieldgate import picture_check

    try:
        proof = asyncio.run(picture_check.verify(data))
    except FileNotFoundError as error:
        typer.echo(f"fieldgate: {error}", err=True)
        raise typer.Exit(2) from error
    if as_json:
        typer.echo(msgspec.json.encode(proof))
    else:
        typer.echo(f"kept        {proof.kept}\nsound       {proof.sound}")
        for name in ("missing", "changed", "unrecorded", "left", "damage"):
            for each in getattr(proof, name):
                typer.echo(f"{name:<11} {each}")
    raise typer.Exit(0 if proof.is_clean else 1)


@media.command()
def hold(
    identity: HeldArgument,
    by: ByOption,
    note: NoteOption = None,
    alarm: AlarmOption = False,
    url: UrlOption = None,
    token: TokenOption = None,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Let nothing be deleted of a picture, or of an alarm, until it is released."""
    there = gateway(url, token, data)
    answer = there.ask(_hold_path(identity, alarm), method="PUT", body={"by": by, "note": note})
    typer.echo(json.dumps(answer) if as_json else f"{identity} is held")


@media.command()
def holds(
    url: UrlOption = None,
    token: TokenOption = None,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """All that is held, by whose order and why."""
    answer = gateway(url, token, data).ask("/api/v1/holds")
    if as_json:
        typer.echo(json.dumps(answer))
        return
    for each in answer["holds"]:
        typer.echo(f"{each['scope']:<6} {each['id']}  {_told(each)}")


@media.command()
def release(
    identity: HeldArgument,
    by: ByOption,
    note: NoteOption = None,
    alarm: AlarmOption = False,
    url: UrlOption = None,
    token: TokenOption = None,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Let it be deleted in its time again."""
    there = gateway(url, token, data)
    answer = there.ask(_hold_path(identity, alarm), method="DELETE", body={"by": by, "note": note})
    typer.echo(json.dumps(answer) if as_json else f"{identity} is held no more")


def _hold_path(identity: str, is_alarm: bool) -> str:
    return f"/api/v1/{'alarms' if is_alarm else 'media'}/{_quoted(identity)}/hold"


def _quoted(identity: str) -> str:
    from urllib.parse import quote

    return quote(identity, safe=":")


def _is(found: dict[str, Any]) -> str:
    parts = [found.get("mime", "")]
    if found.get("w"):
        parts.append(f"{found['w']}x{found['h']}")
    parts.append(found.get("camera", ""))
    return " ".join(filter(None, [*parts, *found.get("problems", ())]))


def _told(act: dict[str, Any] | None) -> str:
    if act is None:
        return ""
    return f"{shown(act['t'])}  {act['by']}  {act.get('why') or act.get('note') or ''}"


def _state(each: dict[str, Any]) -> str:
    part = f" {each['received_chunks']}/{each['of']}" if each["state"] == "partial" else ""
    return f"{each['state']}{part}"


def _marks(each: dict[str, Any]) -> str:
    marks = ("held", each["held"]), ("damaged", each["damaged"])
    return " ".join(name for name, is_so in marks if is_so)
