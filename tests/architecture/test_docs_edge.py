"""Does docs/edge.md name every setting of agent.toml, with its default?"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import msgspec

from edge.config import Config
from protocols.fields import convert

PAGE = (Path(__file__).parents[2] / "docs" / "edge.md").read_text()


def settings(table: type[msgspec.Struct], path: str = "") -> Iterator[tuple[str, str]]:
    """The settings of a table and of those in it: its path, and its default as documented."""
    for field in msgspec.structs.fields(table):
        kinds = [field.type, *get_args(field.type)]
        inner = next(
            (k for k in kinds if isinstance(k, type) and issubclass(k, msgspec.Struct)), None
        )
        if inner is not None:
            yield from settings(inner, f"{path}{field.name}.")
        elif field.required:
            yield path + field.name, "required"
        elif field.default is None:
            yield path + field.name, "none"
        else:
            yield path + field.name, f"`{json.dumps(field.default)}`"


def test_every_setting_has_its_row_and_its_default() -> None:
    _, _, section = PAGE.partition("\n## Settings\n")
    rows = re.findall(r"^\| `([^`]+)` \|[^|]*\| ([^|]+) \|", section.partition("\n## ")[0], re.M)
    assert dict(rows) == dict(settings(Config))


def test_the_least_agent_toml_is_valid() -> None:
    (text,) = re.findall(r"```toml\n(.*?)```", PAGE, re.S)
    assert convert(tomllib.loads(text), Config).device == "car-017"
