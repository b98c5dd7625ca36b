"""Experiment 18: ten times as many positions at once as the gateway lets wait."""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import Any

import msgpack

from gateway.registry import Device, Registry
from gateway.telemetry import MAX_WAITING
from simulators.ledger import now_ms
from tests.faults.experiment import Trial, experiment
from tests.faults.metrics import metrics
from tests.faults.mqtt import PUBLISH, Connection, packet, text
from tests.faults.parts import until
from tests.faults.town import Town, judge_latency

TIMES = 10
DEVICES = 200
BURST = 250
"""So many positions a device sends before it is the next one's turn."""

BATCH = 200
LIMIT_S = 2.0
RECOVERED_WITHIN_S = 90.0


class Car:
    """Reports positions at QoS 0 and sends again what a receipt says is missing."""

    def __init__(self, town: Town, device: str, password: str, count: int) -> None:
        self._boot, self._count = int(time.time()), count
        self._up, self._down = (f"field/v1/{device}/{way}/" for way in ("up", "dn"))
        self._place = {"lat": 24.5, "lon": 117.65, "fix": 3, "t": now_ms()}
        self.held_to = self.asked = 0
        self._newest = count
        self.link = Connection(
            town.gateway.host, town.gateway.mqtt_port, client=device, password=password,
            will_topic=f"{self._up}presence",
            will=msgpack.packb({"online": False, "boot": self._boot}),
            on_message=self._take, on_puback=lambda _: None,
        )  # fmt: skip

    @property
    def is_whole(self) -> bool:
        """Whether the gateway has said that it holds all of the flood."""
        return self.held_to >= self._count

    def bursts(self) -> list[bytes]:
        """What it sends, encoded before the clock runs."""
        topic = text(f"{self._up}pos")
        packets = [
            packet(PUBLISH, 0, topic + msgpack.packb(self._keys(seq)))
            for seq in range(1, self._count + 1)
        ]
        return [b"".join(packets[at : at + BURST]) for at in range(0, self._count, BURST)]

    def listen(self) -> None:
        """Ask for receipts."""
        self.link.subscribe(f"{self._down}#")

    def report(self) -> None:
        """One more position: the last ones lost are seen only by what comes after them."""
        self._newest += 1
        self.link.publish(f"{self._up}pos", msgpack.packb(self._keys(self._newest)), qos=1)

    def _keys(self, seq: int) -> dict[str, Any]:
        return {"boot": self._boot, "seq": seq, **self._place}

    def _take(self, topic: str, payload: bytes) -> None:
        if topic != f"{self._down}receipt":
            return
        receipt = msgpack.unpackb(payload)
        self.held_to = max(self.held_to, receipt["t"])
        ranges = receipt.get("miss", {}).get("t", [])
        missing = [seq for first, last in ranges for seq in range(first, last + 1)]
        self.asked += len(missing)
        for at in range(0, len(missing), BATCH):
            fixes = [self._keys(seq) for seq in missing[at : at + BATCH]]
            self.link.publish(f"{self._up}pos", msgpack.packb(fixes), qos=1)


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
        async with asyncio.TaskGroup() as tasks:
            serving = [tasks.create_task(car.link.serve(), name="car") for car in cars]
            began_ms, began_s = now_ms(), time.monotonic()
            for turn in zip(*bursts, strict=True):
                for car, burst in zip(cars, turn, strict=True):
                    await car.link.write(burst)
            sent_s = time.monotonic() - began_s
            trial.figure(f"{count * DEVICES} positions handed over in {sent_s:.1f} s")

            async def whole() -> bool:
                for car in cars:
                    if not car.is_whole:
                        car.report()
                return all(car.is_whole for car in cars)

            in_time = await until(whole, RECOVERED_WITHIN_S, every_s=1.0)
            ended_ms = now_ms()
            for task in serving:
                task.cancel()
        held = sum(min(car.held_to, count) for car in cars)
        trial.liveness(
            f"all there within {RECOVERED_WITHIN_S:g} s", bool(in_time),
            f"{held} of {count * DEVICES} after {time.monotonic() - began_s:.0f} s",
        )  # fmt: skip
        shed = (await metrics(town.gateway))["fieldgate_telemetry_shed_total"]
        asked = sum(car.asked for car in cars)
        trial.safety("telemetry was shed, and counted", shed > 0, f"{shed:.0f}")
        trial.safety("and asked for again", asked > 0, asked)
        await town.judge()
        meanwhile = [wait for wait in town.waits() if began_ms <= wait.pressed_ms < ended_ms]
        judge_latency(trial, meanwhile, limit_s=LIMIT_S, of="meanwhile")
