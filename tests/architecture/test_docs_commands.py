"""Does docs/commands.md have every command, each option, and examples that can be typed?"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.main

from fieldgate.cli import app

PAGE = (Path(__file__).parents[2] / "docs/commands.md").read_text()
SECTIONS = dict(re.findall(r"^## (.+)\n((?:(?!^## ).*\n?)*)", PAGE, re.M))


def commands(command: Any, name: str) -> Iterator[tuple[str, Any]]:
    """Every command that does something, by its whole name."""
    inner = getattr(command, "commands", {})
    if not inner or command.invoke_without_command:
        yield name, command
    for word, one in inner.items():
        yield from commands(one, f"{name} {word}")


COMMANDS = dict(commands(typer.main.get_command(app), "fieldgate"))


def test_every_command_has_its_heading_and_no_other_has() -> None:
    assert SECTIONS.keys() == COMMANDS.keys()


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_is_mentioned_and_no_other(name: str) -> None:
    options = {
        option
        for param in COMMANDS[name].params
        for option in param.opts
        if option.startswith("--") and option != "--help"
    }
    mentioned = [line.partition(":")[0] for line in SECTIONS[name].splitlines() if line[:2] == "- "]
    assert {option for text in mentioned for option in re.findall(r"`([^`]+)`", text)} == options


@pytest.mark.parametrize("name", COMMANDS)
def test_the_example_can_be_typed(name: str) -> None:
    (example,) = re.findall(r"```sh\n(.+)\n```", SECTIONS[name])
    assert example.startswith(name)
    words = shlex.split(example.removeprefix(name))
    COMMANDS[name].make_context(name, words)  # parses; raises where a word is wrong
