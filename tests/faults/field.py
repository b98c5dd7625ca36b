"""`python -m tests.faults.field PLAN`: the devices of an experiment, in a process of their own.

Reads commands from standard input, one JSON object a line, and answers with the state
on standard output:

    {"do": "pace", "alarms_per_s": 2, "positions_per_s": 20}    from now on
    {"do": "press", "device": "box-1"}       now; answered with {"pressed": ID}
    {"do": "drop_links"}                     every device loses its connection
    {"do": "end"}                            write the account into the ledger, and end
"""

from __future__ import annotations

import asyncio
import os
import random
import resource
import sys
import time
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from simulators.ledger import Ledger
from tests.faults.device import Device

STATE_PERIOD_S = 0.1


class Plan(Struct, frozen=True, kw_only=True):
    """What the field is made of. ``passwords`` by device; boxes press, cars also report."""

    host: str
    port: int
    ledger: str
    seed: str
    passwords: dict[str, str]
    kinds: dict[str, str]
    alarms_per_s: float
    positions_per_s: float
    backoff_max_s: float = 1.0
    connect_within_s: float = 1.0
    prefix: str = "field"


class State(Struct, frozen=True, kw_only=True):
    """How the field is. ``waiting``: alarms without a receipt."""

    devices: int
    online: int
    connects: int
    pressed: int
    receipted: int
    waiting: int
    positions: int
    positions_waiting: int


class Field:
    """The devices, and who presses and drives."""

    def __init__(self, plan: Plan, book: Ledger) -> None:
        self._rng = random.Random(plan.seed)
        self._book = book
        self._pace = {"alarms_per_s": plan.alarms_per_s, "positions_per_s": plan.positions_per_s}
        self._devices = {
            device: Device(
                device,
                password,
                kind=plan.kinds[device],
                host=plan.host,
                port=plan.port,
                book=book,
                boot=int(time.time()),
                rng=random.Random(f"{plan.seed}:{device}"),
                speaks_json=number % 2 == 1,
                backoff_max_s=plan.backoff_max_s,
                connect_within_s=plan.connect_within_s,
                prefix=plan.prefix,
            )
            for number, (device, password) in enumerate(plan.passwords.items())
        }
        self._cars = [d for d in self._devices.values() if d.kind != "alarm_box"]

    async def run(self) -> None:
        """Live until told to end."""
        async with asyncio.TaskGroup() as tasks:
            lives = [
                tasks.create_task(device.run(), name=device.device)
                for device in self._devices.values()
            ]
            lives += [
                tasks.create_task(self._press_always(), name="presses"),
                tasks.create_task(self._drive_always(), name="drive"),
                tasks.create_task(self._tell_always(), name="state"),
            ]
            await self._obey()
            for task in lives:
                task.cancel()
        for device in self._devices.values():
            await self._book.write(device.account())
        _say(self.state())

    def state(self) -> State:
        """How it is now."""
        devices = self._devices.values()
        return State(
            devices=len(devices),
            online=sum(device.online for device in devices),
            connects=sum(device.connects for device in devices),
            pressed=sum(device.pressed for device in devices),
            receipted=sum(device.receipted for device in devices),
            waiting=sum(device.alarms_waiting for device in devices),
            positions=sum(device.fixes for device in devices),
            positions_waiting=sum(device.telemetry_waiting for device in devices),
        )

    async def _obey(self) -> None:
        reader = asyncio.StreamReader()
        await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), sys.stdin
        )
        async for line in reader:
            command: dict[str, Any] = msgspec.json.decode(line)
            match command["do"]:
                case "pace":
                    self._pace.update({key: command[key] for key in self._pace.keys() & command})
                case "press":
                    device = self._devices[command["device"]]
                    _say({"pressed": await device.press()})
                case "drop_links":
                    for device in self._devices.values():
                        device.drop_link()
                case "end":
                    return

    async def _press_always(self) -> None:
        """Presses at random moments, so many a second in the mean."""
        devices = list(self._devices.values())
        while True:
            rate = self._pace["alarms_per_s"]
            await asyncio.sleep(min(self._rng.expovariate(rate), 5 / rate) if rate else 0.1)
            if self._pace["alarms_per_s"]:
                await self._rng.choice(devices).press()

    async def _drive_always(self) -> None:
        """Positions in turns, so many a second; what came late on a busy machine is made up."""
        loop = asyncio.get_running_loop()
        due, turn, last_s = 0.0, 0, loop.time()
        while True:
            await asyncio.sleep(0.02)
            now_s = loop.time()
            due += (now_s - last_s) * self._pace["positions_per_s"]
            last_s = now_s
            while due >= 1 and self._cars:
                self._cars[turn % len(self._cars)].report()
                turn, due = turn + 1, due - 1

    async def _tell_always(self) -> None:
        while True:
            _say(self.state())
            await asyncio.sleep(STATE_PERIOD_S)


def _say(what: object) -> None:
    os.write(1, msgspec.json.encode(what) + b"\n")


async def _main(plan: Plan) -> None:
    async with Ledger(Path(plan.ledger)) as book:
        await Field(plan, book).run()


if __name__ == "__main__":
    _, _hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (_hard, _hard))
    asyncio.run(_main(msgspec.json.decode(Path(sys.argv[1]).read_bytes(), type=Plan)))
