"""What a light device does with commands: each once, and nothing stale."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable, Coroutine
from typing import Any

from edge.corrected_clock import CorrectedClock
from protocols.commands import (
    Args,
    Cancel,
    CommandState,
    Configure,
    Identify,
    Live,
    Locate,
    RingBack,
    Snapshot,
    args_of,
)
from protocols.errors import FieldInvalid
from protocols.model import Command, MediaReason
from simulators.devices.crew import Crew

MAX_COMMANDS = 256
LIVE_FPS = 1.0  # thousands of devices share a machine
PERSONAL = {"instruct", "checklist", "text"}

Reply = dict[str, Any]


class Commands:
    """``reply`` keeps the keys of a reply and sends it; ``crew``: None for a box;
    ``take_picture``: None without a camera."""

    def __init__(
        self,
        *,
        crew: Crew | None,
        reply: Callable[[Reply], None],
        take_picture: Callable[[MediaReason, str], None] | None,
        now_ms: Callable[[], int],
        is_set: Callable[[], bool],
        is_making: Callable[[], bool],
    ) -> None:
        self._crew = crew
        self._reply, self._take_picture = reply, take_picture
        self._now_ms, self._is_set, self._is_making = now_ms, is_set, is_making
        self._clock = CorrectedClock()
        self._seen: OrderedDict[str, None] = OrderedDict()
        self._running: dict[str, asyncio.Task[None]] = {}
        self._accepted: set[str] = set()
        self._tasks: asyncio.TaskGroup | None = None

    def begin(self, tasks: asyncio.TaskGroup) -> None:
        """Orders that take a while are carried out in these tasks."""
        self._tasks = tasks

    def take(self, command: Command) -> None:
        """A command has come."""
        steady_ms = time.monotonic_ns() // 1_000_000
        if command.sent is not None:
            self._clock.learn(command.sent, steady_ms)
        if command.id in self._seen:
            return
        self._seen[command.id] = None
        if len(self._seen) > MAX_COMMANDS:
            self._seen.popitem(last=False)
        if command.exp < self._clock.now_ms(self._now_ms(), steady_ms, is_set=self._is_set()):
            self.say(command.id, CommandState.REFUSED, "expired")
            return
        try:
            self._begin(command, args_of(command.act, command.args))
        except FieldInvalid as error:
            unknown = error.field == "act"
            self.say(command.id, CommandState.REFUSED, "unknown act" if unknown else str(error))

    def _begin(self, command: Command, args: Args | Configure) -> None:
        work: Coroutine[Any, Any, None]
        if command.act in PERSONAL and self._crew is not None:
            work = self._crew.obey(command.act, command.args, _ByCrew(self, command.id))
        elif isinstance(args, Live) and self._take_picture is not None:
            work = self._live(command.id, args, self._take_picture)
        elif isinstance(args, (Locate, Identify)):  # it reports each second as it is
            work = self._last(command.id, args.seconds)
        elif isinstance(args, Snapshot) and self._take_picture is not None:
            self.say(command.id, CommandState.DELIVERED)
            self._take_picture("command", command.id)
            self.say(command.id, CommandState.DONE)
            return
        elif isinstance(args, (Cancel, RingBack)):
            self.say(command.id, CommandState.DELIVERED)
            if isinstance(args, Cancel):
                self._cancel(args.id)
            self.say(command.id, CommandState.DONE)
            return
        else:
            raise FieldInvalid("act", "is none of this device's")
        self.say(command.id, CommandState.DELIVERED)
        assert self._tasks is not None
        task = self._tasks.create_task(work, name=command.id)
        self._running[command.id] = task
        task.add_done_callback(lambda _: self._running.pop(command.id))

    def _cancel(self, identity: str) -> None:
        if (task := self._running.get(identity)) is not None:
            begun = identity in self._accepted
            task.cancel()
            self.say(identity, CommandState.FAILED if begun else CommandState.REFUSED, "cancelled")
        self._seen[identity] = None  # should it still come

    async def _live(
        self, identity: str, live: Live, take: Callable[[MediaReason, str], None]
    ) -> None:
        self.say(identity, CommandState.ACCEPTED)
        fps = min(live.fps, LIVE_FPS)
        for _ in range(max(1, int(live.seconds * fps))):
            if not self._is_making():
                return
            take("live", identity)
            await asyncio.sleep(1 / fps)
        self.say(identity, CommandState.DONE)

    async def _last(self, identity: str, seconds: float) -> None:
        self.say(identity, CommandState.ACCEPTED)
        await asyncio.sleep(seconds)
        if self._is_making():
            self.say(identity, CommandState.DONE)

    def say(self, identity: str, state: CommandState, detail: str | None = None) -> None:
        """Answer a command."""
        if state is CommandState.ACCEPTED:
            self._accepted.add(identity)
        else:
            self._accepted.discard(identity)
        self._reply({"cmd": identity, "state": state.value, "detail": detail})

    def tick(self, identity: str, step: int) -> None:
        """A step of its checklist is done."""
        self._reply({"cmd": identity, "state": "step", "step": step})


class _ByCrew:
    """What a crew says to one order."""

    def __init__(self, commands: Commands, identity: str) -> None:
        self._commands, self._identity = commands, identity

    def say(self, state: CommandState, detail: str | None = None) -> None:
        self._commands.say(self._identity, state, detail)

    def tick(self, step: int) -> None:
        self._commands.tick(self._identity, step)
