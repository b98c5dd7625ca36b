"""A client of the gateway's API: typed answers, lists without pages, a stream that resumes.

with Client("http://127.0.0.1:8110", token) as client:
    for alarm in client.alarms(stage="stored"):
        client.accept(alarm.id, by="desk 3")
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import Any, TypeVar
from urllib.parse import quote

import msgspec

from fieldgate.client.connection import TIMEOUT_S, Connection, Query, Refused, Unreachable
from fieldgate.client.stream import ServerEvent, server_events
from gateway.api.acts import AuditPage
from gateway.api.alarms import AlarmPage, AlarmView
from gateway.api.commands import CommandPage, CommandView, GroupView
from gateway.api.devices import DeviceList, DeviceView
from gateway.api.events import EventPage
from gateway.api.live import SnapshotView
from gateway.api.map import NearestView
from gateway.api.pictures import PicturePage
from gateway.api.units import UnitList, UnitView
from gateway.audit import Entry
from gateway.looks import NearUnit
from gateway.picture_view import PictureEntry
from protocols.cloudevents import CloudEvent
from protocols.commands import OPEN

__all__ = ["Client", "Refused", "Unreachable"]

WAIT_S = 30
PAUSE_S = 1.0
"""Before a stream that broke off is asked for again."""

T = TypeVar("T")


class Client:
    """The gateway at an address, for the bearer of a token. ``with`` closes its connection."""

    def __init__(self, url: str, token: str, *, timeout_s: float = TIMEOUT_S) -> None:
        self.connection = Connection(url, token, timeout_s=timeout_s)

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.connection.close()

    # Alarms

    def alarms(self, **query: object) -> Iterator[AlarmView]:
        """Alarms, newest first; ``stage``, ``device``, ``kind`` as in the API."""
        for page in self._pages("/api/v1/alarms", AlarmPage, "before", query):
            yield from page.alarms

    def alarm(self, alarm: str) -> AlarmView:
        """One alarm."""
        return self.get(f"/api/v1/alarms/{_quoted(alarm)}", AlarmView)

    def accept(self, alarm: str, *, by: str | None = None, note: str | None = None) -> AlarmView:
        """Somebody has it. Again changes nothing, as for the two that follow."""
        return self._answer(alarm, "accept", by, note)

    def acknowledge(
        self, alarm: str, *, by: str | None = None, note: str | None = None
    ) -> AlarmView:
        """It was looked at."""
        return self._answer(alarm, "acknowledge", by, note)

    def close_alarm(
        self, alarm: str, *, by: str | None = None, note: str | None = None
    ) -> AlarmView:
        """It is over."""
        return self._answer(alarm, "close", by, note)

    # Devices, units

    def devices(self, **query: object) -> Iterator[DeviceView]:
        """Devices by their ids; ``q``, ``kind``, ``state`` as in the API."""
        for page in self._pages("/api/v1/devices", DeviceList, "after", {"limit": 1000, **query}):
            yield from page.devices

    def device(self, device: str) -> DeviceView:
        """One device."""
        return self.get(f"/api/v1/devices/{_quoted(device)}", DeviceView)

    def units(self, **query: object) -> Iterator[UnitView]:
        """Units by their ids: what each is doing, and where; ``q``, ``state`` as in the API."""
        for page in self._pages("/api/v1/units", UnitList, "after", {"limit": 1000, **query}):
            yield from page.units

    def nearest(self, lat: float, lon: float, *, limit: int = 5) -> list[NearUnit]:
        """The units that come to a place first by road."""
        query = {"lat": lat, "lon": lon, "limit": limit}
        return self.get("/api/v1/nearest", NearestView, query).units

    # Commands

    def send(
        self, device: str, act: str, *, by: str | None = None, key: str | None = None, **args: Any
    ) -> CommandView:
        """Order something of a device. Under the same ``key`` it is the same order."""
        return self.order({"act": act, "args": args, "by": by}, device, key=key)

    def order(
        self, order: Mapping[str, Any], device: str, *, key: str | None = None
    ) -> CommandView:
        """The same with all that an order may have: ``expires_s``, ``exp``, ``id``."""
        return self._post(f"/api/v1/devices/{_quoted(device)}/commands", CommandView, order, key)

    def send_to(
        self,
        target: dict[str, Any],
        act: str,
        *,
        by: str | None = None,
        key: str | None = None,
        **args: Any,
    ) -> GroupView:
        """The same of a unit, or of all in a grid or around a place."""
        return self.order_of_many({"to": target, "act": act, "args": args, "by": by}, key=key)

    def order_of_many(self, order: Mapping[str, Any], *, key: str | None = None) -> GroupView:
        """The same with all that an order may have; ``to``: of whom."""
        return self._post("/api/v1/commands", GroupView, order, key)

    def commands(self, **query: object) -> Iterator[CommandView]:
        """Commands, newest first; ``state``, ``device``, ``group`` as in the API."""
        for page in self._pages("/api/v1/commands", CommandPage, "before", query):
            yield from page.commands

    def command(self, command: str, *, beyond: int = 0, wait_s: int = 0) -> CommandView:
        """One command; waits until more than ``beyond`` entries are known of it."""
        query = {"beyond": beyond, "wait_s": wait_s}
        return self.get(f"/api/v1/commands/{_quoted(command)}", CommandView, query)

    def follow(self, command: CommandView) -> Iterator[CommandView]:
        """The command as it is, and as often as more is known, until it has ended."""
        yield command
        while command.state in OPEN:
            known = len(command.timeline)
            newer = self.command(command.id, beyond=known, wait_s=WAIT_S)
            if len(newer.timeline) > known:
                yield newer
            command = newer

    def cancel(self, command: str, *, by: str | None = None) -> CommandView:
        """Call it back."""
        path = f"/api/v1/commands/{_quoted(command)}/cancel"
        return self._post(path, CommandView, {"by": by})

    def cancel_group(self, group: str, *, by: str | None = None) -> GroupView:
        """Call back all that was ordered together."""
        return self._post(f"/api/v1/groups/{_quoted(group)}/cancel", GroupView, {"by": by})

    # Pictures

    def pictures(self, **query: object) -> Iterator[PictureEntry]:
        """Pictures as they were sent, newest first; ``device``, ``alarm`` as in the API."""
        for page in self._pages("/api/v1/media", PicturePage, "before", query):
            yield from page.media

    def picture(self, picture: str) -> bytes:
        """A picture's bytes."""
        path = f"/api/v1/media/{_quoted(picture)}"
        return self.connection.ask("GET", path, accept="*/*").body

    def snapshot(self, device: str, *, by: str | None = None) -> SnapshotView:
        """What is known of a picture that is taken now; `picture` has its bytes."""
        path = f"/api/v1/devices/{_quoted(device)}/snapshot"
        answer = self.connection.ask("POST", path, {"by": by})
        return msgspec.json.decode(answer.body, type=SnapshotView)

    # What happened

    def events(self, after: int = 0, *, types: str | None = None) -> Iterator[CloudEvent]:
        """All events beyond a cursor up to now."""
        while True:
            query = {"after": after, "types": types, "limit": 1000}
            page = self.get("/api/v1/events", EventPage, query)
            yield from page.events
            if not page.events:
                return
            after = page.next

    def stream(self, *, after: int | None = None, types: str | None = None) -> Iterator[CloudEvent]:
        """Events as they are committed, for ever; after a break it goes on where it was."""
        last_id = "" if after is None else str(after)
        while True:
            try:
                for event in self._stream(last_id, types):
                    last_id = event.id
                    yield msgspec.json.decode(event.data, type=CloudEvent)
            except Unreachable:
                pass
            time.sleep(PAUSE_S)

    def audit(self, **query: object) -> Iterator[Entry]:
        """Who did what, newest first; ``who``, ``act``, ``target`` as in the API."""
        for page in self._pages("/api/v1/audit", AuditPage, "before", query):
            yield from page.audit

    def _stream(self, last_id: str, types: str | None) -> Iterator[ServerEvent]:
        path = "/api/v1/events/stream"
        return server_events(self.connection.lines(path, {"types": types}, last_id=last_id))

    def _answer(self, alarm: str, act: str, by: str | None, note: str | None) -> AlarmView:
        path = f"/api/v1/alarms/{_quoted(alarm)}/{act}"
        return self._post(path, AlarmView, {"by": by, "note": note})

    def get(self, path: str, kind: type[T], query: Query | None = None) -> T:
        """What a path answers: one page of a list, say, as it stands."""
        return msgspec.json.decode(self.connection.ask("GET", path, query).body, type=kind)

    def _post(self, path: str, kind: type[T], body: object, key: str | None = None) -> T:
        answer = self.connection.ask("POST", path, body=body, key=key)
        return msgspec.json.decode(answer.body, type=kind)

    def _pages(self, path: str, kind: type[T], cursor: str, query: Query) -> Iterator[T]:
        """Page after page; every list has ``next``, which is null at the end."""
        while True:
            page: Any = self.get(path, kind, query)
            yield page
            if page.next is None:
                return
            query = {**query, cursor: page.next}


def _quoted(text: str) -> str:
    return quote(text, safe="")
