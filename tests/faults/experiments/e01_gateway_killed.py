"""Experiment 1: the gateway is killed again and again at random moments, under load."""

from __future__ import annotations

import asyncio

from simulators import ledger
from simulators.ledger import Receipted, now_ms
from tests.faults.experiment import Trial, experiment
from tests.faults.town import Town

ACCEPTED_WITHIN_S = 5.0


@experiment(
    number=1,
    name="gateway-killed",
    breaks="kill -9 gateway, 100 times at random moments",
    holds="0/0/0/0; alarms accepted within 5 s of restart",
    full_s=600,
    short_s=90,
    alone=True,
)
async def gateway_killed(trial: Trial) -> None:
    times = trial.pick(full=100, short=6)
    restarts: list[int] = []
    async with Town(trial, boxes=6, cars=4, alarms_per_s=8, positions_per_s=40) as town:
        for number in range(1, times + 1):
            # A random moment is the point; one in four falls into the start itself.
            await asyncio.sleep(trial.rng.uniform(0.05, 1.2))
            await town.gateway.kill()
            if trial.rng.random() < 0.25:
                await town.gateway.launch()
                await asyncio.sleep(trial.rng.uniform(0.1, 0.8))
                await town.gateway.kill()
            restarts.append(now_ms())
            await town.gateway.start()
            if not await town.field.receipts_go_on(30):
                break
            if number % 10 == 0:
                trial.say(f"killed {number} times")
        await town.judge()
        waits_s = _until_first_receipt(restarts, town)
    trial.liveness(
        "alarms accepted within 5 s of restart",
        len(waits_s) == times and max(waits_s) <= ACCEPTED_WITHIN_S,
        f"{len(waits_s)} restarts, p50 {sorted(waits_s)[len(waits_s) // 2]:.1f} s,"
        f" max {max(waits_s):.1f} s",
    )


def _until_first_receipt(restarts: list[int], town: Town) -> list[float]:
    """Of each restart: seconds from its first instruction to the first receipt of an alarm."""
    receipts = sorted(
        line.at for line in ledger.read(town.field.ledger) if isinstance(line, Receipted)
    )
    firsts = (next((at for at in receipts if at >= began), None) for began in restarts)
    return [(at - began) / 1000 for at, began in zip(firsts, restarts, strict=True) if at]
