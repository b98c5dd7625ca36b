"""What processes have used: CPU time and memory, and how busy the rest of the machine was."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path

import psutil
from msgspec import Struct

DISTURBED_CORES = 0.25


class Used(Struct, frozen=True):
    """CPU seconds of each role over ``seconds``; ``others``: of all the rest of the machine."""

    seconds: float
    cpu_s: dict[str, float]

    @property
    def disturbed(self) -> bool:
        """Whether programs that are no part of the bench took much of the machine."""
        return self.cores().get("others", 0.0) > DISTURBED_CORES

    def cores(self) -> dict[str, float]:
        """How much of a core each took."""
        return {role: round(cpu_s / self.seconds, 3) for role, cpu_s in self.cpu_s.items()}


def cpu_s(processes: list[psutil.Process]) -> float:
    """User and system time of these processes so far, and of children they have waited for."""
    total = 0.0
    for process in processes:
        times = process.cpu_times()
        total += times.user + times.system + times.children_user + times.children_system
    return total


def exact_cpu_s(process: psutil.Process) -> float:
    """The same of one process to the nanosecond, for what uses hardly any: its living threads."""
    tasks = Path(f"/proc/{process.pid}/task").glob("*/schedstat")
    return sum(int(task.read_text().split()[0]) for task in tasks) / 1e9


class Meter:
    """CPU time from one moment to another, by role."""

    def __init__(self, roles: Mapping[str, list[psutil.Process]]) -> None:
        self._roles = roles
        self._begun = time.monotonic()
        self._before = self._now()

    def stop(self) -> Used:
        """What was used since."""
        after, seconds = self._now(), time.monotonic() - self._begun
        used = {role: after[role] - self._before[role] for role in after}
        machine = used.pop("machine")
        return Used(seconds, {**used, "others": max(0.0, machine - sum(used.values()))})

    def _now(self) -> dict[str, float]:
        times = psutil.cpu_times()
        busy = times.user + times.nice + times.system + times.irq + times.softirq
        return {"machine": busy} | {role: cpu_s(each) for role, each in self._roles.items()}


def resident_bytes(process: psutil.Process) -> int:
    """Resident memory of one process."""
    size: int = process.memory_info().rss
    return size
