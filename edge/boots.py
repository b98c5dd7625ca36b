"""Which boot this is: above every one before, whatever has become of the disk and the clock."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

FILE_NAME = "boot"
MAX_BOOT = 2**32 - 1
_CLOCK_IS_SET_S = 1_735_689_600  # 2025-01-01


def following(known: Sequence[int | None], now_s: float) -> int:
    """Above every number known. Where none is known there may have been boots before,
    and the clock, which is larger than any count of starts, begins the numbering."""
    latest = [boot for boot in known if boot is not None] or [from_clock(now_s)]
    return min(max(latest) + 1, MAX_BOOT)


def from_clock(now_s: float) -> int:
    """A number to begin with; 0 where the clock was never set."""
    return int(now_s) if _CLOCK_IS_SET_S <= now_s < MAX_BOOT else 0


def from_file(folder: Path) -> int | None:
    """The number in the file beside the spool."""
    try:
        boot = int((folder / FILE_NAME).read_bytes())
    except (OSError, ValueError):
        return None
    return boot if 0 <= boot <= MAX_BOOT else None


def to_file(folder: Path, boot: int) -> None:
    """A second place for the number, should the database be damaged; raise OSError."""
    temporary = folder / f"{FILE_NAME}.new"
    with temporary.open("w") as file:
        file.write(f"{boot}\n")
        file.flush()
        os.fsync(file.fileno())
    temporary.rename(folder / FILE_NAME)
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
