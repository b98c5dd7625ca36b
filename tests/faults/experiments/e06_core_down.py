"""Experiment 6: the dispatch core is away for minutes, and gets what it missed, in order, fast."""

from __future__ import annotations

import asyncio

from simulators import ledger
from simulators.ledger import Dispatched, now_ms
from tests.faults.experiment import Trial, experiment
from tests.faults.town import Town

ALARMS_PER_S = 8.0
TIMES_FASTER = 10
FIRST_WITHIN_S = 10.0  # from the start of the core's process


@experiment(
    number=6,
    name="core-down",
    breaks="dispatch core down for minutes",
    holds="order kept; drains at 10 times the arrival rate or faster",
    full_s=260,
    short_s=None,
)
async def core_down(trial: Trial) -> None:
    away_s = trial.pick(full=120, short=20)
    async with Town(trial, boxes=6, cars=2, alarms_per_s=ALARMS_PER_S, positions_per_s=10) as town:
        trial.require("receipts before", await town.field.receipts_go_on(10))
        await town.core.kill()
        left_ms = now_ms()
        await asyncio.sleep(away_s)  # time passing is the experiment
        missed = town.undispatched()
        rate = len(missed) / ((now_ms() - left_ms) / 1000)
        back_ms = now_ms()
        await town.core.start()
        await town.heal(within_s=60)
        dispatched = [e for e in ledger.read(town.core.ledger) if isinstance(e, Dispatched)]
        times = [line.at for line in dispatched if line.id in missed]
        drain_s = (max(times) - min(times)) / 1000 if times else 0.0
        raised = [event["id"] for event in await town.gateway.events("alarm.raised")]
        await town.judge()
    order = list(dict.fromkeys(line.id for line in dispatched))
    trial.safety("order kept", order == raised[: len(order)], f"of {len(order)} alarms")
    drained_per_s = len(times) / max(drain_s, 0.001)
    trial.liveness(
        f"drains {TIMES_FASTER} times as fast as they came",
        len(times) == len(missed) and drained_per_s >= TIMES_FASTER * rate,
        f"{len(missed)} came at {rate:.1f}/s, went at {drained_per_s:.0f}/s",
    )
    first_s = (min(times, default=back_ms) - back_ms) / 1000
    trial.liveness(
        f"first delivery within {FIRST_WITHIN_S:g} s",
        0 < first_s <= FIRST_WITHIN_S,
        f"{first_s:.1f} s",
    )
