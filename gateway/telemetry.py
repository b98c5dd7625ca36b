"""Telemetry in groups: decode -> commit -> receipt -> state -> feed, 50 ms at a time."""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Callable, Iterator
from typing import NamedTuple

import structlog
from msgspec.structs import replace

from gateway.arrival import Arrival, Registered, quarantined, refused
from gateway.journal.base import (
    Block,
    Chunk,
    DiskFull,
    Journal,
    Quarantined,
    Telemetry,
    UsedUp,
    plain,
)
from gateway.ledger import Ledger
from gateway.metrics import Metrics
from gateway.receipts import Receipts
from gateway.twins import Twins, clock_flags
from protocols.errors import ProtocolError
from protocols.model import Fix, Lane, MediaChunk, Status, message_id
from protocols.native import codec, media
from protocols.native.topics import Up

log = structlog.get_logger()

GROUP_S = 0.05
GROUP_MESSAGES = 1000
SLICE_MESSAGES = 100
"""An alarm that comes while a group is decoded waits for no more than so many messages."""

MAX_WAITING = 50_000
"""Messages waiting beyond which telemetry is shed: alarms never wait for it."""

TelemetryMessage = Fix | Status | MediaChunk
Item = TelemetryMessage | codec.Refused


class Held(NamedTuple):
    """A message of a group, to be known once the group is committed."""

    device: str
    message: TelemetryMessage
    received: int


class Group:
    """What one group adds: to the journal, and after the commit to what is known."""

    def __init__(self) -> None:
        self.entries: list[Telemetry] = []
        self.chunks: list[Chunk] = []
        self.quarantined: list[Quarantined] = []
        self.held: list[Held] = []
        self.numbers: set[tuple[str, int, int]] = set()
        self.owed: Counter[tuple[str, int]] = Counter()


