"""The road graph: the streets that units drive on, as arrays, and the file that they lie in.

`fieldgate map build` writes the file from a map; reach reads it. It is an ``.npz`` of whole
numbers: degrees times 10⁷, metres times 10, metres a second times 100.
"""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

VERSION = 1
PER_DEGREE, PER_M, PER_MPS = 1e7, 10.0, 100.0

# What NumPy and zipfile raise for a file of another kind, or a damaged one.
_NO_GRAPH = (
    OSError, ValueError, KeyError, TypeError, EOFError, NotImplementedError,
    zipfile.BadZipFile, zlib.error,
)  # fmt: skip

Floats = NDArray[np.float64]
Numbers = NDArray[np.int32]


class GraphUnreadable(Exception):
    """A file that is no road graph."""

    def __init__(self, path: Path, problem: str) -> None:
        super().__init__(f"{path}: {problem}")
        self.path, self.problem = path, problem


class RoadGraph(NamedTuple):
    """Nodes, and streets between them. A street's arrays have one entry each.

    ``start`` and ``end`` are nodes; who may drive it both ways has ``two_way``. Its points, from
    start to end and with both, are those from ``first_point[i]`` to ``first_point[i + 1]``.
    """

    node_lat: Floats
    node_lon: Floats
    start: Numbers
    end: Numbers
    length_m: Floats
    speed_mps: Floats
    two_way: NDArray[np.bool_]
    first_point: Numbers
    point_lat: Floats
    point_lon: Floats

    @property
    def duration_s(self) -> Floats:
        """What each street takes at the permitted speed."""
        return self.length_m / self.speed_mps

    def save(self, path: Path) -> None:
        """Write it."""
        with path.open("wb") as file:
            np.savez_compressed(
                file,
                version=np.int32(VERSION),
                nodes=_degrees_out(self.node_lat, self.node_lon),
                streets=np.stack([self.start, self.end]).astype(np.int32),
                length=np.rint(self.length_m * PER_M).astype(np.int32),
                speed=np.rint(self.speed_mps * PER_MPS).astype(np.int32),
                two_way=self.two_way,
                first_point=self.first_point.astype(np.int32),
                points=_degrees_out(self.point_lat, self.point_lon),
            )

    @classmethod
    def load(cls, path: Path) -> RoadGraph:
        """Read it; raise GraphUnreadable."""
        try:
            with path.open("rb") as raw, np.load(raw, allow_pickle=False) as file:
                version = int(file["version"])
                if version != VERSION:
                    raise GraphUnreadable(path, f"version {version}, due {VERSION}: build it anew")
                node_lat, node_lon = file["nodes"] / PER_DEGREE
                start, end = file["streets"]
                point_lat, point_lon = file["points"] / PER_DEGREE
                graph = cls(
                    node_lat=node_lat,
                    node_lon=node_lon,
                    start=start,
                    end=end,
                    length_m=file["length"] / PER_M,
                    speed_mps=file["speed"] / PER_MPS,
                    two_way=file["two_way"],
                    first_point=file["first_point"],
                    point_lat=point_lat,
                    point_lon=point_lon,
                )
        except _NO_GRAPH as error:
            raise GraphUnreadable(path, "no road graph, or a damaged one") from error
        problem = next(graph.problems(), None)
        if problem is not None:
            raise GraphUnreadable(path, problem)
        return graph

    def problems(self) -> Iterator[str]:
        """What is wrong with it; a later one is only sure where there was none before."""
        nodes, streets, points = len(self.node_lat), len(self.start), len(self.point_lat)
        if not streets:
            yield "no street in it"
        sizes = {len(each) for each in (self.end, self.length_m, self.speed_mps, self.two_way)}
        if sizes != {streets} or len(self.first_point) != streets + 1:
            yield "its streets do not have as many ends, lengths and speeds as there are"
        ends = np.stack([self.start, self.end])
        if ends.min() < 0 or ends.max() >= nodes:
            yield f"a street ends at a node that is not there; there are {nodes}"
        if self.length_m.min() < 0 or self.speed_mps.min() <= 0:
            yield "a street has no speed, or a negative length"
        if self.first_point[0] != 0 or self.first_point[-1] != points:
            yield "its streets do not have the points that there are"
        if np.diff(self.first_point).min() < 2:
            yield "a street has fewer than two points"


def _degrees_out(lat: Floats, lon: Floats) -> Numbers:
    return np.rint(np.stack([lat, lon]) * PER_DEGREE).astype(np.int32)
