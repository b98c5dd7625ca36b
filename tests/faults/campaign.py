"""In which order do the experiments run, and how does each end in time?"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
import psutil
from msgspec import structs

from tests.faults.experiment import Experiment, Outcome
from tests.faults.parts import HOUSE
from tests.faults.worker import GRACE_S, Job

FULL_S, SHORT_S = 30 * 60.0, 5 * 60.0
LANES = 3
"""Most experiments wait most of the time: three of them leave half of two cores idle."""


class Campaign:
    """One run. ``seed`` decides every fault; ``limit_s`` bounds the whole."""

    def __init__(
        self,
        chosen: Sequence[Experiment],
        *,
        seed: int,
        short: bool,
        folder: Path,
        on_outcome: Callable[[Experiment, Outcome], None],
        limit_s: float | None = None,
        lanes: int = LANES,
    ) -> None:
        self._chosen, self._seed, self._short, self._folder = chosen, seed, short, folder
        self._on_outcome, self._lanes = on_outcome, lanes
        self._ends_s = time.monotonic() + (limit_s or (SHORT_S if short else FULL_S))
        self._outcomes: dict[str, Outcome] = {}

    async def run(self) -> list[Outcome]:
        """The outcomes, in the order of the experiments."""
        for each in self._chosen:
            if each.alone:
                await self._make(each)
        # The longest first, so that the lanes end at about the same time.
        beside = sorted(
            (each for each in self._chosen if not each.alone),
            key=lambda each: -each.limit_s(short=self._short),
        )
        waiting = iter(beside)
        async with asyncio.TaskGroup() as lanes:
            for number in range(self._lanes):
                lanes.create_task(self._lane(waiting), name=f"lane {number}")
        return [self._outcomes[each.name] for each in self._chosen]

    async def _lane(self, waiting: object) -> None:
        for each in waiting:  # type: ignore[attr-defined]
            await self._make(each)

    async def _make(self, experiment: Experiment) -> None:
        """One trial in a process of its own, which ends in time whatever happens."""
        began_s = time.monotonic()
        limit_s = min(
            experiment.limit_s(short=self._short) + GRACE_S, self._ends_s - began_s - GRACE_S
        )
        if limit_s < GRACE_S:
            outcome = self._not_begun(experiment)
        else:
            path = self._folder / f"{experiment.name}.outcome"
            job = Job(
                name=experiment.name,
                seed=self._seed,
                short=self._short,
                folder=str(self._folder / experiment.name),
                outcome=str(path),
            )
            status = await self._work(job, limit_s)
            if path.exists():
                outcome = msgspec.json.decode(path.read_bytes(), type=Outcome)
            else:
                why = f"its process ended with status {status} and no outcome"
                outcome = self._broken(experiment, time.monotonic() - began_s, why)
        self._outcomes[experiment.name] = outcome
        self._on_outcome(experiment, outcome)

    async def _work(self, job: Job, limit_s: float) -> int | None:
        worker = await asyncio.create_subprocess_exec(
            "setpriv", "--pdeathsig", "TERM", sys.executable, "-m", "tests.faults.worker",
            msgspec.json.encode(job).decode(), cwd=HOUSE, start_new_session=True,
        )  # fmt: skip
        try:
            try:
                await asyncio.wait_for(worker.wait(), limit_s)
            except TimeoutError:
                worker.send_signal(signal.SIGTERM)  # it ends its parts and says what it has found
                await asyncio.wait_for(worker.wait(), GRACE_S)
        except (TimeoutError, asyncio.CancelledError) as error:
            _end_tree(worker.pid)
            await worker.wait()
            if isinstance(error, asyncio.CancelledError):
                raise
        return worker.returncode

    def _not_begun(self, experiment: Experiment) -> Outcome:
        """On a slow machine the short selection is shorter; the full campaign must be whole."""
        outcome = self._broken(experiment, 0.0, "not begun: the campaign's time is over")
        return structs.replace(outcome, result="skipped") if self._short else outcome

    def _broken(self, experiment: Experiment, seconds: float, why: str) -> Outcome:
        return Outcome(
            name=experiment.name,
            result="broken",
            seed=self._seed,
            seconds=round(seconds, 1),
            why=why,
        )


def _end_tree(pid: int) -> None:
    """Kill a worker and all below it."""
    with contextlib.suppress(psutil.NoSuchProcess):
        worker = psutil.Process(pid)
        for process in [*worker.children(recursive=True), worker]:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
