"""A full device: the real edge agent, between a stand-in gpsd and a synthetic camera."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import cast

from edge.agent import Agent
from edge.alarms import AlarmTrack
from edge.config import (
    Broker,
    CameraSettings,
    Config,
    GpsSettings,
    ReportSettings,
    SpoolSettings,
    StatusSettings,
)
from edge.control import PressedKind
from protocols.model import AlarmKind, DutyAct, Lane, MediaReason, Position, Stage
from protocols.native.topics import LANES, Up
from simulators import ledger
from simulators.camera import CameraServer
from simulators.gpsd import Gpsd
from simulators.ledger import Ledger
from simulators.link import Address
from simulators.scenario import Reports, Unit
from simulators.tally import Tally

PICTURE_PERIOD_S = 30.0
FIRMWARE = "simulated-full-1"


class FullDevice:
    """Starts the agent, and starts it again on the same spool after each reboot.

    The agent decides what it reports, so it is no part of the tally's positions
    and gives no account of its telemetry.
    """

    def __init__(
        self,
        unit: Unit,
        *,
        password: str,
        broker: Address,
        folder: Path,
        book: Ledger,
        tally: Tally,
        reports: Reports,
        sense: Callable[[float], Position | None],
        prefix: str,
        clock_offset_s: float = 0.0,
    ) -> None:
        self.unit = unit
        self.making = True
        self.clock_offset_s = clock_offset_s
        self._broker, self._password, self._prefix = broker, password, prefix
        self._folder = folder
        self._book, self._tally = book, tally
        self._reports = reports
        self._sense = sense
        self._agent: Agent | None = None
        self._tasks = asyncio.TaskGroup()
        self._followers: set[asyncio.Task[None]] = set()
        self._left = 0
        self._pressed: set[str] = set()
        self._reboot = asyncio.Event()
        self._dark_s = 0.0

    async def run(self) -> None:
        """Live until cancelled."""
        async with Gpsd(self._observe) as gpsd, CameraServer() as camera:
            config = self._config(gpsd.address, camera.url)
            while True:
                self._reboot.clear()
                agent = Agent(config, firmware=FIRMWARE, now_ms=self._now_ms)
                async with asyncio.TaskGroup() as self._tasks, agent:
                    self._agent = agent
                    try:
                        await self._reboot.wait()
                    finally:
                        self._left = self.waiting
                        self._agent = None
                        for follower in self._followers:
                            follower.cancel()
                await asyncio.sleep(self._dark_s)

    @property
    def agent(self) -> Agent | None:
        """The agent, while it runs."""
        return self._agent

    @property
    def online(self) -> bool:
        """Whether the link is up."""
        return self._agent is not None and self._agent.status()["connected"] is True

    @property
    def waiting(self) -> int:
        """How many messages no receipt covers; in the end only of the priority lane.

        The agent goes on telling its health, and its spool on disk forgets nothing.
        """
        if self._agent is None:
            return self._left
        spool = cast(dict[Up, int], self._agent.status()["spool"])
        return sum(
            count
            for channel, count in spool.items()
            if self.making or LANES[Up(channel)] is Lane.PRIORITY
        )

    async def press(self, kind: AlarmKind, presses: int = 1) -> None:
        """Press the button; the agent makes one alarm of presses until that is closed."""
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
        """Report a change of duty."""
        if self._agent is not None:
            self._agent.duty(act)

    def take_picture(self, reason: MediaReason) -> None:
        """The agent takes pictures by itself, periodically and of each alarm."""

    async def reboot(self, dark_s: float) -> None:
        """Stop, be dark for a while, and start on the same spool."""
        self._dark_s = dark_s
        self._reboot.set()

    def account(self) -> list[ledger.Telemetry]:
        """None: see above."""
        return []

    async def _follow(self, track: AlarmTrack) -> None:
        """Write down and count how far the alarm gets, as long as the agent runs."""
        async for step in track.follow():
            if step.stage == "sent":
                self._book.note(ledger.Sent(id=track.id, at=ledger.now_ms()))
            elif step.stage != "spooled":
                if step.stage == "stored":
                    self._book.note(ledger.Receipted(id=track.id, at=ledger.now_ms()))
                self._tally.reach(track.id, Stage(step.stage))

    def _observe(self, dt_s: float) -> Position | None:
        return self._sense(dt_s) if self.making else None

    def _now_ms(self) -> int:
        return ledger.now_ms() + round(self.clock_offset_s * 1000)

    def _config(self, gpsd: Address, camera: str) -> Config:
        return Config(
            device=self.unit.device,
            kind=self.unit.kind,
            broker=Broker(host=self._broker.host, port=self._broker.port, password=self._password),
            spool=SpoolSettings(folder=str(self._folder)),
            prefix=self._prefix,
            gps=GpsSettings(host=gpsd.host, port=gpsd.port),
            camera=CameraSettings(source=camera, period_s=PICTURE_PERIOD_S),
            report=ReportSettings(distance_m=5.0, interval_s=5.0),
            status=StatusSettings(period_s=self._reports.status_period_s),
        )
