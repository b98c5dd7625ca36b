"""Does the table on the wall say what the alarm box shows and plays, in both languages?"""

from __future__ import annotations

import re
import sys
import types
from pathlib import Path
from typing import Any

import pytest

sys.modules.setdefault("micropython", types.ModuleType("micropython"))
sys.modules["micropython"].const = lambda value: value  # type: ignore[attr-defined]

from firmware_stubs.alarm_box import box, commands, lights  # noqa: E402  needs the stand-in

PAGE = (Path(__file__).parents[2] / "docs/alarm-box.md").read_text()
HEADINGS = {"zh": "灯光和声音（贴在墙上）", "en": "Light and sound (for the wall)"}
COLOURS = {
    "zh": {"red": "红", "green": "绿", "blue": "蓝", "amber": "黄", "white": "白"},
    "en": {name: name for name in ("red", "green", "blue", "amber", "white")},
}
STEADY = {"zh": "常亮", "en": "steady"}
FAST, SLOW = {"zh": "快闪", "en": "fast"}, {"zh": "慢闪", "en": "slow"}
TUNES = {
    "zh": {"click": "短响", "two_low": "两声低音，每 5 秒", "one_long": "长音",
           "two_high": "两声高音",
           "three_high": "三声高音", "falling": "一高一低", "silence": "无", "ringing": "每 3 秒"},
    "en": {"click": "click", "two_low": "two low notes every 5 s", "one_long": "one long note",
           "two_high": "two high", "three_high": "three high", "falling": "falling",
           "silence": "none", "ringing": "every 3 s"},
}  # fmt: skip
NAMES = [look[0] for look in lights.LOOKS if look[0] != "dark"]


def rows(language: str) -> dict[str, list[str]]:
    """The cells of a table by the code in its last column."""
    text = PAGE.partition(f"\n## {HEADINGS[language]}\n")[2].partition("\n## ")[0]
    found = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in text.splitlines()
        if line.startswith("|") and "`" in line
    ]
    return {cells[-1].strip("`"): cells for cells in found}


@pytest.mark.parametrize("language", HEADINGS)
def test_every_look_has_its_row(language: str) -> None:
    assert sorted(rows(language)) == sorted(NAMES)


@pytest.mark.parametrize("language", HEADINGS)
@pytest.mark.parametrize("look", [look for look in lights.LOOKS if look[0] != "dark"], ids=NAMES)
def test_a_row_says_what_the_lamp_does(language: str, look: Any) -> None:
    name, colour, flashes, on, off, pause = look
    light = rows(language)[name][0]
    assert COLOURS[language][colour] in light
    if flashes == 0:
        assert STEADY[language] in light
    elif on + off + pause == 250:
        assert FAST[language] in light
    elif (on, off + pause) == (500, 500):
        assert SLOW[language] in light
    else:
        numbers = [int(number) for number in re.findall(r"\d+", light)]
        assert flashes in numbers
        if on < 100:  # the eye cannot count these rests: the table gives the period
            assert round((flashes * (on + off) + pause) / 1000) in numbers


@pytest.mark.parametrize("language", HEADINGS)
def test_a_row_says_what_the_sounder_plays(language: str) -> None:
    played = {lights.LOOKS[look][0]: lights.TUNES[tune][0] for look, tune in box.TUNE_OF.items()}
    played["ring_back"] = "ringing"
    for name, cells in rows(language).items():
        assert TUNES[language][played.get(name, "silence")] in cells[1], name


def test_every_command_has_its_row() -> None:
    text = PAGE.partition("\n## Commands\n")[2].partition("\n## ")[0]
    assert set(re.findall(r"^\| `(\w+)` \| (?!does)", text, re.M)) == set(commands.Commands.ACTS)
