"""Is the first position near a place found in one way through all, whatever the blocks?"""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from gateway.grids import distance_m
from gateway.journal.base import Block, EventType, Telemetry
from gateway.journal.sqlite import SqliteJournal
from gateway.seen import Lookout
from protocols.model import Fix
from tests.gateway.outward import NOW_MS, fix

MINUTES = 45
DEG_PER_M = 1 / 111_195
DEVICES = [f"car-{n}" for n in range(12)]
STRANGERS = [f"stranger-{n}" for n in range(12)]


def a_day(rng: random.Random) -> list[Block]:
    """Devices wander about; some are offline for half an hour and send it all at once."""
    seqs = dict.fromkeys(DEVICES, 0)
    spools: dict[str, list[Telemetry]] = {}
    blocks: list[Block] = []
    for second in range(0, MINUTES * 60, 5):
        entries: list[Telemetry] = []
        for device in DEVICES:
            seqs[device] += 1
            lat, lon = (24.5 + rng.uniform(-600, 600) * DEG_PER_M for _ in range(2))
            t = NOW_MS + second * 1000 + rng.randrange(-3000, 3000)
            moved = fix(seqs[device], t=t, lat=lat, lon=lon, fix=rng.choice([0, 3, 3, 3]))
            entry = Telemetry(device, NOW_MS + second * 1000 + 4000, None, (), moved)
            is_away = device in DEVICES[:3] and second % 2400 < 1800
            (spools.setdefault(device, []) if is_away else entries).append(entry)
            if not is_away and device in spools:
                late = spools.pop(device)
                blocks += [Block(late[at : at + 200]) for at in range(0, len(late), 200)]
        blocks.append(Block(entries))
        strange = fix(second + 1, t=NOW_MS + second * 1000)
        if second % 60 == 0:  # a block that nobody is looked for in
            blocks.append(Block([Telemetry(each, NOW_MS, None, (), strange) for each in STRANGERS]))
    return blocks


def lookouts(rng: random.Random, count: int) -> list[Lookout]:
    found = []
    for _ in range(count):
        since = NOW_MS + rng.randrange(-60, MINUTES * 60) * 1000
        until = since + rng.choice([1, 30_000, 400_000, 3_600_000])
        lat, lon = (24.5 + rng.uniform(-700, 700) * DEG_PER_M for _ in range(2))
        device = rng.choice([*DEVICES, "car-unknown"])
        found.append(Lookout(device, since, until, lat, lon, rng.choice([20.0, 100.0, 300.0])))
    return found


@pytest.mark.parametrize("seed", range(2))
async def test_it_is_what_looking_at_every_position_finds(tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)
    blocks, asked = a_day(rng), lookouts(rng, 150)
    positions = [
        (entry.device, entry.message)
        for block in blocks
        for entry in block.entries
        if isinstance(entry.message, Fix)
    ]

    def first(lookout: Lookout) -> int | None:
        times = (
            moved.t
            for device, moved in positions
            if device == lookout.device
            and lookout.since <= moved.t < lookout.until
            and moved.fix
            and distance_m(moved.lat, moved.lon, lookout.lat, lookout.lon) <= lookout.within_m
        )
        return min(times, default=None)

    async with SqliteJournal(tmp_path, now_ms=lambda: NOW_MS) as journal:
        for block in blocks:
            await journal.commit_block(block)
        found = await journal.first_near(asked)
        one = [lookout for lookout in asked if lookout.device == "car-7"]
        assert await journal.first_near(one) == [
            first for lookout, first in zip(asked, found, strict=True) if lookout in one
        ]
        assert journal.damage.found == 0
        assert await journal.first_near([]) == []
    expected = [first(lookout) for lookout in asked]
    assert sum(each is not None for each in expected) > 20
    assert found == expected


async def test_where_the_date_line_runs_the_box_does_not_end(tmp_path: Path) -> None:
    async with SqliteJournal(tmp_path, now_ms=lambda: NOW_MS) as journal:
        moved = fix(1, t=NOW_MS, lat=0.0, lon=-179.9999)
        await journal.commit_block(Block([Telemetry("car-1", NOW_MS, None, (), moved)]))
        asked = [Lookout("car-1", NOW_MS, NOW_MS + 1, 0.0, 179.9999, 100.0)]
        assert await journal.first_near(asked) == [NOW_MS]
        assert (await journal.read(0, 9, frozenset({EventType.POSITION}))).events
