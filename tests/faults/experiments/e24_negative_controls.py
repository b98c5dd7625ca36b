"""Experiment 24: a gateway that breaks a promise. If the campaign did not see it, it is blind."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

from tests.faults.disk import Disk
from tests.faults.experiment import Trial, experiment
from tests.faults.parts import PartFailed
from tests.faults.town import Town

HOLDS = "the campaign must fail"


def _eatmydata() -> Path | None:
    found = sorted(Path("/usr/lib").rglob("libeatmydata.so*"))
    return found[0] if found else None


@experiment(
    number=24,
    name="control-no-fsync",
    breaks="negative control: fsync switched off (libeatmydata) under a power cut",
    holds=HOLDS,
    full_s=90,
    short_s=90,
    must_fail=True,
    namespaces=("mount",),
)
async def no_fsync(trial: Trial) -> None:
    trial.need("mkfs.ext4", "mount")
    library = _eatmydata()
    if library is None:
        trial.skip("needs libeatmydata")
    async with (
        Disk(trial.folder / "disk") as disk,
        Town(trial, alarms_per_s=10, data=disk.folder / "data") as town,
    ):
        await town.gateway.stop()  # what there is so far is on disk
        town.gateway.env["LD_PRELOAD"] = str(library)
        await town.gateway.start()
        so_far = town.field.state.receipted
        await town.field.wait(lambda state: state.receipted >= so_far + 10, 20)
        disk.cut()
        await town.gateway.kill()
        town.field.pace(alarms_per_s=0, positions_per_s=0)
        await disk.come_back()
        await town.field.end()
        trial.safety("databases damaged", not (damaged := await disk.damaged()), len(damaged))
        try:
            proof = await town.proof()
        except PartFailed as failure:
            trial.safety("journal readable", False, str(failure).splitlines()[-1])
            return
        trial.safety("false_ack", not proof.false_ack, proof.false_ack)


@experiment(
    number=24,
    name="control-no-deduplication",
    breaks="negative control: deduplication off, gateway stopped for 5 s",
    holds=HOLDS,
    full_s=90,
    short_s=90,
    must_fail=True,
)
async def no_deduplication(trial: Trial) -> None:
    town = Town(trial, alarms_per_s=5, positions_per_s=10)
    town.gateway.with_seam("no-deduplication")
    async with town:
        await asyncio.sleep(trial.rng.uniform(0.5, 1))
        town.gateway.signal(signal.SIGSTOP)
        await asyncio.sleep(5)  # the devices send their alarms again
        town.gateway.signal(signal.SIGCONT)
        await town.judge(within_s=15, positions=False)


@experiment(
    number=24,
    name="control-receipt-first",
    breaks="negative control: receipt before commit, gateway killed 3 times",
    holds=HOLDS,
    full_s=90,
    short_s=90,
    must_fail=True,
)
async def receipt_first(trial: Trial) -> None:
    town = Town(trial, alarms_per_s=10, positions_per_s=10)
    town.gateway.with_seam("receipt-before-commit")
    async with town:
        for _ in range(3):
            await town.field.receipts_go_on(10)
            await asyncio.sleep(trial.rng.uniform(0, 0.5))
            await town.gateway.kill()
            await town.gateway.start()
        await town.judge(within_s=10, positions=False)
