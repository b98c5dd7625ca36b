"""`python -m tests.faults.worker JOB`: one trial of one experiment, in a process of its own."""

from __future__ import annotations

import asyncio
import ctypes
import os
import signal
import subprocess
import sys
import time
import traceback
from pathlib import Path

import msgspec
import psutil
from msgspec import Struct

from tests.faults import catalogue
from tests.faults.experiment import Experiment, Namespace, Outcome, Skipped, Trial

PR_SET_CHILD_SUBREAPER = 36
CLONE = {"mount": 0x00020000, "net": 0x40000000}
GRACE_S = 10.0


class Job(Struct, frozen=True, kw_only=True):
    """What to do, and where the outcome is to be written."""

    name: str
    seed: int
    short: bool
    folder: str
    outcome: str


async def attempt(trial: Trial, experiment: Experiment, limit_s: float) -> Outcome:
    """Make the trial; whatever happens to it becomes an outcome."""
    try:
        async with asyncio.timeout(limit_s) as bound:
            await experiment.run(trial)
    except Skipped as skipped:
        return trial.ended("skipped", str(skipped))
    except asyncio.CancelledError:
        return trial.ended("broken", "ended from outside")
    except Exception as error:  # noqa: BLE001 - the one broad catch: it becomes the row of the table
        if bound.expired():
            return trial.ended("broken", f"not done in {limit_s:g} s")
        traceback.print_exc()
        return trial.ended("broken", _why(error))
    return trial.outcome(must_fail=experiment.must_fail)


def _why(error: BaseException) -> str:
    """The innermost error of a group, in one line."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return " / ".join(f"{type(error).__name__}: {error}".split("\n"))


def enter(namespaces: tuple[Namespace, ...]) -> None:
    """Have mounts or network interfaces of our own, which end with us; raise Skipped."""
    if not namespaces:
        return
    if os.geteuid() != 0:
        raise Skipped("needs root")
    libc = ctypes.CDLL(None, use_errno=True)
    for name in namespaces:
        if libc.unshare(CLONE[name]) != 0:
            why = os.strerror(ctypes.get_errno())
            raise Skipped(f"needs a {name} namespace of its own: {why}")
    if "mount" in namespaces:
        subprocess.run(["mount", "--make-rprivate", "/"], check=True)
    if "net" in namespaces:
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)


def run(job: Job) -> Outcome:
    """One trial from its start to its end."""
    experiment = catalogue.named(job.name)
    os.environ["PATH"] = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
    trial = Trial(job.name, seed=job.seed, short=job.short, folder=Path(job.folder))
    try:
        enter(experiment.namespaces)
    except Skipped as skipped:
        return trial.ended("skipped", str(skipped))

    async def main() -> Outcome:
        work = asyncio.create_task(
            attempt(trial, experiment, experiment.limit_s(short=job.short)), name=job.name
        )
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, work.cancel)
        return await work

    return asyncio.run(main())


def end_all_children() -> None:
    """Kill whatever still runs below us, orphans too."""
    for _ in range(5):
        children = psutil.Process().children(recursive=True)
        if not children:
            return
        for child in children:
            try:
                child.kill()
            except psutil.NoSuchProcess:
                continue
        psutil.wait_procs(children, timeout=2)
        time.sleep(0.05)  # an orphan comes to us a moment after its parent's end


if __name__ == "__main__":
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    _job = msgspec.json.decode(sys.argv[1], type=Job)
    Path(_job.folder).mkdir(parents=True, exist_ok=True)
    try:
        _outcome = run(_job)
    finally:
        end_all_children()
    Path(_job.outcome).write_bytes(msgspec.json.encode(_outcome))
