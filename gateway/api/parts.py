"""What the API needs of the rest of the gateway."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from pathlib import Path
from typing import Any, Protocol

from aiohttp import web

from gateway.asked import Frame, NoPicture, Snapshot
from gateway.enrolment import Credentials
from gateway.journal.base import AlarmRecord, CommandRecord, EventType
from gateway.looks import Drawn, NearUnit
from gateway.map_views import MapAbout, Update
from gateway.order import Addressed, Order, Target
from gateway.picture_view import PictureAbout, PictureEntry
from gateway.pictures import Hold, Original, Query, Scope
from gateway.registry import Configuration, Device
from gateway.reports.figures import Report
from protocols.cloudevents import CloudEvent
from protocols.commands import Checklist
from protocols.model import Stage


class Live(Protocol):
    """Committed events, for readers with cursors of their own."""

    async def page(
        self, after: int, limit: int, types: frozenset[EventType]
    ) -> tuple[list[CloudEvent], int]:
        """Events beyond the cursor, and the cursor to go on from."""

    async def page_json(
        self, after: int, limit: int, types: frozenset[EventType]
    ) -> tuple[list[bytes], int]:
        """The same as JSON, in pieces to be joined by commas."""

    async def stream(
        self,
        request: web.Request,
        after: int | None,
        types: frozenset[EventType],
        *,
        still: Callable[[], bool],
    ) -> web.StreamResponse:
        """Server-sent events beyond the cursor, or from now on, while who listens still may."""

    @property
    def last_cursor(self) -> int:
        """The cursor of the newest event."""

    async def beyond(self, after: int, types: frozenset[EventType]) -> tuple[list[CloudEvent], int]:
        """Events beyond the cursor, as soon as there are any."""

    async def close(self) -> None:
        """End all streams."""


class Alarms(Protocol):
    """The life cycle of alarms."""

    async def advance(
        self, alarm_id: str, stage: Stage, *, by: str | None, note: str | None
    ) -> AlarmRecord:
        """Bring an alarm at least that far; what is known of it then."""


class Commands(Protocol):
    """The life cycle of commands."""

    @property
    def checklists(self) -> Mapping[str, Checklist]:
        """By kind of incident."""

    async def send(
        self,
        device: str,
        act: str,
        args: Mapping[str, Any],
        *,
        by: str | None,
        exp_ms: int | None,
        expires_s: float | None,
        command_id: str | None,
    ) -> CommandRecord:
        """Order something of a device; or CommandExists, TooManyWaiting."""

    async def send_to_all(
        self,
        target: Mapping[str, Any],
        order: Order,
        *,
        addressed: Callable[[], Addressed],
        group: str | None,
    ) -> list[CommandRecord]:
        """The same of many, a command to each."""

    async def cancel(self, command_id: str, *, by: str | None) -> CommandRecord:
        """Call it back; or UnknownCommand, Ended."""

    def watch(self, command_id: str) -> AbstractAsyncContextManager[asyncio.Queue[CommandRecord]]:
        """A queue of what becomes of it."""


class Configurations(Protocol):
    """What devices shall be configured as."""

    def put(self, device: str, settings: dict[str, Any], *, by: str | None) -> Configuration:
        """Desire these settings; or FieldInvalid."""

    def desired(self, device: str) -> Configuration | None:
        """What was last desired."""


class Enrolment(Protocol):
    """Who may report."""

    async def add(self, device: Device) -> Credentials:
        """Register a device; or FieldInvalid, DeviceExists."""

    async def revoke(self, device: str) -> None:
        """It may connect no more; or UnknownDevice."""


class Targets(Protocol):
    """Who an order is for."""

    def addressed(self, target: Target) -> Addressed:
        """A target's devices, and who was left out."""


class Twins(Protocol):
    """What is known of each device now."""

    def view(self, device: str) -> dict[str, Any] | None:
        """One device that has reported."""

    def views(self) -> Iterator[dict[str, Any]]:
        """All devices that have reported."""


class Units(Protocol):
    """Which devices and officers form units, and what each is doing."""

    def view(self, unit_id: str) -> dict[str, Any] | None:
        """One unit."""

    def views(self) -> Iterator[dict[str, Any]]:
        """All units."""

    async def bind(
        self, unit_id: str, devices: Sequence[str], officers: Sequence[str], by: str
    ) -> None:
        """Form a unit; raise FieldInvalid."""

    async def unbind(self, unit_id: str, by: str) -> None:
        """Each of its devices is a unit of its own again."""


