"""The order of sending: what goes out next, and what goes out again.

Alarms before everything, then duty reports and replies, then the live position
and the status, then the backlog. Little is under way at a time, so that an alarm
never waits behind more than one batch or chunk. Pure but for the spool: the time
comes in as monotonic seconds.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import Enum, auto
from typing import NamedTuple

from edge import wire
from edge.spool import Spool, Spooled
from protocols.model import MAX_CHUNK_BYTES, MAX_FIXES, Lane, Receipt
from protocols.native.topics import LANES, Up

RESEND_FIRST_S, RESEND_MAX_S = 2.0, 30.0
UNRECEIPTED_S = 30.0  # telemetry without a receipt goes out again
UNDER_WAY_S = 5.0  # younger than this, a message that is missed may still arrive
MAX_UNRECEIPTED = 2000  # telemetry of a channel that is sent ahead of the receipts


class Slot(Enum):
    """What may be under way at the same time."""

    ALARM = auto()
    PRIORITY = auto()
    LIVE = auto()
    STATUS = auto()
    BULK = auto()


CAPACITY = {Slot.ALARM: 12, Slot.PRIORITY: 4, Slot.LIVE: 1, Slot.STATUS: 1, Slot.BULK: 1}
"""Together fewer than the 20 that brokers take unacknowledged by default."""


class _Turn(Enum):
    """The bulk slot's turns: the newest for the map, yet the oldest do not starve."""

    NEWEST = auto()
    OLDEST = auto()
    PICTURE = auto()


_TURNS = (_Turn.NEWEST, _Turn.PICTURE, _Turn.OLDEST, _Turn.PICTURE)


class Outgoing(NamedTuple):
    """One PUBLISH, and the messages in it."""

    slot: Slot
    channel: Up
    qos: int
    payload: bytes
    messages: tuple[Spooled, ...]


@dataclass(slots=True)
class _Resend:
    """A priority message that has no receipt yet."""

    message: Spooled
    due_s: float
    attempts: int = 0


class _Sent(NamedTuple):
    """Telemetry that has no receipt yet."""

    message: Spooled
    sent_s: float


