"""`fieldgate map`: the base map that the gateway serves, and who reaches what on it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fieldgate.cli.asking import DataOption, TokenOption, UrlOption, asked, gateway

if TYPE_CHECKING:
    from gateway.looks import NearUnit

map_ = typer.Typer(help="The base map, and who reaches what on it.", no_args_is_help=True)


@map_.command()
def build(
    extract: Annotated[
        Path | None,
        typer.Argument(metavar="[CITY.osm.pbf]", help="An OpenStreetMap extract of the city."),
    ] = None,
    *,
    seed: Annotated[int, typer.Option(min=0, help="Without one: the simulated city of it.")] = 1,
    data: Annotated[
        Path | None, typer.Option(help="The gateway's folder: the map comes to lie in its map/.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="The map's own folder instead.")] = None,
    name: Annotated[str | None, typer.Option(help="The city's name; else the file's.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Make the base map and the road graph of a city. Status 1: the extract cannot be read."""
    import importlib.util

    import msgspec

    if (data is None) == (out is None):
        raise typer.BadParameter("give either --data or --out")
    missing = [name for name in ("osmium", "rustworkx") if importlib.util.find_spec(name) is None]
    if missing:
        lack = " and ".join(missing)
        raise typer.BadParameter(f"this needs {lack}: pip install 'fieldgate[map]'")

    from fieldgate.map.build import FolderTaken, of_extract, of_seed
    from simulators.city import CityUnreadable

    folder = out if out is not None else Path(str(data)) / "map"
    try:
        made = of_extract(extract, folder, name) if extract else of_seed(seed, folder, name)
    except (CityUnreadable, FolderTaken, OSError) as error:
        typer.echo(f"fieldgate: {error}", err=True)
        raise typer.Exit(1) from error
    if as_json:
        typer.echo(msgspec.json.encode(made))
        return
    typer.echo(f"{made.name}: {folder}")
    for layer in made.layers:
        typer.echo(f"  {layer.name:10} {layer.features:8,} features {layer.bytes / 1e3:10,.1f} kB")
    graph = made.graph
    typer.echo(f"  road graph {graph.nodes:8,} nodes, {graph.streets:,} streets,"
               f" {graph.length_km:,.1f} km")  # fmt: skip
    typer.echo(f"  {made.attribution} ({made.licence})")


@map_.command()
def reach(
    url: UrlOption = None,
    token: TokenOption = None,
    data: DataOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="GeoJSON: areas and figures.")] = False,
) -> None:
    """Show how much of each grid available units reach, and what has been cold for how long."""
    import json

    answer = gateway(url, token, data).ask("/api/v1/reach")
    if as_json:
        typer.echo(json.dumps(answer))
        return
    from rich.console import Console
    from rich.table import Table

    colours = list(answer["grids"][0]["cold"])
    table = Table("grid", "1 min", "3 min", "5 min", *colours, "cold for", title_justify="left")
    table.title = f"{len(answer['units'])} units can be sent"
    for grid in answer["grids"]:
        within = [grid["within_1"], grid["within_3"], grid["within_5"]]
        shares = [f"{share:.0%}" for share in (*within, *grid["cold"].values())]
        table.add_row(grid["name"] or "all", *shares, f"{grid['coldest_s'] / 60:.0f} min")
    Console().print(table)


@map_.command()
def nearest(
    lat: Annotated[float, typer.Argument(min=-90, max=90, help="The place, WGS-84.")],
    lon: Annotated[float, typer.Argument(min=-180, max=180)],
    *,
    limit: Annotated[int, typer.Option(min=1, max=100, help="So many units at most.")] = 5,
    url: UrlOption = None,
    token: TokenOption = None,
    data: DataOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Show which units come to a place first, by road."""
    import msgspec

    with asked(url, token, data) as client:
        found = client.nearest(lat, lon, limit=limit)
    if as_json:
        typer.echo(msgspec.json.encode({"units": found}))
        return
    from rich.console import Console
    from rich.table import Table

    table = Table("unit", "state", "by road", "straight", "seen", "")
    for unit in found:
        table.add_row(*_row(unit))
    Console().print(table)


def _row(unit: NearUnit) -> tuple[str, ...]:
    seconds = unit.seconds
    return (
        unit.unit,
        unit.state or "",
        "" if seconds is None else f"{seconds // 60:.0f}:{seconds % 60:02.0f}",
        f"{unit.straight_m:,.0f} m",
        f"{unit.age_ms / 1000:.0f} s ago",
        "can be sent" if unit.available else "",
    )
