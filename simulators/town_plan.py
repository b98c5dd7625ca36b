"""How a synthetic city is drawn from a seed: river, streets, tunnels, grids, places.

Streets are drawn on a plan whose axes are u (along the river) and v (metres
from its middle, north positive), with lines at uneven distances. The lie of the
land then bends the plan onto the plane, so that streets follow the river.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

from simulators.city import City, Grid, Place
from simulators.plane import Point, Projection, area_m2, centroid, contains, nearer_part
from simulators.roads import Road, RoadKind, Roads

CENTRE = Projection(24.51, 117.65)  # of Zhangzhou's urban area
AREA_M2 = 45e6
GRID_COLUMNS, GRID_ROWS = 4, 3
RIVER_HALF_WIDTH_M = 90.0
RIVERSIDE_M = RIVER_HALF_WIDTH_M + 50.0  # from the river's middle to the roads along its banks
EXTENT_M = 6000.0  # of the plan, each way from the centre: more than the outline reaches
ARTERIAL_MPS, STREET_MPS, LANE_MPS = 60 / 3.6, 40 / 3.6, 30 / 3.6
MISSING_SHARE = 0.2  # of minor streets: blocks have grown together there
ONEWAY_SHARE = 0.1  # of minor streets
UNDERPASSES = 3
SETBACK_M = 25.0  # of a building from the middle of its street

NEIGHBOURHOODS = (
    "新华 Xinhua", "胜利 Shengli", "延安 Yan'an", "丹霞 Danxia", "瑞京 Ruijing",
    "水仙 Shuixian", "江滨 Jiangbin", "东铺头 Dongputou", "西桥 Xiqiao", "南坑 Nankeng",
    "北仓 Beicang", "通北 Tongbei", "巷口 Xiangkou", "新桥 Xinqiao", "石亭 Shiting",
    "芝山 Zhishan", "金峰 Jinfeng", "悦港 Yuegang", "大同 Datong", "元光 Yuanguang",
    "民主 Minzhu", "文川 Wenchuan", "厦门路 Xiamen Road", "腾飞 Tengfei", "建元 Jianyuan",
    "龙江 Longjiang", "漳华 Zhanghua", "九龙 Jiulong", "荔枝园 Lizhiyuan", "榕树湾 Rongshuwan",
    "桃园 Taoyuan", "湖滨 Hubin", "迎宾 Yingbin", "钟法 Zhongfa", "琥珀 Hupo",
    "科技园 Science Park", "东岳 Dongyue", "古塘 Gutang", "前锋 Qianfeng", "康山 Kangshan",
)  # fmt: skip
SCHOOLS = ("幼儿园 Kindergarten", "小学 Primary School", "中学 Middle School")
BANKS = (
    "农商银行支行 Rural Commercial Bank",
    "城市银行支行 City Bank",
    "储蓄所 Savings Bank",
)
HOSPITAL = "医院 Hospital"


class Line(NamedTuple):
    """A street's line on the plan: u or v in metres, and how fast it is."""

    at: float
    speed_mps: float

    @property
    def arterial(self) -> bool:
        return self.speed_mps == ARTERIAL_MPS


class Land:
    """The lie of the land: where a place of the plan comes to lie."""

    def __init__(self, rng: random.Random) -> None:
        self._phases = [rng.uniform(0, math.tau) for _ in range(6)]

    def river_y(self, x: float) -> float:
        p = self._phases
        return -700 + 420 * math.sin(x / 1500 + p[0]) + 150 * math.sin(x / 650 + p[1])

    def lay(self, u: float, v: float) -> Point:
        p = self._phases
        x = u + 280 * math.sin(v / 1500 + p[2]) + 110 * math.sin((v + u / 2) / 700 + p[3])
        bends_like_river = math.exp(-((v / 2600) ** 2))
        far = 1 - math.exp(-((v / 700) ** 2))
        sway = 240 * math.sin(x / 1300 + p[4]) + 90 * math.sin((x - v / 2) / 600 + p[5])
        return Point(x, v + self.river_y(x) * bends_like_river + sway * far)

    def river(self) -> list[Point]:
        """The water as a polygon."""
        steps = [EXTENT_M * step / 200 for step in range(-200, 201)]
        north = [self.lay(u, RIVER_HALF_WIDTH_M) for u in steps]
        south = [self.lay(u, -RIVER_HALF_WIDTH_M) for u in steps]
        return north + south[::-1]


