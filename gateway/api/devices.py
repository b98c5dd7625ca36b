"""Devices over HTTP: which there are, what is known of each now, where each has been."""

from __future__ import annotations

import asyncio
from typing import Any, Literal, TypeAlias, get_args

import msgspec
from aiohttp import web
from msgspec import Struct

from gateway.api import params
from gateway.api.parts import Ledger, Twins
from gateway.api.problems import Problem
from gateway.api.routes import Route, large_json_answer
from gateway.api.track import FORMATS
from gateway.journal.base import Reader
from gateway.registry import Device, Registry
from protocols.model import DeviceKind, DutyReport, Fix, Presence, Status

DeviceState: TypeAlias = Literal["online", "stale", "offline", "revoked", "unregistered"]
STATES: tuple[DeviceState, ...] = get_args(DeviceState)
BREATH = 200
"""After so many the loop is let go: alarms come first."""

_Q = params.text("q", "Its id, name or site has this in it, in any case of letters.", longest=64)
_KIND = params.any_of("kind", "Of this kind; any if not given.", get_args(DeviceKind))
_STATE = params.any_of("state", "In this state; in any if not given.", STATES)
_AFTER = params.after("devices")
_LIMIT = params.all_or("devices")
_FROM = params.moment("from", "Fixes at or after this time.", default=params.EARLIEST_MS)
_TO = params.moment("to", "Fixes before this time.", default=params.LATEST_MS)
_FORMAT = params.one_of("format", "How the track is written.", tuple(FORMATS))

SLICE_FIXES = 200
"""So many are written at a time: a few milliseconds of a thread."""


class PositionNow(Fix, frozen=True, kw_only=True, omit_defaults=True):
    """The newest position, as it was sent, and when it came (ms, the gateway's clock)."""

    received: int


class StatusNow(Status, frozen=True, kw_only=True, omit_defaults=True):
    """The newest word on its health, as it was sent, and when it came."""

    received: int


class DutyNow(DutyReport, frozen=True, kw_only=True, omit_defaults=True):
    """The newest duty key, as it was sent, and when it came."""

    received: int


class Now(Struct, frozen=True, kw_only=True):
    """What a device has last said."""

    state: DeviceState
    position: PositionNow | None
    status: StatusNow | None
    duty: DutyNow | None
    presence: Presence | None
    clock_offset_ms: int | None
    last_received: int


class DeviceView(Struct, frozen=True, kw_only=True):
    """A device as registered (``lat``, ``lon``: a fixed box's place), and as it is now.

    From ``position`` on null until it has reported. ``missing``: messages that it has numbered
    and that have not come. Times in ms.
    """

    id: str
    registered: bool
    kind: DeviceKind | None = None
    name: str = ""
    lat: float | None = None
    lon: float | None = None
    site: str = ""
    added_ms: int | None = None
    revoked: bool = False
    state: DeviceState = "offline"
    position: PositionNow | None = None
    status: StatusNow | None = None
    duty: DutyNow | None = None
    presence: Presence | None = None
    clock_offset_ms: int | None = None
    last_received: int | None = None
    missing: int | None = None

    @classmethod
    def of(
        cls,
        device: str,
        known: Device | None,
        twin: dict[str, Any] | None,
        sent: dict[str, Any] | None = None,
    ) -> DeviceView:
        """The view of a device that is registered, has reported, or both."""
        now = {} if twin is None else msgspec.structs.asdict(msgspec.convert(twin, Now))
        if sent is not None:
            now["missing"] = sum(lane["missing"] for lane in sent.get("lanes", ()))
        if known is None:
            return cls(id=device, registered=False, **now)
        fields = {name: getattr(known, name) for name in Device.__struct_fields__}
        return cls(registered=True, **{**now, **fields})


class DeviceCounts(Struct, frozen=True, kw_only=True):
    """How many are in each state."""

    online: int
    stale: int
    offline: int
    revoked: int
    unregistered: int


class DeviceList(Struct, frozen=True):
    """Devices, by their ids; those that have reported without being registered too.

    ``next``: what to give as ``after`` for the following; null at the end. ``counts``: how many
    there are in each state, on all pages; one that is revoked or unregistered is in no other.
    """

    devices: list[DeviceView]
    next: str | None
    counts: DeviceCounts


