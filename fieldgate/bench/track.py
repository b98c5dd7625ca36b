"""How soon does one device's day come over HTTP, or an hour, out of a store full of others?"""

from __future__ import annotations

import http.client
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import msgspec

from fieldgate.bench.drives import drives
from fieldgate.bench.figures import Figure, figure_of
from fieldgate.bench.generator import DRIVE_S
from fieldgate.bench.naive import NaiveTable, row_of
from fieldgate.bench.parts import Api, Gateway, PartFailed, Servant
from fieldgate.bench.scale import Scale
from fieldgate.bench.stock import fill

DEVICES, DAY_FIXES = 20, 86_400
DAY_MS, HOUR_MS = 86_400_000, 3_600_000
GOAL_MS = 50.0
AGAINST = "a row of columns in SQLite with an index on (device, t), SELECT and json.dumps"

Say = Callable[[str], None]


def track(folder: Path, scale: Scale, say: Say) -> list[Figure]:
    """Milliseconds to the first byte of the body, and to the last."""
    # Yesterday's midnight to today's: a whole day that has passed.
    since_ms = time.time_ns() // 1_000_000 // DAY_MS * DAY_MS - DAY_MS
    names = [f"bench-{n:04}" for n in range(DEVICES)]
    with ExitStack() as parts:
        gateway = Gateway(folder)
        accounts = gateway.register(names)
        parts.enter_context(gateway)
        generator = parts.enter_context(Servant("generator", folder))
        due = scale.count(DAY_FIXES)
        count = fill(gateway, generator, accounts, DEVICES * due, since_ms=since_ms, every_ms=1000)
        generator.stop()
        naive = parts.enter_context(NaiveTable(folder / "naive.db"))
        for name, drive in zip(names, drives(DEVICES, DRIVE_S), strict=True):
            naive.add(_rows(name, drive, count // DEVICES, since_ms))
        first, last = list[float](), list[float]()
        first_naive, last_naive = list[float](), list[float]()
        for name in names[: scale.runs(5)]:
            until_ms = since_ms + DAY_MS
            path = f"/api/v1/devices/{name}/track?from={since_ms}&to={until_ms}&format=geojson"
            to_first, to_last, body = _timed(gateway.api, path)
            # The last array of a backlog may reach a second or two beyond midnight.
            features = msgspec.json.decode(body)["features"]
            if len(features) != min(DAY_FIXES, count // DEVICES):
                raise PartFailed(f"{len(features):,} fixes of {name}, due {count // DEVICES:,}")
            begun = time.perf_counter()
            naive_body = naive.track(name, since_ms, until_ms)
            to_naive = 1000 * (time.perf_counter() - begun)
            first.append(to_first)
            last.append(to_last)
            first_naive.append(to_naive)
            last_naive.append(to_naive)
            say(
                f"  {name}: {to_first:.0f} ms to the first byte, {to_last:.0f} ms to the last of"
                f" {len(body):,}; SQLite {to_naive:.0f} ms for {len(naive_body):,}"
            )
        hours = _hours(
            gateway.api, naive, names, runs=scale.runs(5), since_ms=since_ms, due=min(due, 3600)
        )
    what = f"{len(features):,} fixes of one device among {count:,}, as GeoJSON"
    rows = [
        figure_of(
            "track", f"{what}: first byte", first, "ms", reference=first_naive, against=AGAINST,
            goal=f"at most {GOAL_MS:g} ms", at_most=GOAL_MS,
        ),
        figure_of(
            "track", f"{what}: last byte", last, "ms", reference=last_naive, against=AGAINST
        ),
        *hours,
    ]  # fmt: skip
    return scale.judged(rows)


def _hours(
    api: Api, naive: NaiveTable, names: list[str], *, runs: int, since_ms: int, due: int
) -> list[Figure]:
    """An hour of one device out of that day, and the hour of all of them played back."""
    of_one, of_all = list[float](), list[float]()
    of_naive, all_naive = list[float](), list[float]()
    # In the middle of what there is.
    begin = since_ms + (DAY_MS - HOUR_MS) // 2 if due == 3600 else since_ms
    times = f"from={begin}&to={begin + HOUR_MS}"
    for name in names[:runs]:
        path = f"/api/v1/devices/{name}/track?{times}&format=geojson"
        _, to_last, body = _timed(api, path)
        found = len(msgspec.json.decode(body)["features"])
        if found < due:
            raise PartFailed(f"{found:,} fixes of {name} in an hour, due {due:,}")
        of_one.append(to_last)
        started = time.perf_counter()
        naive.track(name, begin, begin + HOUR_MS)
        of_naive.append(1000 * (time.perf_counter() - started))
        of_all.append(_timed(api, f"/api/v1/playback?{times}&step_s=10")[1])
        started = time.perf_counter()
        for each in names:
            naive.track(each, begin, begin + HOUR_MS)
        all_naive.append(1000 * (time.perf_counter() - started))
    return [
        figure_of(
            "track", "an hour of one device out of that day: last byte", of_one, "ms",
            reference=of_naive, against=AGAINST,
        ),
        figure_of(
            "track", f"that hour of all {DEVICES}, played back at 10 s a step: last byte",
            of_all, "ms", reference=all_naive, against=AGAINST,
        ),
    ]  # fmt: skip


def _rows(name: str, drive: list[bytes], count: int, since_ms: int) -> Iterator[tuple[object, ...]]:
    now = time.time_ns() // 1_000_000
    for n in range(count):
        # The generator's numbering: the first fix has number 1.
        yield row_of(name, drive[(n + 1) % len(drive)], n + 1, since_ms + n * 1000, now)


def _timed(api: Api, path: str) -> tuple[float, float, bytes]:
    """Milliseconds to the first byte of the body and to the last, on a connection of its own."""
    connection = http.client.HTTPConnection(api.address, timeout=120)
    begun = time.perf_counter()
    connection.request("GET", path, headers={"Authorization": api.authorization})
    answer = connection.getresponse()
    body = answer.read(1)
    to_first = 1000 * (time.perf_counter() - begun)
    body += answer.read()
    to_last = 1000 * (time.perf_counter() - begun)
    connection.close()
    if answer.status != 200:
        raise PartFailed(f"GET {path}: {answer.status} {body[:200]!r}")
    return to_first, to_last, body
