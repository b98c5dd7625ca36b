"""A gateway from its start to its stop: who may name implementations, with gateway/house.py."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import sqlite3
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp
import msgspec
import structlog

from gateway.accounts import Brokers, brokers_of
from gateway.administrator import admin_token as admin_token  # noqa: PLC0414 - it is asked for here
from gateway.answered import AnsweredStore
from gateway.api.app import Server, make_app, make_unready_app
from gateway.api.health import Condition
from gateway.audit import AuditLog
from gateway.config import ConfigError, HostPort, Settings, host_port
from gateway.days import Days
from gateway.directory import Directory
from gateway.enrolment import Enrolment
from gateway.explanation import explain
from gateway.feeds.stream import LiveFeed
from gateway.health import Counts, Health
from gateway.hooks import webhook_lanes
from gateway.house import build, now_ms
from gateway.ingress.bulk import BulkClient
from gateway.ingress.mqtt import PriorityClient
from gateway.instructions import Instructions
from gateway.intake import priority_filters, telemetry_filters
from gateway.journal.base import Change, CommitFailed
from gateway.journal.sqlite import SqliteJournal
from gateway.map_stream import MapStream
from gateway.measures import measure
from gateway.metrics import Metrics
from gateway.outlook import Outlook
from gateway.playback import Playback
from gateway.receipts import Down
from gateway.registry import Registry
from gateway.reports.gathering import ArrivalReports
from gateway.reserve import Room
from gateway.service import Service
from gateway.shifts import zone_of
from gateway.targets import Targets
from gateway.watch import Watch
from protocols.model import Lane

log = structlog.get_logger()

RESTART_S = 1.0
START_COMMIT_S, LAST_COMMIT_S = 5.0, 5.0
PRIORITY_RECEIVE = 1000
TELEMETRY_RECEIVE = 10_000


class Ready(msgspec.Struct, frozen=True):
    """What ``fieldgate up`` prints, and ``DIR/gateway.json`` holds, once alarms are taken."""

    ready: bool
    mqtt: str
    http: str
    data: str
    pid: int


async def run(settings: Settings, on_ready: Callable[[Ready], None], stop: asyncio.Event) -> None:
    """Serve until ``stop`` is set. A journal that fails is closed, opened and read anew."""
    folder = settings.folder
    folder.mkdir(parents=True, exist_ok=True)
    http, was_ready, told = host_port("http", settings.http), asyncio.Event(), ""

    def now_ready(ready: Ready) -> None:
        nonlocal http, told
        told = ""
        http = HostPort(http.host, urlsplit(ready.http).port or http.port)  # the same next time
        if not was_ready.is_set():
            on_ready(ready)
            service.ready()
        was_ready.set()

    room = Room(folder, reserve_bytes=settings.reserve_mb * 1024 * 1024)
    room.look()  # on a full disk the reserve is what the start is made with
    with _alone(folder), Registry(folder) as registry, Service() as service:
        async with brokers_of(settings, registry) as brokers:
            while not stop.is_set():
                try:
                    await _serve(
                        settings,
                        registry,
                        brokers,
                        room,
                        service,
                        http=http,
                        on_ready=now_ready,
                        stop=stop,
                    )
                except* (CommitFailed, sqlite3.Error, OSError) as failures:
                    if not was_ready.is_set():
                        raise
                    why = str(_first(failures)) or type(_first(failures)).__name__
                    if why != told:  # once, however often it is opened in vain
                        log.error("journal_failed", error=why)
                    told = why
                    await _until_writable(why, room, service, http, stop)


def _first(failures: BaseExceptionGroup[BaseException]) -> BaseException:
    """The first of the errors in a group of groups."""
    first = failures.exceptions[0]
    return _first(first) if isinstance(first, BaseExceptionGroup) else first


async def _until_writable(
    why: str, room: Room, service: Service, http: HostPort, stop: asyncio.Event
) -> None:
    """Answer that we are not ready, and why, until the disk takes a write."""
    wrong = [f"the journal has failed: {why}"]

    def condition() -> Condition:
        return Condition(wrong, [], room.state.name.lower())

    async with Server(make_unready_app(condition), *http):
        while not stop.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), RESTART_S)
            with contextlib.suppress(OSError):
                await asyncio.to_thread(room.look)
            problem = await asyncio.to_thread(room.probe)
            if problem is None:
                return
            wrong[1:] = [problem]
            service.status(f"not ready: {problem}")
            service.alive()  # a restart would not make it writable


async def _serve(
    settings: Settings,
    registry: Registry,
    brokers: Brokers,
    room: Room,
    service: Service,
    *,
    http: HostPort,
    on_ready: Callable[[Ready], None],
    stop: asyncio.Event,
) -> None:
    """Open the journal and serve, once; CommitFailed in a group when the journal fails."""
    prefix, metrics, directory = settings.prefix, Metrics(), Directory(registry)
    upper = PriorityClient(
        brokers.priority, priority_filters(prefix), receive_maximum=PRIORITY_RECEIVE
    )
    lower = BulkClient(
        brokers.telemetry, telemetry_filters(prefix), receive_maximum=TELEMETRY_RECEIVE
    )

    def publish(down: Down) -> bool:
        topic, payload, expiry_s, lane, is_retained = down
        if lane is Lane.TELEMETRY and expiry_s is not None:
            return lower.publish(topic, payload, expiry_s=expiry_s)
        return upper.publish(topic, payload, expiry_s=expiry_s, is_retained=is_retained)

    async with (
        SqliteJournal(
            settings.folder / "journal",
            now_ms=now_ms,
            make_room=room.release,
            on_commit=metrics.committed,
        ) as journal,
        aiohttp.ClientSession() as session,
    ):
        house = build(settings, journal, registry, directory, metrics, publish=publish, room=room)
        feeds = [
            feed
            for hook in settings.webhooks
            for feed in webhook_lanes(hook, journal, session, metrics.delivered)
        ]
        await house.checkpoints.restore()
        async with asyncio.timeout(START_COMMIT_S):
            await journal.commit(Change())  # commits go through, or nobody is let in
        await house.checkpoints.keep()
        for feed in feeds:
            await feed.begin()
        open_alarms = journal.open_alarms()
        house.alarms.restore(open_alarms)
        house.units.restore(journal.units())
        house.priority.restore(open_alarms)
        house.commands.restore(journal.waiting_commands())
        house.configurations.restore()

        health = Health(
            journal=journal,
            has_failed=journal.failed.is_set,
            clients={"priority": upper, "telemetry": lower},
            feeds=feeds,
            room=room,
            damage=lambda: [*journal.damage_told(), *house.darkroom.warnings()],
            on_lag=metrics.loop_lag_s.observe,
            on_alive=service.alive,
            on_status=service.status,
        )
        outlook = Outlook(settings.folder / "map", settings.grids, house.units, now_ms=now_ms)
        seen = (registry, house.units, house.twins, house.alarms.open)
        map_stream = MapStream(settings, *seen, now_ms=now_ms)
        devices, messages = Counts(house.twins.counts), Counts(house.ledger.totals)
        measure(
            metrics,
            house,
            feeds=feeds,
            room=room,
            health=health,
            devices=devices,
            messages=messages,
            broker=brokers.private,
        )
        targets = Targets(
            devices=registry.devices, units=house.units, grids=settings.grids, now_ms=now_ms
        )
        app = make_app(
            registry=registry,
            audit=AuditLog(settings.folder),
            answered=AnsweredStore(settings.folder, now_ms=now_ms),
            reader=journal,
            live=LiveFeed(journal),
            alarms=house.alarms,
            commands=house.commands,
            configurations=house.configurations,
            enrolment=Enrolment(settings.folder),
            targets=targets,
            twins=house.twins,
            units=house.units,
            outlook=outlook,
            map_stream=map_stream,
            playback=Playback(journal, registry.devices, stale_after_s=settings.stale_after_s),
            reports=ArrivalReports(journal, settings),
            ledger=house.ledger,
            snapshots=house.snapshots,
            live_views=house.live,
            now_ms=now_ms,
            gallery=house.darkroom.gallery,
            custody=house.darkroom.custody,
            metrics=metrics.registry,
            condition=health.condition,
            explain=partial(explain, prefix=prefix),
        )
        for_ever = {
            "journal": _until_failed(journal),
            "priority client": upper.run(health.followed(house.intake.take)),
            "telemetry client": lower.run(house.telemetry.offer),
            "telemetry": house.telemetry.run(),
            "receipts": house.receipts.run(),
            "commands": house.commands.run(),
            "overdue": house.overdue.run(house.commands.overdue),
            "configurations": house.configurations.run(),
            "live pictures": house.live.run(),
            "pictures": house.darkroom.run(),
            "checkpoints": house.checkpoints.run(),
            "units": Watch(
                house.units, house.twins, now_ms=now_ms, on_begun=metrics.contradicted
            ).run(),
            "instructions": Instructions(journal, house.units, now_ms=now_ms).run(),
            "registry": directory.run(),
            "disk": room.run(),
            "health": health.run(),
            "devices": devices.run(),
            "messages": messages.run(),
            "days": Days(house.ledger, zone_of(settings.timezone), now_ms).run(),
            "reach": outlook.run(),
            "map": map_stream.run(),
            **{feed.name: feed.run() for feed in feeds},
        }
        async with asyncio.TaskGroup() as group:
            running = [group.create_task(work, name=name) for name, work in for_ever.items()]
            async with Server(app, *http) as server:
                await upper.wait_connected()
                await lower.wait_connected()
                if brokers.private is not None:
                    brokers.private.save()
                mqtt = f"{brokers.priority.host}:{brokers.priority.port}"
                ready = Ready(True, mqtt, server.url, str(settings.folder), os.getpid())
                (settings.folder / "gateway.json").write_bytes(msgspec.json.encode(ready))
                on_ready(ready)
                await stop.wait()
            for task in running:
                task.cancel()
        await house.telemetry.finish()
        with contextlib.suppress(TimeoutError):  # a full disk: the next start has more to replay
            async with asyncio.timeout(LAST_COMMIT_S):
                await house.checkpoints.keep()
    log.info("stopped")


async def _until_failed(journal: SqliteJournal) -> None:
    await journal.failed.wait()
    raise CommitFailed(journal.failure)


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """One gateway at a time works on a folder; raise ConfigError for a second one."""
    with (folder / "gateway.lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ConfigError(f"data: another gateway works on {folder}") from None
        yield
