"""Experiment 8: the power goes under the gateway's journal and under the agent's spool."""

from __future__ import annotations

import asyncio

from tests.faults.agent import Agent
from tests.faults.disk import Disk
from tests.faults.experiment import Trial, experiment
from tests.faults.town import Town


async def _press_always(agent: Agent) -> None:
    while True:
        await agent.press()
        await asyncio.sleep(0.1)  # whether or not somebody answers


@experiment(
    number=8,
    name="power-cut",
    breaks="power cut under the gateway's journal and under the agent's spool (loop ext4,"
    " shutdown ioctl without log flush), 50 times",
    holds="false_ack = 0; integrity check passes",
    full_s=420,
    short_s=120,
    namespaces=("mount",),
)
async def power_cut(trial: Trial) -> None:
    trial.need("mkfs.ext4", "mount")
    folder, damaged, checked = trial.folder, list[str](), 0
    rng = trial.rng
    async with (
        Disk(folder / "gateway-disk") as below,
        Disk(folder / "agent-disk") as beside,
        Town(
            trial, boxes=5, cars=4, alarms_per_s=8, positions_per_s=60, data=below.folder / "data"
        ) as town,
        await town.agent("car-agent", spool=beside.folder / "spool") as agent,
    ):
        pressing = asyncio.create_task(_press_always(agent), name="presses of the agent")
        for _ in range(trial.pick(full=50, short=3)):
            # Random moments are the point, of each disk its own.
            moments_s = {below: rng.uniform(0.1, 1.0), beside: rng.uniform(0.1, 1.0)}
            began_s = asyncio.get_running_loop().time()
            for disk, at_s in sorted(moments_s.items(), key=lambda each: each[1]):
                await asyncio.sleep(began_s + at_s - asyncio.get_running_loop().time())
                disk.cut()
                await (town.gateway if disk is below else agent).kill()
            for disk in (below, beside):
                await disk.come_back()
                damaged += await disk.damaged()
                checked += len(disk.databases())
            await asyncio.gather(town.gateway.start(), agent.start())
            trial.require("receipts go on within 20 s", await town.field.receipts_go_on(20))
        pressing.cancel()
        await asyncio.wait([pressing])
        in_time = await agent.alarms_receipted(40)
        trial.liveness("agent: all alarms receipted within 40 s", in_time)
        await town.heal()
        raised = await town.gateway.events("alarm.raised")
        agent.judge(trial, raised)
        await town.judge(besides=agent.ids(raised))
    trial.safety("databases damaged", not damaged, f"{len(damaged)} of {checked} checks")
