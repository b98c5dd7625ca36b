"""Experiment 10: the disk is full, has no inodes, becomes read-only; files may not grow."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import psutil

from simulators.ledger import now_ms
from tests.faults.disk import Disk
from tests.faults.experiment import Trial, experiment
from tests.faults.metrics import metric, metrics
from tests.faults.small_disk import SmallDisk
from tests.faults.town import Town, judge_latency
from tests.faults.waits import Span, receipts_between, seconds_until, shown

SAYS_SO_WITHIN_S = 5.0
RECOVERS_WITHIN_S = 20.0
ALARM_P99_S = 2.0
SIZE_MIB = 160  # the reserve is at most a twentieth of it: 8 MiB
RESERVE_BYTES = SIZE_MIB * (1 << 20) // 20
FILES = 600
SETTLE_MS = 1000


async def _says(town: Town, *states: str) -> bool:
    """Whether /metrics shows the disk in one of these states, or /readyz that it is not ready."""
    if await town.gateway.wrong():
        return True
    figures = await metrics(town.gateway)
    return any(figures.get(f'fieldgate_disk_state{{state="{state}"}}') for state in states)


async def _is_well(town: Town) -> bool:
    try:
        figures = await metrics(town.gateway)
    except OSError:
        return False
    return bool(figures.get('fieldgate_disk_state{state="ok"}')) and not await town.gateway.wrong()


@experiment(
    number=10,
    name="disk-full",
    breaks="disk full: slowly, to the last byte, and the reserve too",
    holds="pictures and positions give way first; a releasable reserve keeps alarms going; health"
    " says so within 5 s; recovers when space returns",
    full_s=110,
    short_s=60,
    namespaces=("mount",),
)
async def disk_full(trial: Trial) -> None:
    disk = SmallDisk(trial.folder / "disk", size_mib=SIZE_MIB)
    async with disk, Town(trial, positions_per_s=40, data=disk.folder / "data") as town:
        await asyncio.sleep(1)
        disk.fill(leave_bytes=3 * RESERVE_BYTES)
        took = await seconds_until(lambda: _says(town, "pictures_off"), SAYS_SO_WITHIN_S)
        trial.liveness("pictures give way first", took is not None, shown(took))
        waiting = town.field.state.positions
        went_on = await town.field.wait(
            lambda state: state.positions - state.positions_waiting > waiting, 15
        )
        trial.liveness("positions still come in then", went_on)

        await _without_room(trial, town, disk.fill, "disk full")

        disk.fill()  # what the reserve left
        dry = await seconds_until(lambda: _is_unready(town), 30)
        trial.liveness("with the reserve used up, /readyz says so", dry is not None, shown(dry))
        dry_ms = now_ms()
        await asyncio.sleep(3)
        false = receipts_between(town, dry_ms + SETTLE_MS, now_ms())
        trial.safety("receipts with no room at all", not false, len(false))
        await _recovers(trial, town, disk.free)
        await town.judge()


@experiment(
    number=10,
    name="inodes-out",
    breaks="no inodes left",
    holds="alarms go on; health says so within 5 s; recovers when they return",
    full_s=70,
    short_s=None,
    namespaces=("mount",),
)
async def inodes_out(trial: Trial) -> None:
    disk = SmallDisk(trial.folder / "disk", size_mib=SIZE_MIB, files=FILES)
    async with disk, Town(trial, data=disk.folder / "data") as town:
        await asyncio.sleep(1)
        await _without_room(trial, town, disk.use_up_files, "inodes out")
        await _recovers(trial, town, disk.free)
        await town.judge()


@experiment(
    number=10,
    name="disk-read-only",
    breaks="the file system becomes read-only under the gateway",
    holds="no receipt for what is not kept; health says so within 5 s; goes on once it is writable",
    full_s=70,
    short_s=None,
    namespaces=("mount",),
)
async def disk_read_only(trial: Trial) -> None:
    trial.need("mkfs.ext4")
    disk = Disk(trial.folder / "disk")
    async with disk, Town(trial, data=disk.folder / "data") as town:
        await asyncio.sleep(2)
        await disk.make_read_only()
        began_ms = now_ms()
        took = await seconds_until(lambda: _is_unready(town), SAYS_SO_WITHIN_S)
        trial.liveness("health says so within 5 s", took is not None, shown(took))
        await asyncio.sleep(3)
        false = receipts_between(town, began_ms + SETTLE_MS, now_ms())
        trial.safety("receipts while read-only", not false, len(false))
        await town.gateway.kill()  # as its operator does to mount it anew
        await disk.come_back()
        await town.gateway.start()
        trial.liveness("alarms go on once it is writable", await _receipts_go_on(town))
        await town.judge()


@experiment(
    number=10,
    name="file-size-limit",
    breaks="RLIMIT_FSIZE: no file of the gateway may grow",
    holds="no receipt for what is not kept; health says so within 5 s; recovers when it is lifted",
    full_s=60,
    short_s=30,
)
async def file_size_limit(trial: Trial) -> None:
    async with Town(trial) as town:
        await asyncio.sleep(trial.rng.uniform(0.5, 2))
        process = psutil.Process(town.gateway.pid)
        unlimited = process.rlimit(psutil.RLIMIT_FSIZE)
        process.rlimit(psutil.RLIMIT_FSIZE, (1, unlimited[1]))
        began_ms = now_ms()
        took = await seconds_until(lambda: _is_unready(town), SAYS_SO_WITHIN_S)
        trial.liveness("health says so within 5 s", took is not None, shown(took))
        await asyncio.sleep(2)
        false = receipts_between(town, began_ms + SETTLE_MS, now_ms())
        trial.safety("receipts while no file may grow", not false, len(false))
        await _recovers(trial, town, lambda: process.rlimit(psutil.RLIMIT_FSIZE, unlimited))
        await town.judge()


async def _without_room(trial: Trial, town: Town, take_all: Callable[[], None], what: str) -> None:
    """Alarms go on while there is no room, telemetry gives way, and health says so."""
    refused = await metric(town.gateway, "fieldgate_disk_refused_total")
    await asyncio.to_thread(take_all)
    async with Span() as full:
        took = await seconds_until(
            lambda: _says(town, "telemetry_off", "reserve_released"), SAYS_SO_WITHIN_S
        )
        trial.liveness(f"{what}: health says so within 5 s", took is not None, shown(took))
        trial.liveness(f"{what}: alarms go on", await _receipts_go_on(town))
        await asyncio.sleep(trial.pick(full=8, short=4))
    receipts = await full.receipts(town, within_s=ALARM_P99_S)
    judge_latency(trial, receipts, limit_s=ALARM_P99_S, of=what)
    refused = await metric(town.gateway, "fieldgate_disk_refused_total") - refused
    trial.liveness(f"{what}: positions give way", refused > 0, f"{refused:.0f} not taken")


async def _recovers(trial: Trial, town: Town, give_back: Callable[[], object]) -> None:
    give_back()
    took = await seconds_until(lambda: _is_well(town), RECOVERS_WITHIN_S)
    trial.liveness("recovers by itself", took is not None, shown(took))
    trial.liveness("alarms go on", await _receipts_go_on(town))


async def _receipts_go_on(town: Town) -> bool:
    return await town.field.receipts_go_on(20)


async def _is_unready(town: Town) -> bool:
    return bool(await town.gateway.wrong())
