"""Experiment 12: packets get lost, 5, 20 and 40 of a hundred in each direction."""

from __future__ import annotations

import asyncio

from tests.faults.boxes import Box, Boxes
from tests.faults.experiment import Trial, experiment
from tests.faults.network import TOWN, Network
from tests.faults.town import Town, judge_latency

LIMITS_S = {5: 2, 20: 5, 40: 15}


@experiment(
    number=12,
    name="packet-loss",
    breaks="packet loss 5, 20, 40 % in each direction",
    holds="nothing lost; alarm p99 2, 5, 15 s",
    full_s=240,
    short_s=90,
    namespaces=("net",),
)
async def packet_loss(trial: Trial) -> None:
    """A field for each share, all at the same time. The boxes also report a status a second."""
    count, presses = trial.pick(full=8, short=5), trial.pick(full=15, short=6)
    with Network(trial) as network:
        fields = {percent: network.field() for percent in LIMITS_S}
        wraps = [field.place.inside for field in fields.values() for _ in range(count)]
        town = Town(trial, boxes=0, cars=0, host=TOWN)
        async with town, Boxes(town, wraps, tables=["[status]\nperiod_s = 1"]) as boxes:
            await boxes.start()
            for percent, field in fields.items():
                field.lose(percent)
            await asyncio.gather(*(_press(trial, box, presses) for box in boxes.each))
            await town.heal(within_s=60)  # the loss goes on
            for number, (percent, limit_s) in enumerate(LIMITS_S.items()):
                waits = boxes.waits(boxes.each[number * count : (number + 1) * count])
                judge_latency(trial, waits, limit_s=limit_s, of=f"{percent} %")
            for field in fields.values():
                field.lose(0)
            await boxes.judge()


async def _press(trial: Trial, box: Box, presses: int) -> None:
    for _ in range(presses):
        await asyncio.sleep(trial.rng.uniform(0.5, 5))
        await box.press()
