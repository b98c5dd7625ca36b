"""An hour of the past, played again: all that stood on the map, step by step, as it is found.

A part is 8 bytes, what it is (u32, 1 JSON, 2 a frame of the map's stream) and its length (u32,
little-endian), and then itself. Memory holds one row a unit, and what the journal has in hand.
"""

from __future__ import annotations

import asyncio
import contextlib
import struct
from collections.abc import AsyncGenerator, Callable, Iterator
from itertools import pairwise
from typing import Any, Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray

from gateway import frames
from gateway.journal.base import Event, EventType
from gateway.past import Past, first_stored
from gateway.registry import Device
from gateway.scene import TYPES, Scene
from gateway.seen import Seen, TooMuch

MAX_AT_ONCE = 4
WHOLE_EVERY = 30
"""So many steps: from such a frame a page can begin anywhere."""

LOOK_BACK_MS = 24 * 3600 * 1000
"""An alarm that was open for longer when the time begins has no mark; nor who left before."""

LEAD_MS = 120_000
"""Positions of before the time are looked at for so long: who stands still is there at once."""

PAGE = 1000
FACTS_A_TEXT = 200
MAX_EVENTS = 100_000
"""Changes of units, alarms and presence; a time with more is to be asked for in pieces."""

TEXT, FRAME = 1, 2
_HEAD = struct.Struct("<II")


class Reader(Past, Protocol):
    """What is read of the journal."""

    def sweep(self, since_ms: int, until_ms: int, step_ms: int) -> AsyncGenerator[Seen, None]:
        """Where all devices were in [since, until), in parts of whole steps, in their order."""


class Playback:
    """Plays what the journal has."""

    def __init__(
        self, reader: Reader, devices: Callable[[], list[Device]], *, stale_after_s: float
    ) -> None:
        self._reader, self._devices = reader, devices
        self._stale_after_ms = int(stale_after_s * 1000)
        self._playing = 0

    async def parts(self, since: int, until: int, step_ms: int) -> AsyncGenerator[bytes, None]:
        """What stood on the map from ``since`` to before ``until`` (ms); raise TooMuch."""
        if self._playing >= MAX_AT_ONCE:
            raise TooMuch(f"{MAX_AT_ONCE} play already")
        self._playing += 1
        try:
            happened = await self._happened(since, until)
            scene = Scene(self._devices(), stale_after_ms=self._stale_after_ms)
            begun = since - -(-LEAD_MS // step_ms) * step_ms
            film = _Film(scene, happened, begun=begun, since=since, until=until, step_ms=step_ms)
            hello = {"type": "hello", "since": since, "until": until, "step_ms": step_ms}
            yield part(TEXT, msgspec.json.encode(hello))
            sweep = self._reader.sweep(begun, until, step_ms)
            async with contextlib.aclosing(sweep) as found:
                async for seen in found:
                    yield await asyncio.to_thread(film.play, seen)
            yield await asyncio.to_thread(film.end)
            yield part(TEXT, msgspec.json.encode({"type": "end"}))
        finally:
            self._playing -= 1

    async def _happened(self, since: int, until: int) -> list[tuple[int, Event]]:
        """What is to be known of before, and what happened meanwhile, in the order of time."""
        start = await first_stored(self._reader, since - LOOK_BACK_MS)
        stop = await first_stored(self._reader, until)
        units = frozenset({EventType.UNIT_CHANGED})
        events = [*await self._read(0, start, units), *await self._read(start, stop, TYPES)]
        return sorted(((event.received, event) for event in events), key=_when)

    async def _read(self, after: int, upper: int, types: frozenset[EventType]) -> list[Event]:
        events: list[Event] = []
        while after < upper:
            page = await self._reader.read(after, PAGE, types)
            events += (event for event in page.events if event.cursor <= upper)
            if not page.events:
                break
            if len(events) > MAX_EVENTS:
                raise TooMuch(f"more than {MAX_EVENTS:,} events tell of it")
            after = page.next
        return events


class _Film:
    """Steps become frames, each with what has happened up to its end."""

    def __init__(
        self,
        scene: Scene,
        happened: list[tuple[int, Event]],
        *,
        begun: int,
        since: int,
        until: int,
        step_ms: int,
    ) -> None:
        self._scene, self._happened = scene, happened
        self._begun, self._since, self._step_ms = begun, since, step_ms
        self._steps = -(-(until - begun) // step_ms)
        self._step = 0  # the next one
        self._at = 0
        self._marks: NDArray[np.uint8] = np.empty(0, np.uint8)
        self._update = 0

    def play(self, seen: Seen) -> bytes:
        """All steps up to the last of what was seen."""
        self._scene.meet(seen.names)
        last = int(seen.step[-1])
        steps = np.arange(self._step, last + 2)
        cuts = np.searchsorted(seen.step, steps).tolist()
        columns: Any = seen[:-1]
        pieces: list[bytes] = []
        for low, high in pairwise(cuts):
            some = Seen(*(column[low:high] for column in columns))
            pieces += self._frame(some)
        return b"".join(pieces)

    def end(self) -> bytes:
        """The steps that are left."""
        pieces: list[bytes] = []
        while self._step < self._steps:
            pieces += self._frame(None)
        return b"".join(pieces)

    def _frame(self, seen: Seen | None) -> Iterator[bytes]:
        now = self._begun + (self._step + 1) * self._step_ms
        self._step += 1
        while self._at < len(self._happened) and self._happened[self._at][0] < now:
            self._scene.take(self._happened[self._at][1])
            self._at += 1
        if seen is not None and len(seen.step):
            self._scene.place(seen)
        if now <= self._since:
            return
        facts = self._scene.facts()
        for at in range(0, len(facts), FACTS_A_TEXT):
            some = b",".join(facts[at : at + FACTS_A_TEXT])
            yield part(TEXT, b'{"type":"facts","t":%d,"facts":[%b]}' % (now, some))
        marks = self._scene.marks(now)
        is_whole = self._update % WHOLE_EVERY == 0
        is_told = np.ones(len(marks), np.bool_)
        if not is_whole:
            is_told[: len(self._marks)] = marks[: len(self._marks)] != self._marks
            if seen is not None:
                is_told[self._scene.placed(seen)] = True
        rows = self._scene.rows(np.flatnonzero(is_told), marks)
        self._marks = marks
        self._update += 1
        for frame in frames.encode(rows, now=now, update=self._update, whole=is_whole):
            yield part(FRAME, frame)


def part(kind: int, body: bytes) -> bytes:
    """One part of the stream."""
    return _HEAD.pack(kind, len(body)) + body


def _when(happened: tuple[int, Event]) -> tuple[int, int]:
    return happened[0], happened[1].cursor
