"""The map over HTTP: the base map's files, who reaches what, and which units are near a place."""

from __future__ import annotations

import asyncio
import gzip
import re
from pathlib import Path

from aiohttp import web
from msgspec import Struct

from gateway.api import params
from gateway.api.parts import Outlook
from gateway.api.problems import Problem
from gateway.api.routes import Route, json_answer
from gateway.looks import Drawn, NearUnit, NoGraph, Overloaded

GEOJSON = "application/geo+json"
MANIFEST = "map.json"
_LAYER = re.compile(r"[a-z]{1,32}\.geojson")

_UNIT = params.text("unit", "What this one unit reaches, whatever its state, and no cold spots.")
_LAT = params.degrees("lat", "The place, WGS-84.", most=90)
_LON = params.degrees("lon", "The place, WGS-84.", most=180)
_LIMIT = params.integer("limit", "So many units at most.", default=5, low=1, high=100)


class NearestView(Struct, frozen=True, kw_only=True):
    """The units that come to a place first; by distance where no road leads there."""

    units: list[NearUnit]


class MapRoutes:
    """Reading the map."""

    def __init__(self, outlook: Outlook) -> None:
        self._outlook = outlook

    def routes(self) -> list[Route]:
        """The table."""
        return [
            Route(
                method="GET",
                path="/api/v1/map/{file}",
                handler=self.file,
                name="get_map_file",
                summary="A file of the base map: map.json names the layers, and whose data it is.",
                media=("application/json", GEOJSON),
            ),
            Route(
                method="GET",
                path="/api/v1/reach",
                handler=self.reach,
                name="get_reach",
                summary="What available units reach by road in 1, 3 and 5 minutes; cold spots.",
                params=(_UNIT,),
                media=(GEOJSON,),
                problems=(404,),
            ),
            Route(
                method="GET",
                path="/api/v1/nearest",
                handler=self.nearest,
                name="find_nearest",
                summary="The units that come to a place first by road.",
                params=(_LAT, _LON, _LIMIT),
                answer=NearestView,
            ),
        ]

    async def file(self, request: web.Request) -> web.StreamResponse:
        """The manifest or a layer. Layers lie gzipped; who takes no gzip gets them unpacked."""
        name = request.match_info["file"]
        is_layer = _LAYER.fullmatch(name) is not None
        folder = self._outlook.folder
        path = folder / (f"{name}.gz" if is_layer else MANIFEST)
        if not (is_layer or name == MANIFEST) or not await asyncio.to_thread(path.is_file):
            raise Problem(404, "no such file of a base map; fieldgate map build makes one")
        headers = {
            "Content-Type": GEOJSON if is_layer else "application/json",
            "Cache-Control": "private, no-cache",  # ask whether it is still the same
            "Vary": "Accept-Encoding",
        }
        if is_layer and "gzip" not in request.headers.get("Accept-Encoding", "").lower():
            plain = await asyncio.to_thread(_unpacked, path)
            return web.Response(body=plain, headers=headers)
        return web.FileResponse(folder / name, headers=headers)

    async def reach(self, request: web.Request) -> web.Response:
        """The newest look, or one unit's own reach."""
        unit = _UNIT.read(request)
        try:
            drawn = self._outlook.reach() if unit is None else await self._outlook.reach_of(unit)
        except NoGraph as error:
            raise Problem(404, str(error)) from error
        except Overloaded as error:
            raise Problem(503, str(error)) from error
        if drawn is None:
            raise Problem(404, f"there is no unit {unit} with a position", unit=unit)
        return _answer(request, drawn)

    async def nearest(self, request: web.Request) -> web.Response:
        """Units by the time they need."""
        lat, lon, limit = _LAT.read(request), _LON.read(request), _LIMIT.read(request)
        try:
            units = await self._outlook.nearest(lat, lon, limit)
        except Overloaded as error:
            raise Problem(503, str(error)) from error
        return json_answer(NearestView(units=units))


def _unpacked(path: Path) -> bytes:
    return gzip.decompress(path.read_bytes())


def _answer(request: web.Request, drawn: Drawn) -> web.Response:
    headers = {
        "ETag": f'"{drawn.at:x}"',
        "Cache-Control": "private, no-cache",
        "Vary": "Accept-Encoding",
    }
    known = request.if_none_match
    if known is not None and any(tag.value in (f"{drawn.at:x}", "*") for tag in known):
        return web.Response(status=304, headers=headers)
    body = drawn.body
    if "gzip" in request.headers.get("Accept-Encoding", "").lower():
        body = drawn.gzipped
        headers["Content-Encoding"] = "gzip"
    return web.Response(body=body, content_type=GEOJSON, headers=headers)
