"""A light device: keeps the whole contract, yet thousands fit in one process."""

from __future__ import annotations

import asyncio
import random
from collections import Counter, OrderedDict
from collections.abc import Callable
from functools import partial

import msgspec
import structlog
from msgspec import structs

from protocols.errors import ProtocolError
from protocols.model import (
    Alarm,
    AlarmKind,
    Command,
    DutyAct,
    DutyReport,
    Fix,
    Lane,
    LaneMessage,
    MediaChunk,
    MediaReason,
    Position,
    Presence,
    Receipt,
    Reply,
    ReplyState,
    Stage,
    Status,
    message_id,
)
from protocols.native import codec, media, topics
from protocols.native.topics import Down, Up
from simulators import camera, ledger
from simulators.devices.session import ConnectFailed, Session
from simulators.devices.spool import HELD, Kept, Spool
from simulators.ledger import Ledger
from simulators.link import Address
from simulators.scenario import Reports, Unit
from simulators.tally import Tally

FIRMWARE = "simulated-1"
FIRST_BACKOFF_S = 0.5
LAST_BACKOFF_S = 15.0
STABLE_S = 10.0
BEAT_S = 1.0
MAX_LIVE_BEHIND = 400
"""With more telemetry waiting than this a new position takes its turn in the backlog."""
MAX_COMMANDS = 256

_encode = msgspec.msgpack.Encoder().encode

log = structlog.get_logger()


