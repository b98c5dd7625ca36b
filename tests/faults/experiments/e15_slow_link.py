"""Experiment 15: a link of 64 kbit/s that pictures fill all the time."""

from __future__ import annotations

import asyncio
from pathlib import Path

import cv2
import numpy as np

from tests.faults.boxes import Box, Boxes
from tests.faults.experiment import Trial, experiment
from tests.faults.network import TOWN, Network
from tests.faults.town import Town, judge_latency

BITS_PER_S = 64_000
QUEUE_BYTES = 32_000
LIMIT_S = 2
PICTURE_S = 4
"""A picture so often, and one of each alarm: more than the link carries."""


@experiment(
    number=15,
    name="slow-link",
    breaks="a 64 kbit/s link (tc tbf) with pictures going up",
    holds="alarm p99 within 2 s",
    full_s=180,
    short_s=None,
    namespaces=("net",),
)
async def slow_link(trial: Trial) -> None:
    """Each box has a link and a camera of its own."""
    count, presses = trial.pick(full=5, short=3), trial.pick(full=24, short=8)
    picture = trial.folder / "picture.jpg"
    _draw(picture)
    camera = f'[camera]\nsource = "{picture}"\nperiod_s = {PICTURE_S}'
    with Network(trial) as network:
        fields = [network.field() for _ in range(count)]
        town = Town(trial, boxes=0, cars=0, host=TOWN)
        async with (
            town,
            Boxes(town, [field.place.inside for field in fields], tables=[camera]) as boxes,
        ):
            await boxes.start()
            for field in fields:
                field.throttle(BITS_PER_S, queue_bytes=QUEUE_BYTES)
            await asyncio.gather(*(_press(trial, box, presses) for box in boxes.each))
            await town.heal(within_s=30)  # the link stays as it is
            judge_latency(trial, boxes.waits(boxes.each), limit_s=LIMIT_S, of="64 kbit/s")
            await _judge_pictures(trial, town, boxes)
            for field in fields:
                field.throttle(10**9, queue_bytes=10**6)
            await boxes.judge()


async def _press(trial: Trial, box: Box, presses: int) -> None:
    for _ in range(presses):
        await asyncio.sleep(trial.rng.uniform(0.5, 3.5))
        await box.press()


async def _judge_pictures(trial: Trial, town: Town, boxes: Boxes) -> None:
    """They went up all the time: some have arrived, and there was always another."""
    whole = len(await town.gateway.events("media"))
    waiting = min([(await box.state())["spool"].get("media", 0) for box in boxes.each])
    figure = f"{whole} whole ones, {waiting} chunks or more waiting on each box"
    trial.liveness("pictures went up meanwhile", whole > 0 and waiting > 0, figure)


def _draw(path: Path) -> None:
    """A picture of some 40 kB: five seconds of the link."""
    noise = np.random.default_rng(15).integers(0, 256, (24, 32, 3), np.uint8)
    cv2.imwrite(str(path), cv2.resize(noise, (400, 300), interpolation=cv2.INTER_CUBIC))
