"""The quick way and the general one come to the same: JSON never goes the quick way."""

from __future__ import annotations

import json
import random
from collections import Counter
from pathlib import Path
from typing import Any

import msgpack
import pytest

from gateway.journal.base import EventType
from tests.gateway.house import NOW, House, fix, house

Step = tuple[int, list[Any]]
"""How long after the step before (ms), and the payloads that come in one group."""


def day(rng: random.Random) -> list[Step]:
    """What a car may send: mostly its next number, and everything else that there is."""
    steps, seq, boot, late_ms, sent = list[Step](), 0, 1, 40, [fix(1)]
    now = NOW
    for _ in range(60):
        wait_ms = rng.choice((20, 1000, 1000, 1000, 20_000, 40_000))
        now += wait_ms
        payloads: list[Any] = []
        for _ in range(rng.choice((1, 1, 2, 5))):
            seq += rng.choice((1,) * 12 + (2, 40))
            if rng.random() < 0.03:
                seq, boot = 1, boot + rng.choice((1, 1, -1))
            if rng.random() < 0.05:
                late_ms = rng.choice((0, 40, 41, 5000, 59_999, 60_001, 900_000, -61_000))
            keys = fix(seq, boot=boot, t=now - late_ms, lat=rng.choice((24.5, 24.6, 24)))
            odd = rng.random()
            if odd < 0.05:
                keys["t"] = rng.choice((0, -1, 1000, now + 3_600_000))
            elif odd < 0.08:
                keys["lat"] = 91
            elif odd < 0.15:
                keys = dict(rng.choice(sent))  # again
            elif odd < 0.18:
                keys = rng.choice(sent) | {"spd": rng.random()}  # again, with another body
            if rng.random() < 0.15:
                run = range(max(1, seq - rng.choice((3, 60))), seq + rng.choice((1, 50)))
                apart_ms = rng.choice((1000, 1000, 0))
                fixes = [
                    keys | {"seq": n, "t": now - late_ms - apart_ms * (run[-1] - n)} for n in run
                ]
                seq = max(seq, run[-1])
                if rng.random() < 0.2:
                    rng.shuffle(fixes)
                sent += fixes
                payloads.append(fixes)
            else:
                sent.append(keys)
                payloads.append(keys)
        steps.append((wait_ms, payloads))
    return steps


async def outcome(gw: House, steps: list[Step], *, as_json: bool) -> dict[str, Any]:
    """All that can be known afterwards."""
    for wait_ms, payloads in steps:
        gw.now += wait_ms
        gw.clock_s += wait_ms / 1000
        encode = (lambda p: json.dumps(p).encode()) if as_json else msgpack.packb
        await gw.telemetry_of("pos", *(encode(payload) for payload in payloads))
        gw.receipts.send_due()
    gw.clock_s += 10
    gw.receipts.send_due()
    page = await gw.journal.read(0, 100_000, frozenset(EventType))
    asides = await gw.journal.quarantine(2**62, 10_000)
    aside = Counter[tuple[str, str]]()
    for each in asides:
        aside[each.reason, each.detail] += each.count
    twin = gw.twins.view("car-1")
    return {
        "events": sorted(
            (e.type, e.id, e.t, e.received, e.clock_offset_ms, e.flags, str(e.data))
            for e in page.events
        ),
        "ledger": gw.ledger.view("car-1"),
        "twin": twin,
        # When each is sent may differ: one way counts what is owed in two parts.
        "receipts": {receipt.boot: receipt for receipt in gw.receipts_of("car-1")},
        "aside": aside,
    }


@pytest.mark.parametrize("seed", range(25))
async def test_a_position_comes_to_the_same_whichever_way_it_is_taken(
    tmp_path: Path, seed: int
) -> None:
    steps = day(random.Random(seed))
    async with house(tmp_path / "quick") as gw:
        quick = await outcome(gw, steps, as_json=False)
    async with house(tmp_path / "general") as gw:
        general = await outcome(gw, steps, as_json=True)
    for what, is_so in quick.items():
        assert is_so == general[what], what
