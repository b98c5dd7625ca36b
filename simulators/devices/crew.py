"""The crew of a simulated device: how it answers what the dispatch core orders."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from typing import Any, Protocol

from protocols.commands import CommandState
from protocols.duty import BRINGS, UnitState, is_expected
from protocols.model import DutyAct
from simulators.scenario import Crews

LONGEST_WAY_S = 900.0
"""A crew that is not there by then says that it is: the way was shut."""

BUSY = "on another incident"

STANDING = frozenset({UnitState.PARKED, UnitState.ON_SCENE, UnitState.BREAK, UnitState.OFF})
"""States in which the car stands."""


class Driver(Protocol):
    """What takes the crew there."""

    arrived: asyncio.Event

    def call_to(self, lat: float, lon: float) -> None:
        """Go there."""

    def let_go(self) -> None:
        """Go back to what was before."""

    def stand(self, is_standing: bool) -> None:
        """Stay, or go on."""


class Answers(Protocol):
    """How a device tells what its crew says to one order."""

    def say(self, state: CommandState, detail: str | None = None) -> None:
        """Answer the order."""

    def tick(self, step: int) -> None:
        """A step of its checklist is done."""


class Crew:
    """Reads orders, refuses a share of them, and drives to incidents one at a time.

    ``duty``: reports duty with the incident's id. ``is_making``: false once the run is to end.
    """

    def __init__(
        self,
        manners: Crews,
        rng: random.Random,
        *,
        duty: Callable[[DutyAct, str | None], None],
        driver: Driver | None,
        is_making: Callable[[], bool],
    ) -> None:
        self._manners, self._rng = manners, rng
        self._report, self._driver, self._is_making = duty, driver, is_making
        self._incident: str | None = None
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
            self._driver.stand(self._state in STANDING)
        self._report(act, incident)

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
        if self.is_busy or self._rng.random() < self._manners.refuse_share:
            answers.say(CommandState.REFUSED, BUSY)
            return
        incident = self._incident = args["incident"]
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
        finally:
            self._incident = None
            if self._driver is not None:
                self._driver.let_go()

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
