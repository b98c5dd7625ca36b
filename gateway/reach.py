"""Reach: how soon units come by road to every place, and which of them to one place.

Times are those of an empty road at the permitted speed: no traffic, no lights. So they are what
can be had at best. Who is on foot goes at a quick march, in any direction, on what can be walked.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from functools import lru_cache
from operator import itemgetter
from typing import NamedTuple, TypeAlias

import numpy as np
import rustworkx
from numpy.typing import NDArray

from gateway.grids import distance_m
from gateway.roads import Floats, RoadGraph
from gateway.streets import KERB_M, Spots, Start, Streets

FOOT_MPS = 2.0
WALKABLE_MPS = 17.0
"""People keep off roads that are faster."""

UNITS_KEPT = 2048
"""So many places of units are remembered with their streets: most have not moved."""

AT_A_TIME = 64
"""So many units are looked at together for those that are nearest to a place."""

Ends = list[tuple[int, float]]  # nodes, and the seconds to them
Search: TypeAlias = "rustworkx.PyDiGraph[None, float]"


class Near(NamedTuple):
    """A unit and how soon it comes. ``seconds`` is None where there is no way by road.

    ``straight_m``: as the crow flies.
    """

    unit: str
    seconds: float | None
    straight_m: float


class Network:
    """The streets as one may move on them: how long each takes, and which may be used both ways.

    Searches borrow a node of the graph: one at a time.
    """

    def __init__(self, graph: RoadGraph, duration_s: Floats, two_way: NDArray[np.bool_]) -> None:
        self._graph = graph
        self.duration_s = duration_s
        self.two_way = two_way
        usable = np.isfinite(duration_s)
        there = usable & (graph.start != graph.end)
        back = there & two_way
        edges = [
            *zip(graph.start[there], graph.end[there], duration_s[there], strict=True),
            *zip(graph.end[back], graph.start[back], duration_s[back], strict=True),
        ]
        ways = [(int(a), int(b), float(seconds)) for a, b, seconds in edges]
        self._forward = _searchable(len(graph.node_lat), ways)
        self._backward = _searchable(len(graph.node_lat), [(b, a, s) for a, b, s in ways])

    @classmethod
    def driven(cls, graph: RoadGraph) -> Network:
        """By car: one-way streets are, at the permitted speed."""
        return cls(graph, graph.duration_s, graph.two_way)

    @classmethod
    def walked(cls, graph: RoadGraph) -> Network:
        """On foot: both ways, but not on fast roads."""
        seconds = np.where(graph.speed_mps <= WALKABLE_MPS, graph.length_m / FOOT_MPS, np.inf)
        return cls(graph, seconds, np.ones(len(graph.start), bool))

    def leave(self, spots: Spots) -> Floats:
        """Seconds to each node for the first who comes there from one of the spots."""
        return self._search(self._forward, self._ends(spots, leaving=True))

    def approach(self, spots: Spots) -> Floats:
        """Seconds from each node to the nearest of the spots."""
        return self._search(self._backward, self._ends(spots, leaving=False))

    def between(self, nodes_s: Floats, spots: Spots, *, leaving: bool) -> Floats:
        """Seconds to each spot, of those to the nodes; leaving: from each spot, of those from them.

        Not for spots on one street: see ``along``.
        """
        found = np.full(len(spots.street), np.inf)
        on = np.flatnonzero(spots.street >= 0)
        street, share = spots.street[on], spots.share[on]
        seconds = self.duration_s[street]
        start_s, end_s = nodes_s[self._graph.start[street]], nodes_s[self._graph.end[street]]
        from_start = start_s + share * seconds
        to_end = end_s + (1 - share) * seconds
        one_way, other_way = (to_end, from_start) if leaving else (from_start, to_end)
        # Who is at the crossing where a one-way street begins or ends is not bound by it.
        length_m = self._graph.length_m[street]
        at_crossing = (share if leaving else 1 - share) * length_m <= KERB_M
        free = self.two_way[street] | (at_crossing & np.isfinite(seconds))
        found[on] = np.minimum(one_way, np.where(free, other_way, np.inf))
        return found

    def along(self, street: int, here: float | Floats, there: float | Floats) -> Floats:
        """Seconds along one street between two shares of its length."""
        ahead = np.subtract(there, here)
        with np.errstate(invalid="ignore"):  # a street that cannot be walked, of no length
            seconds = np.abs(ahead) * self.duration_s[street]
        return np.where((ahead >= 0) | self.two_way[street], seconds, np.inf)

    def _ends(self, spots: Spots, *, leaving: bool) -> Ends:
        """The nodes that one leaves the spots for, or comes to them from."""
        ends: Ends = []
        for street, share, off_m in zip(*(each.tolist() for each in spots), strict=True):
            if street < 0 or not math.isfinite(self.duration_s[street]):
                continue
            seconds, aside = float(self.duration_s[street]), float(aside_s(off_m))
            to_end, to_start = aside + (1 - share) * seconds, aside + share * seconds
            start, end = int(self._graph.start[street]), int(self._graph.end[street])
            if leaving or self.two_way[street]:
                ends.append((end, to_end))
            if not leaving or self.two_way[street]:
                ends.append((start, to_start))
        return ends

    def _search(self, graph: Search, ends: Ends) -> Floats:
        """Dijkstra from all the ends at once: a node more, from which a way leads to each."""
        found = np.full(len(self._graph.node_lat), np.inf)
        if not ends:
            return found
        source = graph.add_node(None)
        try:
            graph.add_edges_from([(source, node, seconds) for node, seconds in ends])
            times = rustworkx.digraph_dijkstra_shortest_path_lengths(graph, source, float)
        finally:
            graph.remove_node(source)
        found[np.fromiter(times.keys(), np.int64, len(times))] = np.fromiter(
            times.values(), float, len(times)
        )
        return found


class Reach:
    """The reach of units on a road graph: by car and on foot."""

    def __init__(self, graph: RoadGraph) -> None:
        self.streets = Streets(graph)
        self._driven = Network.driven(graph)
        self._walked = Network.walked(graph)
        self._fastest_mps = max(FOOT_MPS, float(graph.speed_mps.max()))
        self._spots_beside = lru_cache(UNITS_KEPT)(self.streets.beside)

    def times(self, starts: Sequence[Start], places: Spots) -> Floats:
        """Seconds until the first of the units is at each place; infinite where none comes."""
        best = np.full(len(places.street), np.inf)
        by_street = np.argsort(places.street, kind="stable")
        ordered = places.street[by_street]
        for network, some in self._by_network(starts):
            spots, _ = self._beside(some)
            best = np.minimum(best, network.between(network.leave(spots), places, leaving=False))
            for street, share, off_m in zip(*(each.tolist() for each in spots), strict=True):
                low, high = np.searchsorted(ordered, (street, street + 1))
                on = by_street[low:high]
                seconds = aside_s(off_m) + network.along(street, share, places.share[on])
                best[on] = np.minimum(best[on], seconds)
        return best

    def nearest(
        self, lat: float, lon: float, starts: Sequence[Start], limit: int | None = None
    ) -> list[Near]:
        """The units that come first, all if there is no limit; those without a way last.

        Looked at from the nearest on, until the next cannot come sooner on the fastest road.
        """
        waiting = sorted(
            ((distance_m(start.lat, start.lon, lat, lon), start) for start in starts),
            key=itemgetter(0),
        )
        goals = self.streets.beside(lat, lon)
        searched: dict[bool, Floats] = {}
        found: list[Near] = []
        for first in range(0, len(waiting), AT_A_TIME):
            if limit is not None and self._cannot_be_sooner(
                waiting[first][0], found[:limit], limit
            ):
                break
            some = waiting[first : first + AT_A_TIME]
            times = self._times_to(goals, [start for _, start in some], searched)
            for (straight_m, start), time_s in zip(some, times, strict=True):
                known = round(time_s, 1) if math.isfinite(time_s) else None
                found.append(Near(start.unit, known, round(straight_m, 1)))
            found.sort(key=lambda near: (near.seconds is None, near.seconds, near.straight_m))
            del found[len(found) if limit is None else limit :]
        return found

    def _cannot_be_sooner(self, straight_m: float, found: Sequence[Near], limit: int) -> bool:
        """Whether nobody from so far away comes before as many as are wanted."""
        last = found[-1].seconds if len(found) == limit else None
        # Roads are measured on a plane, and who is on the kerb has no way to his street.
        least_m = straight_m * 0.99 - 2 * KERB_M
        return last is not None and least_m / self._fastest_mps > last

    def _times_to(
        self, goals: Spots, starts: Sequence[Start], searched: dict[bool, Floats]
    ) -> list[float]:
        """Seconds from each of the units to the nearest of the goals, which are one place.

        ``searched``: seconds from each node, by car and on foot, as far as they are known.
        """
        times = np.full(len(starts), np.inf)
        for on_foot, network in ((False, self._driven), (True, self._walked)):
            which = np.array([start.on_foot == on_foot for start in starts])
            if not which.any() or not len(goals.street):
                continue
            if on_foot not in searched:
                searched[on_foot] = network.approach(goals)
            some = [start for start in starts if start.on_foot == on_foot]
            spots, whose = self._beside(some)
            seconds = network.between(searched[on_foot], spots, leaving=True)
            seconds += aside_s(spots.off_m)
            for street, share, off_m in zip(*(each.tolist() for each in goals), strict=True):
                along = network.along(street, spots.share, share) + aside_s(spots.off_m)
                same = spots.street == street
                seconds = np.where(same, np.minimum(seconds, along + aside_s(off_m)), seconds)
            best = np.full(len(some), np.inf)
            np.minimum.at(best, whose, seconds)
            times[which] = best
        found: list[float] = times.tolist()
        return found

    def _by_network(self, starts: Sequence[Start]) -> Iterable[tuple[Network, list[Start]]]:
        for network, on_foot in ((self._driven, False), (self._walked, True)):
            some = [start for start in starts if start.on_foot == on_foot]
            if some:
                yield network, some

    def _beside(self, starts: Sequence[Start]) -> tuple[Spots, NDArray[np.int64]]:
        """Where the units may be, and which of them each spot is of."""
        each = [self._spots_beside(start.lat, start.lon) for start in starts]
        whose = np.repeat(np.arange(len(each)), [len(spots.street) for spots in each])
        return Spots(*(np.concatenate(arrays) for arrays in zip(*each, strict=True))), whose


def aside_s(off_m: float | Floats) -> Floats:
    """Seconds between a place and the street it lies at, on foot."""
    seconds: Floats = np.maximum(np.subtract(off_m, KERB_M), 0) / FOOT_MPS
    return seconds


def _searchable(nodes: int, ways: Iterable[tuple[int, int, float]]) -> Search:
    graph: Search = rustworkx.PyDiGraph()
    graph.add_nodes_from([None] * nodes)
    graph.add_edges_from(list(ways))
    return graph
