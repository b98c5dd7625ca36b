"""How long did alarms take in one part of an experiment, by the ledgers?"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from simulators import ledger
from simulators.ledger import Dispatched, Receipted, now_ms
from tests.faults.parts import until
from tests.faults.town import Town, Wait


class Span:
    """`async with` around a part of an experiment: what was pressed in it is judged later."""

    def __init__(self) -> None:
        self.began_ms = self.ended_ms = 0

    async def __aenter__(self) -> Span:
        self.began_ms = now_ms()
        return self

    async def __aexit__(self, *_: object) -> None:
        self.ended_ms = now_ms()

    def waits(self, town: Town, to: type[Dispatched | Receipted] = Dispatched) -> list[Wait]:
        """What was pressed in the span, and how long it took so far."""
        return [wait for wait in town.waits(to) if self.began_ms <= wait.pressed_ms < self.ended_ms]

    async def receipts(self, town: Town, *, within_s: float) -> list[Wait]:
        """The same to the receipt, once all have theirs or that long has passed."""

        async def all_have() -> bool:
            return all(wait.waited_ms is not None for wait in self.waits(town, Receipted))

        await until(all_have, within_s)
        return self.waits(town, Receipted)


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
