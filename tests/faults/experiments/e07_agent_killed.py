"""Experiment 7: the agent is killed before and after the PUBACK, and in the middle of a write."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from pathlib import Path

from tests.faults.agent import Agent
from tests.faults.experiment import Trial, experiment
from tests.faults.packet_relay import PacketRelay
from tests.faults.parts import until
from tests.faults.town import Town


@experiment(
    number=7,
    name="agent-killed",
    breaks="kill -9 the agent before and after PUBACK, and in the middle of a spool write",
    holds="same id resent",
    full_s=240,
    short_s=120,
)
async def agent_killed(trial: Trial) -> None:
    trial.need("strace")
    rounds = trial.pick(full=8, short=1)
    async with (
        Town(trial, boxes=1, cars=0, alarms_per_s=0.5, positions_per_s=0) as town,
        PacketRelay(town.gateway.host, town.gateway.mqtt_port) as relay,
        await town.agent("car-agent", port=relay.port) as agent,
    ):
        held: list[str | None] = []
        for moment in ("publish", "puback", "receipt"):
            for _ in range(rounds):
                relay.arm(moment)
                held.append(await agent.press())
                async with asyncio.timeout(15):
                    await relay.held.wait()
                await agent.kill()
                relay.hold = None
                await agent.start()
                trial.require("receipted after the restart", await agent.alarms_receipted(20))
        again = await town.duplicates()
        torn = 0
        for _ in range(rounds):
            killed = await _killed_in_a_write(agent, trial.rng.randint(1, 24), trial.folder)
            torn += killed
            if killed:
                await agent.ended()
                await agent.start()
            trial.require("receipted after the restart", await agent.alarms_receipted(20))
        await town.heal()
        raised = await town.gateway.events("alarm.raised")
        agent.judge(trial, raised)
        await town.judge(besides=agent.ids(raised))
    trial.safety("same id resent", set(held) <= agent.ids(raised), f"{len(held)} alarms")
    trial.figure(f"{again} duplicates at the gateway")
    trial.liveness("killed in a write of the spool", torn == rounds, f"{torn} times")


async def _killed_in_a_write(agent: Agent, nth: int, folder: Path) -> bool:
    """Have strace kill the agent as one of its threads begins its nth write from now on.

    SQLite writes a frame of its log in two parts, so every other kill tears a frame.
    """
    strace = await asyncio.create_subprocess_exec(
        "strace", "-f", "-o", str(folder / "strace"), "-p", str(agent.pid), "-e", "trace=pwrite64",
        "-e", f"inject=pwrite64:signal=KILL:when={nth}", stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    try:
        await until(_is_traced(agent.pid), 10)
        loop = asyncio.get_running_loop()
        ends_s = loop.time() + 20
        while agent.is_running and loop.time() < ends_s:
            await agent.press()
        return not agent.is_running
    finally:
        with contextlib.suppress(ProcessLookupError):
            strace.terminate()
        await strace.wait()


def _is_traced(pid: int) -> Callable[[], Awaitable[bool]]:
    async def is_so() -> bool:
        threads = Path(f"/proc/{pid}/task").glob("*/status")
        return all("TracerPid:\t0\n" not in status.read_text() for status in threads)

    return is_so
