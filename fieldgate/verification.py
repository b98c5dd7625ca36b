"""What a run has proved: the simulators' ledgers against the journal, and the journal itself."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from typing import NamedTuple

from msgspec import Struct

from gateway.journal.base import Event, EventType
from gateway.journal.reading import SqliteReader
from simulators import ledger
from simulators.ledger import Latency, Line, Telemetry, Verdict

PAGE = 5000


class Kept(NamedTuple):
    """What the journal holds: ids of alarms, and the numbers of position reports by boot."""

    alarms: frozenset[str]
    fixes: dict[tuple[str, int], set[int]]
    events: int
    damage: tuple[str, ...]


class Proof(Struct, frozen=True, kw_only=True):
    """The counts of contract section 6. ``alarm_ms``: press to feed, with the link up."""

    pressed: int
    stored: int
    dispatched: int
    lost: int
    false_ack: int
    twice: int
    phantom: int
    positions_sent: int
    positions_stored: int
    positions_missing: int
    alarm_ms: Latency | None
    alarm_ms_offline: Latency | None
    events: int
    damage: list[str] = []
    findings: dict[str, list[str]] = {}

    @property
    def clean(self) -> bool:
        """Whether nothing is lost, falsely acknowledged, twice or phantom."""
        return not (self.lost or self.false_ack or self.twice or self.phantom)


async def verify(data: Path, ledgers: Iterable[Path]) -> Proof:
    """Judge what is on disk; raise FileNotFoundError or LedgerCorrupt.

    Reading the whole journal on the way also shows whether all of it can be read
    and its cursors have no gap: ``damage`` says where not.
    """
    lines: list[Line] = [line for path in ledgers for line in ledger.read(path)]
    kept = await _kept(data / "journal")
    verdict = ledger.verdict(lines, kept.alarms)
    sent, stored, missing = _positions(lines, kept)
    return Proof(
        **verdict.counts(),
        positions_sent=sent,
        positions_stored=stored,
        positions_missing=missing,
        alarm_ms=verdict.alarm_ms,
        alarm_ms_offline=verdict.alarm_ms_offline,
        events=kept.events,
        damage=list(kept.damage),
        findings=_findings(verdict),
    )


async def _kept(folder: Path) -> Kept:
    alarms: set[str] = set()
    fixes: dict[tuple[str, int], set[int]] = defaultdict(set)
    events = newest = 0
    missing: list[tuple[int, int]] = []
    async with SqliteReader(folder) as reader:
        async for event in _events(reader):
            if event.cursor != newest + 1:
                missing.append((newest + 1, event.cursor - 1))
            newest = event.cursor
            events += 1
            if event.type is EventType.ALARM_RAISED:
                alarms.add(event.id)
            elif event.type is EventType.POSITION:
                fixes[event.device, event.data["boot"]].add(event.data["seq"])
        damage = [*map(str, reader.damage.gaps), *(f"no cursor {a} to {b}" for a, b in missing)]
    return Kept(frozenset(alarms), fixes, events, tuple(damage))


async def _events(reader: SqliteReader) -> AsyncIterator[Event]:
    cursor = 0
    while True:
        page = await reader.read(cursor, PAGE, frozenset(EventType))
        for event in page.events:
            yield event
        if not page.events:
            return
        cursor = page.next


def _positions(lines: list[Line], kept: Kept) -> tuple[int, int, int]:
    """How many position reports the devices made, how many are kept, how many are missing."""
    made = {(line.device, line.boot): line.fixes for line in lines if isinstance(line, Telemetry)}
    held = {key: len(kept.fixes.get(key, ())) for key in made}
    missing = sum(max(0, made[key] - held[key]) for key in made)
    return sum(made.values()), sum(held.values()), missing


def _findings(verdict: Verdict) -> dict[str, list[str]]:
    """The first ids of each set that should be empty."""
    sets = ("lost", "false_ack", "twice", "phantom")
    return {name: sorted(getattr(verdict, name))[:20] for name in sets if getattr(verdict, name)}
