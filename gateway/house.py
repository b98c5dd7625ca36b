"""The parts of a running gateway, and how they are joined: what stands between broker and feeds."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from gateway import checklists
from gateway.alarms import Alarms
from gateway.checkpoint import Checkpoints
from gateway.commands import Commands
from gateway.config import Settings
from gateway.configuration import Configurations
from gateway.darkroom import Darkroom
from gateway.days import day_at
from gateway.directory import Directory
from gateway.gallery import by_commands
from gateway.intake import Doorstep, Intake
from gateway.journal.sqlite import SqliteJournal
from gateway.ledger import Ledger
from gateway.live import LiveViews
from gateway.metrics import Metrics
from gateway.overdue import Overdue
from gateway.pipeline import Pipeline
from gateway.receipts import Down, Receipts
from gateway.registry import Registry
from gateway.reserve import Room
from gateway.shifts import zone_of
from gateway.shots import Shots
from gateway.snapshot import Ordered, Snapshots
from gateway.telemetry import TelemetryPipeline
from gateway.twins import Twins
from gateway.units import Units


class House(NamedTuple):
    """The parts of a running gateway, between the broker and the feeds."""

    journal: SqliteJournal
    ledger: Ledger
    twins: Twins
    receipts: Receipts
    alarms: Alarms
    units: Units
    commands: Commands
    overdue: Overdue
    configurations: Configurations
    snapshots: Snapshots
    live: LiveViews
    darkroom: Darkroom
    checkpoints: Checkpoints
    priority: Pipeline
    telemetry: TelemetryPipeline
    intake: Intake


def build(
    settings: Settings,
    journal: SqliteJournal,
    registry: Registry,
    directory: Directory,
    metrics: Metrics,
    *,
    publish: Callable[[Down], bool],
    room: Room,
) -> House:
    ledger = Ledger(day_at(now_ms(), zone_of(settings.timezone)))
    touched = set[str]()
    twins = Twins(now_ms=now_ms, stale_after_s=settings.stale_after_s)
    receipts = Receipts(
        prefix=settings.prefix,
        ledger=ledger,
        twins=twins,
        reader=journal,
        publish=publish,
        now_s=time.monotonic,
    )
    alarms = Alarms(journal, now_ms=now_ms, on_stage=receipts.stage)
    units = Units(journal, twins=twins, registered=directory, now_ms=now_ms)
    overdue = Overdue(journal, now_ms=now_ms)
    commands = Commands(
        journal,
        prefix=settings.prefix,
        twins=twins,
        publish=publish,
        now_ms=now_ms,
        now_s=time.monotonic,
        checklists=checklists.load(Path(settings.checklists) if settings.checklists else None),
        on_step=metrics.commanded,
        on_kept=overdue.note,
    )
    configurations = Configurations(registry, prefix=settings.prefix, twins=twins, publish=publish)
    darkroom = Darkroom(
        settings=settings,
        store=journal.pictures,
        shelf=journal.shelf,
        journal=journal,
        room=room,
        metrics=metrics,
        open_alarms=alarms.open,
        now_ms=now_ms,
        who_asked=by_commands(commands.find),
    )
    shots = Shots(now_ms=now_ms, on_left=metrics.pictures_left.inc)
    ordered = Ordered(commands, shots, twins, journal.shelf.sendings, now_ms)
    priority = Pipeline(
        journal=journal,
        ledger=ledger,
        twins=twins,
        alarms=alarms,
        units=units,
        commands=commands,
        configurations=configurations,
        receipts=receipts,
        registered=directory,
        metrics=metrics,
        touched=touched,
        now_ms=now_ms,
    )
    doorstep = Doorstep(prefix=settings.prefix, journal=journal, metrics=metrics)
    telemetry = TelemetryPipeline(
        journal=journal,
        ledger=ledger,
        twins=twins,
        receipts=receipts,
        arrival=doorstep.arrival,
        registered=directory,
        metrics=metrics,
        touched=touched,
        on_chunk=(darkroom.media.chunk_held, shots.chunk_held),
        admits=room.admits,
        now_ms=now_ms,
    )
    directory.on_change = telemetry.forget_registered
    intake = Intake(doorstep=doorstep, priority=priority, metrics=metrics, now_ms=now_ms)
    checkpoints = Checkpoints(journal=journal, ledger=ledger, twins=twins, touched=touched)
    return House(
        journal=journal,
        ledger=ledger,
        twins=twins,
        receipts=receipts,
        alarms=alarms,
        units=units,
        commands=commands,
        overdue=overdue,
        configurations=configurations,
        snapshots=Snapshots(ordered),
        live=LiveViews(ordered, now_s=time.monotonic),
        darkroom=darkroom,
        checkpoints=checkpoints,
        priority=priority,
        telemetry=telemetry,
        intake=intake,
    )


def now_ms() -> int:
    """Milliseconds since 1970 UTC by this machine's clock."""
    return time.time_ns() // 1_000_000
