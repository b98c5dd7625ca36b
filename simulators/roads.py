"""Which way a car or an officer can go: streets between junctions, and the fastest route."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from copy import copy
from enum import StrEnum
from itertools import pairwise
from operator import attrgetter
from typing import NamedTuple

import rustworkx

from simulators.plane import Point, Projection

WALKABLE_MPS = 17.0  # people keep off roads that are faster


class RoadKind(StrEnum):
    """What a road lies on."""

    STREET = "street"
    BRIDGE = "bridge"
    TUNNEL = "tunnel"


class Road(NamedTuple):
    """One direction of a street between two junctions, which ``points`` begins and ends with."""

    start: int
    end: int
    points: tuple[Point, ...]
    length_m: float
    speed_mps: float  # permitted
    kind: RoadKind

    @classmethod
    def along(
        cls,
        start: int,
        end: int,
        points: Sequence[Point],
        speed_mps: float,
        kind: RoadKind = RoadKind.STREET,
    ) -> Road:
        length_m = sum(math.dist(a, b) for a, b in pairwise(points))
        return cls(start, end, tuple(points), length_m, speed_mps, kind)

    @property
    def duration_s(self) -> float:
        return self.length_m / self.speed_mps

    @property
    def walkable(self) -> bool:
        return self.kind is not RoadKind.TUNNEL and self.speed_mps <= WALKABLE_MPS

    def reversed(self) -> Road:
        return self._replace(start=self.end, end=self.start, points=self.points[::-1])


class Roads:
    """A road network in which every junction can be driven to from every other.

    What cannot be driven to and back (all besides the largest strongly connected
    component) is left out; of two roads between the same junctions one stays.
    """

    def __init__(
        self,
        projection: Projection,
        junctions: Sequence[Point],
        roads: Iterable[Road],
        signals: Collection[int] = (),
    ) -> None:
        self.projection = projection
        self.signals = frozenset(signals)
        graph: rustworkx.PyDiGraph[Point, Road] = rustworkx.PyDiGraph(multigraph=False)
        graph.add_nodes_from(junctions)
        graph.add_edges_from([(road.start, road.end, road) for road in roads])
        self._graph = _largest_component(graph)

    def __iter__(self) -> Iterator[Road]:
        return iter(self._graph.edges())

    @property
    def junctions(self) -> list[int]:
        """The numbers of the junctions; a part of the network keeps those of the whole."""
        return list(self._graph.node_indices())

    def position(self, junction: int) -> Point:
        return self._graph[junction]

    def gives_way(self, road: Road) -> bool:
        """Whether who comes along the road waits at its end for traffic on a faster one."""
        leaving = self._graph.out_edges(road.end)
        arms = {end for _, end, _ in leaving}
        arms.update(start for start, _, _ in self._graph.in_edges(road.end))
        return len(arms) > 2 and any(other.speed_mps > road.speed_mps for _, _, other in leaving)

    def fastest(self, start: int, end: int) -> list[Road]:
        """The roads from one junction to another in the least time, at the permitted speeds."""
        paths = rustworkx.dijkstra_shortest_paths(
            self._graph, start, target=end, weight_fn=attrgetter("duration_s")
        )
        return [self._graph.get_edge_data(a, b) for a, b in pairwise(paths[end])]

    def walks(self, junction: int) -> list[Road]:
        """The streets that can be walked from the junction, one-way streets in both directions."""
        walks = {end: road for _, end, road in self._graph.out_edges(junction)}
        for start, _, road in self._graph.in_edges(junction):
            walks.setdefault(start, road.reversed())
        return [road for road in walks.values() if road.walkable]

    def part(self, wanted: Callable[[Point], bool]) -> Roads:
        """The largest connected part of the network between the wanted junctions."""
        graph = self._graph.copy()
        graph.remove_nodes_from([node for node in self.junctions if not wanted(graph[node])])
        part = copy(self)
        part._graph = _largest_component(graph)
        return part


def _largest_component(
    graph: rustworkx.PyDiGraph[Point, Road],
) -> rustworkx.PyDiGraph[Point, Road]:
    components = sorted(rustworkx.strongly_connected_components(graph), key=len)
    for smaller in components[:-1]:
        graph.remove_nodes_from(list(smaller))
    return graph
