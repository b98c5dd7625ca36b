"""A light device's way to the gateway: keeps, sends, sends again, and connects again."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable

import msgspec
import structlog

from protocols.errors import ProtocolError
from protocols.model import (
    Alarm,
    Command,
    Fix,
    Lane,
    LaneMessage,
    Presence,
    Receipt,
    Stage,
    message_id,
)
from protocols.native import codec, topics
from protocols.native.topics import Down, Up
from simulators import ledger
from simulators.devices.session import ConnectFailed, Session
from simulators.devices.spool import Kept, Spool
from simulators.ledger import Ledger
from simulators.link import Address
from simulators.scenario import Unit
from simulators.tally import Tally

FIRMWARE = "simulated-1"
FIRST_BACKOFF_S = 0.5
LAST_BACKOFF_S = 15.0
STABLE_S = 10.0
MAX_LIVE_BEHIND = 400
"""With more telemetry waiting than this a new position takes its turn in the backlog."""

_encode = msgspec.msgpack.Encoder().encode

log = structlog.get_logger()


class Uplink:
    """Numbers what the device says and repeats it until a receipt covers it.

    ``last_seq``: the last number of the telemetry lane by boot. ``now_ms``: the
    device's clock.
    """

    def __init__(
        self,
        unit: Unit,
        *,
        password: str,
        broker: Address,
        prefix: str,
        boot: int,
        book: Ledger,
        tally: Tally,
        rng: random.Random,
        first_connect_within_s: float,
        now_ms: Callable[[], int],
        on_command: Callable[[Command], None],
    ) -> None:
        self.spool = Spool(boot)
        self.last_seq: dict[int, int] = {}
        self._unit = unit
        self._password, self._broker, self._prefix = password, broker, prefix
        self._book, self._tally = book, tally
        self._rng = rng
        self._first_connect_within_s = first_connect_within_s
        self._now_ms, self._on_command = now_ms, on_command
        self._session: Session | None = None
        self._dark_until_s = 0.0

    async def run(self) -> None:
        """Connect, and connect again with growing jitter, until cancelled."""
        await asyncio.sleep(self._rng.random() * self._first_connect_within_s)
        failures = 0
        while True:
            began_s = now_s()
            try:
                await self._live_session()
            except ConnectFailed as error:
                log.debug("link_failed", device=self._unit.device, why=str(error))
            failures = 0 if now_s() - began_s > STABLE_S else failures + 1
            longest_s = min(LAST_BACKOFF_S, FIRST_BACKOFF_S * 2.0 ** min(failures, 10))
            dark_s = self._dark_until_s - now_s()
            await asyncio.sleep(max(0.0, dark_s) + self._rng.uniform(0, longest_s))

    async def reboot(self, dark_s: float) -> None:
        """Lose power for a while; what is in the spool survives, the numbering starts anew."""
        session, self._session = self._session, None
        self._dark_until_s = now_s() + dark_s
        self.spool.reboot(now_s())
        if session is not None:
            await session.lose_power()

    @property
    def online(self) -> bool:
        """Whether the link is up."""
        return self._session is not None

    @property
    def has_camera(self) -> bool:
        """Whether a unit of its kind has one."""
        return self._unit.kind in ("vehicle_terminal", "body_camera")

    def id_of(self, kept: Kept) -> str:
        """The message id."""
        message = kept.message
        return message_id(self._unit.device, message.boot, topics.LANES[kept.channel], message.seq)

    # Up.

    def keep(
        self, channel: Up, build: Callable[..., LaneMessage], due_s: float | None = None
    ) -> Kept:
        """Number a message and keep it; it goes out with the next flush after it is due."""
        dropped = self.spool.dropped
        kept = self.spool.add(channel, build, now_s() if due_s is None else due_s)
        self._tally.dropped += self.spool.dropped - dropped
        if topics.LANES[channel] is Lane.TELEMETRY:
            self._tally.telemetry += 1
            self.last_seq[kept.message.boot] = kept.message.seq
        return kept

    def send_live(self, kept: Kept) -> None:
        """Send a new position at once; it waits if there is no link, or much before it."""
        if self.online and self.spool.waiting(Lane.TELEMETRY) <= MAX_LIVE_BEHIND:
            self._send(kept, qos=0)

    def flush(self) -> None:
        """Send what is due: the priority lane at once, telemetry when the broker has the last."""
        if self._session is None:
            return
        due_by_s = now_s()
        for kept in self.spool.priority_due(due_by_s):
            if not self._session.has_room:
                return
            self._send(kept, qos=1)
        if self._session.idle and (batch := self.spool.telemetry_due(due_by_s)):
            self._send(*batch, qos=1)

    def _send(self, *batch: Kept, qos: int) -> None:
        assert self._session is not None
        sent_s = now_s()
        for kept in batch:
            if kept.sends == 0:
                self._first_sent(kept)
            self.spool.sent(kept, sent_s)
        message = batch[0].message if len(batch) == 1 else [kept.message for kept in batch]
        self._session.publish(self._topic(batch[0].channel), _encode(message), qos=qos)
        self._tally.messages_sent += 1

    def _first_sent(self, kept: Kept) -> None:
        if isinstance(kept.message, Fix):
            self._tally.fixes_sent += 1
        elif _raises(kept):
            self._book.note(ledger.Sent(id=self.id_of(kept), at=ledger.now_ms()))

    def _topic(self, channel: Up) -> str:
        return topics.up(self._prefix, self._unit.device, channel)

    # Down.

    def _take(self, topic: str, payload: bytes) -> None:
        channel = topic.rpartition("/")[2]
        try:
            if channel == Down.RECEIPT:
                self._take_receipt(codec.decode(payload, Receipt))
            elif channel == Down.CMD:
                self._on_command(codec.decode(payload, Command))
        except ProtocolError as error:
            self._tally.refused += 1
            log.warning("message_refused", device=self._unit.device, topic=topic, why=str(error))

    def _take_receipt(self, receipt: Receipt) -> None:
        self._tally.receipts += 1
        for kept in self.spool.apply(receipt, now_s()):
            if _raises(kept):
                self._book.note(ledger.Receipted(id=self.id_of(kept), at=ledger.now_ms()))
                self._tally.reach(self.id_of(kept), Stage.STORED)
        for alarm in receipt.alarms:
            id_ = message_id(self._unit.device, receipt.boot, Lane.PRIORITY, alarm.seq)
            self._tally.reach(id_, alarm.stage)
        self.flush()

    # The link.

    async def _live_session(self) -> None:
        """One connection, from its start to its end."""
        boot = self.spool.boot
        presence = self._topic(Up.PRESENCE)
        async with Session(
            self._broker,
            self._unit.device,
            self._password,
            will_topic=presence,
            will=self._presence(boot, online=False),
            on_message=self._take,
            on_room=self.flush,
        ) as session:
            if boot != self.spool.boot:
                return  # rebooted meanwhile: the will speaks of a boot gone by
            session.subscribe(f"{self._prefix}/v1/{self._unit.device}/dn/#")
            session.publish(presence, self._presence(boot, online=True), qos=1, retain=True)
            self._session = session
            self._tally.connects += 1
            try:
                self.spool.all_due(now_s())
                self.flush()
                await session.ended()
            finally:
                self._session = None
                session.publish(presence, self._presence(boot, online=False), qos=1, retain=True)

    def _presence(self, boot: int, *, online: bool) -> bytes:
        caps = ["camera"] if self.has_camera else []
        return codec.encode(
            Presence(
                online=online,
                boot=boot,
                kind=self._unit.kind,
                fw=FIRMWARE,
                caps=caps,
                t=self._now_ms() if online else None,
            )
        )


def now_s() -> float:
    """The event loop's clock, which everything that is due goes by."""
    return asyncio.get_running_loop().time()


def _raises(kept: Kept) -> bool:
    """Whether it is an alarm, and not more on one."""
    return isinstance(kept.message, Alarm) and kept.message.of is None
