"""How long does it take to see who reaches what in a city, and which units are nearest?"""

from __future__ import annotations

import heapq
import math
import random
import sys
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TypeVar

import msgspec

from fieldgate.bench.figures import Figure, figure_of
from fieldgate.bench.scale import Scale
from fieldgate.bench.town import lattice
from gateway.coverage import COLD_S, Coverage
from gateway.reach import Reach
from gateway.roads import RoadGraph
from gateway.streets import Start

SIDE, UNITS = 142, 200
LOOK_GOAL_MS, NEAREST_GOAL_MS, STALL_GOAL_MS = 500.0, 50.0, 30.0
AGAINST_EACH = "heapq in Python, one search of five minutes a unit, the least for each crossing"
AGAINST_ONE = "heapq in Python, one search from the place over the whole city"
AGAINST_IDLE = "the same thread, when nothing else works"
TICK_S = 0.001

Say = Callable[[str], None]
T = TypeVar("T")


def reach(_: Path, scale: Scale, say: Say) -> list[Figure]:
    """Milliseconds for one look at the city, for one answer, and what others wait meanwhile."""
    side = max(10, SIDE // 7) if scale.quick else SIDE
    graph = lattice(side, 1)
    ways = _ways(graph)
    rng = random.Random(1)
    search = Reach(graph)
    coverage = Coverage(graph, search, [])
    look, each, nearest, one = list[float](), list[float](), list[float](), list[float]()
    for run in range(scale.runs(5)):
        nodes = rng.sample(range(side * side), UNITS)
        units = [Start(str(n), graph.node_lat[n], graph.node_lon[n]) for n in nodes]
        took, body = _timed(partial(_drawn, coverage, units, run))
        look.append(took)
        took, _found = _timed(partial(_least, ways, nodes, COLD_S))
        each.append(took)
        place = graph.node_lat[nodes[0]], graph.node_lon[nodes[0]]
        took, _near = _timed(partial(search.nearest, *place, units, 5))
        nearest.append(took)
        took, _found = _timed(partial(_least, ways, nodes[:1], math.inf))
        one.append(took)
        say(f"  a look {look[-1]:.0f} ms, {len(body):,} bytes; nearest {nearest[-1]:.1f} ms")
    idle = [_longest_wait(partial(time.sleep, 0.2)) for _ in look]
    stall = [_longest_wait(partial(_drawn, coverage, units, 0)) for _ in look]
    size = f"{UNITS} units on {len(graph.node_lat):,} crossings, {len(graph.start):,} streets"
    return scale.judged(
        [
            figure_of(
                "reach", f"a look at {size}, all units moved: times, outlines, GeoJSON", look, "ms",
                reference=each, against=AGAINST_EACH,
                goal=f"at most {LOOK_GOAL_MS:g} ms", at_most=LOOK_GOAL_MS,
            ),
            figure_of(
                "reach", f"the five units nearest to a place by road, of {size}", nearest, "ms",
                reference=one, against=AGAINST_ONE,
                goal=f"at most {NEAREST_GOAL_MS:g} ms", at_most=NEAREST_GOAL_MS,
            ),
            figure_of(
                "reach", "the longest that another thread waits meanwhile", stall, "ms",
                reference=idle, against=AGAINST_IDLE,
                goal=f"at most {STALL_GOAL_MS:g} ms", at_most=STALL_GOAL_MS,
            ),
        ]
    )  # fmt: skip


def _drawn(coverage: Coverage, units: Sequence[Start], now_ms: int) -> bytes:
    return msgspec.json.encode(coverage.look(units, now_ms).features)


def _timed(work: Callable[[], T]) -> tuple[float, T]:
    begun = time.perf_counter()
    result = work()
    return 1000 * (time.perf_counter() - begun), result


def _longest_wait(work: Callable[[], object]) -> float:
    """The longest (ms) that a thread which wants to run each millisecond waits beyond that."""
    longest, done = 0.0, threading.Event()
    ready = threading.Event()

    def tick() -> None:
        nonlocal longest
        last = time.perf_counter()
        ready.set()
        while not done.wait(TICK_S):
            now = time.perf_counter()
            longest = max(longest, now - last - TICK_S)
            last = now

    before = sys.getswitchinterval()
    sys.setswitchinterval(0.0002)  # as `fieldgate up` does
    thread = threading.Thread(target=tick)
    thread.start()
    ready.wait()
    try:
        work()
    finally:
        done.set()
        thread.join()
        sys.setswitchinterval(before)
    return 1000 * longest


def _ways(graph: RoadGraph) -> list[list[tuple[int, float]]]:
    """Where one gets from each crossing, and in how many seconds."""
    ways: list[list[tuple[int, float]]] = [[] for _ in graph.node_lat]
    streets = (graph.start, graph.end, graph.duration_s, graph.two_way)
    for a, b, seconds, both in zip(*(each.tolist() for each in streets), strict=True):
        ways[a].append((b, seconds))
        if both:
            ways[b].append((a, seconds))
    return ways


def _least(
    ways: Sequence[Sequence[tuple[int, float]]], sources: Sequence[int], limit_s: float
) -> list[float]:
    """What anybody would write first: a search a unit, and the least time for each crossing."""
    least = [math.inf] * len(ways)
    for source in sources:
        best, waiting = {source: 0.0}, [(0.0, source)]
        while waiting:
            seconds, node = heapq.heappop(waiting)
            if seconds > best[node]:
                continue
            least[node] = min(least[node], seconds)
            for to, further_s in ways[node]:
                sooner = seconds + further_s
                if sooner <= limit_s and sooner < best.get(to, math.inf):
                    best[to] = sooner
                    heapq.heappush(waiting, (sooner, to))
    return least
