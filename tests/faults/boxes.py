"""Real agents, each in a process of its own, pressed on their control sockets as by a panel."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from typing import Any, Self

from fieldgate.verification import Proof
from gateway.broker import reload
from gateway.registry import Device, Registry
from simulators import ledger
from simulators.ledger import Ledger, now_ms
from tests.faults.agent import Agent
from tests.faults.parts import START_TIMEOUT_S, until
from tests.faults.town import Town, Wait


class Box(Agent):
    """An agent whose presses are in a ledger."""

    def __init__(self, device: str, password: str, *, book: Ledger, **keys: Any) -> None:
        super().__init__(device, password, **keys)
        self._book = book

    @property
    def pressed(self) -> set[str]:
        """The message ids of its presses."""
        return set(self.answered.values())

    async def press(self) -> str:
        """Press a button that is not latched; the message id, once the ledger has it."""
        at = now_ms()
        id_ = await super().press()
        if id_ is None:
            raise self.failure("did not take a press")
        await self._book.write(ledger.Pressed(id=id_, at=at, kind="panic", online=True))
        return id_

    async def state(self) -> dict[str, Any]:
        """How it is; nothing while it does not answer."""
        return await self._call("GET", "/status") or {}

    async def is_connected(self) -> bool:
        """Whether it has its link."""
        return bool((await self.state()).get("connected"))

    async def stages(self) -> dict[str, dict[str, int]]:
        """Of each alarm: when it came to each stage, as the box shows it."""
        answer = await self._call("GET", "/alarms") or {"alarms": []}
        return {
            alarm["id"]: {step["stage"]: step["t"] for step in alarm["steps"]}
            for alarm in answer["alarms"]
        }


class Boxes:
    """Some boxes of a town, and their ledger. `async with` starts and ends them.

    ``wraps``: the place of each. ``broker``: where they connect, if not to the gateway's own.
    """

    def __init__(
        self,
        town: Town,
        wraps: Sequence[Sequence[str]],
        *,
        tables: Iterable[str] = (),
        broker: tuple[str, int] | None = None,
    ) -> None:
        self._town, self._wraps, self._tables = town, wraps, list(tables)
        self._broker = broker or (town.gateway.host, town.gateway.mqtt_port)
        path = town.trial.folder / "boxes.jsonl"
        town.further_ledgers.append(path)
        self._book = Ledger(path)
        self.each: list[Box] = []

    async def __aenter__(self) -> Self:
        devices = [f"agent-{number}" for number in range(1, len(self._wraps) + 1)]
        with Registry(self._town.data) as registry:
            passwords = registry.add_many(Device(id=each, kind="alarm_box") for each in devices)
        await asyncio.to_thread(reload, self._town.data)  # what `fieldgate device add` does
        await self._book.__aenter__()
        self.each = [
            self._box(device, passwords[device], wrap)
            for device, wrap in zip(devices, self._wraps, strict=True)
        ]
        return self

    async def __aexit__(self, *_: object) -> None:
        await asyncio.gather(*(box.stop() for box in self.each))
        await self._book.__aexit__(None, None, None)

    def _box(self, device: str, password: str, wrap: Sequence[str]) -> Box:
        folder = self._town.trial.folder / device
        folder.mkdir()
        host, port = self._broker
        return Box(
            device, password, book=self._book, host=host, port=port, spool=folder / "spool",
            folder=folder, logs=folder, wrap=wrap, tables=self._tables,
        )  # fmt: skip

    async def start(self) -> None:
        """Start them and wait until each has its link; the gateway must know them."""
        await asyncio.gather(*(box.launch() for box in self.each))
        await self.connected(START_TIMEOUT_S)

    async def connected(self, within_s: float) -> None:
        """Wait until each has its link."""
        for box in self.each:
            if not await until(box.is_connected, within_s):
                raise box.failure(f"has no link after {within_s:g} s")

    async def judge(self, *, within_s: float = 60.0) -> Proof:
        """As the town does; and whether the gateway has all that they have numbered so far."""

        async def held() -> bool:
            totals = (await self._town.gateway.get("/api/v1/ledger"))["totals"]
            return not totals["missing"]

        in_time = bool(await until(held, within_s))
        dropped = sum([sum((await box.state())["dropped"].values()) for box in self.each])
        trial = self._town.trial
        trial.liveness(f"no number missing within {within_s:g} s", in_time)
        trial.safety("messages that boxes gave up", not dropped, dropped)
        await self._account()
        return await self._town.judge(within_s=within_s)

    async def _account(self) -> None:
        """Write down what they were told of each alarm."""
        for box in self.each:
            for id_, steps in (await box.stages()).items():
                if "stored" in steps:
                    await self._book.write(ledger.Receipted(id=id_, at=steps["stored"]))

    def waits(self, boxes: Iterable[Box]) -> list[Wait]:
        """What became of these boxes' presses."""
        ids = {id_ for box in boxes for id_ in box.pressed}
        return [wait for wait in self._town.waits() if wait.id in ids]
