"""Experiment 17: a thousand devices lose the broker, and all come back in one moment."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from functools import partial

from tests.faults.experiment import Trial, experiment
from tests.faults.field import State
from tests.faults.town import Town, judge_latency
from tests.faults.waits import Span

BOXES, CARS = 100, 900
BACK_WITHIN_S = 60.0
LIMIT_S = 2.0
AFTER_S = 3.0
"""Presses count that long after all are back."""


@experiment(
    number=17,
    name="all-at-once",
    breaks="1,000 devices reconnect at once",
    holds="all back within 60 s, alarm p99 within 2 s",
    full_s=150,
    short_s=60,
    alone=True,
)
async def all_at_once(trial: Trial) -> None:
    """The broker is killed. Devices press all the time, whether they have their link or not;
    an alarm of one that has none waits for its turn to come back, which is judged by itself."""
    storms: list[Span] = []
    backs_s: list[float] = []
    async with Town(
        trial, boxes=BOXES, cars=CARS, alarms_per_s=40, positions_per_s=100, backoff_max_s=0.3
    ) as town:
        for _ in range(trial.pick(full=5, short=2)):
            await asyncio.sleep(trial.rng.uniform(1, 2))
            async with Span() as storm:
                began_s = time.monotonic()
                due = town.field.state.connects + BOXES + CARS
                os.kill(await town.gateway.broker(), signal.SIGKILL)
                back = await town.field.wait(partial(_are_back, due=due), BACK_WITHIN_S)
                backs_s.append(time.monotonic() - began_s if back else float("inf"))
                await asyncio.sleep(AFTER_S)
            storms.append(storm)
        await town.judge()
        waits = [wait for storm in storms for wait in storm.waits(town)]
    trial.liveness(
        f"all {BOXES + CARS} back within {BACK_WITHIN_S:g} s",
        max(backs_s) <= BACK_WITHIN_S,
        f"{len(backs_s)} times, max {max(backs_s):.1f} s",
    )
    judge_latency(trial, [w for w in waits if w.online], limit_s=LIMIT_S, of="meanwhile")
    without = [wait.waited_ms for wait in waits if not wait.online and wait.waited_ms is not None]
    trial.figure(f"{len(without)} pressed without a link: max {max(without, default=0)} ms")


def _are_back(state: State, *, due: int) -> bool:
    return state.connects >= due and state.online == state.devices
