"""Experiment 18: ten times as many positions at once as the gateway lets wait."""

from __future__ import annotations

import asyncio
import contextlib
import time

import msgpack

from gateway.registry import Device, Registry
from gateway.telemetry import MAX_WAITING
from tests.faults.experiment import Trial, experiment
from tests.faults.flooder import Flooder
from tests.faults.metrics import metrics
from tests.faults.mqtt import PUBLISH, packet, text
from tests.faults.parts import until
from tests.faults.town import Town, judge_latency
from tests.faults.waits import Span

TIMES = 10
DEVICES = 200
BURST = 250
"""So many positions a device sends before it is the next one's turn."""

LIMIT_S = 2.0
RECOVERED_WITHIN_S = 90.0


class Car(Flooder):
    """Reports positions at QoS 0, and goes on until all are there."""

    def __init__(self, town: Town, device: str, password: str, count: int) -> None:
        super().__init__(town, device, password)
        self._count = self._newest = count

    @property
    def is_whole(self) -> bool:
        """Whether the gateway has said that it holds all of the flood."""
        return self.held_to >= self._count

    def bursts(self) -> list[bytes]:
        """What it sends, encoded before the clock runs."""
        topic = text(f"{self.up}pos")
        packets = [
            packet(PUBLISH, 0, topic + msgpack.packb(self.position(seq)))
            for seq in range(1, self._count + 1)
        ]
        return [b"".join(packets[at : at + BURST]) for at in range(0, self._count, BURST)]

    def go_on(self) -> None:
        """One more position: the last ones lost are seen only by what comes after them."""
        self._newest += 1
        self.report(self._newest)


@experiment(
    number=18,
    name="telemetry-flood",
    breaks="telemetry at 10 times the limit",
    holds="only telemetry sheds, counted, asked for again",
    full_s=240,
    short_s=None,
    alone=True,
)
async def telemetry_flood(trial: Trial) -> None:
    """The limit is what may wait to be decoded; the flood comes as fast as the broker takes it."""
    names = [f"flood-{number}" for number in range(1, DEVICES + 1)]
    town = Town(trial, boxes=6, cars=2, alarms_per_s=8, positions_per_s=4)
    with Registry(town.data) as registry:
        passwords = registry.add_many(Device(id=name, kind="vehicle_terminal") for name in names)
    count = TIMES * MAX_WAITING // DEVICES
    async with town, contextlib.AsyncExitStack() as links:
        cars = [Car(town, name, passwords[name], count) for name in names]
        bursts = [car.bursts() for car in cars]
        for car in cars:
            await links.enter_async_context(car.link)
            car.listen()
        async with Span() as flood, asyncio.TaskGroup() as tasks:
            serving = [tasks.create_task(car.link.serve(), name="car") for car in cars]
            began_s = time.monotonic()
            for turn in zip(*bursts, strict=True):
                for car, burst in zip(cars, turn, strict=True):
                    await car.link.write(burst)
            sent_s = time.monotonic() - began_s
            trial.figure(f"{count * DEVICES} positions handed over in {sent_s:.1f} s")

            async def whole() -> bool:
                for car in cars:
                    if not car.is_whole:
                        car.go_on()
                return all(car.is_whole for car in cars)

            in_time = await until(whole, RECOVERED_WITHIN_S, every_s=1.0)
            for task in serving:
                task.cancel()
        held = sum(min(car.held_to, count) for car in cars)
        trial.liveness(
            f"all there within {RECOVERED_WITHIN_S:g} s", bool(in_time),
            f"{held} of {count * DEVICES} after {time.monotonic() - began_s:.0f} s",
        )  # fmt: skip
        shed = (await metrics(town.gateway))["fieldgate_telemetry_shed_total"]
        asked = sum(len(car.asked) for car in cars)
        trial.safety("telemetry was shed, and counted", shed > 0, f"{shed:.0f}")
        trial.safety("and asked for again", asked > 0, asked)
        await town.judge()
        judge_latency(trial, flood.waits(town), limit_s=LIMIT_S, of="meanwhile")
