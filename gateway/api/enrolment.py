"""Who may report, over HTTP: devices are registered, and revoked."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import quote

from aiohttp import web
from msgspec import Meta, Struct, structs

from gateway.api.body import body_of
from gateway.api.parts import Enrolment
from gateway.api.problems import Problem
from gateway.api.routes import Route, json_answer
from gateway.enrolment import Credentials
from gateway.registry import Device, DeviceExists, Role, UnknownDevice
from protocols.errors import FieldInvalid
from protocols.model import DeviceId, DeviceKind

ShortText = Annotated[str, Meta(max_length=200)]


class NewDevice(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A device to register. ``lat``, ``lon``: where a fixed box stands (deg, WGS-84)."""

    id: DeviceId
    kind: DeviceKind
    name: ShortText = ""
    lat: Annotated[float, Meta(ge=-90, le=90)] | None = None
    lon: Annotated[float, Meta(ge=-180, le=180)] | None = None
    site: ShortText = ""


class Revocation(Struct, frozen=True, forbid_unknown_fields=True):
    """Nothing needs to be said."""


class Revoked(Struct, frozen=True):
    """The device that may connect no more."""

    revoked: str


class EnrolmentRoutes:
    """Registering and revoking."""

    def __init__(self, enrolment: Enrolment) -> None:
        self._enrolment = enrolment

    def routes(self) -> list[Route]:
        """The table."""
        return [
            Route(
                method="POST",
                path="/api/v1/devices",
                handler=self.add,
                name="register_device",
                summary="Register a device, or one that was revoked anew: the answer has its"
                " password, which is told this once.",
                role=Role.ADMIN,
                body=NewDevice,
                act="device.add",
                is_secret=True,
                problems=(409,),
                example={"id": "box-001", "kind": "alarm_box", "lat": 24.5, "lon": 117.6},
                answer=Credentials,
                status=201,
            ),
            Route(
                method="POST",
                path="/api/v1/devices/{id}/revoke",
                handler=self.revoke,
                name="revoke_device",
                summary="Let a device connect no more; its connection ends now, what it has"
                " reported stays. Again changes nothing.",
                role=Role.ADMIN,
                body=Revocation,
                act="device.revoke",
                answer=Revoked,
            ),
        ]

    async def add(self, request: web.Request) -> web.Response:
        """Register it."""
        body = await body_of(request, NewDevice)
        if (body.lat is None) != (body.lon is None):
            raise FieldInvalid("lat, lon", "both or neither must be given")
        try:
            known = await self._enrolment.add(Device(**structs.asdict(body)))
        except DeviceExists as error:
            raise Problem(409, str(error), device=error.device) from error
        where = {"Location": f"/api/v1/devices/{quote(body.id)}", "Cache-Control": "no-store"}
        return json_answer(known, status=201, headers=where)

    async def revoke(self, request: web.Request) -> web.Response:
        """Revoke it."""
        await body_of(request, Revocation)
        device = request.match_info["id"]
        try:
            await self._enrolment.revoke(device)
        except UnknownDevice as error:
            raise Problem(404, str(error), device=device) from error
        return json_answer(Revoked(device))
