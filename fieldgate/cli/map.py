"""`fieldgate map`: the base map that the gateway serves, and the road graph for reach."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

map_ = typer.Typer(help="The base map.", no_args_is_help=True)


@map_.callback()
def _group() -> None:
    """Keep `build` a word of its own while it is the only command."""


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