class Outbox:
    """Gives out what the spool holds, in order; learns of PUBACKs, drops and receipts."""

    def __init__(self, spool: Spool) -> None:
        self._spool = spool
        self._priority: dict[Slot, dict[int, _Resend]] = {Slot.ALARM: {}, Slot.PRIORITY: {}}
        self._sent: dict[Up, dict[int, _Sent]] = {Up.POS: {}, Up.STATUS: {}, Up.MEDIA: {}}
        self._under_way: list[Outgoing] = []
        self._live: Spooled | None = None
        self._turn = 0

    def load(self) -> None:
        """Take up what earlier boots have left."""
        for channel in (Up.ALARM, Up.DUTY, Up.REPLY):
            for message in self._spool.waiting(channel):
                self.add(message)

    def add(self, message: Spooled) -> None:
        """A new message is in the spool."""
        if LANES[message.channel] is Lane.PRIORITY:
            self._priority[_priority_slot(message)][message.n] = _Resend(message, due_s=0.0)
        elif message.channel is Up.POS:
            self._live = message

    @property
    def holds_alarms(self) -> bool:
        """Whether an alarm waits for its receipt."""
        return bool(self._priority[Slot.ALARM])

    def holds(self, message: Spooled) -> bool:
        """Whether a priority message still waits for its receipt."""
        return message.n in self._priority[_priority_slot(message)]

    def take(self, now_s: float) -> Outgoing | None:
        """What to send now, if anything. It is under way then until `out` or `disconnected`."""
        outgoing = (
            self._take_priority(Slot.ALARM, now_s)
            or self._take_priority(Slot.PRIORITY, now_s)
            or self._take_live()
            or self._take_status(now_s)
            or self._take_bulk(now_s)
        )
        if outgoing is not None:
            self._under_way.append(outgoing)
            if outgoing.channel in self._sent:
                sent = self._sent[outgoing.channel]
                for message in outgoing.messages:
                    sent.pop(message.n, None)  # so that the order stays that of sending
                    sent[message.n] = _Sent(message, now_s)
        return outgoing

    def out(self, outgoing: Outgoing) -> None:
        """The broker has it; at QoS 0: it is written."""
        self._under_way.remove(outgoing)

    def disconnected(self) -> None:
        """What was under way may be lost."""
        for outgoing in self._under_way:
            for message in outgoing.messages:
                self._sent.get(message.channel, {}).pop(message.n, None)
        self._under_way.clear()

    def connected(self) -> None:
        """Every alarm, duty report and reply without a receipt goes out at once."""
        for resend in itertools.chain.from_iterable(
            waiting.values() for waiting in self._priority.values()
        ):
            resend.due_s, resend.attempts = 0.0, 0

    def receipted(self, receipt: Receipt, now_s: float) -> bool:
        """Forget what the gateway holds; send again what it misses. Whether the receipt can be
        believed."""
        gone = self._spool.forget(receipt)
        if gone is None:
            return False
        for n in gone:
            for resends in self._priority.values():
                resends.pop(n, None)
            for unreceipted in self._sent.values():
                unreceipted.pop(n, None)
        for message in self._spool.replace_missing(receipt):
            self.add(message)
        missing = receipt.miss.get(Lane.TELEMETRY, [])
        for sent in self._sent.values():
            again = [
                n
                for n, (message, sent_s) in sent.items()
                if message.boot == receipt.boot
                and now_s - sent_s >= UNDER_WAY_S
                and any(first <= message.seq <= last for first, last in missing)
            ]
            for n in again:
                del sent[n]
        return True

    # -- what may go out --------------------------------------------------

    def _has_room(self, slot: Slot) -> bool:
        return sum(outgoing.slot is slot for outgoing in self._under_way) < CAPACITY[slot]

    def _take_priority(self, slot: Slot, now_s: float) -> Outgoing | None:
        if not self._has_room(slot):
            return None
        for resend in list(self._priority[slot].values()):
            if resend.due_s > now_s:
                continue
            resend.attempts += 1
            resend.due_s = now_s + resend_after_s(resend.attempts)
            outgoing = self._single(slot, 1, resend.message)
            if outgoing is not None:
                return outgoing
            del self._priority[slot][resend.message.n]
        return None

    def _take_live(self) -> Outgoing | None:
        if self._live is None or not self._has_room(Slot.LIVE):
            return None
        live, self._live = self._live, None
        if live.n in self._sent[Up.POS]:
            return None
        return self._single(Slot.LIVE, 0, live)

    def _take_status(self, now_s: float) -> Outgoing | None:
        if not self._has_room(Slot.STATUS):
            return None
        newest = next(self._unsent(Up.STATUS, now_s, newest_first=True), None)
        return None if newest is None else self._single(Slot.STATUS, 1, newest)

    def _take_bulk(self, now_s: float) -> Outgoing | None:
        if not self._has_room(Slot.BULK):
            return None
        for turn in range(self._turn, self._turn + len(_TURNS)):
            outgoing = self._take_turn(_TURNS[turn % len(_TURNS)], now_s)
            if outgoing is not None:
                self._turn = (turn + 1) % len(_TURNS)
                return outgoing
        return None

    def _take_turn(self, turn: _Turn, now_s: float) -> Outgoing | None:
        if turn is _Turn.PICTURE:
            chunk = next(self._unsent(Up.MEDIA, now_s), None)  # in the order of their worth
            return None if chunk is None else self._single(Slot.BULK, 1, chunk)
        newest_first = turn is _Turn.NEWEST
        if newest_first and len(self._sent[Up.POS]) >= MAX_UNRECEIPTED // 2:
            return None  # or a gateway that receipts in order would never get to the oldest
        unsent = self._unsent(Up.POS, now_s, newest_first=newest_first)
        fixes = self._batch(list(itertools.islice(unsent, MAX_FIXES)))
        if not fixes:
            return None
        payload = wire.batch([body for _, body in fixes])
        return Outgoing(Slot.BULK, Up.POS, 1, payload, tuple(message for message, _ in fixes))

    def _unsent(
        self, channel: Up, now_s: float, *, newest_first: bool = False
    ) -> Iterator[Spooled]:
        sent = self._sent[channel]
        while sent and now_s - next(iter(sent.values())).sent_s >= UNRECEIPTED_S:
            del sent[next(iter(sent))]
        if len(sent) >= min(self._spool.count[channel], MAX_UNRECEIPTED):
            return iter(())
        waiting = (
            self._spool.waiting_pictures()
            if channel is Up.MEDIA
            else self._spool.waiting(channel, newest_first=newest_first)
        )
        return (message for message in waiting if message.n not in sent)

    def _single(self, slot: Slot, qos: int, message: Spooled) -> Outgoing | None:
        body = self._spool.body(message.n)
        if body is None:
            return None
        return Outgoing(slot, message.channel, qos, body, (message,))

    def _batch(self, messages: Iterable[Spooled]) -> list[tuple[Spooled, bytes]]:
        """As many of them as weigh no more than a chunk of a picture: an alarm may wait behind it,
        on a line of 64 kbit/s for a second."""
        batch: list[tuple[Spooled, bytes]] = []
        size_bytes = 0
        for message in messages:
            body = self._spool.body(message.n)
            if body is None:
                continue
            size_bytes += len(body)
            if batch and size_bytes > MAX_CHUNK_BYTES:
                break
            batch.append((message, body))
        return batch


def resend_after_s(attempts: int) -> float:
    """2, 4, 8 … at most 30 s after the first, second, third … sending."""
    return min(RESEND_FIRST_S * (1 << min(attempts - 1, 10)), RESEND_MAX_S)


def _priority_slot(message: Spooled) -> Slot:
    return Slot.ALARM if message.channel is Up.ALARM else Slot.PRIORITY
