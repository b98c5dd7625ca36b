"""Made-up road graphs, drawn in metres about a place: of a few streets, or of a city's size."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from gateway.grids import EARTH_RADIUS_M
from gateway.roads import RoadGraph

LAT, LON = 24.5, 117.6
M_PER_DEG = math.radians(EARTH_RADIUS_M)


class Street(NamedTuple):
    """A straight street between two nodes."""

    start: int
    end: int
    mps: float = 10.0
    two_way: bool = True


def degrees(x: float, y: float) -> tuple[float, float]:
    """(lat, lon) of a place so many metres east and north."""
    return LAT + y / M_PER_DEG, LON + x / M_PER_DEG / math.cos(math.radians(LAT))


def town(nodes: Sequence[tuple[float, float]], streets: Sequence[Street]) -> RoadGraph:
    """The graph of straight streets between nodes given in metres."""
    places = [degrees(*node) for node in nodes]
    ends = [(street.start, street.end) for street in streets]
    return RoadGraph(
        node_lat=np.array([lat for lat, _ in places]),
        node_lon=np.array([lon for _, lon in places]),
        start=np.array([start for start, _ in ends], np.int32),
        end=np.array([end for _, end in ends], np.int32),
        length_m=np.array([math.dist(nodes[a], nodes[b]) for a, b in ends]),
        speed_mps=np.array([street.mps for street in streets]),
        two_way=np.array([street.two_way for street in streets]),
        first_point=np.arange(0, 2 * len(streets) + 1, 2, dtype=np.int32),
        point_lat=np.array([places[node][0] for pair in ends for node in pair]),
        point_lon=np.array([places[node][1] for pair in ends for node in pair]),
    )


def lattice(side: int, seed: int, block_m: float = 180.0) -> RoadGraph:
    """A town of so many by so many crossings, of uneven blocks, some one-way, some missing."""
    rng = random.Random(seed)
    nodes = [
        (block_m * (column + rng.uniform(-0.2, 0.2)), block_m * (row + rng.uniform(-0.2, 0.2)))
        for row in range(side)
        for column in range(side)
    ]
    streets = []
    for row in range(side):
        for column in range(side):
            here = row * side + column
            beside = [here + 1] * (column + 1 < side) + [here + side] * (row + 1 < side)
            for there in beside:
                if rng.random() < 0.9:
                    speed = rng.choice((8.0, 11.0, 16.0))
                    streets.append(Street(here, there, speed, rng.random() < 0.8))
    return town(nodes, streets)
