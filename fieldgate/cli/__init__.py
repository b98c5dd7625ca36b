"""The `fieldgate` command: one file per command, imported here, their weight only when run."""

from __future__ import annotations

import typer

from fieldgate.cli.audit import audit
from fieldgate.cli.bench import bench
from fieldgate.cli.cmd import cmd
from fieldgate.cli.demo import demo
from fieldgate.cli.device import device
from fieldgate.cli.doctor import doctor
from fieldgate.cli.edge import edge
from fieldgate.cli.explain import explain
from fieldgate.cli.map import map_
from fieldgate.cli.media import media
from fieldgate.cli.report import report
from fieldgate.cli.sim import sim
from fieldgate.cli.tail import tail
from fieldgate.cli.token import token
from fieldgate.cli.units import units
from fieldgate.cli.up import up
from fieldgate.cli.verify import verify

app = typer.Typer(
    name="fieldgate",
    help="The gateway between police field devices and the 110 dispatch core.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
app.command()(up)
app.command()(demo)
app.command()(verify)
app.command()(tail)
app.command()(units)
app.command()(explain)
app.command()(audit)
app.command()(doctor)
app.command()(bench)
app.add_typer(cmd, name="cmd")
app.add_typer(device, name="device")
app.add_typer(token, name="token")
app.add_typer(media, name="media")
app.add_typer(edge, name="edge")
app.add_typer(sim, name="sim")
app.add_typer(report, name="report")
app.add_typer(map_, name="map")


def main() -> None:
    """Entry point of the distribution."""
    app()
