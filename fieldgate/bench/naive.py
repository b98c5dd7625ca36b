"""The reference for the journal: what anybody would write first, a row of columns in SQLite."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgpack

from fieldgate.bench.drives import BOOT
from protocols.model import Fix

COLUMNS = ("device", "received", "stored", *Fix.__struct_fields__)


class NaiveTable:
    """Fixes as rows, ``indexed`` on device and time or not. ``with`` opens and closes it."""

    def __init__(self, path: Path, *, indexed: bool = True) -> None:
        self._path = path
        self._indexed = indexed
        self._database: sqlite3.Connection

    def __enter__(self) -> NaiveTable:
        self._database = sqlite3.connect(self._path, isolation_level=None)
        self._database.execute("PRAGMA journal_mode = WAL")
        self._database.execute("PRAGMA synchronous = FULL")
        self._database.execute(f"CREATE TABLE fix ({', '.join(COLUMNS)})")
        if self._indexed:
            self._database.execute("CREATE INDEX fix_device_t ON fix (device, t)")
        return self

    def __exit__(self, *_: object) -> None:
        self._database.close()

    def add(self, rows: Iterable[tuple[Any, ...]]) -> None:
        """Commit these together."""
        marks = ", ".join("?" * len(COLUMNS))
        self._database.execute("BEGIN IMMEDIATE")
        self._database.executemany(
            f"INSERT INTO fix VALUES ({marks})",  # noqa: S608 - question marks alone
            rows,
        )
        self._database.execute("COMMIT")

    def track(self, device: str, since_ms: int, until_ms: int) -> bytes:
        """A device's fixes as GeoJSON, in the order of their times."""
        names = ", ".join(COLUMNS)
        rows = self._database.execute(
            f"SELECT {names} FROM fix WHERE device = ? AND t >= ? AND t < ? ORDER BY t",  # noqa: S608
            (device, since_ms, until_ms),
        )
        features = []
        for row in rows:
            fix = {key: value for key, value in zip(COLUMNS, row, strict=True) if value is not None}
            place = {"type": "Point", "coordinates": [fix["lon"], fix["lat"]]}
            features.append({"type": "Feature", "geometry": place, "properties": fix})
        return json.dumps({"type": "FeatureCollection", "features": features}).encode()

    def bytes(self) -> int:
        """What it takes on disk, once the write-ahead log is in the file."""
        self._database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return self._path.stat().st_size


def row_of(device: str, tail: bytes, seq: int, t: int, received: int) -> tuple[Any, ...]:
    """A fix of ``drives`` as a row."""
    keys = msgpack.unpackb(bytes([tail[0] - 3]) + tail[1:])
    keys |= {"boot": BOOT, "seq": seq, "t": t}
    return (device, received, received + 20, *map(keys.get, Fix.__struct_fields__))
