"""Units over HTTP: which there are, what each is doing and where, and who belongs to one."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

import msgspec
from aiohttp import web
from msgspec import Meta, Struct

from gateway.api import params
from gateway.api.body import body_of
from gateway.api.devices import DeviceState
from gateway.api.parts import Units
from gateway.api.problems import Problem
from gateway.api.routes import Route, caller, json_answer, large_json_answer
from gateway.registry import Role
from gateway.unit import Contradiction, Instruction
from protocols.duty import UnitState
from protocols.model import DeviceId, DeviceKind, Name
from protocols.native.topics import check_device_id

MAX_MEMBERS = 32
SLICE = 200
"""So many units are looked at in one go: 2 ms."""

_BY = params.text("by", "Who says so.")
_Q = params.text(
    "q", "It, a device or an officer of it has this in its id, in any case of letters.", longest=64
)
_STATE = params.some_of(
    "state",
    "In one of these states; in any, or none, if not given.",
    {s.value: s for s in UnitState},
)
_AFTER = params.after("units")
_LIMIT = params.all_or("units")


class UnitDevice(Struct, frozen=True, kw_only=True):
    """A device of a unit."""

    id: str
    kind: DeviceKind | None
    state: DeviceState


class UnitPosition(Struct, frozen=True, kw_only=True):
    """Where a unit is: which of its devices says so, when (ms), and how old that is.

    ``acc_m``: 1 sigma, null where the receiver does not say; ``spd_mps`` likewise.
    """

    device: str
    kind: DeviceKind | None
    lat: float
    lon: float
    taken: int
    acc_m: float | None
    spd_mps: float | None
    age_ms: int


class UnitView(Struct, frozen=True, kw_only=True):
    """One unit as it is now. Times in ms, by the gateway's clock."""

    unit: str
    state: UnitState | None
    since: int | None
    incident: str | None
    officers: list[str]
    devices: list[UnitDevice]
    bound_by: str | None
    bound_at: int | None
    position: UnitPosition | None
    instruction: Instruction | None
    contradictions: list[Contradiction]


class UnitList(Struct, frozen=True):
    """Units, by their ids; a device that is bound to none is a unit of its own.

    ``next``: what to give as ``after`` for the following; null at the end.
    """

    units: list[UnitView]
    next: str | None = None


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
                name="list_units",
                summary="Units: what each is doing, and where it is.",
                params=(_Q, _STATE, _AFTER, _LIMIT),
                answer=UnitList,
            ),
            Route(
                method="GET",
                path=path,
                handler=self.show,
                name="get_unit",
                summary="One unit: what it is doing, and where it is.",
                answer=UnitView,
            ),
            Route(
                method="PUT",
                path=path,
                handler=self.bind,
                name="bind_unit",
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
                name="unbind_unit",
                summary="The binding ends: the units that its devices are now, each its own.",
                role=Role.DISPATCHER,
                params=(_BY,),
                act="unit.unbind",
                answer=UnitList,
            ),
        ]

    async def overview(self, request: web.Request) -> web.Response:
        """All of them, or a page of those that were looked for."""
        sought, states = (_Q.read(request) or "").casefold(), _STATE.read(request)
        after, limit = _AFTER.read(request) or "", _LIMIT.read(request)
        found: list[UnitView] = []
        for at, view in enumerate(self._units.views()):
            if at % SLICE == SLICE - 1:
                await asyncio.sleep(0)
            if view["unit"] <= after or (states is not None and view["state"] not in states):
                continue
            if sought and not _is_sought(view, sought):
                continue
            if len(found) == limit:
                return await large_json_answer(UnitList(found, found[-1].unit))
            found.append(msgspec.convert(view, UnitView))
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
        devices = [device.id for device in self._view(unit).devices]
        await self._units.unbind(unit, by=_BY.read(request) or caller(request) or "core")
        views = [self._units.view(device) for device in devices]
        own = [msgspec.convert(view, UnitView) for view in views if view is not None]
        return json_answer(UnitList(own))

    def _view(self, unit: str) -> UnitView:
        view = self._units.view(unit)
        if view is None:
            raise Problem(404, f"there is no unit {unit}", unit=unit)
        return msgspec.convert(view, UnitView)


def _is_sought(view: dict[str, Any], sought: str) -> bool:
    ids = (view["unit"], *view["officers"], *(device["id"] for device in view["devices"]))
    return any(sought in each.casefold() for each in ids)
