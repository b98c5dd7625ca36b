"""Experiment 14: whatever is connected is reset, again and again."""

from __future__ import annotations

import asyncio
import time

from tests.faults.boxes import Box, Boxes
from tests.faults.experiment import Trial, experiment
from tests.faults.network import TOWN, Network, Place
from tests.faults.town import Town


@experiment(
    number=14,
    name="resets",
    breaks="every TCP connection reset each 1 to 5 s",
    holds="nothing lost, nothing twice",
    full_s=150,
    short_s=60,
    namespaces=("net",),
)
async def resets(trial: Trial) -> None:
    """Of devices and gateway to the broker, of the webhook to the core, of the core to the API."""
    length_s = trial.pick(full=60, short=15)
    with Network(trial) as network:
        town = Town(trial, boxes=4, cars=4, host=TOWN, positions_per_s=20)
        async with town, Boxes(town, [()] * trial.pick(full=4, short=2)) as boxes:
            await boxes.start()
            ports = {
                "broker": town.gateway.mqtt_port,
                "webhook": town.core.port,
                "API": town.gateway.http_port,
            }
            ends_s = time.monotonic() + length_s
            pressing = asyncio.gather(*(_press(trial, box, ends_s) for box in boxes.each))
            counts = await asyncio.gather(
                *(_reset(trial, network.town, port, ends_s) for port in ports.values())
            )
            await pressing
            to = ", ".join(f"{n} to the {name}" for n, name in zip(counts, ports, strict=True))
            trial.figure(f"connections reset: {to}")
            if not counts[0]:
                trial.skip("this kernel resets no connections (`ss -K`)")
            await boxes.judge()


async def _reset(trial: Trial, town: Place, port: int, ends_s: float) -> int:
    """Reset what is connected there each 1 to 5 s; how many connections that were."""
    count = 0
    while time.monotonic() < ends_s:
        await asyncio.sleep(trial.rng.uniform(1, 5))
        count += await asyncio.to_thread(town.reset, port)
    return count


async def _press(trial: Trial, box: Box, ends_s: float) -> None:
    while time.monotonic() < ends_s:
        await asyncio.sleep(trial.rng.uniform(0.1, 1.5))
        await box.press()
