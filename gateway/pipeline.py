"""From a device's bytes to what the city knows, in one visible order:

    decode -> commit -> receipt -> state -> feed

Nothing is receipted, known or fed that is not committed. The feeds read the
journal, each with its own cursor, so the last step is the commit's own doing.
This file has the priority lane; telemetry.py takes the same steps in groups.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable
from typing import Any, NamedTuple

from gateway.alarms import AlarmMessage, Alarms
from gateway.arrival import (
    Arrival,
    Registered,
    address,
    arrival_flags,
    placed,
    quarantined,
    read_alarm,
    read_report,
    refused,
)
from gateway.commands import Commands
from gateway.configuration import Configurations
from gateway.journal.base import (
    REPEAT_MS,
    AlarmRecord,
    Change,
    Event,
    EventType,
    Journal,
    Quarantined,
    plain,
)
from gateway.ledger import Ledger
from gateway.metrics import Metrics
from gateway.receipts import Receipts, alarm_stage
from gateway.twins import SKEW_MS, Twins, clock_flags
from gateway.units import Units
from protocols.errors import ProtocolError
from protocols.model import AlarmStage, DutyReport, Lane, Presence, Reply, message_id
from protocols.native import codec
from protocols.native.topics import Up

UNREADABLE_KEPT = 10_000


class Reading(NamedTuple):
    """What a message of the priority lane says. ``alarm`` is set on the alarm channel."""

    device: str
    boot: int
    seq: int
    event: Event
    quarantined: tuple[Quarantined, ...] = ()
    alarm: AlarmMessage | None = None
    duty: DutyReport | None = None


class Turns:
    """One at a time for each device, in the order of asking. Keeps nothing of who waits no more."""

    def __init__(self) -> None:
        self._locks: dict[str, tuple[asyncio.Lock, int]] = {}

    @contextlib.asynccontextmanager
    async def of(self, device: str) -> AsyncIterator[None]:
        """This device's turn."""
        lock, users = self._locks.get(device, (asyncio.Lock(), 0))
        self._locks[device] = lock, users + 1
        try:
            async with lock:
                yield
        finally:
            lock, users = self._locks[device]
            if users == 1:
                del self._locks[device]
            else:
                self._locks[device] = lock, users - 1