class DeviceRoutes:
    """Reading devices."""

    def __init__(self, registry: Registry, twins: Twins, reader: Reader, ledger: Ledger) -> None:
        self._registry = registry
        self._twins = twins
        self._reader = reader
        self._ledger = ledger

    def routes(self) -> list[Route]:
        """The table."""
        return [
            Route(
                method="GET",
                path="/api/v1/devices",
                handler=self.overview,
                name="list_devices",
                summary="Devices, as registered and as they are now.",
                params=(_Q, _KIND, _STATE, _AFTER, _LIMIT),
                answer=DeviceList,
            ),
            Route(
                method="GET",
                path="/api/v1/devices/{id}",
                handler=self.show,
                name="get_device",
                summary="One device, as registered and as it is now.",
                answer=DeviceView,
            ),
            Route(
                method="GET",
                path="/api/v1/devices/{id}/track",
                handler=self.track,
                name="get_device_track",
                summary="Where the device has been: every fix stored, by the device's times.",
                params=(_FROM, _TO, _FORMAT),
                media=tuple(written.content_type for written in FORMATS.values()),
            ),
        ]

    async def overview(self, request: web.Request) -> web.Response:
        """All of them, or a page of those that were looked for."""
        sought, kind, state = _Q.read(request), _KIND.read(request), _STATE.read(request)
        after, limit = _AFTER.read(request) or "", _LIMIT.read(request)
        twins = {twin["device"]: twin for twin in self._twins.views()}
        known = {device.id: device for device in self._registry.devices()}
        counts = dict.fromkeys(STATES, 0)
        found: list[str] = []
        for device in sorted(known.keys() | twins.keys()):
            about, twin = known.get(device), twins.get(device)
            if not _is_sought(device, about, sought, kind):
                continue
            its_state = _state(about, twin)
            counts[its_state] += 1
            if state in (None, its_state) and device > after and len(found) <= limit:
                found.append(device)
        views: list[DeviceView] = []
        for at, device in enumerate(found[:limit]):
            if at % BREATH == BREATH - 1:
                await asyncio.sleep(0)
            sent = self._ledger.view(device)
            views.append(DeviceView.of(device, known.get(device), twins.get(device), sent))
        following = found[limit - 1] if len(found) > limit else None
        return await large_json_answer(DeviceList(views, following, DeviceCounts(**counts)))

    async def show(self, request: web.Request) -> web.Response:
        """One of them."""
        return await large_json_answer(self._device(request))

    async def track(self, request: web.Request) -> web.StreamResponse:
        """Its fixes in the format asked for, sent as they are found."""
        device = self._device(request).id
        since_ms, until_ms = _FROM.read(request), _TO.read(request)
        written = FORMATS[_FORMAT.read(request)]
        parts = self._reader.track_parts(device, since_ms, until_ms)
        part = await anext(parts, None)  # what fails up to here has an answer that says so
        response = web.StreamResponse()
        response.content_type, response.charset = written.content_type, "utf-8"
        await response.prepare(request)
        await response.write(written.before(device).encode())
        lead = b""
        while part is not None:
            for at in range(0, len(part), SLICE_FIXES):
                fixes = part[at : at + SLICE_FIXES]
                await response.write(lead + await asyncio.to_thread(written.part, device, fixes))
                lead = written.between
            part = await anext(parts, None)
        await response.write(written.after)
        await response.write_eof()
        return response

    def _device(self, request: web.Request) -> DeviceView:
        device = request.match_info["id"]
        known, twin = self._registry.get(device), self._twins.view(device)
        if known is None and twin is None:
            raise Problem(404, f"there is no device {device}", device=device)
        return DeviceView.of(device, known, twin, self._ledger.view(device))


def _is_sought(device: str, known: Device | None, sought: str | None, kind: str | None) -> bool:
    if kind is not None and (known is None or known.kind != kind):
        return False
    texts = (device,) if known is None else (device, known.name, known.site)
    return not sought or any(sought.casefold() in text.casefold() for text in texts)


def _state(known: Device | None, twin: dict[str, Any] | None) -> DeviceState:
    if known is None:
        return "unregistered"
    if known.revoked:
        return "revoked"
    state: DeviceState = (twin or {}).get("state", "offline")
    return state
