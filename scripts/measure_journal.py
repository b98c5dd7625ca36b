"""What does a fix cost on disk, and in time, as a row and in a block? (docs/decisions/0009)

.venv/bin/python scripts/measure_journal.py [FOLDER]
"""

from __future__ import annotations

import random
import sys
import tempfile
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from msgspec.structs import asdict, astuple

from gateway.journal.base import Telemetry
from gateway.journal.blocks import BlockCodec
from gateway.journal.database import open_database
from protocols.model import Fix
from simulators import fleet, town_plan
from simulators.gnss import Receiver

CARS = 300
FIXES = 30_000
NOW = 1_790_000_000_000
BLOCK = "CREATE TABLE block (first INTEGER PRIMARY KEY, last, since, until, body BLOB)"
ROW = f"CREATE TABLE fix (device, received, stored, {', '.join(Fix.__struct_fields__)})"


def entries() -> Iterator[Telemetry]:
    """Cars of the simulated city, each reporting once a second."""
    city, rng = town_plan.draw(1), random.Random(1)
    cars = [(fleet.patrol_car(city, n % 12, rng), Receiver(rng)) for n in range(CARS)]
    for second in range(1, 1_000_000):
        for n, (car, receiver) in enumerate(cars):
            position = receiver.observe(car.step(1.0), 1.0)
            if position is not None:
                t = NOW + second * 1000
                fix = Fix(boot=1, seq=second, **{**asdict(position), "t": t})
                received = t + rng.randrange(20, 120)
                yield Telemetry(f"car-{n:03}", received, 40 + n % 9, (), fix)


def size_of(folder: Path) -> int:
    """Bytes of all files."""
    return sum(path.stat().st_size for path in folder.iterdir())


def blocks(folder: Path, fixes: list[Telemetry], group: int) -> float:
    """Seconds to commit them in blocks of that many."""
    database, codec = open_database(folder / "blocks.db"), BlockCodec()
    database.execute(BLOCK)
    numbers = {device: n for n, device in enumerate(sorted({fix.device for fix in fixes}), 1)}
    started = time.process_time()
    for first in range(0, len(fixes), group):
        some = fixes[first : first + group]
        stored = some[-1].received
        times = [each.message.t for each in some]
        packed = codec.pack(some, stored, numbers.__getitem__)
        row = (first + 1, first + len(some), min(times), max(times), packed)
        database.execute("BEGIN IMMEDIATE")
        database.execute("INSERT INTO block VALUES (?, ?, ?, ?, ?)", row)
        database.execute("COMMIT")
    seconds = time.process_time() - started
    database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    database.close()
    return seconds


def rows(folder: Path, fixes: list[Telemetry], group: int) -> float:
    """Seconds to commit them as rows, that many at a time."""
    database = open_database(folder / "rows.db")
    database.execute(ROW)
    marks = ", ".join("?" * (3 + len(Fix.__struct_fields__)))
    insert = f"INSERT INTO fix VALUES ({marks})"  # noqa: S608 - question marks alone
    started = time.process_time()
    for first in range(0, len(fixes), group):
        some = fixes[first : first + group]
        database.execute("BEGIN IMMEDIATE")
        database.executemany(
            insert, [(e.device, e.received, e.received, *astuple(e.message)) for e in some]
        )
        database.execute("COMMIT")
    seconds = time.process_time() - started
    database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    database.close()
    return seconds


def main() -> None:
    fixes = list(islice(entries(), FIXES))
    for group in (10, 50, 1000):
        for how in (blocks, rows):
            with tempfile.TemporaryDirectory(dir=sys.argv[1] if sys.argv[1:] else None) as name:
                seconds, folder = how(Path(name), fixes, group), Path(name)
                each_us, size = seconds / FIXES * 1e6, size_of(folder) / FIXES
            told = f"{how.__name__:6} of {group:4}: {each_us:5.2f} us CPU, {size:5.1f} bytes a fix"
            sys.stdout.write(told + "\n")


if __name__ == "__main__":
    main()