class LightDevice:
    """One device: a connection of its own, numbered lanes, a spool that survives its reboots.

    ``sense`` gives the position after so many seconds. ``boot`` must be larger than
    any that this device had in an earlier process. ``making`` false: nothing new.
    """

    def __init__(
        self,
        unit: Unit,
        *,
        password: str,
        broker: Address,
        book: Ledger,
        tally: Tally,
        reports: Reports,
        sense: Callable[[float], Position | None],
        rng: random.Random,
        boot: int,
        prefix: str = topics.DEFAULT_PREFIX,
        first_connect_within_s: float = 0.0,
        clock_offset_s: float = 0.0,
        duplicates: float = 0.0,
        reordering: float = 0.0,
    ) -> None:
        self.unit = unit
        self.spool = Spool(boot)
        self.making = True
        self.clock_offset_s = clock_offset_s
        self._password = password
        self._broker = broker
        self._book = book
        self._tally = tally
        self._reports = reports
        self._sense = sense
        self._rng = rng
        self._prefix = prefix
        self._first_connect_within_s = first_connect_within_s
        self._duplicates, self._reordering = duplicates, reordering
        self._session: Session | None = None
        self._dark_until_s = 0.0
        self._position: Position | None = None
        self._hammered: list[tuple[Alarm, int]] = []
        self._commands: OrderedDict[str, None] = OrderedDict()
        self._fixes: Counter[int] = Counter()
        self._last_seq: dict[int, int] = {}

    async def run(self) -> None:
        """Live until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._stay_linked(), name=f"{self.unit.device} link")
            tasks.create_task(self._beat(), name=f"{self.unit.device} beat")

    @property
    def online(self) -> bool:
        """Whether the link is up."""
        return self._session is not None

    @property
    def waiting(self) -> int:
        """How many messages no receipt covers."""
        return len(self.spool)

    def now_ms(self) -> int:
        """This device's clock, which may be wrong."""
        return ledger.now_ms() + round(self.clock_offset_s * 1000)

    # What a person, a sensor or fate does to it.

    async def press(self, kind: AlarmKind, presses: int = 1) -> None:
        """Press the button; further presses follow as one update."""
        kept = self._keep(
            Up.ALARM,
            partial(Alarm, t=self.now_ms(), kind=kind, count=1, pos=self._position),
            due_s=HELD,
        )
        self._tally.press(self._id_of(kept))
        await self._book.write(
            ledger.Pressed(id=self._id_of(kept), at=ledger.now_ms(), kind=kind, online=self.online)
        )
        kept.due_s = _now_s()
        assert isinstance(kept.message, Alarm)
        if presses > 1:
            self._hammered.append((kept.message, presses))
        self._pump()

    def duty(self, act: DutyAct) -> None:
        """Report a change of duty."""
        self._keep(Up.DUTY, partial(DutyReport, t=self.now_ms(), act=act, pos=self._position))
        self._pump()

    def take_picture(self, reason: MediaReason, ref: str | None = None) -> None:
        """Take a picture and send it in chunks."""
        taken = self.now_ms()
        picture = camera.draw_jpeg(frame=taken // 1000, millis=taken)
        for keys in media.cut(
            picture,
            "image/jpeg",
            taken=taken,
            width_px=camera.WIDTH_PX,
            height_px=camera.HEIGHT_PX,
            reason=reason,
            ref=ref,
        ):
            self._keep(Up.MEDIA, partial(MediaChunk, t=taken, **keys))
        self._pump()

    async def reboot(self, dark_s: float) -> None:
        """Lose power for a while; what is in the spool survives, the numbering starts anew."""
        session, self._session = self._session, None
        self._dark_until_s = _now_s() + dark_s
        self.spool.reboot(_now_s())
        self._hammered.clear()
        if session is not None:
            await session.lose_power()

    def account(self) -> list[ledger.Telemetry]:
        """What each boot has made, for the ledger."""
        return [
            ledger.Telemetry(
                at=ledger.now_ms(),
                device=self.unit.device,
                boot=boot,
                seq=seq,
                fixes=self._fixes[boot],
                dropped=self.spool.dropped,
            )
            for boot, seq in self._last_seq.items()
        ]

    # What it does by itself.

    async def _beat(self) -> None:
        reports = self._reports
        beat_s = min(BEAT_S, reports.position_period_s)
        last_s = position_s = _now_s() + self._rng.random() * beat_s
        status_s = last_s + self._rng.random() * reports.status_period_s
        fixed = self.unit.lat is not None
        while True:
            await asyncio.sleep(last_s + beat_s - _now_s())
            last_s += beat_s
            if self.making:
                if last_s >= position_s and not (fixed and self._position):
                    self._report_position(reports.position_period_s)
                    position_s += reports.position_period_s
                if last_s >= status_s:
                    self._report_status()
                    status_s += reports.status_period_s
            self._report_hammering()
            self._pump()

    def _report_position(self, dt_s: float) -> None:
        position = self._sense(dt_s)
        if position is None:
            return
        self._position = structs.replace(position, t=self.now_ms())
        keys = structs.asdict(self._position)
        kept = self._keep(Up.POS, partial(Fix, **keys))
        self._fixes[kept.message.boot] += 1
        self._tally.fixes += 1
        if self._session is None or self.spool.waiting(Lane.TELEMETRY) > MAX_LIVE_BEHIND:
            return
        if self._rng.random() < self._reordering:
            kept.due_s = _now_s() + self._rng.uniform(1, 4)  # overtaken by the next ones
            return
        self._send(kept, qos=0)
        if self._rng.random() < self._duplicates:
            self._send(kept, qos=0)

    def _report_status(self) -> None:
        rng, box = self._rng, self.unit.kind == "alarm_box"
        self._keep(
            Up.STATUS,
            partial(
                Status,
                t=self.now_ms(),
                batt=rng.randint(40, 100),
                mains=box or None,
                net="eth" if box else "5g",
                rssi=None if box else rng.randint(-110, -60),
                temp=rng.randint(15, 45),
                disk=rng.randint(30, 90),
                gnss=None if box else ("ok" if self._position else "no_fix"),
                clock="ntp" if box else "gnss",
                spool=len(self.spool),
                fw=FIRMWARE,
                lost=tuple(self.spool.lost) or None,
            ),
        )

    def _report_hammering(self) -> None:
        for alarm, presses in self._hammered:
            if alarm.boot == self.spool.boot:  # `of` names a number of this boot
                update = partial(Alarm, kind=alarm.kind, count=presses, of=alarm.seq)
                self._keep(Up.ALARM, partial(update, t=self.now_ms()))
        self._hammered.clear()

    def _answer(self, command: Command, *states: ReplyState, detail: str | None = None) -> None:
        for state in states:
            self._keep(
                Up.REPLY,
                partial(Reply, t=self.now_ms(), cmd=command.id, state=state, detail=detail),
            )

    def _keep(
        self, channel: Up, build: Callable[..., LaneMessage], due_s: float | None = None
    ) -> Kept:
        dropped = self.spool.dropped
        kept = self.spool.add(channel, build, _now_s() if due_s is None else due_s)
        self._tally.dropped += self.spool.dropped - dropped
        if topics.LANES[channel] is Lane.TELEMETRY:
            self._tally.telemetry += 1
            self._last_seq[kept.message.boot] = kept.message.seq
        return kept

    # Up.

    def _pump(self) -> None:
        """Send what is due: the priority lane at once, telemetry when the broker has the last."""
        if self._session is None:
            return
        now_s = _now_s()
        for kept in self.spool.priority_due(now_s):
            if not self._session.has_room:
                return
            self._send(kept, qos=1)
        if self._session.idle and (batch := self.spool.telemetry_due(now_s)):
            self._send(*batch, qos=1)

    def _send(self, *batch: Kept, qos: int) -> None:
        assert self._session is not None
        now_s = _now_s()
        for kept in batch:
            if kept.sends == 0:
                self._first_sent(kept)
            self.spool.sent(kept, now_s)
        message = batch[0].message if len(batch) == 1 else [kept.message for kept in batch]
        self._session.publish(self._topic(batch[0].channel), _encode(message), qos=qos)
        self._tally.messages_sent += 1

    def _first_sent(self, kept: Kept) -> None:
        if isinstance(kept.message, Fix):
            self._tally.fixes_sent += 1
        elif isinstance(kept.message, Alarm) and kept.message.of is None:
            self._book.note(ledger.Sent(id=self._id_of(kept), at=ledger.now_ms()))

    def _topic(self, channel: Up) -> str:
        return topics.up(self._prefix, self.unit.device, channel)

    def _id_of(self, kept: Kept) -> str:
        message = kept.message
        return message_id(self.unit.device, message.boot, topics.LANES[kept.channel], message.seq)

    # Down.

    def _take(self, topic: str, payload: bytes) -> None:
        channel = topic.rpartition("/")[2]
        try:
            if channel == Down.RECEIPT:
                self._take_receipt(codec.decode(payload, Receipt))
            elif channel == Down.CMD:
                self._take_command(codec.decode(payload, Command))
        except ProtocolError as error:
            self._tally.refused += 1
            log.warning("message_refused", device=self.unit.device, topic=topic, why=str(error))

    def _take_receipt(self, receipt: Receipt) -> None:
        self._tally.receipts += 1
        covered = self.spool.apply(receipt, _now_s())
        for kept in covered:
            if isinstance(kept.message, Alarm) and kept.message.of is None:
                self._book.note(ledger.Receipted(id=self._id_of(kept), at=ledger.now_ms()))
                self._tally.reach(self._id_of(kept), Stage.STORED)
        for alarm in receipt.alarms:
            id_ = message_id(self.unit.device, receipt.boot, Lane.PRIORITY, alarm.seq)
            self._tally.reach(id_, alarm.stage)
        self._pump()

    def _take_command(self, command: Command) -> None:
        if command.id in self._commands:
            return
        self._commands[command.id] = None
        if len(self._commands) > MAX_COMMANDS:
            self._commands.popitem(last=False)
        if command.exp < self.now_ms():
            self._answer(command, "refused", detail="expired")
        elif command.act == "picture":
            self._answer(command, "delivered")
            self.take_picture("command", ref=command.id)
            self._answer(command, "done")
        else:
            self._answer(command, "delivered", "shown", "accepted", "done")
        self._pump()

    # The link.

    async def _stay_linked(self) -> None:
        await asyncio.sleep(self._rng.random() * self._first_connect_within_s)
        failures = 0
        while True:
            began_s = _now_s()
            try:
                await self._live_session()
            except ConnectFailed as error:
                log.debug("link_failed", device=self.unit.device, why=str(error))
            failures = 0 if _now_s() - began_s > STABLE_S else failures + 1
            longest_s = min(LAST_BACKOFF_S, FIRST_BACKOFF_S * 2.0 ** min(failures, 10))
            dark_s = self._dark_until_s - _now_s()
            await asyncio.sleep(max(0.0, dark_s) + self._rng.uniform(0, longest_s))

    async def _live_session(self) -> None:
        """One connection, from its start to its end."""
        boot = self.spool.boot
        presence = self._topic(Up.PRESENCE)
        async with Session(
            self._broker,
            self.unit.device,
            self._password,
            will_topic=presence,
            will=self._presence(boot, online=False),
            on_message=self._take,
            on_room=self._pump,
        ) as session:
            if boot != self.spool.boot:
                return  # rebooted meanwhile: the will speaks of a boot gone by
            session.subscribe(f"{self._prefix}/v1/{self.unit.device}/dn/#")
            session.publish(presence, self._presence(boot, online=True), qos=1, retain=True)
            self._session = session
            self._tally.connects += 1
            self._tally.online += 1
            try:
                self.spool.all_due(_now_s())
                self._pump()
                await session.ended()
            finally:
                self._session = None
                self._tally.online -= 1
                session.publish(presence, self._presence(boot, online=False), qos=1, retain=True)

    def _presence(self, boot: int, *, online: bool) -> bytes:
        caps = ["picture"] if self.unit.kind in ("vehicle_terminal", "body_camera") else []
        return codec.encode(
            Presence(
                online=online,
                boot=boot,
                kind=self.unit.kind,
                fw=FIRMWARE,
                caps=caps,
                t=self.now_ms() if online else None,
            )
        )


def _now_s() -> float:
    return asyncio.get_running_loop().time()
