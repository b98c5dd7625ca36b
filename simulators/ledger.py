"""The ledger: what was pressed, sent, receipted and dispatched, and the verdict on it by sets."""

from __future__ import annotations

import asyncio
import contextlib
import math
import os
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Self, TypeAlias

import msgspec
from msgspec import Struct

from protocols.model import AlarmKind

MAX_WAITING_LINES = 100_000


def now_ms() -> int:
    """The wall clock of this machine, which all lines share: ms since 1970 UTC."""
    return time.time_ns() // 1_000_000


class _Line(Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="what"):
    at: int


class Pressed(_Line, frozen=True, kw_only=True, tag="pressed"):
    """A person pressed; ``online``: the device had its link. Written before anything is sent."""

    id: str
    kind: AlarmKind
    online: bool


class Sent(_Line, frozen=True, kw_only=True, tag="sent"):
    """The alarm went out for the first time."""

    id: str


class Receipted(_Line, frozen=True, kw_only=True, tag="receipted"):
    """The gateway told the device that it holds the alarm."""

    id: str


class Dispatched(_Line, frozen=True, kw_only=True, tag="dispatched"):
    """The dispatch core has the alarm: with an incident, or without one for a self-test."""

    id: str
    incident: int | None = None


class Acknowledged(_Line, frozen=True, kw_only=True, tag="acknowledged"):
    """The gateway took the dispatch core's acknowledgement."""

    id: str


class Telemetry(_Line, frozen=True, kw_only=True, tag="telemetry"):
    """What one boot of a device has made so far; the last such line counts.

    ``fixes``: position reports. ``seq``: the last number of the telemetry lane, where
    the device tells. ``dropped``: messages that its bounded spool gave up.
    """

    device: str
    boot: int
    fixes: int
    seq: int | None = None
    dropped: int = 0


Line: TypeAlias = Pressed | Sent | Receipted | Dispatched | Acknowledged | Telemetry

_encoder = msgspec.json.Encoder()
_decoder: msgspec.json.Decoder[Line] = msgspec.json.Decoder(Line)


class LedgerCorrupt(Exception):
    """A whole line of a ledger that is none."""

    def __init__(self, path: Path, number: int, problem: str) -> None:
        super().__init__(f"{path}, line {number}: {problem}")
        self.path, self.number, self.problem = path, number, problem


class LedgerStopped(Exception):
    """The disk failed or does not keep up. A ledger that drops lines proves nothing."""


class Ledger:
    """Appends lines to a file; a line counts once it would survive a power cut.

    Lines that come while an fsync runs share the next one.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._fd = -1
        self._waiting: list[bytes] = []
        self._wake = asyncio.Event()
        self._synced: asyncio.Future[None] | None = None
        self._closing = False
        self._writer: asyncio.Task[None] | None = None
        # A thread of its own: a press waits for its line, and for nothing else that is slow.
        self._disk = ThreadPoolExecutor(1, "ledger")

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        self._fd = await loop.run_in_executor(self._disk, _open_whole, self._path)
        self._writer = asyncio.create_task(self._write_groups(), name="ledger")
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._writer is not None
        self._closing = True
        self._wake.set()
        try:
            await self._writer
        finally:
            self._disk.shutdown()
            os.close(self._fd)

    def note(self, line: Line) -> asyncio.Future[None]:
        """Append a line; the future tells when it counts."""
        if self._writer is None or self._writer.done():
            raise LedgerStopped(f"{self._path}: not open")
        if len(self._waiting) >= MAX_WAITING_LINES:
            raise LedgerStopped(f"{self._path}: {MAX_WAITING_LINES} lines wait for the disk")
        self._waiting.append(_encoder.encode(line) + b"\n")
        if self._synced is None:
            self._synced = asyncio.get_running_loop().create_future()
        self._wake.set()
        return self._synced

    async def write(self, line: Line) -> None:
        """Append a line and return when it counts."""
        await asyncio.shield(self.note(line))

    async def _write_groups(self) -> None:
        loop = asyncio.get_running_loop()
        while self._waiting or not self._closing:
            await self._wake.wait()
            self._wake.clear()
            group, self._waiting = self._waiting, []
            synced, self._synced = self._synced, None
            if not group or synced is None:
                continue
            try:
                lines = b"".join(group)
                await loop.run_in_executor(self._disk, _append, self._fd, lines)
            except OSError as error:
                synced.set_exception(error)
                raise
            synced.set_result(None)


def _open_whole(path: Path) -> int:
    """Open for appending, without a last line that was cut short: it never counted."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
    written = path.read_bytes()
    os.ftruncate(fd, written.rfind(b"\n") + 1)
    return fd


