"""How long does an alarm take from the press to the feed, alone and among positions?"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from fieldgate.bench.figures import Figure, figure_of, percentile
from fieldgate.bench.parts import PartFailed, Servant
from fieldgate.bench.presser import GAP_S
from fieldgate.bench.scale import Scale
from fieldgate.bench.trial import Devices, Load
from fieldgate.bench.usage import Meter, Used

DEVICES, BOXES, ALARMS = 1000, 20, 300
RATES = (0, 5_000, 20_000)
AGAINST = "QoS 1 round trip through the same broker, and one fdatasync of 4 KiB, at rest"
WARM_S = 2.0
"""Positions flow for so long before the first press."""

Say = Callable[[str], None]


class Pressed(NamedTuple):
    """What so many alarms took, what was used meanwhile, and what else is to be said."""

    feed_ms: list[float]
    receipt_ms: list[float]
    reference_ms: list[float]
    used: Used
    notes: list[str]


def alarm(folder: Path, scale: Scale, say: Say) -> list[Figure]:
    """Median, 99th percentile and longest, at each rate of positions."""
    count, figures, reference = scale.count(ALARMS), list[Figure](), list[float]()
    with (
        Devices(folder, scale.devices(DEVICES), boxes=BOXES) as at,
        Servant("presser", folder) as presser,
    ):
        presser.order(
            "meet",
            gateway=(at.gateway.host, at.gateway.port),
            http=at.gateway.api.address,
            authorization=at.gateway.api.authorization,
            boxes=at.boxes,
            broker=(at.broker.host, at.broker.port),
            subscriber=at.broker.priority,
            folder=str(folder),
        )
        for rate in RATES:
            pressed = _pressed(at, presser, count, scale.rate(rate))
            reference = reference or pressed.reference_ms
            figures += _judged(scale.rate(rate), count, pressed, reference)
            say(f"  {figures[-2].work}: {figures[-2].figure} ms {'; '.join(figures[-2].notes)}")
    return scale.judged(figures)


def _pressed(at: Devices, presser: Servant, count: int, rate: int) -> Pressed:
    """Press so often, while positions flow."""
    within_s = count * GAP_S[1] * 2 + 60
    parts = {"gateway": at.gateway.own, "broker": at.gateway.broker}
    roles = {**parts, "generator": [at.generator.process], "boxes": [presser.process]}
    if not rate:
        meter = Meter({**roles, "reference": [at.broker.process]})
        took = presser.order("press", count=count, at_rest=True, within_s=within_s)
        return Pressed(**took, used=meter.stop(), notes=[])
    seconds = count * sum(GAP_S) / 2 + 2 * WARM_S
    load, api = Load(rate=rate, seconds=seconds), at.gateway.api
    at.generator.order("load", to="gateway", count=load.count, rate=rate)
    shed = api.metric("fieldgate_telemetry_shed_total")
    at.generator.begin("go", to="gateway", rate=rate)
    at.generator.has_line(WARM_S)
    meter = Meter(roles)
    took = presser.order("press", count=count, within_s=within_s)
    used = meter.stop()
    flowed = not at.generator.has_line(0)
    sent = at.generator.line(seconds + 60)
    at.generator.order("settle", to="gateway", timeout_s=15)
    lost = api.metric("fieldgate_telemetry_shed_total") - shed
    notes = [
        note
        for note, is_so in (
            (f"{lost:,.0f} positions were shed meanwhile", lost > 0),
            (f"the generator was {sent['late_s']:.1f} s late", sent["late_s"] > 0.5),
            ("the positions ended before the alarms", not flowed),
        )
        if is_so
    ]
    return Pressed(**took, used=used, notes=notes)


def _judged(rate: int, count: int, pressed: Pressed, rest: list[float]) -> list[Figure]:
    among = f"under {rate:,} positions a second" if rate else "at rest"
    feed, notes, cores = pressed.feed_ms, pressed.notes, pressed.used.cores()
    p99_goal: dict[str, float | str] = {}
    max_goal: dict[str, float | str] = {}
    if rate == 0:
        p99_goal = {"goal": "at most 3 times and 15 ms", "ratio_at_most": 3.0, "at_most": 15.0}
    elif rate == RATES[-1]:
        p99_goal = {"goal": "at most 25 ms", "at_most": 25.0}
        max_goal = {"goal": "at most 100 ms", "at_most": 100.0}
    is_valid = not notes and len(feed) == count
    if not feed:
        raise PartFailed("no alarm has come at the feed")
    if len(feed) < count:
        notes.append(f"{count - len(feed)} of {count} alarms have not come")
    if pressed.used.disturbed:
        notes.append(f"other programs took {cores['others']:.2f} cores")
    told = percentile(pressed.receipt_ms, 0.99) if pressed.receipt_ms else float("nan")
    notes.append(f"the box had its receipt after {told:.1f} ms in 99 %")
    rows = [
        figure_of(
            "alarm",
            f"press to feed {among}, {name}",
            [percentile(feed, share)],
            "ms",
            reference=[percentile(rest, share)],
            against=AGAINST,
            notes=notes if share == 0.99 else [],
            cores=cores if share == 0.99 else {},
            series={"feed_ms": [round(ms, 3) for ms in feed],
                    "reference_ms": [round(ms, 3) for ms in rest]} if share == 0.99 else {},
            **goal,  # type: ignore[arg-type]
        )
        for name, share, goal in (
            ("median", 0.5, {}),
            ("p99", 0.99, p99_goal),
            ("longest", 1.0, max_goal),
        )
    ]  # fmt: skip
    for row in rows:
        row.met = row.met and is_valid
        row.runs = len(feed)
    return rows
