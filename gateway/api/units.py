"""Units over HTTP: which there are, what each is doing and where, and who belongs to one."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

from aiohttp import web
from msgspec import Meta, Struct

from gateway.api import params
from gateway.api.body import body_of
from gateway.api.parts import Units
from gateway.api.problems import Problem
from gateway.api.routes import Route, caller, json_answer, large_json_answer
from gateway.registry import Role
from protocols.model import DeviceId, Name
from protocols.native.topics import check_device_id

MAX_MEMBERS = 32
SLICE = 200
"""So many units are looked at in one go: 2 ms."""

_BY = params.text("by", "Who says so.")


class UnitView(Struct, frozen=True, kw_only=True):
    """One unit as it is now. Times in ms, by the gateway's clock.

    ``position``: which device says so, of what kind, when it was taken and how old it is.
    """

    unit: str
    state: str | None
    since: int | None
    incident: str | None
    officers: list[str]
    devices: list[dict[str, Any]]
    bound_by: str | None
    bound_at: int | None
    position: dict[str, Any] | None
    instruction: dict[str, Any] | None
    contradictions: list[dict[str, Any]]


class UnitList(Struct, frozen=True):
    """All units, by their ids; a device that is bound to none is a unit of its own."""

    units: list[UnitView]


class Binding(Struct, frozen=True, forbid_unknown_fields=True):
    """Who forms a unit, and who says so."""

    devices: Annotated[list[DeviceId], Meta(min_length=1, max_length=MAX_MEMBERS)]
    officers: Annotated[list[Name], Meta(max_length=MAX_MEMBERS)] = []
    by: Name | None = None


class UnitRoutes:
    """Reading units and forming them."""

    def __init__(self, units: Units) -> None:
        self._units = units

    def routes(self) -> list[Route]:
        """The table."""
        path = "/api/v1/units/{id}"
        return [
            Route(
                method="GET",
                path="/api/v1/units",
                handler=self.overview,
                summary="All units: what each is doing, and where it is.",
                answer=UnitList,
            ),
            Route(
                method="GET",
                path=path,
                handler=self.show,
                summary="One unit: what it is doing, and where it is.",
                answer=UnitView,
            ),
            Route(
                method="PUT",
                path=path,
                handler=self.bind,
                summary="These devices and officers form the unit. Again changes nothing.",
                role=Role.DISPATCHER,
                body=Binding,
                act="unit.bind",
                example={"devices": ["car-007"], "officers": ["035001"], "by": "desk 3"},
                answer=UnitView,
            ),
            Route(
                method="DELETE",
                path=path,
                handler=self.unbind,
                summary="The binding ends: the units that its devices are now, each its own.",
                role=Role.DISPATCHER,
                params=(_BY,),
                act="unit.unbind",
                answer=UnitList,
            ),
        ]

    async def overview(self, _: web.Request) -> web.Response:
        """All of them."""
        found = []
        for view in self._units.views():
            found.append(UnitView(**view))
            if len(found) % SLICE == 0:
                await asyncio.sleep(0)
        return await large_json_answer(UnitList(found))

    async def show(self, request: web.Request) -> web.Response:
        """One of them."""
        return json_answer(self._view(request.match_info["id"]))

    async def bind(self, request: web.Request) -> web.Response:
        """Form a unit."""
        unit = request.match_info["id"]
        check_device_id(unit)
        binding = await body_of(request, Binding)
        by = binding.by or caller(request) or "core"
        await self._units.bind(unit, binding.devices, binding.officers, by=by)
        return json_answer(self._view(unit))

    async def unbind(self, request: web.Request) -> web.Response:
        """End a binding."""
        unit = request.match_info["id"]
        devices = [device["id"] for device in self._view(unit).devices]
        await self._units.unbind(unit, by=_BY.read(request) or caller(request) or "core")
        views = [self._units.view(device) for device in devices]
        return json_answer(UnitList([UnitView(**view) for view in views if view is not None]))

    def _view(self, unit: str) -> UnitView:
        view = self._units.view(unit)
        if view is None:
            raise Problem(404, f"there is no unit {unit}", unit=unit)
        return UnitView(**view)
