"""Which benches run, where, and what is left when they have ended: nothing but the figures."""

from __future__ import annotations

import os
import resource
import shutil
import signal
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import FrameType

from msgspec import Struct

from fieldgate.bench.alarm import alarm
from fieldgate.bench.camera import camera
from fieldgate.bench.devices import devices
from fieldgate.bench.disk import disk
from fieldgate.bench.edge import edge
from fieldgate.bench.feed import feed
from fieldgate.bench.figures import Figure
from fieldgate.bench.firmware import firmware
from fieldgate.bench.ingest import ingest
from fieldgate.bench.machine import describe
from fieldgate.bench.map import map_
from fieldgate.bench.reach import reach
from fieldgate.bench.restart import restart
from fieldgate.bench.scale import Scale
from fieldgate.bench.snapshot import snapshot
from fieldgate.bench.track import track

Say = Callable[[str], None]
Bench = Callable[[Path, Scale, Say], list[Figure]]


class Choice(Struct, frozen=True, kw_only=True):
    """What was asked for."""

    name: str
    qos: int | None = None
    batch: int | None = None
    rate: int | None = None
    quick: bool = False
    data_dir: Path | None = None


def measure(choice: Choice, say: Say) -> tuple[list[Figure], dict[str, str]]:
    """Run what was chosen, one bench after the other; the figures, and of what machine."""
    _allow_many_sockets()
    scale, figures = Scale(quick=choice.quick), []
    with _ended_by_signals(), _folder(choice.data_dir) as folder:
        machine = describe(folder)
        for name, bench in benches(choice).items():
            say(name)
            place = folder / name.replace(" ", "")
            place.mkdir()
            figures += bench(place, scale, say)
            shutil.rmtree(place)
    return figures, machine


def benches(choice: Choice) -> dict[str, Bench]:
    """The chosen benches by name, in the order that they run."""
    chosen: dict[str, Bench] = {}
    if choice.name in ("all", "ingest"):
        either = choice.qos is not None or choice.batch is not None
        for qos in (0, 1):
            if choice.qos == qos or not either:
                chosen[f"ingest --qos {qos}"] = partial(ingest, qos=qos, rate=choice.rate)
        batch = choice.batch or 50
        if choice.batch or not either:
            chosen[f"ingest --batch {batch}"] = partial(
                ingest, qos=1, batch=batch, rate=choice.rate
            )
    others: dict[str, Bench] = {
        "alarm": alarm,
        "devices": devices,
        "restart": restart,
        "disk": disk,
        "track": track,
        "edge": edge,
        "feed": feed,
        "firmware": firmware,
        "camera": camera,
        "reach": reach,
        "map": map_,
        "snapshot": snapshot,
    }
    return chosen | {k: v for k, v in others.items() if choice.name in ("all", k)}


@contextmanager
def _folder(chosen: Path | None) -> Iterator[Path]:
    """A new folder on a real disk: /tmp may be memory, where an fsync costs nothing."""
    where = chosen or Path(os.environ.get("TMPDIR", "."))
    with tempfile.TemporaryDirectory(prefix=".fieldgate-bench-", dir=where) as folder:
        yield Path(folder)


@contextmanager
def _ended_by_signals() -> Iterator[None]:
    """SIGTERM ends the bench as Ctrl-C does. Its parts are ended first: a second signal waits."""

    def stop(number: int, frame: FrameType | None) -> None:
        for each in numbers:
            signal.signal(each, signal.SIG_IGN)
        raise KeyboardInterrupt

    numbers = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(number, stop) for number in numbers]
    try:
        yield
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)


def _allow_many_sockets() -> None:
    """Ten thousand devices are ten thousand sockets, for the broker too."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
