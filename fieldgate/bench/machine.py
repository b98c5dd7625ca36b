"""What machine was it measured on? What a reader needs to judge the absolute figures."""

from __future__ import annotations

import os
import platform
import re
import sqlite3
import statistics
import subprocess
import time
from pathlib import Path

import psutil

from fieldgate.bench.parts import mosquitto

SYNCS = 200


def describe(folder: Path) -> dict[str, str]:
    """Processor, memory, disk under this folder and what a sync costs there, versions."""
    memory = psutil.virtual_memory().total / 2**30
    return {
        "processor": f"{os.cpu_count()} × {_processor()}",
        "memory": f"{memory:.0f} GiB",
        "system": f"{platform.system()} {platform.release()}, {platform.machine()}",
        "disk": f"{_file_system(folder)}; 4 KiB written over and fdatasynced:"
        f" {_sync_ms(folder):.2f} ms (median of {SYNCS})",
        "software": f"Python {platform.python_version()}, SQLite {sqlite3.sqlite_version},"
        f" {_mosquitto_version()}",
    }


def _processor() -> str:
    found = re.search(r"^model name\s*: (.+)$", Path("/proc/cpuinfo").read_text(), re.M)
    return found[1].strip() if found else platform.machine()


def _file_system(folder: Path) -> str:
    """The type of the file system that this folder lies on."""
    real = folder.resolve()
    mounts = [
        part
        for part in psutil.disk_partitions(all=True)
        if real.is_relative_to(part.mountpoint)
    ]  # fmt: skip
    return max(mounts, key=lambda part: len(part.mountpoint)).fstype if mounts else "unknown"


def _sync_ms(folder: Path) -> float:
    path = folder / "synced"
    path.write_bytes(bytes(4096))
    file = os.open(path, os.O_WRONLY)
    took = []
    try:
        for _ in range(SYNCS):
            begun = time.perf_counter()
            os.pwrite(file, os.urandom(4096), 0)
            os.fdatasync(file)
            took.append(1000 * (time.perf_counter() - begun))
    finally:
        os.close(file)
        path.unlink()
    return statistics.median(took)


def _mosquitto_version() -> str:
    # It prints its help with status 3.
    told = subprocess.run([mosquitto(), "-h"], capture_output=True, text=True, check=False).stdout
    return told.partition("\n")[0].replace(" version", "").capitalize()
