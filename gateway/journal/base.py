"""What is kept: the records of the journal and the interface to it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from enum import IntEnum
from typing import Any, NamedTuple, Protocol

import msgspec
from msgspec import Struct

from gateway.seen import Lookout, Seen
from gateway.unit import UnitRecord
from protocols.commands import CommandState
from protocols.model import Fix, Lane, MediaChunk, Stage, Status, message_id

REPEAT_MS = 10 * 60 * 1000
"""The same bytes in quarantine within this time only raise a count (contract 3.6)."""


class EventType(IntEnum):
    """The kinds of events, by their numbers on disk. Numbers are never used again."""

    POSITION = 1
    STATUS = 2
    MEDIA = 3
    PRESENCE = 4
    DUTY = 5
    ALARM_RAISED = 6
    ALARM_STAGE = 7
    ALARM_UPDATED = 8
    COMMAND = 9
    UNIT_CHANGED = 10
    UNIT_CONTRADICTION = 11
    MEDIA_CUSTODY = 12
    UNIT_ARRIVAL = 13
    # Kept for the ledger, not fed:
    CHUNK = 20
    REFUSED = 21

    @property
    def feed_name(self) -> str:
        """``ALARM_RAISED`` -> ``alarm.raised``."""
        return self.name.lower().replace("_", ".")


BLOCK_TYPES = frozenset({EventType.POSITION, EventType.STATUS, EventType.CHUNK, EventType.REFUSED})
"""Telemetry: kept in blocks in daily files. All others are rows beside the alarms."""

ALARM_TYPES = frozenset({EventType.ALARM_RAISED, EventType.ALARM_STAGE, EventType.ALARM_UPDATED})
"""What waits for nothing else."""

FED_TYPES = frozenset(EventType) - {EventType.CHUNK, EventType.REFUSED}
FEED_NAMES: Mapping[str, EventType] = {kind.feed_name: kind for kind in FED_TYPES}


class Event(Struct, frozen=True, kw_only=True):
    """One thing that happened. Times in ms since 1970 UTC; ``t`` by the device's clock, 0 unknown.

    ``cursor`` numbers all events of the journal in the order of their commits;
    it and ``stored`` are 0 until the event is committed.
    """

    type: EventType
    id: str
    device: str
    t: int
    received: int
    clock_offset_ms: int | None = None
    flags: tuple[str, ...] = ()
    data: dict[str, Any] = {}
    cursor: int = 0
    stored: int = 0


class Positions(NamedTuple):
    """Positions as columns: each has a value for each position, None where it has none.

    An Event for each costs more than all else that reading them does. Their numbers are
    all finite: positions with others come as events.
    """

    cursor: list[int]
    device: list[str]
    received: list[int]
    stored: list[int]
    clock_offset_ms: list[int | None]
    flags: list[tuple[str, ...]]
    boot: list[int]
    seq: list[int]
    t: list[int]
    lat: list[float]
    lon: list[float]
    fix: list[int]
    alt: list[float | None]
    spd: list[float | None]
    hdg: list[float | None]
    acc: list[float | None]
    hdop: list[float | None]
    sats: list[int | None]
    src: list[str | None]

    def first(self, count: int) -> Positions:
        """The first so many of them."""
        return Positions(*(column[:count] for column in self))  # type: ignore[arg-type]

    def events(self) -> list[Event]:
        """An event for each."""
        sent = zip(*(getattr(self, key) for key in Fix.__struct_fields__), strict=True)
        return [
            Event(
                type=EventType.POSITION,
                id=message_id(device, data["boot"], Lane.TELEMETRY, data["seq"]),
                device=device,
                t=data["t"],
                received=received,
                clock_offset_ms=offset,
                flags=flags,
                data=data,
                cursor=cursor,
                stored=stored,
            )
            for cursor, device, received, stored, offset, flags, data in zip(
                self.cursor,
                self.device,
                self.received,
                self.stored,
                self.clock_offset_ms,
                self.flags,
                map(_sent, sent),
                strict=True,
            )
        ]


def _sent(values: tuple[Any, ...]) -> dict[str, Any]:
    return {
        key: value
        for key, value in zip(Fix.__struct_fields__, values, strict=True)
        if value is not None
    }


class UsedUp(NamedTuple):
    """The number of a message that was refused: it is held, its bytes are in quarantine."""

    boot: int
    seq: int


class Telemetry(Struct, gc=False):
    """One telemetry message on its way into a block."""

    device: str
    received: int
    clock_offset_ms: int | None
    flags: tuple[str, ...]
    message: Fix | Status | MediaChunk | UsedUp


class Chunk(NamedTuple):
    """A piece of a picture, beside its telemetry entry. ``t`` by the device's clock."""

    device: str
    picture: str
    n: int
    of: int
    size: int
    mime: str
    data: bytes
    about: dict[str, Any]
    t: int = 0
    received: int = 0
    clock_offset_ms: int | None = None