class Outlook(Protocol):
    """Who reaches what."""

    @property
    def folder(self) -> Path:
        """Where the base map lies, if one was built."""

    def reach(self) -> Drawn:
        """The newest look; raise NoGraph."""

    async def reach_of(self, unit: str) -> Drawn | None:
        """What one unit reaches; None if it has no position. Raise NoGraph, Overloaded."""

    async def nearest(self, lat: float, lon: float, limit: int) -> list[NearUnit]:
        """The units that come to a place first; raise Overloaded."""


class MapPage(Protocol):
    """A page that shows the map."""

    async def next(self) -> Update | None:
        """What has changed since the last one, as soon as there is an update; None: it is over."""


class MapStream(Protocol):
    """What moves on the map."""

    @property
    def about(self) -> MapAbout:
        """What a page needs to draw it."""

    def hello(self, cursor: int) -> dict[str, Any]:
        """The first words to a page."""

    def watch(self) -> AbstractContextManager[MapPage]:
        """A page comes, and goes; raise TooManyPages."""

    async def close(self) -> None:
        """Let all pages go."""


class Playback(Protocol):
    """The past."""

    def parts(self, since: int, until: int, step_ms: int) -> AsyncGenerator[bytes, None]:
        """What stood on the map from ``since`` to before ``until`` (ms); raise TooMuch."""


class Reports(Protocol):
    """What the journal shows of a time."""

    async def arrivals(self, since: int, until: int, grid: str | None) -> Report:
        """How soon units came to incidents that were ordered from ``since`` to ``until`` (ms)."""


class Ledger(Protocol):
    """What each device has sent, what is missing."""

    def view(self, device: str) -> dict[str, Any] | None:
        """One device that has sent anything."""

    def views(self) -> Iterator[dict[str, Any]]:
        """All devices that have sent anything."""

    def totals(self) -> dict[str, int]:
        """The sums over all devices."""


class Gallery(Protocol):
    """Pictures. Each raises as PictureUnknown and the others beside it say."""

    async def page(self, query: Query, before: int, limit: int) -> list[PictureEntry]:
        """Sendings, newest first, below a number."""

    async def about(self, picture: str) -> PictureAbout:
        """All that is known of a picture."""

    async def original(self, picture: str) -> Original:
        """A picture that is whole and kept."""

    async def read(self, original: Original) -> bytes:
        """Its bytes, which have its hash."""

    async def thumbnail(self, picture: str) -> bytes:
        """A small JPEG of it."""


class Custody(Protocol):
    """What keeps pictures from being deleted."""

    async def hold(
        self, scope: Scope, identity: str, *, by: str, note: str | None, media: Sequence[str] = ()
    ) -> None:
        """Nothing is deleted of a picture, or of an alarm, from now on."""

    async def holds(self) -> list[Hold]:
        """All that is held, the oldest first."""

    async def release(self, scope: str, identity: str, *, by: str, note: str | None) -> bool:
        """It may go in its time again; False if it was not held."""


class Snapshots(Protocol):
    """Pictures on demand."""

    async def take(self, device: str, *, by: str | None, timeout_ms: int) -> Snapshot:
        """A picture taken from now on; raise NoPicture."""


class Viewer(Protocol):
    """Somebody who watches. ``passed_over``: pictures that they were too slow for."""

    device: str
    passed_over: int

    @property
    def is_over(self) -> bool:
        """Whether no more is to be seen."""

    @property
    def left_s(self) -> float:
        """How long there is left to watch."""

    @property
    def failure(self) -> NoPicture | None:
        """Why the device has stopped, if it has."""

    def leave(self) -> None:
        """There is no more to be seen."""

    async def first(self) -> Frame:
        """The first picture; raise NoPicture."""

    async def next(self, timeout_s: float) -> Frame | None:
        """The newest that was not fetched yet; None if none comes in time, or any more."""


class LiveViews(Protocol):
    """Live pictures."""

    def watch(
        self, device: str, *, fps: float, seconds: float, by: str | None
    ) -> AbstractAsyncContextManager[Viewer]:
        """Watch a device; raise NoPicture."""

    async def close(self) -> None:
        """Let everybody go."""
