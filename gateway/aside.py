"""A small database that is damaged is put aside, so that the gateway starts: alarms come first."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from pathlib import Path

import structlog

log = structlog.get_logger()


def opened(path: Path, connect: Callable[[], sqlite3.Connection]) -> sqlite3.Connection:
    """The database; a new one if it is none any more, the old file beside it."""
    try:
        return connect()
    except sqlite3.OperationalError:  # it is locked, or the disk is full: there is nothing wrong
        raise
    except sqlite3.DatabaseError as error:
        mark = f".damaged-{time.time_ns() // 1_000_000}"
        for each in path.parent.glob(f"{path.name}*"):
            if each.name.removeprefix(path.name) in {"", "-wal", "-shm"}:
                each.rename(each.with_name(each.name + mark))
        log.error("database_damaged", file=path.name, kept=path.name + mark, error=str(error))
        return connect()
