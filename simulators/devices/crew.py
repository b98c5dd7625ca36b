"""The crew of a simulated device: how it answers what the dispatch core orders."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from protocols.commands import CommandState
from protocols.duty import BRINGS, UnitState, is_expected
from protocols.model import DutyAct
from simulators.scenario import Crews

LONGEST_WAY_S = 1800.0
"""A crew that is not there by then says that it is: the way was shut."""

BUSY = "on another incident"
RECALLED = "recalled"
DECLINED_S = 60.0
"""All devices of a crew get an order; what it says to one of them it says to the others."""

ON_FOOT_M = {UnitState.FOOT_PATROL: 300.0, UnitState.ON_SCENE: 25.0}
"""States in which the crew leaves its car, and how far it goes from there."""

STANDING = frozenset({UnitState.PARKED, UnitState.BREAK, UnitState.OFF, *ON_FOOT_M})
"""States in which the car stands."""

NO_CAR_STANDING = STANDING - {UnitState.FOOT_PATROL}
"""The same of who has none."""


class Driver(Protocol):
    """What takes the crew there."""

    arrived: asyncio.Event

    def call_to(self, lat: float, lon: float) -> None:
        """Go there."""

    def let_go(self) -> None:
        """Go back to what was before."""

    def stand(self, is_standing: bool) -> None:
        """Stay, or go on."""

    def alight(self, within_m: float) -> None:
        """Get out and stay that near, or come back."""


class Report(Protocol):
    """How a crew presses a key."""

    def __call__(self, act: DutyAct, ref: str | None, crew: list[str] | None) -> None:
        """About an incident; signing on, with who the crew is."""


class Answers(Protocol):
    """How a device tells what its crew says to one order."""

    def say(self, state: CommandState, detail: str | None = None) -> None:
        """Answer the order."""

    def tick(self, step: int) -> None:
        """A step of its checklist is done."""


class Crew:
    """Reads orders, refuses a share of them, and goes to incidents one at a time.

    ``members``: officers, and the devices that they carry. ``duty``: how it reports.
    ``on_foot``: it has no car. ``is_making``: false once the run is to end.
    """

    def __init__(
        self,
        manners: Crews,
        rng: random.Random,
        *,
        duty: Report,
        driver: Driver | None,
        is_making: Callable[[], bool],
        members: Sequence[str] = (),
        on_foot: bool = False,
    ) -> None:
        self._manners, self._rng = manners, rng
        self._report, self._driver, self._is_making = duty, driver, is_making
        self._members = list(members)
        self._standing = NO_CAR_STANDING if on_foot else STANDING
        self._patrols: DutyAct = "foot_patrol" if on_foot else "vehicle_patrol"
        self._incident: str | None = None
        self._over = asyncio.Event()
        self._is_done = False
        self._declined: dict[str, float] = {}
        self._state: UnitState | None = None

    @property
    def is_busy(self) -> bool:
        """Whether it has an incident."""
        return self._incident is not None

    def patrol(self, act: DutyAct) -> None:
        """A key of the day's round: not while there is an incident, nor if it would not fit."""
        if not self.is_busy and is_expected(self._state, act):
            self._duty(act)

    def _duty(self, act: DutyAct, incident: str | None = None) -> None:
        self._state = BRINGS[act]
        if self._driver is not None:
            self._driver.stand(self._state in self._standing)
            self._driver.alight(ON_FOOT_M.get(self._state, 0.0))
        self._report(act, incident, (self._members or None) if act == "on_duty" else None)

    async def obey(self, act: str, args: dict[str, Any], answers: Answers) -> None:
        """An order has come: everything up to its end. To be cancelled with the order."""
        if not await self._pause(self._manners.answer_s):
            return
        answers.say(CommandState.SHOWN)
        if act == "instruct":
            await self._respond(args, answers)
        elif await self._tick_all(args, answers):
            answers.say(CommandState.DONE)

    async def _respond(self, args: dict[str, Any], answers: Answers) -> None:
        if not await self._pause(self._manners.answer_s):
            return
        incident = args["incident"]
        if incident == self._incident:
            await self._go_along(answers)
        elif self._declines(incident):
            answers.say(CommandState.REFUSED, BUSY)
        else:
            await self._go(incident, args, answers)

    def _declines(self, incident: str) -> bool:
        now_s = asyncio.get_running_loop().time()
        self._declined = {
            name: at_s for name, at_s in self._declined.items() if now_s - at_s < DECLINED_S
        }
        if (
            incident in self._declined
            or self.is_busy
            or self._rng.random() < self._manners.refuse_share
        ):
            self._declined[incident] = now_s
            return True
        return False

    async def _go_along(self, answers: Answers) -> None:
        """Another device of the crew has taken that on already."""
        answers.say(CommandState.ACCEPTED)
        await self._over.wait()
        if self._is_done:
            answers.say(CommandState.DONE)
        elif self._is_making():
            answers.say(CommandState.FAILED, RECALLED)

    async def _go(self, incident: str, args: dict[str, Any], answers: Answers) -> None:
        self._incident, self._over, self._is_done = incident, asyncio.Event(), False
        try:
            answers.say(CommandState.ACCEPTED)
            self._duty("en_route", incident)
            await self._drive(args.get("lat"), args.get("lon"))
            if not self._is_making():
                return
            self._duty("on_scene", incident)
            if await self._tick_all(args.get("checklist") or {}, answers):
                answers.say(CommandState.DONE)
                self._duty("clear", incident)
                self._is_done = True
        finally:
            self._incident = None
            self._over.set()
            if self._driver is not None:
                self._driver.alight(0.0)
                self._driver.let_go()
        if self._is_done and await self._pause(self._manners.answer_s):
            self.patrol(self._patrols)

    async def _drive(self, lat: float | None, lon: float | None) -> None:
        if self._driver is None or lat is None or lon is None:
            await self._pause(self._manners.on_scene_s)
            return
        self._driver.call_to(lat, lon)
        try:
            async with asyncio.timeout(LONGEST_WAY_S):
                await self._driver.arrived.wait()
        except TimeoutError:
            return
        await self._pause(self._manners.answer_s)  # out of the car, and the key is pressed

    async def _tick_all(self, checklist: dict[str, Any], answers: Answers) -> bool:
        """Work off the steps; false if the run has ended meanwhile."""
        steps = len(checklist.get("steps", ()))
        for step in range(steps):
            if not await self._pause(self._manners.on_scene_s / steps):
                return False
            answers.tick(step)
        return bool(steps) or await self._pause(self._manners.on_scene_s)

    async def _pause(self, mean_s: float) -> bool:
        """Take about so long; whether the day still goes on."""
        await asyncio.sleep(mean_s * self._rng.uniform(0.5, 1.5))
        return self._is_making()
