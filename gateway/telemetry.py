"""Telemetry in groups: decode -> commit -> receipt -> state -> feed, 50 ms at a time.

A city's positions are nearly all alike: the device's next number, in MessagePack, from a clock
that is right. ``_take_usual`` takes these with as few steps as they need, and leaves every other
message to ``_take``, which asks all the questions (docs/decisions/0008).
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterator, Sequence

import structlog
from msgspec.structs import replace

from gateway.arrival import Arrival, Registered, quarantined, refused
from gateway.group import Group, Held, TelemetryMessage
from gateway.journal.base import (
    Block,
    Chunk,
    DiskFull,
    Journal,
    Telemetry,
    UsedUp,
    plain,
)
from gateway.ledger import Ledger
from gateway.metrics import Metrics
from gateway.receipts import Receipts
from gateway.tail import MASK, RECENT, Tail
from gateway.twins import EARLIEST_MS, SKEW_MS, Twins, clock_flags
from protocols.errors import ProtocolError
from protocols.model import (
    MAX_FIXES,
    MAX_MESSAGE_BYTES,
    Fix,
    Lane,
    MediaChunk,
    Status,
    message_id,
)
from protocols.mqtt import Publish, is_retained, qos
from protocols.native import codec, media, topics
from protocols.native.topics import Up

log = structlog.get_logger()

GROUP_S = 0.05
GROUP_MESSAGES = 2000
SLICE_MESSAGES = 200
SLICE_BYTES = 32 * 1024
"""An alarm that comes while a group is decoded waits for no more than so many messages or bytes."""

GROUP_FIXES = 10_000
"""A group ends with the slice that reaches so many entries: arrays hold up to 200 fixes each."""

MAX_WAITING = 50_000
"""Messages waiting beyond which telemetry is shed: alarms never wait for it."""

CHANNELS = frozenset(channel for channel, lane in topics.LANES.items() if lane is Lane.TELEMETRY)

Item = TelemetryMessage | codec.Refused

_DELAYED, _SKEWED = ("delayed",), ("clock_skewed",)


class TelemetryPipeline:
    """The telemetry lane. Under overload it sheds: the ledger sees the gap and asks again."""

    def __init__(
        self,
        *,
        journal: Journal,
        ledger: Ledger,
        twins: Twins,
        receipts: Receipts,
        arrival: Callable[[str, bytes, int, int, bool], Arrival | None],
        registered: Callable[[str], Registered | None],
        metrics: Metrics,
        touched: set[str],
        on_chunk: Sequence[Callable[[Chunk], None]],
        admits: Callable[[str], bool] = lambda channel: True,
        now_ms: Callable[[], int],
    ) -> None:
        self._journal = journal
        self._ledger = ledger
        self._twins = twins
        self._receipts = receipts
        self._arrival = arrival
        self._registered = registered
        self._metrics = metrics
        self._touched = touched  # devices that the next checkpoint has to keep
        self._on_chunk = on_chunk
        self._admits = admits  # whether the disk has room for what comes on a channel
        self._now_ms = now_ms
        self._usual: dict[bytes, Tail] = {}  # by the topic of the device's positions
        self._slices: deque[tuple[int, Sequence[Publish]]] = deque()
        self._waiting = 0
        self._filled = asyncio.Event()

    @property
    def waiting(self) -> int:
        """Messages that wait to be decoded."""
        return self._waiting

    def offer(self, publishes: Sequence[Publish]) -> None:
        """Hand over messages that have come just now; they are shed if too many wait."""
        room = max(0, MAX_WAITING - self._waiting)
        if len(publishes) > room:
            self._metrics.shed.inc(len(publishes) - room)
            publishes = publishes[:room]
        received = self._now_ms()
        first = size = 0
        for at, publish in enumerate(publishes):
            size += len(publish[4])
            if at > first and (at - first == SLICE_MESSAGES or size > SLICE_BYTES):
                self._slices.append((received, publishes[first:at]))
                first, size = at, len(publish[4])
        if publishes:
            self._slices.append((received, publishes[first:]))
        self._waiting += len(publishes)
        self._filled.set()

    def forget_registered(self) -> None:
        """The registry has changed: ask it again for every device."""
        self._usual.clear()

    async def run(self) -> None:
        """Take groups for ever. Raise CommitFailed when the journal cannot keep them."""
        while True:
            await self._filled.wait()
            if self._waiting < GROUP_MESSAGES:
                await asyncio.sleep(GROUP_S)
            await self.take_group()
            if not self._slices:
                self._filled.clear()

    async def finish(self) -> None:
        """Take all that waits: the last thing before the journal is closed."""
        while self._slices:
            await self.take_group()

    async def take_group(self) -> None:
        """Take what waits, up to one group."""
        group, taken, pause_at = Group(), 0, SLICE_MESSAGES
        while self._slices and taken < GROUP_MESSAGES and len(group.entries) < GROUP_FIXES:
            received, publishes = self._slices.popleft()
            self._waiting -= len(publishes)
            taken += len(publishes)
            self._take_usual(group, received, publishes)
            cost = taken + len(group.entries) // 4
            if cost >= pause_at:
                pause_at = cost + SLICE_MESSAGES
                await asyncio.sleep(0)
        if group.entries or group.quarantined:
            block = Block(group.entries, group.chunks, group.quarantined)
            try:
                await self._journal.commit_block(block)
            except DiskFull:
                return self._shed(group)
        await self._hold(group)
        self._know(group)

    def _shed(self, group: Group) -> None:
        """Nothing of the group is held: it is as if it had not come."""
        self._metrics.shed.inc(len(group.entries))
        for tail in (*group.tails, *(self._tail(device) for device, _ in group.numbers)):
            tail.start_over()

    # decode: the usual position ----------------------------------------------------------

    def _take_usual(self, group: Group, received: int, publishes: Sequence[Publish]) -> None:
        """Take each device's usual next position here, and any other message by ``_take``."""
        usual = self._usual if self._admits(Up.POS) else {}
        decode, entries = codec.decode_usual, group.entries
        taken = 0
        for publish in publishes:
            _, topic, _, _, payload = publish
            tail = usual.get(topic)
            if tail is None or len(payload) > MAX_MESSAGE_BYTES:
                self._take(group, received, publish)
                continue
            try:
                found = decode(payload)
            except codec.REFUSALS:
                self._take(group, received, publish)
                continue
            if type(found) is list:
                if not self._take_run(group, received, tail, found):
                    self._take(group, received, publish)
                    continue
            else:
                seq, t = found.seq, found.t
                seen_ms = received - t
                if not (
                    seq == tail.top + 1
                    and t > tail.t
                    and found.boot == tail.boot
                    and (
                        (seen_ms >= tail.least_ms and received < tail.clock_until_ms)
                        or tail.observe(t, received)
                    )
                ):
                    self._take(group, received, publish)
                    continue
                tail.top, tail.t = seq, t
                tail.sums[seq % RECENT] = hash(found) & MASK
                if tail.fix is None:
                    group.tails.append(tail)
                tail.fix, tail.received = found, received
                flags = () if seen_ms <= SKEW_MS else _DELAYED
                entries.append(Telemetry(tail.device, received, tail.offset_ms, flags, found))
            taken += 1
        if taken:
            self._metrics.received.labels(Up.POS).inc(taken)

    def _take_run(self, group: Group, received: int, tail: Tail, fixes: list[Fix]) -> bool:
        """Take an array of the backlog if it is one run of new numbers; whether it was."""
        if not 0 < len(fixes) <= MAX_FIXES or fixes[0].t < EARLIEST_MS:
            return False
        device, boot = tail.device, fixes[0].boot
        first, last = fixes[0].seq, fixes[-1].seq
        self._fold(group, tail)
        held = self._ledger.of(device).look(boot, Lane.TELEMETRY)
        pending = group.window(device, boot)
        if not (held.is_free(first, last) and pending.is_free(first, last) and held.has_room(last)):
            return False
        seq, t = first, fixes[0].t
        for fix in fixes:
            if not (fix.seq == seq and fix.t >= t and fix.boot == boot):
                return False
            seq, t = seq + 1, fix.t
        if t > received + SKEW_MS or tail.is_newer(boot, t):
            return False
        tail.observe(t, received)  # the newest: it shows the least delay
        offset_ms = tail.offset_ms
        # As clock_flags has it, for times that are neither ahead nor absurd.
        is_sound = offset_ms is None or abs(offset_ms) <= SKEW_MS
        since_t, late = received - SKEW_MS, _DELAYED if is_sound else _SKEWED
        group.entries += [
            Telemetry(device, received, offset_ms, () if fix.t >= since_t else late, fix)
            for fix in fixes
        ]
        pending.add_range(first, last)
        if boot == tail.boot and last > tail.top - RECENT:
            tail.remember_run(first, fixes)
            if last == tail.top:
                tail.t = max(tail.t, t)
        group.owed[device, boot] += len(fixes)
        group.held.append(Held(device, fixes[-1], received))
        return True

    # decode: any message -----------------------------------------------------------------

    def _take(self, group: Group, received: int, publish: Publish) -> None:
        """Take one message, whatever it is."""
        head, topic, _, _, payload = publish
        arrival = self._arrival(
            topic.decode("utf-8", "replace"), payload, received, qos(head), is_retained(head)
        )
        if arrival is None or arrival.channel not in CHANNELS:
            return  # of the priority lane's channels it is the other client's to take
        if not self._admits(arrival.channel):
            self._metrics.disk_refused.labels(arrival.channel).inc()
            return
        self._metrics.received.labels(arrival.channel).inc()
        try:
            self._decode(arrival, group)
        except Exception:
            log.exception("message_failed", topic=arrival.topic, payload=arrival.payload.hex())
            self._metrics.errors.inc()
            self._refuse(arrival, group, "internal_error", "see the gateway's log")

    def _decode(self, arrival: Arrival, group: Group) -> None:
        try:
            items = list(_read(arrival))
        except ProtocolError as error:
            return self._refuse(arrival, group, error.reason, str(error))
        if self._registered(arrival.device) is None:
            return self._refuse(arrival, group, "unregistered", "telemetry of an unknown device")
        tail = self._tail(arrival.device)
        self._fold(group, tail)
        times = [item.t for item in items if not isinstance(item, codec.Refused)]
        if times:
            tail.observe(max(times), arrival.received)  # the newest: it shows the least delay
        for item in items:
            if isinstance(item, codec.Refused):
                self._refuse_item(arrival, group, tail, item)
            elif self._is_new(arrival, group, tail, item):
                self._add(arrival, group, tail, item)
        tail.twin.speaks_json = codec.is_json(arrival.payload)
        tail.twin.heard(arrival.received)
        if arrival.channel == Up.POS:
            self._usual[arrival.topic.encode()] = tail

    def _tail(self, device: str) -> Tail:
        return self._ledger.tail(device, self._twins.of(device))

    def _fold(self, group: Group, tail: Tail) -> None:
        """What was taken the quick way so far is in the group like all else."""
        if tail.fix is not None:
            group.window(tail.device, tail.boot).add_range(tail.since, tail.top)
            group.owed[tail.device, tail.boot] += tail.count
            group.held.append(Held(tail.device, tail.fix, tail.received))
            tail.settle()

    def _is_new(self, arrival: Arrival, group: Group, tail: Tail, item: TelemetryMessage) -> bool:
        device = arrival.device
        numbers, ledger = group.window(device, item.boot), self._ledger.of(device)
        if item.seq not in numbers and not self._holds(device, item.boot, item.seq):
            if not ledger.look(item.boot, Lane.TELEMETRY).has_room(item.seq):
                self._metrics.shed.inc()  # it leaves too many gaps: the older ones come first
                return False
            numbers.add(item.seq)
            return True
        group.owed[device, item.boot] += 1  # the device asks for its receipt
        if tail.contradicts(item.boot, item.seq, item):
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

    def _holds(self, device: str, boot: int, seq: int) -> bool:
        return self._ledger.holds(device, boot, Lane.TELEMETRY, seq)

    def _add(self, arrival: Arrival, group: Group, tail: Tail, item: TelemetryMessage) -> None:
        device, received = arrival.device, arrival.received
        if tail.is_newer(item.boot, item.t):
            tail.follow(item.boot, self._ledger.of(device).window(item.boot, Lane.TELEMETRY))
        if item.boot == tail.boot:
            tail.remember(item.seq, item)
            if item.seq == tail.top and item.t <= received + SKEW_MS:
                tail.t = max(tail.t, item.t)
        if isinstance(item, MediaChunk):
            group.chunks.append(_chunk(device, item, received, tail.offset_ms))
            item = replace(item, data=b"")  # the bytes are kept once, with the picture
        flags = clock_flags(item.t, received, tail.offset_ms)
        group.entries.append(Telemetry(device, received, tail.offset_ms, flags, item))
        group.held.append(Held(device, item, received))
        group.owed[device, item.boot] += 1

    def _refuse(self, arrival: Arrival, group: Group, reason: str, detail: str) -> None:
        self._metrics.refused.labels(reason).inc()
        group.quarantined.append(quarantined(arrival, reason, detail))

    def _refuse_item(self, arrival: Arrival, group: Group, tail: Tail, item: codec.Refused) -> None:
        """One bad message. Its number is used up: the device may forget it, we keep the bytes."""
        self._metrics.refused.labels(item.error.reason).inc()
        self._ledger.of(arrival.device).counts.refused += 1
        group.quarantined.append(refused(arrival._replace(payload=item.raw), item.error))
        if item.identity is None:
            return
        device, (boot, seq) = arrival.device, item.identity
        group.owed[device, boot] += 1
        if seq in group.window(device, boot) or self._holds(device, boot, seq):
            return
        group.window(device, boot).add(seq)
        if boot == tail.boot:
            tail.reach(seq)
        group.entries.append(Telemetry(device, arrival.received, None, (), UsedUp(boot, seq)))

    # receipt and state -------------------------------------------------------------------

    async def _hold(self, group: Group) -> None:
        """The group is committed: its numbers are held, and receipted in their time."""
        for (device, boot), numbers in group.numbers.items():
            window = self._ledger.of(device).window(boot, Lane.TELEMETRY)
            for first, last in numbers.held():
                window.add_range(first, last)
        owe = self._receipts.telemetry
        for at in range(0, len(group.tails), SLICE_MESSAGES):
            some = group.tails[at : at + SLICE_MESSAGES]
            for tail in some:
                if (fix := tail.fix) is not None:  # else it has gone the general way since
                    count = tail.count
                    tail.commit(fix)
                    owe(tail.device, tail.boot, count, has_gap=tail.window.has_gap)
            self._touched.update([tail.device for tail in some])
            await asyncio.sleep(0)
        for (device, boot), count in group.owed.items():
            self._touched.add(device)
            has_gap = self._ledger.of(device).look(boot, Lane.TELEMETRY).has_gap
            self._receipts.telemetry(device, boot, count, has_gap=has_gap)

    def _know(self, group: Group) -> None:
        """The group is committed: it changes what is known of the devices."""
        for device, message, received in group.held:
            twin = self._twins.of(device)
            twin.heard(received)
            if isinstance(message, Fix):
                twin.take_fix(message, received)
            elif isinstance(message, Status):
                twin.take_status(message, received)
                if message.lost:
                    self._ledger.give_up(device, message.lost)
        for chunk in group.chunks:
            for take in self._on_chunk:
                take(chunk)


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


def _chunk(device: str, item: MediaChunk, received: int, clock_offset_ms: int | None) -> Chunk:
    about = plain(item, "boot", "seq", "t", "id", "n", "data")
    return Chunk(
        device,
        item.id,
        item.n,
        item.of,
        item.size,
        item.mime,
        item.data,
        about,
        item.t,
        received,
        clock_offset_ms,
    )
