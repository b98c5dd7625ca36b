"""Experiment 11: the gateway, and its broker, have no file descriptors left."""

from __future__ import annotations

import asyncio
import contextlib

import psutil

from tests.faults.experiment import Trial, experiment
from tests.faults.town import Town, judge_latency
from tests.faults.waits import Span, seconds_until, shown

CALLERS = 60
SPARE = 4
BUSY_SHARE = 0.5  # of a core: what accepts in a loop takes all of one
ALARM_P99_S = 2.0


@experiment(
    number=11,
    name="descriptors-out",
    breaks="file descriptors out, at the gateway and at its broker",
    holds="priority connection survives; no accept spin",
    full_s=70,
    short_s=35,
    alone=True,
)
async def descriptors_out(trial: Trial) -> None:
    seconds = trial.pick(full=8, short=4)
    async with Town(trial, alarms_per_s=8) as town:
        await asyncio.sleep(1)
        host = town.gateway.host
        for what, pid, port in (
            ("gateway", town.gateway.pid, town.gateway.http_port),
            ("broker", await town.gateway.broker(), town.gateway.mqtt_port),
        ):
            process = psutil.Process(pid)
            connects = town.field.state.connects
            async with contextlib.AsyncExitStack() as callers:
                limits = process.rlimit(psutil.RLIMIT_NOFILE)
                allowed = process.num_fds() + SPARE
                process.rlimit(psutil.RLIMIT_NOFILE, (allowed, limits[1]))
                try:
                    for _ in range(CALLERS):
                        with contextlib.suppress(OSError):
                            _, writer = await asyncio.open_connection(host, port)
                            callers.callback(writer.close)
                    process.cpu_percent()
                    async with Span() as out:
                        await asyncio.sleep(seconds)
                    share = process.cpu_percent() / 100
                    opened = process.num_fds()
                    receipts = await out.receipts(town, within_s=ALARM_P99_S)
                finally:
                    process.rlimit(psutil.RLIMIT_NOFILE, limits)
            trial.figure(f"{what}: {CALLERS} callers, {opened} of {allowed} descriptors in use")
            trial.liveness(f"{what}: no accept spin", share < BUSY_SHARE, f"{share:.0%} of a core")
            judge_latency(trial, receipts, limit_s=ALARM_P99_S, of=what)
            again = town.field.state.connects - connects
            trial.liveness(f"{what}: no device lost its connection", again == 0, again)

            async def is_ready() -> bool:
                return not await town.gateway.wrong()

            took = await seconds_until(is_ready, 10)
            trial.liveness(
                f"{what}: ready once there are descriptors", took is not None, shown(took)
            )
        await town.judge()
