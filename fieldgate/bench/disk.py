"""How many bytes does a fix take on disk, beside a row of columns in SQLite?"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import islice
from pathlib import Path

from fieldgate.bench.drives import drives
from fieldgate.bench.figures import Figure, figure_of
from fieldgate.bench.generator import DRIVE_S
from fieldgate.bench.naive import NaiveTable, row_of
from fieldgate.bench.parts import Account, Gateway, PartFailed, Servant
from fieldgate.bench.scale import Scale

DEVICES = 1000
GROUP_S = 0.05
"""What the contract bounds a group of telemetry by: so much comes together at a rate."""

GROUPS = ((50, 40.0), (1000, 10.0))
"""Messages a commit, and for how many seconds they are sent."""

FIRST_S = 3.0
GOAL_BYTES, GOAL_RATIO = 40.0, 0.5
AGAINST = "a row of columns in SQLite, as many to a commit, without an index"

Say = Callable[[str], None]


def disk(folder: Path, scale: Scale, say: Say) -> list[Figure]:
    """Bytes that each further fix adds to the journal's folder, once the gateway has stopped."""
    figures = []
    with Servant("generator", folder) as generator:
        for group, seconds in GROUPS:
            place = folder / str(group)
            place.mkdir()
            rate = int(group / GROUP_S)
            ours = _ours(place, generator, scale, rate, seconds)
            theirs = _theirs(place, scale.devices(DEVICES), scale.count(40_000), group)
            say(f"  {group} a commit: {ours:.1f} bytes; a row {theirs:.1f}")
            figures.append(
                figure_of(
                    "disk",
                    f"a fix in the journal's folder, at {rate:,} a second:"
                    f" about {group:,} to a commit",
                    [ours],
                    "bytes",
                    reference=[theirs],
                    against=AGAINST,
                    goal=f"at most {GOAL_BYTES:g} bytes and half",
                    at_most=GOAL_BYTES,
                    ratio_at_most=GOAL_RATIO,
                )
            )
    return scale.judged(figures)


def _ours(folder: Path, generator: Servant, scale: Scale, rate: int, seconds: float) -> float:
    """The growth of the folder from one clean stop to the next, by the fixes in between.

    What the first seconds bring, as the empty tables and each device's state, is not counted.
    """
    accounts = Gateway(folder).register([f"bench-{n:04}" for n in range(scale.devices(DEVICES))])
    _sent(folder, generator, accounts, rate, scale.seconds(FIRST_S), anew=False)
    before = _size(folder)
    count = _sent(folder, generator, accounts, rate, scale.seconds(seconds), anew=True)
    return (_size(folder) - before) / count


def _sent(
    folder: Path,
    generator: Servant,
    accounts: list[Account],
    rate: int,
    seconds: float,
    *,
    anew: bool,
) -> int:
    """Have the gateway take so many fixes and stop; how many there were.

    ``anew``: the devices count from 1 again after this, for the next gateway.
    """
    count = int(rate * seconds)
    with ExitStack() as parts:
        gateway = parts.enter_context(Gateway(folder))
        held = gateway.api.metric("fieldgate_journal_cursor")
        order = generator.order
        order("connect", to="disk", host=gateway.host, port=gateway.port, accounts=accounts)
        order("load", to="disk", count=count, rate=rate)
        order("go", to="disk", rate=rate)
        told = order("settle", to="disk", timeout_s=30)
        order("close", to="disk", anew=anew)
        if told["receipted"] < told["devices"]:
            raise PartFailed(f"{told['receipted']} of {told['devices']} devices have a receipt")
        assert gateway.api.metric("fieldgate_journal_cursor") - held >= count
    return count


def _size(folder: Path) -> int:
    """Bytes of all files of the journal."""
    files = (folder / "data" / "journal").rglob("*")
    return sum(path.stat().st_size for path in files if path.is_file())


def _theirs(folder: Path, devices: int, count: int, group: int) -> float:
    """The same kind of fixes as rows."""
    names = [f"bench-{n:04}" for n in range(devices)]
    paths, now = drives(devices, DRIVE_S), time.time_ns() // 1_000_000

    def rows() -> Iterator[tuple[object, ...]]:
        for n in range(count):
            which, second = n % devices, n // devices
            t = now + n
            yield row_of(names[which], paths[which][second % DRIVE_S], second + 1, t, t + 20)

    due = rows()
    with NaiveTable(folder / "naive.db", indexed=False) as naive:
        while some := list(islice(due, group)):
            naive.add(some)
        return naive.bytes() / count
