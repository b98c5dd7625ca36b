"""What is known of devices, kept every now and then, so that a restart is quick."""

from __future__ import annotations

import asyncio
import time
from math import isfinite
from typing import Any

import msgspec
import structlog
from msgspec import Struct

from gateway.journal.base import BLOCK_TYPES, Event, EventType, Journal
from gateway.ledger import Ledger
from gateway.twins import Twin, Twins
from protocols.model import DutyReport, Fix, Lane, LostRange, Presence, Status

log = structlog.get_logger()

EVERY_S = 5.0
EVERY_EVENTS = 50_000
"""A checkpoint comes after so long or so many events, so a restart replays no more than these."""

SLICE = 500
REPLAY_PAGE = 10_000


class DeviceState(Struct):
    """One device in a checkpoint."""

    twin: Twin
    ledger: dict[str, Any]


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(DeviceState).decode


class Checkpoints:
    """Keeps and restores twins and ledgers.

    A state kept may be newer than the checkpoint's cursor, never older: to
    replay an event that it has already taken changes nothing.
    """

    def __init__(
        self,
        *,
        journal: Journal,
        ledger: Ledger,
        twins: Twins,
        touched: set[str],
    ) -> None:
        self._journal = journal
        self._ledger = ledger
        self._twins = twins
        self._touched = touched
        self._cursor = 0

    async def restore(self) -> None:
        """Bring twins and ledgers to the end of the journal."""
        started = time.monotonic()
        recovered = self._journal.recover()
        for device, body in recovered.states.items():
            state = _decode(body)
            self._twins.restore(state.twin)
            self._ledger.restore(device, state.ledger)
        self._cursor = recovered.checkpoint
        replayed = 0
        while True:
            page = await self._journal.read(self._cursor, REPLAY_PAGE, frozenset(EventType))
            for event in page.events:
                self._replay(event)
            replayed += len(page.events)
            self._cursor = page.next
            if len(page.events) < REPLAY_PAGE:
                break
        log.info(
            "restored",
            devices=len(recovered.states),
            replayed=replayed,
            seconds=round(time.monotonic() - started, 3),
        )

    async def run(self) -> None:
        """Keep states for ever."""
        kept = time.monotonic()
        while True:
            await asyncio.sleep(1)
            new = self._journal.last_cursor - self._cursor
            if new >= EVERY_EVENTS or (self._touched and time.monotonic() - kept >= EVERY_S):
                await self.keep()
                kept = time.monotonic()

    async def keep(self) -> None:
        """Keep the states of the devices that changed, some at a time."""
        checkpoint = self._journal.last_cursor
        # Who waited for those commits runs before who waits for a later turn of the
        # writer: then what they brought is held and known, and may be left out of a replay.
        await self._journal.save_states({}, self._cursor)
        devices = sorted(self._touched)
        self._touched.clear()
        for at in range(0, max(len(devices), 1), SLICE):
            states = {
                device: _encode(
                    DeviceState(_storable(self._twins.of(device)), self._ledger.snapshot(device))
                )
                for device in devices[at : at + SLICE]
            }
            is_last = at + SLICE >= len(devices)
            await self._journal.save_states(states, checkpoint if is_last else self._cursor)
        self._cursor = checkpoint

    def _replay(self, event: Event) -> None:
        twin, ledger = self._twins.of(event.device), self._ledger.of(event.device)
        data = event.data
        self._touched.add(event.device)
        if "boot" in data and "seq" in data:
            lane = Lane.TELEMETRY if event.type in BLOCK_TYPES else Lane.PRIORITY
            ledger.window(data["boot"], lane).add(data["seq"])
            twin.clock.observe(event.t, event.received)
            twin.heard(event.received)
        match event.type:
            case EventType.POSITION:
                fix = Fix(**data)
                self._remember(event.device, fix)
                twin.take_fix(fix, event.received)
            case EventType.STATUS:
                lost = tuple(LostRange(*each) for each in data.get("lost", ()))
                status = Status(**{**data, "lost": lost or None})
                self._remember(event.device, status)
                twin.take_status(status, event.received)
                self._ledger.give_up(event.device, lost)
            case EventType.DUTY:
                twin.take_duty(msgspec.convert(data, DutyReport), event.received)
            case EventType.PRESENCE:
                twin.take_presence(Presence(**data))

    def _remember(self, device: str, message: Fix | Status) -> None:
        tail = self._ledger.tail(device, self._twins.of(device))
        if tail.is_newer(message.boot, message.t):
            window = self._ledger.of(device).window(message.boot, Lane.TELEMETRY)
            tail.follow(message.boot, window)
        if message.boot == tail.boot:
            tail.remember(message.seq, message)


def _storable(twin: Twin) -> Twin:
    """The twin with no figure that its own type would refuse when it is read again: NaN."""
    if twin.fix is None:
        return twin
    figures = msgspec.structs.asdict(twin.fix)
    not_finite = [k for k, v in figures.items() if isinstance(v, float) and not isfinite(v)]
    if not not_finite:
        return twin
    fix = msgspec.structs.replace(twin.fix, **dict.fromkeys(not_finite))
    return msgspec.structs.replace(twin, fix=fix)
