"""Who is on the crews of a simulated city: names that belong to nobody, and badge numbers."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from simulators.scenario import Scenario, Unit
from simulators.timetable import chance, leaders

SURNAMES = "王李张刘陈杨黄赵吴周徐孙马朱胡林郭何高罗郑梁谢宋唐许韩冯邓曹"
GIVEN = (
    "伟", "磊", "军", "洋", "勇", "杰", "涛", "超", "强", "鹏", "敏", "静", "丽", "娟", "霞",
    "建国", "志强", "海燕", "晓东", "文博", "思远", "雅琴", "俊杰", "雪梅", "国庆", "家豪",
)  # fmt: skip
FIRST_BADGE = 110_001
OFFICERS = {"vehicle_terminal": 2, "body_camera": 2, "phone": 1}
"""How many a crew has, by the device that reports for it; a guard stands alone."""


def members(scenario: Scenario, units: Sequence[Unit]) -> dict[str, list[str]]:
    """Each crew as it signs on: the devices it carries, its officers (``王磊 110023``).

    By the device that reports for it.
    """
    badges = itertools.count(FIRST_BADGE)
    crews: dict[str, list[str]] = {}
    for unit in leaders(units):
        rng = chance(scenario, "officers", unit.device)
        crews[unit.device] = [each.device for each in units if each.leader == unit.device]
        crews[unit.device] += [
            f"{rng.choice(SURNAMES)}{rng.choice(GIVEN)} {next(badges)}"
            for _ in range(OFFICERS[unit.kind])
        ]
    return crews
