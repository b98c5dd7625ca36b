"""Experiment 22: bits flip on the disk, in the gateway's journal and in an agent's spool."""

from __future__ import annotations

import asyncio
import contextlib
import random
import re
import signal
import sqlite3
from pathlib import Path

from tests.faults.agent import Agent
from tests.faults.experiment import Trial, experiment
from tests.faults.metrics import metric
from tests.faults.town import Town

SPOOLED_PRESSES = 20
PAGE_BYTES = 4096


def flip(rng: random.Random, path: Path) -> str:
    """One bit of the file, wherever; where it was."""
    content = bytearray(path.read_bytes())
    at, bit = rng.randrange(len(content)), rng.randrange(8)
    content[at] ^= 1 << bit
    path.write_bytes(content)
    return f"{path.name} byte {at} bit {bit}"


def damage(rng: random.Random, path: Path) -> str:
    """64 bytes behind the first page that hold something, as a block of flash that wears out."""
    content = bytearray(path.read_bytes())
    used = [
        at for at in range(PAGE_BYTES, len(content) - 64, 64) if content.count(0, at, at + 64) < 32
    ]
    at = rng.choice(used or [PAGE_BYTES])
    content[at : at + 64] = rng.randbytes(len(content[at : at + 64]))
    path.write_bytes(content)
    return f"{path.name} bytes {at} to {at + 63}"


def damage_block(rng: random.Random, path: Path) -> str:
    """The first 64 bytes of one of a day's blocks: what is hit holds positions for certain."""
    with contextlib.closing(sqlite3.connect(f"file:{path}?immutable=1", uri=True)) as day:
        heads = [body[:64] for (body,) in day.execute("SELECT body FROM block")]
    content = bytearray(path.read_bytes())
    at = content.rfind(rng.choice(heads))  # pages that were moved leave copies before it
    content[at : at + 64] = rng.randbytes(64)
    path.write_bytes(content)
    return f"{path.name} bytes {at} to {at + 63}"


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
            # Stopped in good order, all of a day is in its file.
            await (town.gateway.stop() if last else town.gateway.kill())
            files = [f for f in sorted(journal.glob("*.db*")) if f.suffix in (".db", ".db-wal")]
            if last:
                (path,) = sorted(journal.glob("telemetry-*.db"))[-1:]
                trial.say(damage_block(trial.rng, path))
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
    breaks="bits flip in an agent's spool and its write-ahead log, 10 times",
    holds="detected; the rest goes out; no alarm is silent; the gateway asks for nothing for ever",
    full_s=150,
    short_s=50,
)
async def spool_bits_flip(trial: Trial) -> None:
    times = trial.pick(full=10, short=2)
    async with Town(trial, boxes=2, cars=1, alarms_per_s=1, positions_per_s=2) as town:
        async with await town.agent("car-22") as agent:
            emptied = 0
            for number in range(times):
                town.gateway.signal(signal.SIGSTOP)  # so that all stays in the spool
                for _ in range(SPOOLED_PRESSES):
                    await agent.press()
                await agent.kill()
                files = [agent.spool / name for name in ("spool.db", "spool.db-wal")]
                what, least = (damage, 2 * PAGE_BYTES) if number % 2 else (flip, 1)
                path = trial.rng.choice([file for file in files if _size(file) >= least])
                trial.say(what(trial.rng, path))
                town.gateway.signal(signal.SIGCONT)
                await agent.start()
                if not await agent.alarms_receipted(30):
                    break
                emptied += 1
            trial.liveness("all goes out", emptied == times, f"{emptied} of {times} times")
            ids = await _judge(trial, town, agent)
        await town.judge(besides=ids)


async def _judge(trial: Trial, town: Town, agent: Agent) -> set[str]:
    """Each press is heard of: as it was, as what is left of it, or as one that was destroyed."""
    mine = [e for e in await town.gateway.events("alarm.raised") if e["subject"] == agent.device]
    ids = {event["id"] for event in mine}
    silent = set(agent.answered.values()) - ids
    # What is destroyed at the end of a boot leaves no gap by which it would be missed.
    trial.safety("agent: silent", not silent, f"{len(silent)} of {len(agent.answered)}")
    trial.safety("agent: twice", len(ids) == len(mine), f"{len(mine) - len(ids)}")
    marked = sum("disk" in (event["data"].get("text") or "") for event in mine)
    trial.figure(f"agent: {len(agent.answered)} presses, {marked} marked as damaged or destroyed")
    return ids
