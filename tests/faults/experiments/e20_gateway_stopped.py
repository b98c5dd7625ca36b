"""Experiment 20: the gateway is stopped and goes on, as a machine does that was suspended."""

from __future__ import annotations

import asyncio
import signal

from tests.faults.experiment import Trial, experiment
from tests.faults.town import Town


@experiment(
    number=20,
    name="gateway-stopped",
    breaks="SIGSTOP gateway 5 and 60 s",
    holds="nothing twice",
    full_s=180,
    short_s=60,
)
async def gateway_stopped(trial: Trial) -> None:
    """Long enough that every device has sent its alarms again, and the broker gave up on it."""
    async with Town(trial, boxes=6, cars=4, alarms_per_s=5, positions_per_s=20) as town:
        for length_s in trial.pick(full=(5, 60), short=(5,)):
            await asyncio.sleep(trial.rng.uniform(0.5, 2))
            town.gateway.signal(signal.SIGSTOP)
            await asyncio.sleep(length_s)  # time passing is the experiment
            waiting = town.field.state.waiting
            town.gateway.signal(signal.SIGCONT)
            trial.liveness(
                f"receipts within 10 s after {length_s} s",
                await town.field.receipts_go_on(10),
                f"{waiting} alarms waited",
            )
        await town.judge()
        duplicates = await town.duplicates()
    trial.liveness("the same alarm came again", duplicates > 0, f"{duplicates} duplicates")
