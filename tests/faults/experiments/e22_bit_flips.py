"""Experiment 22: bits flip on the disk, in the gateway's journal and in an agent's spool."""

from __future__ import annotations

import asyncio
import contextlib
import random
import re
import sqlite3
from pathlib import Path

from tests.faults.agent import Agent
from tests.faults.experiment import Trial, experiment
from tests.faults.metrics import metric
from tests.faults.packet_relay import PacketRelay
from tests.faults.town import Town

SPOOLED_PRESSES = 20


def flip(rng: random.Random, path: Path) -> str:
    """One bit of the file, wherever; where it was."""
    content = bytearray(path.read_bytes())
    at, bit = rng.randrange(len(content)), rng.randrange(8)
    content[at] ^= 1 << bit
    path.write_bytes(content)
    return f"{path.name} byte {at} bit {bit}"


def decay(rng: random.Random, path: Path, bodies: str) -> str:
    """Up to 64 bytes of a row that was asked for, as a block of flash that wears out.

    They are in the file itself once its owner has stopped in good order.
    """
    with contextlib.closing(sqlite3.connect(f"file:{path}?immutable=1", uri=True)) as database:
        hit = rng.choice([body[:64] for (body,) in database.execute(bodies)])
    content = bytearray(path.read_bytes())
    at = content.rfind(hit)  # a page that was moved leaves its copy before it
    content[at : at + len(hit)] = rng.randbytes(len(hit))
    path.write_bytes(content)
    return f"{path.name} bytes {at} to {at + len(hit) - 1}"


@experiment(
    number=22,
    name="journal-bits-flip",
    breaks="bits flip in the journal: database, write-ahead log and the day's telemetry, 20 times;"
    " then 64 bytes of a block decay",
    holds="detected; the rest readable; the gap reported; alarms go on",
    full_s=150,
    short_s=60,
)
async def journal_bits_flip(trial: Trial) -> None:
    times = trial.pick(full=20, short=4)
    started, slowest_s = 0, 0.0
    async with Town(trial, alarms_per_s=8, positions_per_s=60) as town:
        loop = asyncio.get_running_loop()
        journal = town.data / "journal"
        for number in range(times):
            await asyncio.sleep(trial.rng.uniform(0.8, 1.6))
            last = number == times - 1
            await (town.gateway.stop() if last else town.gateway.kill())
            files = [f for f in sorted(journal.glob("*.db*")) if f.suffix in (".db", ".db-wal")]
            if last:
                (path,) = sorted(journal.glob("telemetry-*.db"))[-1:]
                trial.say(decay(trial.rng, path, "SELECT body FROM block"))
            else:
                path = trial.rng.choice([f for f in files if _size(f)])
                trial.say(flip(trial.rng, path))
            began_s = loop.time()
            await town.gateway.start()
            if not await town.field.receipts_go_on(20):
                break
            started += 1
            slowest_s = max(slowest_s, loop.time() - began_s)
        trial.liveness("alarms go on after each start", started == times, f"{started} of {times}")
        trial.figure(f"start to the first receipt, max {slowest_s:.1f} s")
        proof = await town.judge(positions=False)
        told = len(proof.damage)
        trial.safety("the block is told", told > 0, f"{told} places")
        missing, gone = proof.positions_missing, _cursors_gone(proof.damage)
        trial.safety(
            "what is missing is told", missing <= gone, f"{missing} positions, {gone} cursors"
        )
        await town.gateway.events()  # the feed comes to its end
        found = await metric(town.gateway, "fieldgate_journal_damaged")
        trial.figure(f"/metrics shows {found:.0f} places, `fieldgate verify` {told}")


def _cursors_gone(damage: list[str]) -> int:
    """How many events `fieldgate verify` says are missing."""
    ranges = re.findall(r"^no cursor (\d+) to (\d+)$", "\n".join(damage), re.M)
    return sum(int(last) - int(first) + 1 for first, last in ranges)


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


@experiment(
    number=22,
    name="spool-bits-flip",
    breaks="bits flip in an agent's spool and its write-ahead log, and an alarm's bytes decay,"
    " 10 times",
    holds="detected; the rest goes out; no alarm is silent; the gateway asks for nothing for ever",
    full_s=150,
    short_s=50,
)
async def spool_bits_flip(trial: Trial) -> None:
    times = trial.pick(full=10, short=2)
    async with (
        Town(trial, boxes=2, cars=1, alarms_per_s=1, positions_per_s=2) as town,
        PacketRelay(town.gateway.host, town.gateway.mqtt_port) as relay,
    ):
        async with await town.agent("car-22", port=relay.port) as agent:
            emptied = 0
            for number in range(times):
                relay.arm("publish")  # what is pressed now is in the spool alone
                for _ in range(SPOOLED_PRESSES):
                    await agent.press()
                if number % 2:
                    await agent.stop()
                    alarms = "SELECT body FROM message WHERE channel = 'alarm'"
                    trial.say(decay(trial.rng, agent.spool / "spool.db", alarms))
                else:
                    await agent.kill()
                    files = [agent.spool / name for name in ("spool.db", "spool.db-wal")]
                    trial.say(flip(trial.rng, trial.rng.choice([f for f in files if _size(f)])))
                relay.hold = None
                await agent.start()
                if not await agent.alarms_receipted(30):
                    break
                emptied += 1
            trial.liveness("all goes out", emptied == times, f"{emptied} of {times} times")
            ids = await _judge(trial, town, agent, decayed=times // 2)
        await town.judge(besides=ids)


async def _judge(trial: Trial, town: Town, agent: Agent, *, decayed: int) -> set[str]:
    """Each press is heard of: as it was, as what is left of it, or as one that was destroyed."""
    mine = [e for e in await town.gateway.events("alarm.raised") if e["subject"] == agent.device]
    ids = {event["id"] for event in mine}
    silent = set(agent.answered.values()) - ids
    # What is destroyed at the end of a boot leaves no gap by which it would be missed.
    trial.safety("agent: silent", not silent, f"{len(silent)} of {len(agent.answered)}")
    trial.safety("agent: twice", len(ids) == len(mine), f"{len(mine) - len(ids)}")
    marked = sum("disk" in (event["data"].get("text") or "") for event in mine)
    trial.safety("agent: damage is told", marked >= decayed, f"{marked} alarms for {decayed}")
    return ids
