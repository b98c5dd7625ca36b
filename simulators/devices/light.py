"""A light device: keeps the whole contract, yet thousands fit in one process."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Sequence
from functools import partial
from typing import Any

from msgspec import structs

from protocols.model import (
    Alarm,
    AlarmKind,
    DutyAct,
    DutyReport,
    Fix,
    MediaChunk,
    MediaReason,
    Position,
    Reply,
    Status,
)
from protocols.native import media, topics
from protocols.native.topics import Up
from simulators import camera, ledger
from simulators.devices.commands import Commands
from simulators.devices.crew import Crew, Driver
from simulators.devices.spool import HELD
from simulators.devices.uplink import FIRMWARE, Uplink, now_s
from simulators.ledger import Ledger
from simulators.link import Address
from simulators.scenario import USUAL_CREWS, Crews, Reports, Unit
from simulators.sense import Sense
from simulators.tally import Tally

BEAT_S = 1.0
BATTERY_A_STATUS_PCT = 0.05
PICTURE_PERIOD_MS = 4000  # between those that a box keeps for a press


class LightDevice:
    """One device: a connection of its own, numbered lanes, a spool that survives its reboots.

    ``sense`` gives the position after so many seconds. ``boot`` must be larger than
    any that this device had in an earlier process. ``making`` false: nothing new.
    ``crew``: that of another device, which reports for it; else it has its own ``members``.
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
        sense: Sense,
        rng: random.Random,
        boot: int,
        prefix: str = topics.DEFAULT_PREFIX,
        first_connect_within_s: float = 0.0,
        clock_offset_s: float = 0.0,
        duplicates: float = 0.0,
        reordering: float = 0.0,
        alarm_pictures: int = 0,
        crews: Crews = USUAL_CREWS,
        driver: Driver | None = None,
        members: Sequence[str] = (),
        crew: Crew | None = None,
    ) -> None:
        self.unit = unit
        self.making = True
        self.clock_offset_s = clock_offset_s
        self._book = book
        self._tally = tally
        self._reports = reports
        self._sense = sense
        self._rng = rng
        self._duplicates, self._reordering = duplicates, reordering
        self._alarm_pictures = alarm_pictures if unit.kind == "alarm_box" else 0
        self.crew = crew or Crew(
            crews,
            rng,
            duty=self._report_duty,
            driver=driver,
            is_making=lambda: self.making,
            members=members,
            on_foot=unit.kind != "vehicle_terminal",
        )
        self._uplink = Uplink(
            unit,
            password=password,
            broker=broker,
            prefix=prefix,
            boot=boot,
            book=book,
            tally=tally,
            rng=rng,
            first_connect_within_s=first_connect_within_s,
            now_ms=self.now_ms,
            on_command=lambda command: self._commands.take(command),  # noqa: PLW0108 - made next
        )
        self._commands = Commands(
            crew=None if unit.kind == "alarm_box" else self.crew,
            reply=self._reply,
            take_picture=self.take_picture if self._uplink.has_camera else None,
            now_ms=self.now_ms,
            is_set=lambda: not self.clock_offset_s,
            is_making=lambda: self.making,
        )
        self._position: Position | None = None
        self._hammered: list[tuple[Alarm, int]] = []
        self._fixes: Counter[int] = Counter()
        self._batt_pct = rng.uniform(40, 100)

    async def run(self) -> None:
        """Live until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            self._commands.begin(tasks)
            tasks.create_task(self._uplink.run(), name=f"{self.unit.device} link")
            tasks.create_task(self._beat(), name=f"{self.unit.device} beat")

    @property
    def online(self) -> bool:
        """Whether the link is up."""
        return self._uplink.online

    @property
    def waiting(self) -> int:
        """How many messages no receipt covers."""
        return len(self._uplink.spool)

    def now_ms(self) -> int:
        """This device's clock, which may be wrong."""
        return ledger.now_ms() + round(self.clock_offset_s * 1000)

    def account(self) -> list[ledger.Telemetry]:
        """What each boot has made, for the ledger."""
        return [
            ledger.Telemetry(
                at=ledger.now_ms(),
                device=self.unit.device,
                boot=boot,
                fixes=self._fixes[boot],
                seq=seq,
                dropped=self._uplink.spool.dropped,
            )
            for boot, seq in self._uplink.last_seq.items()
        ]

    # What a person, the gateway or fate does to it.

    async def press(self, kind: AlarmKind, presses: int = 1) -> None:
        """Press the button; further presses follow as one update."""
        kept = self._uplink.keep(
            Up.ALARM,
            partial(Alarm, t=self.now_ms(), kind=kind, count=1, pos=self._position),
            due_s=HELD,
        )
        id_ = self._uplink.id_of(kept)
        self._tally.press(id_)
        await self._book.write(
            ledger.Pressed(id=id_, at=ledger.now_ms(), kind=kind, online=self.online)
        )
        kept.due_s = now_s()
        assert isinstance(kept.message, Alarm)
        if presses > 1:
            self._hammered.append((kept.message, presses))
        for n in range(self._alarm_pictures, 0, -1):
            self.take_picture("pre_alarm", id_, before_ms=n * PICTURE_PERIOD_MS)
        self._uplink.flush()

    def duty(self, act: DutyAct) -> None:
        """Report a change of duty; a crew that has an incident goes on with that."""
        self.crew.patrol(act)

    def _report_duty(self, act: DutyAct, ref: str | None, crew: list[str] | None) -> None:
        report = partial(DutyReport, t=self.now_ms(), act=act, ref=ref, crew=crew)
        self._uplink.keep(Up.DUTY, partial(report, pos=self._position))
        self._uplink.flush()

    def take_picture(
        self, reason: MediaReason, ref: str | None = None, *, before_ms: int = 0
    ) -> None:
        """Take a picture and send it in chunks; ``before_ms``: it was taken so long ago."""
        taken = self.now_ms() - before_ms
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
            self._uplink.keep(Up.MEDIA, partial(MediaChunk, t=taken, **keys))
        self._uplink.flush()

    async def reboot(self, dark_s: float) -> None:
        """Lose power for a while; what is in the spool survives, the numbering starts anew."""
        self._hammered.clear()
        await self._uplink.reboot(dark_s)

    def _reply(self, keys: dict[str, Any]) -> None:
        self._uplink.keep(Up.REPLY, partial(Reply, t=self.now_ms(), **keys))
        self._uplink.flush()

    # What it does by itself.

    async def _beat(self) -> None:
        """Report by schedule; a beat that comes late on a busy machine is made up for."""
        reports = self._reports
        beat_s = min(BEAT_S, reports.position_period_s)
        last_s = position_s = now_s() + self._rng.random() * beat_s
        status_s = last_s + self._rng.random() * reports.status_period_s
        fixed = self.unit.lat is not None
        while True:
            await asyncio.sleep(last_s + beat_s - now_s())
            last_s += beat_s
            if self.making:
                if last_s >= position_s and not (fixed and self._position):
                    self._report_position()
                    position_s += reports.position_period_s
                if last_s >= status_s:
                    self._report_status()
                    status_s += reports.status_period_s
            self._report_hammering()
            self._uplink.flush()

    def _report_position(self) -> None:
        position = self._sense(self._reports.position_period_s)
        if position is None:
            return
        self._position = structs.replace(position, t=self.now_ms())
        kept = self._uplink.keep(Up.POS, partial(Fix, **structs.asdict(self._position)))
        self._fixes[kept.message.boot] += 1
        self._tally.fixes += 1
        if self._rng.random() < self._reordering:
            kept.due_s = now_s() + self._rng.uniform(1, 4)  # overtaken by the next ones
            return
        self._uplink.send_live(kept)
        if self._rng.random() < self._duplicates:
            self._uplink.send_live(kept)

    def _report_status(self) -> None:
        self._batt_pct = max(20.0, self._batt_pct - BATTERY_A_STATUS_PCT)
        rng, spool, box = self._rng, self._uplink.spool, self.unit.kind == "alarm_box"
        self._uplink.keep(
            Up.STATUS,
            partial(
                Status,
                t=self.now_ms(),
                batt=round(self._batt_pct),
                mains=box or None,
                net="eth" if box else "5g",
                rssi=None if box else rng.randint(-110, -60),
                temp=rng.randint(15, 45),
                disk=rng.randint(30, 90),
                gnss=None if box else ("ok" if self._position else "no_fix"),
                clock="ntp" if box else "gnss",
                cam="ok" if self._uplink.has_camera else None,
                spool=len(spool),
                fw=FIRMWARE,
                lost=tuple(spool.lost) or None,
            ),
        )

    def _report_hammering(self) -> None:
        for alarm, presses in self._hammered:
            if alarm.boot == self._uplink.spool.boot:  # `of` names a number of this boot
                update = partial(Alarm, kind=alarm.kind, count=presses, of=alarm.seq)
                self._uplink.keep(Up.ALARM, partial(update, t=self.now_ms()))
        self._hammered.clear()