class Pipeline:
    """The priority lane: alarms, duty reports, replies to commands, and presence."""

    def __init__(
        self,
        *,
        journal: Journal,
        ledger: Ledger,
        twins: Twins,
        alarms: Alarms,
        units: Units,
        commands: Commands,
        configurations: Configurations,
        receipts: Receipts,
        registered: Callable[[str], Registered | None],
        metrics: Metrics,
        touched: set[str],
        now_ms: Callable[[], int],
    ) -> None:
        self._journal = journal
        self._ledger = ledger
        self._twins = twins
        self._alarms = alarms
        self._units = units
        self._commands = commands
        self._configurations = configurations
        self._receipts = receipts
        self._registered = registered
        self._metrics = metrics
        self._touched = touched  # devices that the next checkpoint has to keep
        self._now_ms = now_ms
        self._turns = Turns()
        # What was handed to the journal and is not committed yet, by device, boot and number.
        self._under_way: dict[str, dict[tuple[int, int], asyncio.Future[Any]]] = {}
        self._unreadable: OrderedDict[str, tuple[str, int]] = OrderedDict()

    async def take(self, arrival: Arrival) -> None:
        """Take one message; when this returns, it may be acknowledged to the broker.

        Raise CommitFailed if it is not known to be kept: then it must not be.
        """
        self._metrics.received.labels(arrival.channel).inc()
        if arrival.retained and arrival.channel != Up.PRESENCE:
            why = "retained messages are not acted on: they may be of any age"
            return await self._keep_aside(quarantined(arrival, "retained", why))
        if arrival.channel == Up.PRESENCE:
            return await self._presence(arrival)

        try:
            reading = self._decode(arrival)
        except ProtocolError as error:
            return await self.take_unread(arrival, error.reason, str(error))
        self._reached("decoded", arrival, reading)

        # What is of one device goes to the journal in the order of its arrival.
        async with self._turns.of(arrival.device):
            if self._looks_back(reading):
                await asyncio.wait(self._under_way[arrival.device].values())
            if self._ledger.holds(reading.device, reading.boot, Lane.PRIORITY, reading.seq):
                return await self._repeat(arrival, reading)
            record, change = await self._change(reading)
            commit = self._journal.commit(change)
            under_way = self._under_way.setdefault(arrival.device, {})
            under_way[reading.boot, reading.seq] = commit
        try:
            cursors, _ = await commit
        finally:
            del under_way[reading.boot, reading.seq]
            if not under_way:
                self._under_way.pop(arrival.device, None)
        self._reached("committed", arrival, reading)
        if record is not None and 0 in cursors:
            self._alarms.forget(record.id)  # known after all, from long ago
        self._hold(reading.device, reading.boot, reading.seq, record)
        self._know(arrival, reading, change)
        self._commands.after_commit(change, cursors)
        self._reached("receipted", arrival, reading)
        if reading.alarm is not None:
            if 0 <= arrival.received - reading.event.t < SKEW_MS:  # else a clock is wrong
                delay_s = (arrival.received - reading.event.t) / 1000
                self._metrics.alarm_s.labels("device").observe(delay_s)
            self._metrics.alarms.labels(reading.alarm.alarm.kind).inc()

    def _looks_back(self, reading: Reading) -> bool:
        """Whether it may concern what is under way of its device: then that comes first.

        A new alarm waits for none before it: on a slow disk each would take its own sync.
        """
        under_way = self._under_way.get(reading.device)
        if not under_way:
            return False
        adds = reading.alarm is not None and reading.alarm.alarm.of is not None
        return adds or (reading.boot, reading.seq) in under_way

    def _reached(self, stage: str, arrival: Arrival, reading: Reading) -> None:
        if reading.alarm is not None:
            seconds = max(0, self._now_ms() - arrival.received) / 1000
            self._metrics.alarm_s.labels(stage).observe(seconds)

    # decode ------------------------------------------------------------------------------

    def _decode(self, arrival: Arrival) -> Reading:
        registered = self._registered(arrival.device)
        twin = self._twins.of(arrival.device)
        twin.speaks_json = codec.is_json(arrival.payload)
        if arrival.channel == Up.ALARM:
            alarm, aside = read_alarm(arrival, registered, twin)
            event = Event(
                type=EventType.ALARM_RAISED,
                id=alarm.id,
                device=alarm.device,
                t=alarm.alarm.t,
                received=alarm.received,
                data=alarm.data,
            )
            return Reading(arrival.device, alarm.alarm.boot, alarm.alarm.seq, event, aside, alarm)
        message: DutyReport | Reply
        if arrival.channel == Up.DUTY:
            message, odd, aside = read_report(arrival, DutyReport)
        else:
            message, odd, aside = read_report(arrival, Reply)
        offset_ms = twin.clock.observe(message.t, arrival.received)
        event = Event(
            type=EventType.DUTY if arrival.channel == Up.DUTY else EventType.COMMAND,
            id=message_id(arrival.device, message.boot, Lane.PRIORITY, message.seq),
            device=arrival.device,
            t=message.t,
            received=arrival.received,
            clock_offset_ms=offset_ms,
            flags=arrival_flags(arrival, registered)
            + clock_flags(message.t, arrival.received, offset_ms)
            + odd,
            data=plain(message),
        )
        duty = message if isinstance(message, DutyReport) else None
        return Reading(arrival.device, message.boot, message.seq, event, aside, duty=duty)

    # commit ------------------------------------------------------------------------------

    async def _change(self, reading: Reading) -> tuple[AlarmRecord | None, Change]:
        if reading.duty is not None:
            change = self._units.report(reading.event, reading.duty)
            return None, change._replace(quarantined=reading.quarantined)
        if reading.alarm is None:
            change = await self._commands.take(reading.event)
            return None, change._replace(quarantined=reading.quarantined)
        message = reading.alarm
        of = message.alarm.of
        if of is not None and await self._alarms.find(message.base_id) is None:
            # Its alarm is still to come, and it stands in for it; or it never will.
            message = placed(message, self._registered(reading.device))
            if self._ledger.holds(reading.device, reading.boot, Lane.PRIORITY, of):
                message = message.on_its_own()
        record, change = await self._alarms.take(message)
        return record, change._replace(quarantined=reading.quarantined)

    # receipt -----------------------------------------------------------------------------

    def _hold(self, device: str, boot: int, seq: int, record: AlarmRecord | None) -> None:
        self._ledger.of(device).window(boot, Lane.PRIORITY).add(seq)
        self._touched.add(device)
        stages: list[AlarmStage] = []
        if record is not None and record.boot == boot:
            stages = [alarm_stage(record)]
        self._receipts.at_once(device, boot, stages)

    # state -------------------------------------------------------------------------------

    def _know(self, arrival: Arrival, reading: Reading, change: Change) -> None:
        self._units.know(change.units)
        twin = self._twins.of(arrival.device)
        twin.heard(arrival.received)
        if reading.duty is not None:
            twin.take_duty(reading.duty, arrival.received)

    # what is not new, or not readable ----------------------------------------------------

    async def _repeat(self, arrival: Arrival, reading: Reading) -> None:
        """The message is held: receipt it again; another body under its id is a conflict."""
        ledger = self._ledger.of(reading.device)
        kept = await self._journal.event(reading.event.id)
        if kept is not None and not _same(kept, reading.event):
            ledger.counts.conflicts += 1
            self._metrics.conflicts.inc()
            aside = quarantined(
                arrival, "conflict", f"{reading.event.id} is held with another body"
            )
            change = Change()
            if reading.alarm is not None:
                change = await self._alarms.contradict(reading.alarm, kept.type)
            await self._journal.commit(change._replace(quarantined=(aside,)))
        else:
            ledger.counts.duplicates += 1
            self._metrics.duplicates.labels(Lane.PRIORITY).inc()
        record = await self._alarms.find(reading.event.id) if reading.alarm else None
        self._hold(reading.device, reading.boot, reading.seq, record)
        self._twins.of(reading.device).heard(arrival.received)

    async def take_unread(self, arrival: Arrival, reason: str, detail: str) -> None:
        """No message could be made of the bytes. On the alarm topic they are an alarm."""
        aside = quarantined(arrival, reason, detail)
        self._metrics.refused.labels(reason).inc()
        self._ledger.of(arrival.device).counts.refused += 1
        if arrival.channel == Up.ALARM:
            change = await self._unreadable_alarm(arrival)
            await self._journal.commit(change._replace(quarantined=(aside,)))
            return
        identity = codec.identity_of(arrival.payload)
        if identity is None:
            return await self._keep_aside(aside)
        # Its number is used up: the device may forget it, it is kept in quarantine.
        event = Event(
            type=EventType.REFUSED,
            id=message_id(arrival.device, identity.boot, Lane.PRIORITY, identity.seq),
            device=arrival.device,
            t=0,
            received=arrival.received,
            data=identity._asdict(),
        )
        await self._journal.commit(Change(events=(event,), quarantined=(aside,)))
        self._hold(arrival.device, identity.boot, identity.seq, None)

    async def _unreadable_alarm(self, arrival: Arrival) -> Change:
        digest = hashlib.sha256(arrival.payload).hexdigest()[:16]
        key = f"{arrival.device}:unreadable:{digest}"
        known, since = self._unreadable.get(key, ("", 0))
        if known and arrival.received - since < REPEAT_MS:
            change = await self._alarms.repeat_unreadable(known, arrival.received)
            if change is not None:
                return change
        alarm_id = f"{key}:{arrival.received}"
        self._unreadable[key] = (alarm_id, arrival.received)
        if len(self._unreadable) > UNREADABLE_KEPT:
            self._unreadable.popitem(last=False)
        self._metrics.alarms.labels("unreadable").inc()
        registered = self._registered(arrival.device)
        flags = arrival_flags(arrival, registered)
        data: dict[str, Any] = {}
        if (place := address(registered)) is not None:
            data["pos"] = place
            flags += ("position_registered",)
        return self._alarms.raise_unreadable(
            alarm_id, arrival.device, arrival.received, flags, data
        )

    def restore(self, open_alarms: list[AlarmRecord]) -> None:
        """Know the unreadable alarms from before a restart, to count their repetitions."""
        for record in open_alarms:
            if record.seq == 0:
                self._unreadable[record.id.rpartition(":")[0]] = (record.id, record.received)

    async def _presence(self, arrival: Arrival) -> None:
        """Presence has no number and needs no receipt: what changes is kept and fed."""
        try:
            presence = codec.decode(arrival.payload, Presence)
        except ProtocolError as error:
            self._metrics.refused.labels(error.reason).inc()
            return await self._keep_aside(refused(arrival, error))
        if self._registered(arrival.device) is None:
            return await self._keep_aside(quarantined(arrival, "unregistered", "presence"))
        twin = self._twins.of(arrival.device)
        if twin.presence_differs(presence):
            word = "online" if presence.online else "offline"
            event = Event(
                type=EventType.PRESENCE,
                id=f"{arrival.device}:presence:{presence.boot}:{word}:{arrival.received}",
                device=arrival.device,
                t=presence.t or 0,
                received=arrival.received,
                data=plain(presence),
            )
            await self._journal.commit(Change(events=(event,)))
            twin.take_presence(presence)
            self._touched.add(arrival.device)
        twin.speaks_json = codec.is_json(arrival.payload)
        if presence.online and not arrival.retained:
            # Before what was spooled comes: that alone would make its clock look late.
            twin.clock.observe(presence.t or 0, arrival.received)
            twin.heard(arrival.received)
            # At once: an order that is sent now that it is online would be sent a second time.
            self._configurations.came_online(arrival.device)
            self._commands.came_online(arrival.device)
            await self._receipts.resync(arrival.device)

    async def _keep_aside(self, aside: Quarantined) -> None:
        await self._journal.commit(Change(quarantined=(aside,)))


def _same(kept: Event, again: Event) -> bool:
    """Whether a message says what the one kept under its id says.

    An addition to an alarm is kept with what it made of the alarm beside its own keys.
    """
    if kept.type is EventType.ALARM_UPDATED:
        return all(kept.data.get(key) == value for key, value in again.data.items())
    return kept.data == again.data