class Hill(NamedTuple):
    """An ellipse of the plan that only tunnels cross."""

    u: float
    v: float
    half_u_m: float
    half_v_m: float

    def covers(self, u: float, v: float) -> bool:
        return ((u - self.u) / self.half_u_m) ** 2 + ((v - self.v) / self.half_v_m) ** 2 < 1


def draw(seed: int) -> City:
    """The city of the seed."""
    rng = random.Random(seed)
    land = Land(rng)
    outline = _outline(rng)
    roads = _streets(rng, land, outline)
    seeds = _even_seeds(rng, outline)
    grids = [
        Grid(
            f"第{number + 1}网格 Grid {number + 1}",
            tuple(CENTRE.to_degrees(*corner) for corner in _cell(outline, seeds, number)),
        )
        for number in range(len(seeds))
    ]
    places = list(_places(rng, roads, outline, seeds))
    return City(f"模拟市 Simulated City {seed}", roads, grids, places)


def _outline(rng: random.Random) -> list[Point]:
    """The border of the built-up area: a lopsided oval of the right size."""
    phase_2, phase_3, phase_5 = (rng.uniform(0, math.tau) for _ in range(3))
    ring = []
    for step in range(72):
        angle = math.tau * step / 72
        reach = (
            1
            + 0.05 * math.sin(2 * angle + phase_2)
            + 0.06 * math.sin(3 * angle + phase_3)
            + 0.03 * math.sin(5 * angle + phase_5)
        )
        ring.append(Point(1.17 * reach * math.cos(angle), 0.88 * reach * math.sin(angle)))
    scale = math.sqrt(AREA_M2 / area_m2(ring))
    return [Point(scale * point.x, scale * point.y) for point in ring]


def _lines(rng: random.Random, first: float, last: float, *, start_arterial: bool) -> list[Line]:
    """Street lines from ``first`` on: every fourth to sixth is an arterial."""
    lines = []
    at, until_arterial = first, 0 if start_arterial else rng.randint(1, 4)
    while at < last:
        if until_arterial == 0:
            speed_mps = ARTERIAL_MPS
            until_arterial = rng.randint(3, 5)
        else:
            speed_mps = rng.choice((STREET_MPS, LANE_MPS))
            until_arterial -= 1
        lines.append(Line(at, speed_mps))
        at += rng.uniform(120, 230)
    return lines


def _streets(rng: random.Random, land: Land, outline: Sequence[Point]) -> Roads:
    columns = _lines(rng, -EXTENT_M, EXTENT_M, start_arterial=False)
    north = _lines(rng, RIVERSIDE_M, EXTENT_M, start_arterial=True)
    south = _lines(rng, RIVERSIDE_M, EXTENT_M, start_arterial=True)
    rows = [line._replace(at=-line.at) for line in reversed(south)] + north
    hill = _hill(rng, columns, north)

    numbers: dict[tuple[int, int], int] = {}  # column, row -> junction
    junctions: list[Point] = []
    for i, column in enumerate(columns):
        for j, row in enumerate(rows):
            shift_m = 8 if column.arterial or row.arterial else 25
            u = column.at + rng.uniform(-shift_m, shift_m)
            v = row.at + rng.uniform(-shift_m, shift_m)
            point = land.lay(u, v)
            if contains(outline, point):
                numbers[i, j] = len(junctions)
                junctions.append(point)

    roads: list[Road] = []
    for (i, j), start in numbers.items():
        for line, neighbour in ((rows[j], (i + 1, j)), (columns[i], (i, j + 1))):
            end = numbers.get(neighbour)
            if end is None:
                continue
            other_u, other_v = columns[neighbour[0]].at, rows[neighbour[1]].at
            kind = RoadKind.STREET
            if hill.covers(columns[i].at, rows[j].at) or hill.covers(other_u, other_v):
                kind = RoadKind.TUNNEL
            elif rows[j].at < 0 < other_v:
                kind = RoadKind.BRIDGE
            missing, oneway, turned = rng.random(), rng.random(), rng.random()
            if not line.arterial and (kind is not RoadKind.STREET or missing < MISSING_SHARE):
                continue
            ends = [junctions[start], junctions[end]]
            road = Road.along(start, end, ends, line.speed_mps, kind)
            if line.arterial or oneway >= ONEWAY_SHARE:
                roads += [road, road.reversed()]
            else:
                roads.append(road if turned < 0.5 else road.reversed())

    crossings = {
        number for (i, j), number in numbers.items() if columns[i].arterial and rows[j].arterial
    }
    return Roads(CENTRE, junctions, _with_underpasses(rng, roads), crossings)


