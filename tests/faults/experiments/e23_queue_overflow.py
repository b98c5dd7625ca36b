"""Experiment 23: the gateway is away until the broker's queue overflows and drops in silence."""

from __future__ import annotations

import asyncio
import itertools
import signal
import time
from collections.abc import Iterator
from typing import Any

import msgpack

from gateway.registry import Device, Registry
from tests.faults.experiment import Trial, experiment
from tests.faults.mqtt import Connection
from tests.faults.town import Town
from tests.faults.waits import seconds_until, shown

MESSAGES = 100_000
BEYOND = 20_000  # more than the broker keeps
WINDOW = 10_000  # PUBLISH without a PUBACK: 65,535 packet ids are not to run out
BATCH = 200
RECOVERED_WITHIN_S = 60.0


class Flood:
    """A device that reports at QoS 1 as fast as the broker takes it, and resends what is asked."""

    def __init__(self, town: Town, device: str, password: str) -> None:
        self._device, self._boot = device, int(time.time())
        self._up, self._down = (f"field/v1/{device}/{way}/" for way in ("up", "dn"))
        self._place = {"lat": 24.5, "lon": 117.65, "fix": 3, "t": int(time.time() * 1000)}
        self._acknowledged = asyncio.Condition()
        self.sent = self.pubacks = 0
        self.held_to = 0
        self.asked: set[int] = set()
        will = msgpack.packb({"online": False, "boot": self._boot})
        self.link = Connection(
            town.gateway.host, town.gateway.mqtt_port, client=device, password=password,
            will_topic=f"{self._up}presence", will=will,
            on_message=self._take, on_puback=self._on_puback,
        )  # fmt: skip

    async def send(self, count: int) -> None:
        """Report so many positions, each in a message of its own."""
        self.link.subscribe(f"{self._down}#")
        for seq in range(1, count + 1):
            self.link.publish(f"{self._up}pos", msgpack.packb(self._keys(seq)), qos=1)
            self.sent += 1
            if seq % 500 == 0:
                await self._until_acknowledged(self.sent - WINDOW)
        await self._until_acknowledged(self.sent)

    async def _until_acknowledged(self, count: int) -> None:
        async with self._acknowledged:
            await self._acknowledged.wait_for(lambda: self.pubacks >= count)

    def _on_puback(self, _: int) -> None:
        self.pubacks += 1
        if self.pubacks % 500 == 0 or self.pubacks == self.sent:
            asyncio.get_running_loop().create_task(self._tell())

    async def _tell(self) -> None:
        async with self._acknowledged:
            self._acknowledged.notify_all()

    def _keys(self, seq: int) -> dict[str, Any]:
        return {"boot": self._boot, "seq": seq, **self._place}

    def _take(self, topic: str, payload: bytes) -> None:
        if topic != f"{self._down}receipt":
            return
        receipt = msgpack.unpackb(payload)
        if receipt["boot"] != self._boot:
            return
        self.held_to = max(self.held_to, receipt["t"])
        numbers = [
            seq
            for first, last in receipt.get("miss", {}).get("t", [])
            for seq in range(first, last + 1)
        ]
        self.asked.update(numbers)
        for batch in _batches(numbers):
            fixes = msgpack.packb([self._keys(seq) for seq in batch])
            self.sent += 1
            self.link.publish(f"{self._up}pos", fixes, qos=1)

    async def go_on(self) -> None:
        """Report as a car does: what was dropped at the end shows only by what comes after."""
        for seq in itertools.count(MESSAGES + BEYOND + 1):
            self.sent += 1
            self.link.publish(f"{self._up}pos", msgpack.packb(self._keys(seq)), qos=1)
            await asyncio.sleep(1)


def _batches(numbers: list[int]) -> Iterator[list[int]]:
    for at in range(0, len(numbers), BATCH):
        yield numbers[at : at + BATCH]


@experiment(
    number=23,
    name="queue-overflow",
    breaks="MQTT queue overflow: gateway away while 100,000 messages arrive",
    holds="drops found by sequence gaps, asked for, recovered",
    full_s=180,
    short_s=None,
    alone=True,
)
async def queue_overflow(trial: Trial) -> None:
    device = "flood-1"
    town = Town(trial, boxes=4, cars=2, alarms_per_s=2, positions_per_s=4)
    with Registry(town.data) as registry:
        password = registry.add(Device(id=device, kind="vehicle_terminal"))
    async with town:
        flood = Flood(town, device, password)
        async with flood.link:
            serving = asyncio.create_task(flood.link.serve(), name="flood")
            try:
                town.gateway.signal(signal.SIGSTOP)
                loop = asyncio.get_running_loop()
                began_s = loop.time()
                await flood.send(MESSAGES + BEYOND)
                trial.figure(
                    f"{flood.pubacks} messages acknowledged by the broker in"
                    f" {loop.time() - began_s:.0f} s while the gateway was stopped"
                )
                town.gateway.signal(signal.SIGCONT)
                trial.liveness("alarms go on", await town.field.receipts_go_on(30), "")
                going_on = asyncio.create_task(flood.go_on(), name="flood goes on")

                async def whole() -> bool:
                    return flood.held_to > MESSAGES + BEYOND

                took = await seconds_until(whole, RECOVERED_WITHIN_S)
                going_on.cancel()
            finally:
                serving.cancel()
        dropped = len(flood.asked)
        trial.safety("the broker dropped some, and they were asked for", dropped > 0, dropped)
        trial.liveness("all recovered within 60 s", took is not None, shown(took))
        (ledger,) = (await town.gateway.get(f"/api/v1/ledger?device={device}"))["devices"]
        missing = sum(lane["missing"] for lane in ledger["lanes"])
        trial.safety("missing in the gateway's ledger", missing == 0, missing)
        trial.safety("conflicts", ledger["conflicts"] == 0, ledger["conflicts"])
        await town.judge()
