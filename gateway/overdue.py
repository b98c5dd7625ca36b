"""Commands that their devices have and never ended: when is each of them overdue?

The device has it and may be at it, so that it is neither `expired` nor `failed`: nobody
knows. What is told is that somebody has to ask.
"""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Awaitable, Callable
from typing import Protocol

from gateway.journal.base import CommandRecord
from protocols.commands import HELD, CommandState, Identify, Live, Locate, args_of
from protocols.errors import FieldInvalid

LOOK_S = 1.0
PAGE = 500
MOST = 100_000
"""So many are followed at most; those beyond it are found at the next start."""

ANSWER_MS = 60_000
"""Its end may be under way, in a spool behind a tunnel."""

HANDLING_MS = 12 * 3600 * 1000
"""An incident that a crew has accepted is its own for a shift: it ends on the day it came."""

HANDLED = frozenset({"instruct", "checklist"})


def overdue_at(record: CommandRecord) -> int:
    """When (ms) an end of a command that its device has should be known at the latest.

    ``exp`` is until when it may begin: what takes a time of its own may take that beyond it.
    """
    due = record.exp + ANSWER_MS
    if record.act in HANDLED and record.state is CommandState.ACCEPTED:
        return due + HANDLING_MS
    try:
        args = args_of(record.act, record.args)
    except FieldInvalid:  # an action of before
        return due
    return due + args.seconds * 1000 if isinstance(args, (Live, Locate, Identify)) else due


class Reader(Protocol):
    """What is read of the journal."""

    async def commands(
        self,
        *,
        states: frozenset[CommandState] | None,
        device: str | None,
        group: str | None,
        before: int,
        limit: int,
    ) -> list[tuple[int, CommandRecord]]:
        """Commands with the cursor of their creation, newest first, below a cursor."""


class Overdue:
    """Follows the commands that devices have. ``note`` each that is committed."""

    def __init__(self, reader: Reader, *, now_ms: Callable[[], int]) -> None:
        self._reader = reader
        self._now_ms = now_ms
        self._due: dict[str, int] = {}
        self._heap: list[tuple[int, str]] = []
        self._late: set[str] = set()

    @property
    def count(self) -> int:
        """How many are overdue now."""
        return len(self._late)

    def note(self, record: CommandRecord) -> None:
        """A command as it is committed."""
        if record.state not in HELD:
            self._due.pop(record.id, None)
            self._late.discard(record.id)
        elif record.overdue is not None:
            self._due.pop(record.id, None)
            self._late.add(record.id)
        elif len(self._due) + len(self._late) < MOST:
            due = overdue_at(record)
            if self._due.get(record.id) != due:
                self._due[record.id] = due
                heapq.heappush(self._heap, (due, record.id))

    async def run(self, tell: Callable[[str], Awaitable[None]]) -> None:
        """Follow for ever; ``tell`` that one is overdue."""
        await self.restore()
        while True:
            await self.look(tell)
            await asyncio.sleep(LOOK_S)

    async def restore(self) -> None:
        """Take up those of before a restart. What is noted meanwhile is newer."""
        before = 2**63 - 1
        while before > 0:
            found = await self._reader.commands(
                states=HELD, device=None, group=None, before=before, limit=PAGE
            )
            for _, record in found:
                if record.id not in self._due:
                    self.note(record)
            before = found[-1][0] if len(found) == PAGE else 0

    async def look(self, tell: Callable[[str], Awaitable[None]]) -> None:
        """Tell of those that are overdue by now."""
        now = self._now_ms()
        while self._heap and self._heap[0][0] <= now:
            due, command_id = heapq.heappop(self._heap)
            if self._due.get(command_id) == due:
                del self._due[command_id]
                await tell(command_id)
