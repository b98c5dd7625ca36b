"""Which incident each unit is sent to: the journal's `instruct` commands, followed as a feed is."""

from __future__ import annotations

from collections.abc import Callable

import structlog

from gateway.duty import instructed, recalled
from gateway.journal.base import CommitFailed, Event, EventType, Reader
from gateway.unit import Instruction
from gateway.units import Units
from protocols.commands import CommandState

log = structlog.get_logger()

CURSOR = "units"
PAGE = 500
_TYPES = frozenset({EventType.COMMAND})


class Instructions:
    """Follows commands with a cursor of its own: after a restart it goes on where it was."""

    def __init__(self, reader: Reader, units: Units, *, now_ms: Callable[[], int]) -> None:
        self._reader = reader
        self._units = units
        self._now_ms = now_ms

    async def run(self) -> None:
        """Follow for ever."""
        cursor = await self._reader.feed_cursor(CURSOR) or 0
        while True:
            page = await self._reader.read(cursor, PAGE, _TYPES)
            for event in page.events:
                await self._take_or_tell(event)
            if page.next > cursor and page.events:
                await self._reader.save_feed_cursor(CURSOR, page.next)
            cursor = page.next
            if not page.events:
                await self._reader.wait_beyond(cursor, _TYPES)

    async def _take_or_tell(self, event: Event) -> None:
        """Take it; one that we fail at is told of and passed over: alarms do not need us."""
        try:
            await self.take(event)
        except CommitFailed:
            raise  # the gateway is about to stop
        except Exception:  # once per supervised task
            log.exception("instruction_failed", cmd=event.data.get("cmd"))

    async def take(self, event: Event) -> None:
        """A command's event; taken again it changes nothing."""
        data = event.data
        is_new = data.get("state") == CommandState.CREATED and data.get("act") == "instruct"
        is_cancelled = data.get("state") == CommandState.CANCELLED
        if not (is_cancelled or (is_new and data.get("exp", 0) > self._now_ms())):
            return
        kept = False
        while not kept:
            unit = self._units.newest(self._units.unit_of(event.device))
            after = recalled(unit, data["cmd"]) if is_cancelled else unit
            if is_new:
                after = instructed(unit, _instruction(event))
            kept = after == unit or await self._units.keep(unit, after, [])


def _instruction(event: Event) -> Instruction:
    args = event.data.get("args", {})
    return Instruction(
        incident=args["incident"],
        command=event.data["cmd"],
        t=event.t,
        lat=args.get("lat"),
        lon=args.get("lon"),
    )
