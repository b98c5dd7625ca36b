"""Experiment 5: the broker is killed again and again; the gateway starts it anew."""

from __future__ import annotations

import asyncio
import os
import signal

from tests.faults.experiment import Trial, experiment
from tests.faults.town import Town


@experiment(
    number=5,
    name="broker-killed",
    breaks="kill -9 the broker, 30 times",
    holds="devices resend; nothing lost",
    full_s=240,
    short_s=90,
)
async def broker_killed(trial: Trial) -> None:
    waits_s: list[float] = []
    loop = asyncio.get_running_loop()
    async with Town(trial, boxes=6, cars=4, alarms_per_s=8, positions_per_s=40) as town:
        for _ in range(trial.pick(full=30, short=4)):
            await asyncio.sleep(trial.rng.uniform(0.2, 1.5))  # a random moment is the point
            pid = await town.gateway.broker()
            began_s = loop.time()
            os.kill(pid, signal.SIGKILL)
            await town.gateway.broker(other_than=pid)
            trial.require("receipts go on within 20 s", await town.field.receipts_go_on(20))
            waits_s.append(loop.time() - began_s)
        connects = town.field.state.connects
        await town.judge()
    trial.liveness(
        "receipts go on after each kill within 20 s",
        max(waits_s) <= 20,
        f"{len(waits_s)} kills, p50 {sorted(waits_s)[len(waits_s) // 2]:.1f} s,"
        f" max {max(waits_s):.1f} s",
    )
    trial.figure(f"{connects} connects of {len(town.devices)} devices")
