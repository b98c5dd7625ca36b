"""Events to journal, and a gateway's outward side around a real journal."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
from prometheus_client import CollectorRegistry, Counter

from gateway import checklists
from gateway.answered import AnsweredStore
from gateway.api.app import Server, make_app
from gateway.api.health import Condition
from gateway.audit import AuditLog
from gateway.commands import Commands
from gateway.config import Settings
from gateway.configuration import Configurations
from gateway.custody import Custody
from gateway.directory import Directory
from gateway.enrolment import Enrolment
from gateway.explanation import explain
from gateway.feeds.stream import LiveFeed
from gateway.gallery import Gallery
from gateway.grids import Grid
from gateway.journal.base import (
    AlarmRecord,
    Block,
    Change,
    Event,
    EventType,
    StageChange,
    Telemetry,
)
from gateway.journal.sqlite import SqliteJournal
from gateway.live import LiveViews
from gateway.map_stream import MapStream
from gateway.outlook import Outlook
from gateway.playback import Playback
from gateway.receipts import Down
from gateway.registry import Registry, Role
from gateway.reports.gathering import ArrivalReports
from gateway.shots import Shots
from gateway.snapshot import Ordered, Snapshots
from gateway.targets import Targets
from gateway.twins import Twins
from gateway.unit import UnitRecord
from gateway.units import Units
from gateway.whereabouts import Sight
from protocols.duty import UnitState
from protocols.model import Fix, Stage

NOW_MS = 1_795_318_000_000


def alarm_event(seq: int, device: str = "box-1", **data: Any) -> Event:
    return Event(
        type=EventType.ALARM_RAISED,
        id=f"{device}:1:p:{seq}",
        device=device,
        t=NOW_MS + seq,
        received=NOW_MS + seq + 20,
        clock_offset_ms=20,
        data={"boot": 1, "seq": seq, "t": NOW_MS + seq, "kind": "panic", **data},
    )


def alarm_change(seq: int, device: str = "box-1", **data: Any) -> Change:
    event = alarm_event(seq, device, **data)
    record = AlarmRecord(
        id=event.id,
        device=device,
        boot=1,
        seq=seq,
        kind="panic",
        t=event.t,
        received=event.received,
        stages=(StageChange(stage=Stage.STORED, t=event.received),),
        data=event.data,
    )
    return Change(events=[event], alarms=[record])


def fixes(device: str, *values: Fix) -> Block:
    return Block([Telemetry(device, NOW_MS, None, (), value) for value in values])


def fix(seq: int, **keys: Any) -> Fix:
    sent = {"t": NOW_MS + 1000 * seq, "lat": 24.5, "lon": 117.6, "fix": 3} | keys
    return Fix(boot=1, seq=seq, **sent)


class Alarms:
    """Stands in for the life cycle: brings the record forward and journals it."""

    def __init__(self, journal: SqliteJournal) -> None:
        self._journal = journal
        self.asked: list[tuple[str, Stage, str | None, str | None]] = []

    async def advance(
        self, alarm_id: str, stage: Stage, *, by: str | None, note: str | None
    ) -> AlarmRecord:
        self.asked.append((alarm_id, stage, by, note))
        record = await self._journal.alarm(alarm_id)
        assert record is not None
        change = StageChange(stage=stage, t=NOW_MS, by=by, note=note)
        record = msgspec.structs.replace(record, stages=(*record.stages, change))
        await self._journal.commit(Change(alarms=[record]))
        return record


class Views:
    """Stands in for twins and for the ledger."""

    def __init__(self, views: list[dict[str, Any]]) -> None:
        self._views = views

    def view(self, device: str) -> dict[str, Any] | None:
        return next((view for view in self._views if view["device"] == device), None)

    def views(self) -> Iterator[dict[str, Any]]:
        return iter(self._views)

    def totals(self) -> dict[str, int]:
        lanes = [lane for view in self._views for lane in view["lanes"]]
        sums = {name: sum(view[name] for view in self._views) for name in COUNTS}
        held = sum(lane["highest"] - lane["missing"] for lane in lanes)
        missing = sum(lane["missing"] for lane in lanes)
        return {"held": held, "missing": missing, "missing_today": missing, **sums}


class Crews:
    """Stands in for units that are somewhere: as many as are put there."""

    def __init__(self) -> None:
        self.at: dict[str, tuple[UnitRecord, Sight]] = {}

    def put(
        self, unit: str, lat: float, lon: float, state: UnitState | None, *, age_ms: int = 0
    ) -> None:
        sight = Sight(unit, self.kind_of(unit), lat, lon, NOW_MS - age_ms)
        self.at[unit] = UnitRecord(id=unit, devices=(unit,), state=state), sight

    def places(self) -> Iterator[tuple[UnitRecord, Sight]]:
        return iter(self.at.values())

    def kind_of(self, device: str) -> str | None:
        return "body_camera" if device.startswith("officer") else "vehicle_terminal"


class Outward(msgspec.Struct):
    """A running server, its parts, and a client for each role."""

    journal: SqliteJournal
    registry: Registry
    alarms: Alarms
    commands: Commands
    twins: Twins
    units: Units
    sent: list[Down]
    url: str
    wrong: list[str]
    tokens: dict[Role, str]
    session: aiohttp.ClientSession
    shots: Shots
    live: LiveViews
    crews: Crews
    outlook: Outlook
    map_stream: MapStream
    playback: Playback
    open_alarms: list[AlarmRecord]

    def request(
        self, method: str, path: str, *, role: Role | None = Role.VIEWER, **options: Any
    ) -> contextlib.AbstractAsyncContextManager[aiohttp.ClientResponse]:
        headers = dict(options.pop("headers", {}))
        if isinstance(options.get("data"), bytes):
            headers.setdefault("Content-Type", "application/json")
        if role is not None:
            headers["Authorization"] = f"Bearer {self.tokens[role]}"
        return self.session.request(method, self.url + path, headers=headers, **options)

    async def get(self, path: str, **options: Any) -> Any:
        async with self.request("GET", path, **options) as response:
            assert response.status == 200, await response.text()
            return await response.json(content_type=None)


TWINS: list[dict[str, Any]] = [
    {
        "device": "box-1",
        "state": "online",
        "position": {
            "boot": 1,
            "seq": 1,
            "t": NOW_MS,
            "lat": 24.5,
            "lon": 117.6,
            "fix": 3,
            "received": NOW_MS,
        },
        "status": None,
        "duty": None,
        "presence": {"online": True, "boot": 1},
        "clock_offset_ms": 20,
        "last_received": NOW_MS,
    },
    {
        "device": "stranger",
        "state": "stale",
        **dict.fromkeys(("position", "status", "duty", "presence", "clock_offset_ms")),
        "last_received": NOW_MS,
    },
]
COUNTS = ("duplicates", "conflicts", "refused", "given_up")
LEDGER: list[dict[str, Any]] = [
    {
        "device": device,
        **dict.fromkeys(COUNTS, 0),
        "lanes": [
            {
                "boot": 1,
                "lane": "p",
                "held_to": 2,
                "highest": 4,
                "missing": len(gaps),
                "missing_today": len(gaps),
                "ranges": gaps,
                "given_up": 0,
            },
        ],
    }
    for device, gaps in (("box-1", [[3, 3]]), ("car-1", []))
]
GRIDS = [Grid(name="North", polygon=((24.5, 117.6), (24.5, 117.7), (24.6, 117.7), (24.6, 117.6)))]


@contextlib.asynccontextmanager
async def outward(folder: Path) -> AsyncIterator[Outward]:
    metrics = CollectorRegistry()
    Counter("fieldgate_alarms", "Alarms raised", registry=metrics).inc()
    wrong: list[str] = []
    with Registry(folder) as registry, contextlib.ExitStack() as stack:
        async with SqliteJournal(folder) as journal:
            alarms = Alarms(journal)
            sent: list[Down] = []

            def publish(down: Down) -> bool:
                sent.append(down)
                return True

            twins = Twins(now_ms=lambda: NOW_MS, stale_after_s=60)
            units = Units(
                journal, twins=twins, registered=Directory(registry), now_ms=lambda: NOW_MS
            )
            commands = Commands(
                journal,
                prefix="field",
                twins=twins,
                publish=publish,
                now_ms=lambda: NOW_MS,
                now_s=lambda: 0.0,
                checklists=checklists.load(None),
            )
            configurations = Configurations(registry, prefix="field", twins=twins, publish=publish)
            ordered = Ordered(
                commands,
                Shots(now_ms=lambda: NOW_MS),
                twins,
                journal.shelf.sendings,
                lambda: NOW_MS,
            )
            live = LiveViews(ordered, now_s=time.monotonic)
            crews = Crews()
            outlook = Outlook(folder / "map", [], crews, now_ms=lambda: NOW_MS)
            open_alarms: list[AlarmRecord] = []
            map_stream = MapStream(
                Settings(grids=GRIDS),
                registry,
                units,
                twins,
                lambda: open_alarms,
                now_ms=lambda: NOW_MS,
            )
            playback = Playback(journal, registry.devices, stale_after_s=60)
            custody = Custody(shelf=journal.shelf, journal=journal, now_ms=lambda: NOW_MS)
            app = make_app(
                registry=registry,
                audit=AuditLog(folder),
                answered=AnsweredStore(folder, now_ms=lambda: NOW_MS),
                reader=journal,
                live=LiveFeed(journal),
                alarms=alarms,
                commands=commands,
                configurations=configurations,
                enrolment=Enrolment(folder),
                targets=Targets(
                    devices=registry.devices,
                    units=units,
                    grids=GRIDS,
                    now_ms=lambda: NOW_MS,
                ),
                twins=Views(TWINS),
                units=units,
                outlook=outlook,
                map_stream=map_stream,
                playback=playback,
                reports=ArrivalReports(journal, Settings(timezone="Asia/Shanghai")),
                ledger=Views(LEDGER),
                snapshots=Snapshots(ordered),
                live_views=live,
                now_ms=lambda: NOW_MS,
                gallery=Gallery(shelf=journal.shelf, custody=custody, now_ms=lambda: NOW_MS),
                custody=custody,
                metrics=metrics,
                condition=lambda: Condition(wrong, ["a warning"], "ok"),
                explain=partial(explain, prefix="field"),
            )
            async with Server(app, "127.0.0.1", 0) as server, aiohttp.ClientSession() as session:
                tokens = {role: registry.add_token(role, f"{role} 1") for role in Role}
                watching = [
                    asyncio.create_task(live.run(), name="live pictures"),
                    asyncio.create_task(map_stream.run(), name="map"),
                ]
                stack.callback(outlook.close)
                yield Outward(
                    journal=journal,
                    registry=registry,
                    alarms=alarms,
                    commands=commands,
                    twins=twins,
                    units=units,
                    sent=sent,
                    url=server.url,
                    wrong=wrong,
                    tokens=tokens,
                    session=session,
                    shots=ordered.shots,
                    live=live,
                    crews=crews,
                    outlook=outlook,
                    map_stream=map_stream,
                    playback=playback,
                    open_alarms=open_alarms,
                )
                for task in watching:
                    task.cancel()
                await asyncio.wait(watching)