def _append(fd: int, lines: bytes) -> None:
    with memoryview(lines) as rest:
        done = 0
        while done < len(rest):
            done += os.write(fd, rest[done:])
    os.fdatasync(fd)


def read(path: Path) -> Iterator[Line]:
    """The lines of a ledger; raise LedgerCorrupt. A last line cut short is none yet."""
    with path.open("rb") as file:
        for number, text in enumerate(file, 1):
            if not text.endswith(b"\n"):
                return
            try:
                yield _decoder.decode(text)
            except msgspec.DecodeError as error:
                raise LedgerCorrupt(path, number, str(error)) from None


class Latency(Struct, frozen=True):
    """Milliseconds from press to feed: percentiles by nearest rank."""

    count: int
    p50: int
    p99: int
    max: int

    @classmethod
    def of(cls, values_ms: Iterable[int]) -> Latency | None:
        """The percentiles of the values, None without any."""
        ranked = sorted(values_ms)
        if not ranked:
            return None
        p50, p99 = (ranked[math.ceil(share * len(ranked)) - 1] for share in (0.50, 0.99))
        return cls(len(ranked), p50, p99, ranked[-1])


class Verdict(Struct, frozen=True, kw_only=True):
    """What became of every press (contract section 6), as sets of message ids.

    ``alarm_ms``: for presses whose device had its link; ``alarm_ms_offline``: for the others.
    """

    pressed: frozenset[str]
    stored: frozenset[str]
    dispatched: frozenset[str]
    lost: frozenset[str]
    false_ack: frozenset[str]
    twice: frozenset[str]
    phantom: frozenset[str]
    alarm_ms: Latency | None
    alarm_ms_offline: Latency | None

    @property
    def clean(self) -> bool:
        """Whether nothing is lost, falsely acknowledged, twice or phantom."""
        return not (self.lost or self.false_ack or self.twice or self.phantom)

    def counts(self) -> dict[str, int]:
        """How many ids are in each set."""
        values = msgspec.structs.asdict(self)
        return {name: len(ids) for name, ids in values.items() if isinstance(ids, frozenset)}


def verdict(lines: Iterable[Line], stored_ids: Iterable[str]) -> Verdict:
    """Judge the lines of all ledgers of a run by the ids of alarms that the gateway has stored."""
    stored = frozenset(stored_ids)
    pressed: dict[str, Pressed] = {}
    receipted: set[str] = set()
    dispatched_at: dict[str, int] = {}
    incidents: dict[str, set[int]] = {}
    for line in lines:
        match line:
            case Pressed():
                pressed[line.id] = line
            case Receipted():
                receipted.add(line.id)
            case Dispatched():
                dispatched_at[line.id] = min(line.at, dispatched_at.get(line.id, line.at))
                if line.incident is not None:
                    incidents.setdefault(line.id, set()).add(line.incident)
    waits_ms: dict[bool, list[int]] = {True: [], False: []}
    for id_, press in pressed.items():
        with contextlib.suppress(KeyError):  # a lost one has no latency
            waits_ms[press.online].append(dispatched_at[id_] - press.at)
    return Verdict(
        pressed=frozenset(pressed),
        stored=stored.intersection(pressed),
        dispatched=frozenset(dispatched_at),
        lost=frozenset(pressed.keys() - dispatched_at.keys()),
        false_ack=frozenset(receipted - stored),
        twice=frozenset(id_ for id_, opened in incidents.items() if len(opened) > 1),
        phantom=frozenset(dispatched_at.keys() - pressed.keys()),
        alarm_ms=Latency.of(waits_ms[True]),
        alarm_ms_offline=Latency.of(waits_ms[False]),
    )
