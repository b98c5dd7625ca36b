"""`fieldgate device`: who may report. Works while the gateway runs, and before it first does."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from fieldgate.cli.folder import DataOption, JsonOption, fail, gateway_at, note, open_registry

device = typer.Typer(no_args_is_help=True, help="Devices that may report: add, list, show, revoke.")

IdArgument = Annotated[str, typer.Argument(metavar="ID", help="The device's id.")]


@device.command()
def add(
    device_id: IdArgument,
    data: DataOption,
    kind: Annotated[str, typer.Option(help="vehicle_terminal, body_camera, alarm_box or phone.")],
    name: Annotated[str, typer.Option(help="What people call it.")] = "",
    lat: Annotated[float | None, typer.Option(help="A fixed box's latitude, WGS-84.")] = None,
    lon: Annotated[float | None, typer.Option(help="A fixed box's longitude, WGS-84.")] = None,
    site: Annotated[str, typer.Option(help="Where it stands, in words.")] = "",
    as_json: JsonOption = False,
) -> None:
    """Register a device and print, once, what it needs to connect."""
    from gateway.registry import Device, DeviceExists, Registry
    from protocols.errors import FieldInvalid

    new = Device(id=device_id, kind=kind, name=name, lat=lat, lon=lon, site=site)
    try:
        with Registry(data) as registry:
            password = registry.add(new)
    except (DeviceExists, FieldInvalid) as error:
        fail(str(error))
    try:
        note(data, "device.add", device_id, kind=kind)
        _tell_broker(data)  # who reads the password may connect at once
    finally:
        needs = {"user": device_id, "password": password, "mqtt": gateway_at(data).get("mqtt")}
        if as_json:
            typer.echo(json.dumps(needs))
        else:
            typer.echo(f"user      {device_id}\npassword  {password}")
            typer.echo(f"broker    {needs['mqtt'] or 'not running'}")


@device.command("list")
def list_(data: DataOption, as_json: JsonOption = False) -> None:
    """All devices, revoked ones too."""
    import msgspec

    with open_registry(data) as registry:
        devices = registry.devices()
    if as_json:
        typer.echo(msgspec.json.encode({"devices": devices}))
        return
    from rich.console import Console
    from rich.table import Table

    table = Table("id", "kind", "name", "site", "")
    for d in devices:
        table.add_row(d.id, d.kind, d.name, d.site, "revoked" if d.revoked else "")
    Console().print(table)


@device.command()
def show(device_id: IdArgument, data: DataOption, as_json: JsonOption = False) -> None:
    """One device. Its password was shown when it was added, and is not kept."""
    import msgspec

    with open_registry(data) as registry:
        found = registry.get(device_id)
    if found is None:
        fail(f"no device {device_id} is registered")
    if as_json:
        typer.echo(msgspec.json.encode(found))
        return
    for field, value in msgspec.structs.asdict(found).items():
        typer.echo(f"{field:<9} {'' if value is None else value}")


@device.command()
def revoke(device_id: IdArgument, data: DataOption, as_json: JsonOption = False) -> None:
    """Let a device connect no more; its connection ends now. Adding it again lets it back."""
    from gateway.registry import UnknownDevice

    try:
        with open_registry(data) as registry:
            registry.revoke(device_id)
    except UnknownDevice as error:
        fail(str(error))
    note(data, "device.revoke", device_id)
    typer.echo(json.dumps({"revoked": device_id}) if as_json else f"{device_id} is revoked")
    _tell_broker(data)


def _tell_broker(data: Path) -> None:
    """Return when the broker knows; without one of its own the gateway's start will do it."""
    from gateway.broker import BrokerFailed, reload

    try:
        reload(data)
    except BrokerFailed as error:
        fail(str(error))
