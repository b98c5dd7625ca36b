"""Experiment 19: clocks that are wrong, and jump while everything runs."""

from __future__ import annotations

import asyncio

from tests.faults.clock import SEEN_WITHIN_S, WallClock
from tests.faults.experiment import Trial, experiment
from tests.faults.town import Town

FLAGS = {"clock_unset", "clock_skewed", "delayed"}
GOES_ON_WITHIN_S = 10.0


@experiment(
    number=19,
    name="gateway-clock",
    breaks="the gateway's clock jumps while it runs: +1 h, -1 h, 1970, 2038, 2106 and back",
    holds="timers monotonic; dedup unaffected; flagged",
    full_s=110,
    short_s=None,
)
async def gateway_clock(trial: Trial) -> None:
    clock = WallClock(trial, "gateway")
    stuck: list[str] = []
    async with Town(trial, alarms_per_s=6, gateway={"env": clock.env}) as town:
        for name, ahead_s in clock.jumps.items():
            clock.set(ahead_s)
            await asyncio.sleep(SEEN_WITHIN_S)
            town.field.tell(do="drop_links")  # all that has no receipt comes again
            if not await town.field.receipts_go_on(GOES_ON_WITHIN_S) or await town.gateway.wrong():
                stuck.append(name)
            await asyncio.sleep(trial.pick(full=4, short=0.5))
        clock.set(0)
        await asyncio.sleep(SEEN_WITHIN_S)
        _goes_on(trial, "alarms go on", stuck, clock)
        await _flagged(trial, town, "alarms under a wrong clock of the gateway", None)
        await town.judge()


@experiment(
    number=19,
    name="device-clock",
    breaks="an agent's clock jumps while it runs: +1 h, -1 h, 1970, 2038, 2106; a start in each",
    holds="timers monotonic; dedup unaffected; flagged",
    full_s=110,
    short_s=None,
)
async def device_clock(trial: Trial) -> None:
    clock = WallClock(trial, "agent")
    stuck: list[str] = []
    async with Town(trial, boxes=1, cars=0, alarms_per_s=1, positions_per_s=0) as town:
        wrap = ["env", *(f"{name}={value}" for name, value in clock.env.items())]
        async with await town.agent("car-19", wrap=wrap) as agent:
            for name, ahead_s in clock.jumps.items():
                clock.set(ahead_s)
                await asyncio.sleep(SEEN_WITHIN_S)
                await agent.press()
                if not await agent.alarms_receipted(GOES_ON_WITHIN_S):
                    stuck.append(name)
                if not trial.short:
                    await agent.stop()
                    await agent.start()
                    await agent.press()
                    if not await agent.alarms_receipted(GOES_ON_WITHIN_S):
                        stuck.append(f"{name}, after a start")
            _goes_on(trial, "receipted", stuck, clock)
            raised = await town.gateway.events("alarm.raised")
            agent.judge(trial, raised)
            await _flagged(trial, town, "its alarms", agent.device)
        await town.judge(besides=agent.ids(raised))


def _goes_on(trial: Trial, what: str, stuck: list[str], clock: WallClock) -> None:
    """Whether no jump of the clock held it up."""
    figure = ", ".join(stuck) or f"after each of {len(clock.jumps)} jumps"
    trial.liveness(f"{what} within {GOES_ON_WITHIN_S:g} s", not stuck, figure)


async def _flagged(trial: Trial, town: Town, whose: str, device: str | None) -> None:
    """Whether what has a time far from the gateway's says so."""
    far = [
        event
        for event in await town.gateway.events("alarm.raised")
        if device in (None, event["subject"])
        and abs(event["data"]["received"] - event["data"]["t"]) > 60_000
    ]
    silent = [event["id"] for event in far if not FLAGS & set(event["data"]["flags"])]
    trial.safety(f"{whose} are flagged", bool(far) and not silent, f"{len(far)}, not {len(silent)}")