def _hill(rng: random.Random, columns: Sequence[Line], north: Sequence[Line]) -> Hill:
    """A hill in the north-west, on an arterial and between two that cross it."""
    on_columns = [column.at for column in columns if column.arterial and column.at < -600]
    u = min(on_columns, key=lambda at: abs(at + 1500))
    crossing = [row.at for row in north if row.arterial]
    below, above = min(pairwise(crossing), key=lambda pair: abs(sum(pair) / 2 - 2200))
    return Hill(u, (below + above) / 2, rng.uniform(280, 380), (above - below) / 2 - 40)


def _with_underpasses(rng: random.Random, roads: Sequence[Road]) -> list[Road]:
    """The roads, some arterials of the inner city led under ground in both directions."""
    inner = sorted(
        (road.start, road.end)
        for road in roads
        if road.speed_mps == ARTERIAL_MPS
        and road.kind is RoadKind.STREET
        and road.start < road.end
        and math.hypot(*road.points[0]) < 2500
    )
    chosen = set(rng.sample(inner, UNDERPASSES))
    return [
        road._replace(kind=RoadKind.TUNNEL)
        if (min(road.start, road.end), max(road.start, road.end)) in chosen
        else road
        for road in roads
    ]


def _even_seeds(rng: random.Random, outline: Sequence[Point]) -> list[Point]:
    """Points inside the outline whose cells (what is nearest to each) are of about one size."""
    width = max(point.x for point in outline) * 1.5
    height = max(point.y for point in outline) * 1.5
    seeds = [
        Point(
            width * ((column + rng.uniform(0.3, 0.7)) / GRID_COLUMNS - 0.5),
            height * ((row + rng.uniform(0.3, 0.7)) / GRID_ROWS - 0.5),
        )
        for row in range(GRID_ROWS)
        for column in range(GRID_COLUMNS)
    ]
    for _ in range(3):  # Lloyd's relaxation
        seeds = [centroid(_cell(outline, seeds, number)) for number in range(len(seeds))]
    return seeds


def _cell(outline: Sequence[Point], seeds: Sequence[Point], number: int) -> list[Point]:
    cell = list(outline)
    for other in seeds:
        if other != seeds[number]:
            cell = nearer_part(cell, seeds[number], other)
    return cell


def _places(
    rng: random.Random, roads: Roads, outline: Sequence[Point], seeds: Sequence[Point]
) -> Iterator[Place]:
    """Schools on minor streets, banks and hospitals on arterials, spread over the grids."""
    minor: list[list[Road]] = [[] for _ in seeds]
    arterial: list[list[Road]] = [[] for _ in seeds]
    for road in roads:
        if road.kind is RoadKind.STREET:
            streets = arterial if road.speed_mps == ARTERIAL_MPS else minor
            streets[_nearest(seeds, road.points[0])].append(road)

    def beside(streets: Sequence[Road]) -> Point:
        while True:
            site = _roadside(rng, rng.choice(streets))
            if contains(outline, site):
                return site

    names = rng.sample(NEIGHBOURHOODS, len(NEIGHBOURHOODS))
    for number in range(len(NEIGHBOURHOODS) * len(SCHOOLS)):
        turn, neighbourhood = divmod(number, len(NEIGHBOURHOODS))
        grid = number % len(seeds)
        wanted = [("school", SCHOOLS[turn], minor), ("bank", BANKS[turn], arterial)]
        if number < len(seeds):
            wanted.append(("hospital", HOSPITAL, arterial))
        for kind, sort, streets in wanted:
            site = beside(streets[grid])
            yield Place(
                kind,
                _full_name(names[neighbourhood], sort),
                *CENTRE.to_degrees(*site),
                _nearest(seeds, site),
            )


def _nearest(seeds: Sequence[Point], point: Point) -> int:
    return min(range(len(seeds)), key=lambda number: math.dist(seeds[number], point))


def _roadside(rng: random.Random, road: Road) -> Point:
    """A building's place: somewhere along the road, on either side of it."""
    a, b = road.points[0], road.points[-1]
    share = rng.uniform(0.2, 0.8)
    setback = math.copysign(SETBACK_M / road.length_m, rng.random() - 0.5)
    return Point(
        a.x + share * (b.x - a.x) - setback * (b.y - a.y),
        a.y + share * (b.y - a.y) + setback * (b.x - a.x),
    )


def _full_name(neighbourhood: str, sort: str) -> str:
    """``胜利 Shengli`` and ``小学 Primary School`` make ``胜利小学 Shengli Primary School``."""
    chinese, english = neighbourhood.split(" ", 1)
    sort_chinese, sort_english = sort.split(" ", 1)
    return f"{chinese}{sort_chinese} {english} {sort_english}"
