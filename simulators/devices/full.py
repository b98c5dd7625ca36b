"""A full device: the real edge agent, between a stand-in gpsd and a synthetic camera."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import cast

import msgspec

from edge.agent import Agent
from edge.alarms import AlarmTrack
from edge.config import (
    Broker,
    CameraSettings,
    Config,
    ReportSettings,
    SpoolSettings,
    StatusSettings,
)
from edge.order import Order
from edge.orders import PERSONAL
from edge.requests import PressedKind
from edge.sources.gps import Gps, OnFix
from edge.sources.power import ClockSource, clock_source
from protocols.commands import CommandState
from protocols.model import AlarmKind, DutyAct, MediaReason, Position, Stage
from protocols.native.topics import Up
from simulators import ledger
from simulators.camera import CameraServer
from simulators.devices.crew import Crew, Driver
from simulators.gpsd import Gpsd
from simulators.ledger import Ledger
from simulators.link import Address, Relay
from simulators.scenario import USUAL_CREWS, Crews, Reports, Unit
from simulators.sense import Sense
from simulators.tally import Tally

PICTURE_PERIOD_S = 30.0
FIRMWARE = "simulated-full-1"
_UNTIL_DRAINED = (Up.ALARM, Up.DUTY, Up.REPLY, Up.POS)
"""What the end of a run waits for: the agent goes on telling its health and taking pictures."""


class FullDevice:
    """Starts the agent, and starts it again on the same spool after each reboot.

    The agent decides which positions it reports; ``relay`` is its way to the broker.
    """

    def __init__(
        self,
        unit: Unit,
        *,
        password: str,
        relay: Relay,
        folder: Path,
        book: Ledger,
        tally: Tally,
        reports: Reports,
        sense: Sense,
        prefix: str,
        clock_offset_s: float = 0.0,
        crews: Crews = USUAL_CREWS,
        driver: Driver | None = None,
        rng: random.Random | None = None,
        members: Sequence[str] = (),
    ) -> None:
        self.unit = unit
        self.making = True
        self.clock_offset_s = clock_offset_s
        self._password, self._relay, self._prefix = password, relay, prefix
        self._folder = folder
        self._book, self._tally = book, tally
        self._reports = reports
        self._sense = sense
        self._agent: Agent | None = None
        self._tasks = asyncio.TaskGroup()
        self._followers: set[asyncio.Task[None]] = set()
        self._left = 0
        self._pressed: set[str] = set()
        self._fixes: Counter[int] = Counter()
        self.crew = Crew(
            crews,
            rng or random.Random(),
            duty=self._report_duty,
            driver=driver,
            is_making=lambda: self.making,
            members=members,
        )
        self._reboot = asyncio.Event()
        self._dark_s = 0.0

    async def run(self) -> None:
        """Live until cancelled."""
        async with Gpsd(self._observe) as gpsd, CameraServer() as camera:
            config = self._config(camera.url)
            while True:
                self._reboot.clear()
                agent = self._make_agent(config, gpsd.address)
                async with asyncio.TaskGroup() as self._tasks, agent:
                    self._agent = agent
                    answering = self._tasks.create_task(self._answer_orders(agent), name="crew")
                    self._followers.add(answering)
                    answering.add_done_callback(self._followers.discard)
                    try:
                        await self._reboot.wait()
                    finally:
                        self._left = self.waiting
                        self._agent = None
                        for follower in self._followers:
                            follower.cancel()
                await asyncio.sleep(self._dark_s)

    @property
    def online(self) -> bool:
        """Whether the link is up."""
        return self._agent is not None and self._agent.status()["connected"] is True

    @property
    def waiting(self) -> int:
        """How many messages no receipt covers, of those that the end of a run waits for."""
        if self._agent is None:
            return self._left
        return sum(_in_spool(self._agent, channel) for channel in _UNTIL_DRAINED)

    async def press(self, kind: AlarmKind, presses: int = 1) -> None:
        """Press the button; the agent makes one alarm of presses until that is closed.

        It sends at once, and only then is the alarm's id known: so its link is
        held until the press is in the ledger.
        """
        async with self._relay.gate:
            if self._agent is None:
                return  # nobody can press on a device without power
            online, at = self.online, ledger.now_ms()
            for _ in range(presses):
                track = self._agent.press(cast(PressedKind, kind))
            if track.id in self._pressed:
                return
            self._pressed.add(track.id)
            self._tally.press(track.id)
            await self._book.write(ledger.Pressed(id=track.id, at=at, kind=kind, online=online))
        if self._agent is not None:
            follower = self._tasks.create_task(self._follow(track), name=f"follow {track.id}")
            self._followers.add(follower)
            follower.add_done_callback(self._followers.discard)

    def duty(self, act: DutyAct) -> None:
        """Report a change of duty; a crew that has an incident goes on with that."""
        self.crew.patrol(act)

    def _report_duty(self, act: DutyAct, ref: str | None, crew: list[str] | None) -> None:
        if self._agent is not None:
            self._agent.duty(act, ref=ref, crew=crew)

    def take_picture(self, reason: MediaReason) -> None:
        """The agent takes pictures by itself, periodically and of each alarm."""

    async def reboot(self, dark_s: float) -> None:
        """Stop, be dark for a while, and start on the same spool."""
        self._dark_s = dark_s
        self._reboot.set()

    def account(self) -> list[ledger.Telemetry]:
        """How many positions each boot has reported, for the ledger."""
        return [
            ledger.Telemetry(
                at=ledger.now_ms(), device=self.unit.device, boot=boot, fixes=self._fixes[boot]
            )
            for boot in self._fixes
        ]

    async def _follow(self, track: AlarmTrack) -> None:
        """Write down and count how far the alarm gets, as long as the agent runs."""
        async for step in track.follow():
            if step.stage == "sent":
                self._book.note(ledger.Sent(id=track.id, at=ledger.now_ms()))
            elif step.stage != "spooled":
                if step.stage == "stored":
                    self._book.note(ledger.Receipted(id=track.id, at=ledger.now_ms()))
                self._tally.reach(track.id, Stage(step.stage))

    async def _answer_orders(self, agent: Agent) -> None:
        """The crew reads what comes, and goes on after a reboot with what is open."""
        working: dict[str, asyncio.Task[None]] = {}
        async with asyncio.TaskGroup() as tasks:
            async for _ in agent.news.follow():
                for order in agent.orders.held():
                    if order.act not in PERSONAL:
                        continue
                    if not order.is_open:
                        if (task := working.pop(order.id, None)) is not None:
                            task.cancel()  # a crew that ended it itself is past that
                    elif order.id not in working:
                        args = msgspec.to_builtins(order.args)
                        obedience = self.crew.obey(order.act, args, _ByCrew(agent, order))
                        working[order.id] = tasks.create_task(obedience, name=order.id)

    def _observe(self, dt_s: float) -> Position | None:
        return self._sense(dt_s) if self.making else None

    def _make_agent(self, config: Config, gpsd: Address) -> Agent:
        def count(take_fix: Callable[[], None]) -> None:
            before = _in_spool(agent, Up.POS)
            take_fix()
            if _in_spool(agent, Up.POS) > before:
                self._fixes[agent.boot] += 1
                self._tally.fixes += 1

        gps = _CountedGps(*gpsd, now_ms=self._now_ms, around=count)
        agent = Agent(
            config, gps=gps, firmware=FIRMWARE, now_ms=self._now_ms, clock=self._clock_source
        )
        return agent

    def _clock_source(self) -> ClockSource:
        """A clock that is wrong is set by nobody."""
        return "free" if self.clock_offset_s else clock_source()

    def _now_ms(self) -> int:
        return ledger.now_ms() + round(self.clock_offset_s * 1000)

    def _config(self, camera: str) -> Config:
        host, port = self._relay.address
        return Config(
            device=self.unit.device,
            kind=self.unit.kind,
            broker=Broker(host=host, port=port, password=self._password),
            spool=SpoolSettings(folder=str(self._folder)),
            prefix=self._prefix,
            camera=CameraSettings(source=camera, period_s=PICTURE_PERIOD_S),
            report=ReportSettings(distance_m=5.0, interval_s=5.0),
            status=StatusSettings(period_s=self._reports.status_period_s),
        )


class _ByCrew:
    """What a crew says to one order; what it has said before a reboot changes nothing."""

    def __init__(self, agent: Agent, order: Order) -> None:
        self._agent, self._order = agent, order

    def say(self, state: CommandState, detail: str | None = None) -> None:
        if self._order.can_reach(state):
            self._agent.orders.answer(self._order.id, state, detail)

    def tick(self, step: int) -> None:
        self._agent.orders.tick(self._order.id, step)


class _CountedGps(Gps):
    """The agent's own receiver; ``around`` is given the taking of each fix, to see its effect."""

    def __init__(
        self,
        host: str,
        port: int,
        *,
        now_ms: Callable[[], int],
        around: Callable[[Callable[[], None]], None],
    ) -> None:
        super().__init__(host, port, now_ms=now_ms)
        self._around = around

    async def run(self, on_fix: OnFix) -> None:
        await super().run(lambda position: self._around(lambda: on_fix(position)))


def _in_spool(agent: Agent, channel: Up) -> int:
    """How many messages of the channel no receipt covers."""
    return cast(dict[str, int], agent.status()["spool"]).get(channel, 0)
