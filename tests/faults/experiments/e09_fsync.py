"""Experiment 9: fsync fails, or takes half a second."""

from __future__ import annotations

import asyncio

from simulators.ledger import now_ms
from tests.faults.experiment import Trial, experiment
from tests.faults.fsync import Fsync
from tests.faults.metrics import metric
from tests.faults.town import Town, judge_latency
from tests.faults.waits import Span, receipts_between, seconds_until

STOPS_WITHIN_MS = 1000
ALARM_P99_S = 2.0
DELAY_MS = 500


@experiment(
    number=9,
    name="fsync-fails",
    breaks="fsync fails (EIO)",
    holds="no receipt, stop within 1 s, reconciled",
    full_s=80,
    short_s=35,
)
async def fsync_fails(trial: Trial) -> None:
    times = trial.pick(full=5, short=1)
    data = trial.folder / "data"
    fsync = Fsync(trial, data / "journal")
    stopped_ms: list[int] = []
    false: list[str] = []
    async with Town(trial, alarms_per_s=10, data=data, gateway={"env": fsync.env}) as town:
        for _ in range(times):
            await asyncio.sleep(trial.rng.uniform(0.5, 1.5))
            fsync.fail()

            async def has_stopped() -> bool:
                return bool(fsync.since_ms and await town.gateway.wrong())

            took = await seconds_until(has_stopped, 10)
            stopped_ms.append(now_ms() - fsync.since_ms if took is not None else 10_000)
            failed_ms = fsync.since_ms
            await asyncio.sleep(trial.rng.uniform(1.0, 3.0))
            healed_ms = now_ms()
            fsync.heal()
            # What was on its way to the device when the disk failed may still be noted.
            false += receipts_between(town, failed_ms + 300, healed_ms)
            trial.liveness("receipts go on", await town.field.receipts_go_on(20))
        trial.safety("receipts while fsync fails", not false, f"{len(false)}")
        trial.liveness(
            "says so within 1 s",
            max(stopped_ms) <= STOPS_WITHIN_MS,
            f"{times} times, max {max(stopped_ms)} ms after the first of {fsync.failed} failures",
        )
        await town.judge()


@experiment(
    number=9,
    name="fsync-slow",
    breaks="fsync takes 500 ms",
    holds="alarms p99 within 2 s, telemetry sheds",
    full_s=60,
    short_s=None,
    alone=True,
)
async def fsync_slow(trial: Trial) -> None:
    data = trial.folder / "data"
    fsync = Fsync(trial, data / "journal")
    options = {"env": fsync.env}
    async with Town(trial, alarms_per_s=6, positions_per_s=300, data=data, gateway=options) as town:
        await asyncio.sleep(1)
        fsync.delay(DELAY_MS)
        async with Span() as slow:
            await asyncio.sleep(trial.pick(full=25, short=10))
        fsync.heal()
        held_ms = slow.ended_ms - slow.began_ms
        trial.figure(f"{fsync.delayed} calls of fsync delayed by {DELAY_MS} ms in {held_ms} ms")
        await town.judge()
        judge_latency(trial, slow.waits(town), limit_s=ALARM_P99_S, of="meanwhile")
        shed = await metric(town.gateway, "fieldgate_telemetry_shed_total")
        trial.figure(f"{shed:.0f} positions shed")
