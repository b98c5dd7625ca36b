"""A device's configuration over HTTP: what is desired, beside what it reports to be in force."""

from __future__ import annotations

from typing import Annotated, Any

from aiohttp import web
from msgspec import Meta, Struct

from gateway.api.body import body_of
from gateway.api.parts import Configurations, Twins
from gateway.api.problems import Problem
from gateway.api.routes import Route, caller, json_answer
from gateway.registry import Registry, Role
from protocols.model import Name

_SETTINGS = {"additionalProperties": {"type": ["boolean", "number", "string"]}}


class ConfigBody(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All settings that are desired: what is left out is not sent."""

    settings: Annotated[dict[str, Any], Meta(extra_json_schema=_SETTINGS)]
    by: Name | None = None


class ConfigView(Struct, frozen=True, kw_only=True):
    """``version``, ``settings``, ``since`` (ms), ``by``: desired, null if nothing was.

    ``in_force``: the version that the device last reported, at ``reported`` (ms).
    """

    device: str
    version: int | None
    settings: dict[str, Any]
    since: int | None
    by: str | None
    in_force: int | str | None
    reported: int | None


class ConfigRoutes:
    """Reading and changing it."""

    def __init__(self, registry: Registry, twins: Twins, configurations: Configurations) -> None:
        self._registry = registry
        self._twins = twins
        self._configurations = configurations

    def routes(self) -> list[Route]:
        """The table."""
        path = "/api/v1/devices/{id}/config"
        return [
            Route(
                method="GET",
                path=path,
                handler=self.show,
                name="get_device_config",
                summary="What is desired of the device, and what it reports to be in force.",
                answer=ConfigView,
            ),
            Route(
                method="PUT",
                path=path,
                handler=self.change,
                name="set_device_config",
                summary="Desire these settings, under a new version. Again changes nothing.",
                role=Role.ADMIN,
                body=ConfigBody,
                act="config.change",
                example={"settings": {"interval_s": 5}, "by": "desk 3"},
                answer=ConfigView,
            ),
        ]

    async def show(self, request: web.Request) -> web.Response:
        """As it is."""
        return json_answer(self._view(self._device(request)))

    async def change(self, request: web.Request) -> web.Response:
        """As it shall be."""
        device, body = self._device(request), await body_of(request, ConfigBody)
        self._configurations.put(device, body.settings, by=body.by or caller(request))
        return json_answer(self._view(device))

    def _device(self, request: web.Request) -> str:
        device = request.match_info["id"]
        known = self._registry.get(device)
        if known is None or known.revoked:
            raise Problem(404, f"device {device} is not registered", device=device)
        return device

    def _view(self, device: str) -> ConfigView:
        desired = self._configurations.desired(device)
        status = (self._twins.view(device) or {}).get("status") or {}
        return ConfigView(
            device=device,
            version=desired.version if desired else None,
            settings=desired.settings if desired else {},
            since=desired.since_ms if desired else None,
            by=desired.by if desired else None,
            in_force=status.get("cfg"),
            reported=status.get("received"),
        )