class StageChange(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One step of an alarm: when (ms, the gateway's clock) and by whom."""

    stage: Stage
    t: int
    by: str | None = None
    note: str | None = None


class AlarmRecord(Struct, frozen=True, kw_only=True):
    """What is known of one alarm now. ``data``: its keys as the device sent them."""

    id: str
    device: str
    boot: int
    seq: int
    kind: str
    t: int
    received: int
    stages: tuple[StageChange, ...]
    count: int = 1
    flags: tuple[str, ...] = ()
    clock_offset_ms: int | None = None
    data: dict[str, Any] = {}
    updated: int = 0

    @property
    def stage(self) -> Stage:
        """How far it has got."""
        return self.stages[-1].stage

    def raising(self) -> Event:
        """The event that raises it, not committed yet."""
        return Event(
            type=EventType.ALARM_RAISED,
            id=self.id,
            device=self.device,
            t=self.t,
            received=self.received,
            clock_offset_ms=self.clock_offset_ms,
            flags=self.flags,
            data=self.data,
        )


class CommandStep(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One step of a command: when (ms, the gateway's clock), by whom, why.

    ``device_t``: when by the device's clock, where the device has said so.
    """

    state: CommandState
    t: int
    device_t: int | None = None
    by: str | None = None
    cause: str | None = None
    detail: str | None = None


class Tick(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A reply ``step``: one of a checklist's is done, or without ``step`` some progress is told."""

    t: int
    step: int | None = None
    device_t: int | None = None
    detail: str | None = None


class CommandRecord(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is known of one command now. ``t``: when it was ordered, ``exp``: until when it holds.

    ``group``: of those that were ordered together, to what ``target``; ``left_out``, in the
    first of them: who could not be addressed. ``asked``: a digest of the request. ``overdue``:
    when it was told that its end should have come.
    """

    id: str
    device: str
    act: str
    args: dict[str, Any]
    t: int
    exp: int
    steps: tuple[CommandStep, ...]
    ticks: tuple[Tick, ...] = ()
    by: str | None = None
    group: str | None = None
    target: dict[str, Any] | None = None
    left_out: tuple[dict[str, str], ...] = ()
    flags: tuple[str, ...] = ()
    asked: str = ""
    overdue: int | None = None

    @property
    def state(self) -> CommandState:
        """How far it has got."""
        return self.steps[-1].state


class Quarantined(Struct, frozen=True, kw_only=True):
    """Bytes that were refused or are doubtful, with why. Same bytes again only raise ``count``."""

    topic: str
    device: str
    reason: str
    detail: str
    payload: bytes
    first_ms: int
    last_ms: int
    count: int = 1
    no: int = 0


class Change(NamedTuple):
    """What one message or act adds to the journal, all or nothing."""

    events: Sequence[Event] = ()
    alarms: Sequence[AlarmRecord] = ()
    quarantined: Sequence[Quarantined] = ()
    units: Sequence[UnitRecord] = ()
    commands: Sequence[CommandRecord] = ()


class Block(NamedTuple):
    """A group of telemetry, committed together."""

    entries: Sequence[Telemetry]
    chunks: Sequence[Chunk] = ()
    quarantined: Sequence[Quarantined] = ()


class Page(NamedTuple):
    """Events in order, and the cursor to go on from: beyond it nothing was left out."""

    events: list[Event]
    next: int


class Runs(NamedTuple):
    """A page whose positions stand in columns, in runs between the other events."""

    items: list[Event | Positions]
    next: int


class Recovered(NamedTuple):
    """What a restart starts from: states as of ``checkpoint``; later events are to be replayed."""

    checkpoint: int
    states: dict[str, bytes]


class CommitFailed(Exception):
    """A commit ended in an error: whether it is on disk is not known.

    Nobody may be told that it is. The gateway stops and reads the journal anew.
    """


class DiskFull(CommitFailed):
    """There was no room for it, and nothing of it is kept: the one failure that is certain."""


class Reader(Protocol):
    """The journal as feeds and the API see it. Each call runs in a thread of the journal's."""

    async def read(self, after: int, limit: int, types: frozenset[EventType]) -> Page:
        """Committed events beyond the cursor, in order; fewer than limit only at the end."""

    async def read_runs(self, after: int, limit: int, types: frozenset[EventType]) -> Runs:
        """The same as ``read``, for who has no need of an Event for each position."""

    @property
    def last_cursor(self) -> int:
        """The cursor of the newest committed event."""

    async def wait_beyond(self, cursor: int, types: frozenset[EventType] = FED_TYPES) -> None:
        """Return when there may be an event of these types beyond the cursor."""

    async def feed_cursor(self, name: str) -> int | None:
        """How far the feed of that name has got."""

    async def save_feed_cursor(self, name: str, cursor: int) -> None:
        """Remember how far the feed has got."""

    async def alarm(self, alarm_id: str) -> AlarmRecord | None:
        """One alarm, as committed."""

    async def alarms(
        self, *, stages: frozenset[Stage] | None, device: str | None, before: int, limit: int
    ) -> list[tuple[int, AlarmRecord]]:
        """Alarms with the cursor of their raising, newest first, below a cursor."""

    async def command(self, command_id: str) -> CommandRecord | None:
        """One command, as committed."""

    async def commands(
        self,
        *,
        states: frozenset[CommandState] | None,
        device: str | None,
        group: str | None,
        before: int,
        limit: int,
    ) -> list[tuple[int, CommandRecord]]:
        """Commands with the cursor of their creation, newest first, below a cursor."""

    async def track(self, device: str, since_ms: int, until_ms: int) -> list[Event]:
        """A device's positions whose time lies in [since, until), in the order of their time."""

    def track_parts(
        self, device: str, since_ms: int, until_ms: int
    ) -> AsyncGenerator[list[Event], None]:
        """The same in parts: the first comes long before the last is looked for."""

    def sweep(self, since_ms: int, until_ms: int, step_ms: int) -> AsyncGenerator[Seen, None]:
        """Where all devices were in [since, until), in parts of whole steps, in their order."""

    async def first_near(self, lookouts: Sequence[Lookout]) -> list[int | None]:
        """For each, the time (ms, the device's clock) of the first position with a fix that is
        near; None where there is none."""

    async def quarantine(
        self, before: int, limit: int, *, device: str | None = None, reason: str | None = None
    ) -> list[Quarantined]:
        """What was refused, newest first, below a number; of all devices, for any reason."""

    async def event(self, event_id: str) -> Event | None:
        """The event of that id, if it is one of the priority lane's or the gateway's own."""


class Journal(Reader, Protocol):
    """Where events are kept. A commit that returned survives a power cut."""

    def commit(self, change: Change) -> asyncio.Future[tuple[list[int], int]]:
        """Commit at once, before any telemetry that waits; gives cursors and stored (ms).

        On a full disk it waits for room. An empty change is a heartbeat: it is written as
        well, so that it proves what the commit of an alarm would.
        """

    def commit_block(self, block: Block) -> asyncio.Future[tuple[tuple[int, int], int]]:
        """Commit in turn; gives the first and last cursor, and stored (ms). May raise DiskFull."""

    def save_states(self, states: dict[str, bytes], checkpoint: int) -> asyncio.Future[None]:
        """Keep what is known of devices, no older than the checkpoint's cursor."""

    def recover(self) -> Recovered:
        """What a restart starts from. Blocks: for the start."""

    def open_alarms(self) -> list[AlarmRecord]:
        """All alarms not closed, oldest first. Blocks: for the start."""

    def units(self) -> list[UnitRecord]:
        """All units that there ever were. Blocks: for the start."""

    def waiting_commands(self) -> list[CommandRecord]:
        """All commands that their devices do not have yet, oldest first. Blocks: for the start."""


def plain(message: Struct, *leave: str) -> dict[str, Any]:
    """The keys of a message as it was sent, without those not sent and those to leave."""
    builtins: dict[str, Any] = msgspec.to_builtins(message)
    return {key: value for key, value in builtins.items() if key not in leave}