class TelemetryPipeline:
    """The telemetry lane. Under overload it sheds: the ledger sees the gap and asks again."""

    def __init__(
        self,
        *,
        journal: Journal,
        ledger: Ledger,
        twins: Twins,
        receipts: Receipts,
        registered: Callable[[str], Registered | None],
        metrics: Metrics,
        touched: set[str],
        on_chunk: Callable[[Chunk], None],
        admits: Callable[[str], bool] = lambda channel: True,
    ) -> None:
        self._journal = journal
        self._ledger = ledger
        self._twins = twins
        self._receipts = receipts
        self._registered = registered
        self._metrics = metrics
        self._touched = touched  # devices that the next checkpoint has to keep
        self._on_chunk = on_chunk
        self._admits = admits  # whether the disk has room for what comes on a channel
        self._waiting: deque[Arrival] = deque()
        self._filled = asyncio.Event()

    @property
    def waiting(self) -> int:
        """Messages that wait to be decoded."""
        return len(self._waiting)

    def offer(self, arrival: Arrival) -> None:
        """Hand over one message; it is shed if too many wait, or the disk has no room for it."""
        if not self._admits(arrival.channel):
            return
        if len(self._waiting) >= MAX_WAITING:
            self._metrics.shed.inc()
            return
        self._waiting.append(arrival)
        self._filled.set()

    async def run(self) -> None:
        """Take groups for ever. Raise CommitFailed when the journal cannot keep them."""
        while True:
            await self._filled.wait()
            if len(self._waiting) < GROUP_MESSAGES:
                await asyncio.sleep(GROUP_S)
            await self.take_group()
            if not self._waiting:
                self._filled.clear()

    async def finish(self) -> None:
        """Take all that waits: the last thing before the journal is closed."""
        while self._waiting:
            await self.take_group()

    async def take_group(self) -> None:
        """Take what waits, up to one group."""
        group = Group()
        for count in range(min(len(self._waiting), GROUP_MESSAGES)):
            if count % SLICE_MESSAGES == SLICE_MESSAGES - 1:
                await asyncio.sleep(0)
            arrival = self._waiting.popleft()
            try:
                self._decode(arrival, group)
            except Exception:
                log.exception("message_failed", topic=arrival.topic, payload=arrival.payload.hex())
                self._metrics.errors.inc()
                self._refuse(arrival, group, "internal_error", "see the gateway's log")
        if group.entries or group.quarantined:
            block = Block(group.entries, group.chunks, group.quarantined)
            try:
                await self._journal.commit_block(block)
            except DiskFull:
                self._metrics.shed.inc(len(group.entries))
                return
        self._hold(group)
        self._know(group)

    def _decode(self, arrival: Arrival, group: Group) -> None:
        self._metrics.received.labels(arrival.channel).inc()
        try:
            items = list(_read(arrival))
        except ProtocolError as error:
            return self._refuse(arrival, group, error.reason, str(error))
        if self._registered(arrival.device) is None:
            return self._refuse(arrival, group, "unregistered", "telemetry of an unknown device")
        for item in items:
            if isinstance(item, codec.Refused):
                self._refuse_item(arrival, group, item)
            elif self._is_new(arrival, group, item):
                self._add(arrival, group, item)
        twin = self._twins.of(arrival.device)
        twin.speaks_json = codec.is_json(arrival.payload)
        twin.heard(arrival.received)

    def _is_new(self, arrival: Arrival, group: Group, item: TelemetryMessage) -> bool:
        device, number = arrival.device, (arrival.device, item.boot, item.seq)
        if not self._is_known(group, number):
            if not self._ledger.of(device).look(item.boot, Lane.TELEMETRY).has_room(item.seq):
                self._metrics.shed.inc()  # it leaves too many gaps: the older ones come first
                return False
            group.numbers.add(number)
            return True
        group.owed[device, item.boot] += 1  # the device asks for its receipt
        ledger = self._ledger.of(device)
        if ledger.contradicts(item.boot, item.seq, item):
            ledger.counts.conflicts += 1
            self._metrics.conflicts.inc()
            name = message_id(device, item.boot, Lane.TELEMETRY, item.seq)
            group.quarantined.append(
                quarantined(arrival, "conflict", f"{name} is held with another body")
            )
        else:
            ledger.counts.duplicates += 1
            self._metrics.duplicates.labels(Lane.TELEMETRY).inc()
        return False

    def _is_known(self, group: Group, number: tuple[str, int, int]) -> bool:
        """Whether the message of that device, boot and number is held, or in the group."""
        device, boot, seq = number
        return number in group.numbers or self._ledger.holds(device, boot, Lane.TELEMETRY, seq)

    def _add(self, arrival: Arrival, group: Group, item: TelemetryMessage) -> None:
        offset_ms = self._twins.of(arrival.device).clock.observe(item.t, arrival.received)
        self._ledger.of(arrival.device).remember(item.boot, item.seq, item)
        if isinstance(item, MediaChunk):
            group.chunks.append(_chunk(arrival.device, item))
            item = replace(item, data=b"")  # the bytes are kept once, with the picture
        group.entries.append(
            Telemetry(
                arrival.device,
                arrival.received,
                offset_ms,
                clock_flags(item.t, arrival.received, offset_ms),
                item,
            )
        )
        group.held.append(Held(arrival.device, item, arrival.received))
        group.owed[arrival.device, item.boot] += 1

    def _hold(self, group: Group) -> None:
        """The group is committed: its numbers are held, and receipted in their time."""
        for device, boot, seq in group.numbers:
            self._ledger.of(device).window(boot, Lane.TELEMETRY).add(seq)
        for (device, boot), count in group.owed.items():
            self._touched.add(device)
            self._receipts.telemetry(device, boot, count)

    def _know(self, group: Group) -> None:
        """The group is committed: it changes what is known of the devices."""
        for device, message, received in group.held:
            twin = self._twins.of(device)
            if isinstance(message, Fix):
                twin.take_fix(message, received)
            elif isinstance(message, Status):
                twin.take_status(message, received)
                if message.lost:
                    self._ledger.give_up(device, message.lost)
        for chunk in group.chunks:
            self._on_chunk(chunk)

    def _refuse(self, arrival: Arrival, group: Group, reason: str, detail: str) -> None:
        self._metrics.refused.labels(reason).inc()
        group.quarantined.append(quarantined(arrival, reason, detail))

    def _refuse_item(self, arrival: Arrival, group: Group, item: codec.Refused) -> None:
        """One bad message. Its number is used up: the device may forget it, we keep the bytes."""
        self._metrics.refused.labels(item.error.reason).inc()
        self._ledger.of(arrival.device).counts.refused += 1
        group.quarantined.append(refused(arrival._replace(payload=item.raw), item.error))
        if item.identity is None:
            return
        number = (arrival.device, *item.identity)
        group.owed[arrival.device, item.identity.boot] += 1
        if self._is_known(group, number):
            return
        group.numbers.add(number)
        group.entries.append(
            Telemetry(arrival.device, arrival.received, None, (), UsedUp(*item.identity))
        )


def _read(arrival: Arrival) -> Iterator[Item]:
    """The messages in a payload; a bad one stands as Refused. Raise ProtocolError on no channel."""
    if arrival.channel == Up.POS:
        yield from codec.decode_fixes(arrival.payload)
        return
    try:
        if arrival.channel == Up.STATUS:
            yield codec.decode(arrival.payload, Status)
        else:
            chunk = codec.decode(arrival.payload, MediaChunk)
            media.check_chunk(chunk)
            yield chunk
    except ProtocolError as error:
        yield codec.Refused(error, arrival.payload, codec.identity_of(arrival.payload))


def _chunk(device: str, item: MediaChunk) -> Chunk:
    about = plain(item, "boot", "seq", "t", "id", "n", "data")
    return Chunk(device, item.id, item.n, item.of, item.size, item.mime, item.data, about)
