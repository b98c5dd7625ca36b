"""Experiment 23: the gateway is away until the broker's queue overflows and drops in silence."""

from __future__ import annotations

import asyncio
import itertools
import signal

from gateway.registry import Device, Registry
from tests.faults.experiment import Trial, experiment
from tests.faults.flooder import Flooder
from tests.faults.town import Town
from tests.faults.waits import seconds_until, shown

MESSAGES = 100_000
BEYOND = 20_000  # more than the broker keeps
WINDOW = 10_000  # PUBLISH without a PUBACK: 65,535 packet ids are not to run out
RECOVERED_WITHIN_S = 60.0


class Flood(Flooder):
    """Reports at QoS 1 as fast as the broker takes it."""

    def __init__(self, town: Town, device: str, password: str) -> None:
        super().__init__(town, device, password)
        self._acknowledged = asyncio.Condition()

    async def send(self, count: int) -> None:
        """Report so many positions, each in a message of its own."""
        self.listen()
        for seq in range(1, count + 1):
            self.report(seq)
            if seq % 500 == 0:
                await self._until_acknowledged(self.sent - WINDOW)
        await self._until_acknowledged(self.sent)

    async def go_on(self) -> None:
        """Report as a car does: what was dropped at the end shows only by what comes after."""
        for seq in itertools.count(MESSAGES + BEYOND + 1):
            self.report(seq)
            await asyncio.sleep(1)

    async def _until_acknowledged(self, count: int) -> None:
        async with self._acknowledged:
            await self._acknowledged.wait_for(lambda: self.pubacks >= count)

    def _on_puback(self, packet_id: int) -> None:
        super()._on_puback(packet_id)
        if self.pubacks % 500 == 0 or self.pubacks == self.sent:
            asyncio.get_running_loop().create_task(self._tell())

    async def _tell(self) -> None:
        async with self._acknowledged:
            self._acknowledged.notify_all()


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
                trial.liveness("alarms go on", await town.field.receipts_go_on(30))
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
