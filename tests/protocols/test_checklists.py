"""Checklists: the supplied ones are whole, and one that is wrong names what is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from protocols.checklists import MAX_CHECKLIST_BYTES, parse
from protocols.errors import FieldInvalid, TooLarge
from protocols.model import MAX_MESSAGE_BYTES, Command
from protocols.native import codec

FOLDER = Path(__file__).parents[2] / "config" / "checklists"
KINDS = {
    "theft", "robbery", "brawl", "traffic_accident", "missing_child",
    "fire", "medical", "knife", "chemical_spill", "drunk_driving",
}  # fmt: skip
HAN = re.compile(r"[\u4e00-\u9fff]")
WHOLE = """
title = { zh = "盗窃", en = "Theft" }
[[steps]]
zh = "保护现场"
en = "Keep the scene"
"""


def test_there_is_one_for_each_kind_of_incident() -> None:
    assert {path.stem for path in FOLDER.glob("*.toml")} == KINDS


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_a_supplied_checklist_has_both_languages_and_fits_a_message(kind: str) -> None:
    checklist = parse((FOLDER / f"{kind}.toml").read_text(encoding="utf-8"), kind)
    assert checklist.id == kind
    assert 6 <= len(checklist.steps) <= 12
    for words in (checklist.title, *checklist.steps):
        assert HAN.search(words.zh)
        assert not HAN.search(words.en)
        assert re.search(r"[A-Za-z]{2}", words.en)
        assert len(words.zh) <= 60
        assert len(words.en) <= 150  # legible on a touch page
    assert len({step.zh for step in checklist.steps}) == len(checklist.steps)
    args: dict[str, object] = {"incident": "x" * 64, "kind": kind, "text": "字" * 1000}
    args |= {"address": "字" * 1000, "checklist": checklist}
    command = Command(id="c" * 100, act="instruct", t=0, exp=0, args=args)
    for as_json in (False, True):
        assert len(codec.encode(command, as_json=as_json)) <= MAX_MESSAGE_BYTES


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("title = {", "not TOML"),
        (WHOLE.replace('zh = "保护现场"\n', ""), "steps.0.zh: missing required field"),
        (WHOLE.replace("保护现场", "  "), "steps.0.zh: must have words"),
        (WHOLE.replace("en = ", "eng = "), "missing required field"),
        ('colour = "red"\n' + WHOLE, "colour: contains unknown field"),
        (WHOLE.partition("[[")[0], "steps: missing required field"),
    ],
)
def test_a_checklist_that_is_wrong_names_the_field(text: str, problem: str) -> None:
    with pytest.raises(FieldInvalid, match=problem):
        parse(text, "theft")


def test_the_name_of_a_checklist_is_a_word() -> None:
    assert parse(WHOLE, "theft").steps[0].en == "Keep the scene"
    with pytest.raises(FieldInvalid, match="id: must be small letters"):
        parse(WHOLE, "../theft")


def test_a_checklist_that_would_fill_a_message_is_too_large() -> None:
    step = f'[[steps]]\nzh = "{"字" * 1000}"\nen = "word"\n'
    with pytest.raises(TooLarge, match=f"at most {MAX_CHECKLIST_BYTES}"):
        parse(WHOLE + step * 20, "theft")
