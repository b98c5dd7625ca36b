"""Does docs/simulators.md name every key of a scenario, every line of a ledger, every verdict?"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import msgspec
from msgspec.structs import FieldInfo, fields

from fieldgate.verification import Proof
from simulators import ledger, scenario
from simulators.scenario import Scenario

PAGE = (Path(__file__).parents[2] / "docs/simulators.md").read_text()


def rows(heading: str) -> list[list[str]]:
    """The cells of the table under a heading, without its head, backticks taken off."""
    section = PAGE.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    lines = [line.strip("|").split(" | ") for line in section.splitlines() if line[:1] == "|"]
    return [[cell.strip().strip("`") for cell in cells] for cells in lines[2:]]


def keys(table: type[msgspec.Struct], prefix: str = "") -> Iterator[tuple[str, FieldInfo]]:
    """Every key of a table and of those in it, by its dotted name."""
    for field in fields(table):
        yield prefix + field.name, field
        if isinstance(field.type, type) and issubclass(field.type, msgspec.Struct):
            yield from keys(field.type, f"{prefix}{field.name}.")


def shown(field: FieldInfo) -> str:
    """The default of a key, as the page shows it."""
    if field.required:
        return "required"
    if field.default_factory is not msgspec.NODEFAULT:
        made = field.default_factory()
        return "{" + ", ".join(f"{name} = {value}" for name, value in made.items()) + "}"
    return "{}" if isinstance(field.default, msgspec.Struct) else json.dumps(field.default)


def test_every_key_of_a_scenario_has_its_row_with_its_default() -> None:
    documented = [(name, default) for name, _, default, _ in rows("Scenarios")]
    assert documented == [(name, shown(field)) for name, field in keys(Scenario)]


def test_every_scenario_of_ours_is_named() -> None:
    assert all(f"`{name}` (" in PAGE for name in scenario.names())


def test_every_line_of_the_ledger_has_its_row_with_its_keys() -> None:
    documented = {what: set(re.findall(r"\w+", further)) for what, further, _ in rows("The ledger")}
    assert documented == {
        line.__struct_config__.tag: {field.name for field in fields(line)} - {"at"}
        for line in get_args(ledger.Line)
    }


def test_every_word_of_the_verdict_has_its_row() -> None:
    words = {field.name for field in fields(Proof)}
    counted = {"pressed", "stored", "dispatched", "events", "findings"}  # they say it themselves
    assert {word for word, _ in rows("The verdict")} == words - counted
