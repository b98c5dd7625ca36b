"""How long did alarms take in one part of an experiment, by the ledgers?"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from simulators import ledger
from simulators.ledger import Dispatched, Latency, Pressed, Receipted, now_ms
from tests.faults.town import Town


class Span:
    """`async with` around a part of an experiment: what was pressed in it is judged later."""

    def __init__(self) -> None:
        self.began_ms = self.ended_ms = 0

    async def __aenter__(self) -> Span:
        self.began_ms = now_ms()
        return self

    async def __aexit__(self, *_: object) -> None:
        self.ended_ms = now_ms()

    def dispatched(self, town: Town) -> Latency | None:
        """Press to dispatch core, of alarms pressed in the span that have reached it."""
        return self._latency(town, Dispatched)

    def receipted(self, town: Town) -> Latency | None:
        """Press to receipt, of alarms pressed in the span that have one."""
        return self._latency(town, Receipted)

    def _latency(self, town: Town, what: type[Dispatched] | type[Receipted]) -> Latency | None:
        pressed: dict[str, int] = {}
        reached: dict[str, int] = {}
        for line in town.lines():
            if isinstance(line, Pressed) and self.began_ms <= line.at < self.ended_ms:
                pressed[line.id] = line.at
            elif isinstance(line, what):
                reached[line.id] = min(line.at, reached.get(line.id, line.at))
        return Latency.of(reached[id_] - at for id_, at in pressed.items() if id_ in reached)


def receipts_between(town: Town, since_ms: int, until_ms: int) -> list[str]:
    """The ids of alarms that were receipted from the one moment to the other."""
    return [
        line.id
        for line in ledger.read(town.field.ledger)
        if isinstance(line, Receipted) and since_ms <= line.at < until_ms
    ]


async def seconds_until(
    condition: Callable[[], Awaitable[object]], timeout_s: float, *, every_s: float = 0.02
) -> float | None:
    """How long it took until the condition was true; None if it was not in time."""
    loop = asyncio.get_running_loop()
    began_s = loop.time()
    while not await condition():
        if loop.time() - began_s > timeout_s:
            return None
        await asyncio.sleep(every_s)  # what another process does gives no event
    return loop.time() - began_s


def shown(seconds: float | None) -> str:
    """The seconds as they stand in the table."""
    return "not in time" if seconds is None else f"{seconds:.2f} s"
