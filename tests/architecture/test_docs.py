"""Do the docs name all that the code has: flags, reasons, metrics, settings, commands?"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from fieldgate.cli import app
from gateway.config import ENVIRONMENT_PREFIX, MapSettings, Settings, WebhookSettings
from gateway.grids import Grid
from gateway.metrics import Metrics
from protocols import errors

HOUSE = Path(__file__).parents[2]
DOCS = HOUSE / "docs"
WORD = re.compile(r"[a-z][a-z0-9_]*(:KEY)?|KEY_[a-z]+")
GATEWAY = [*sorted((HOUSE / "gateway").rglob("*.py")), HOUSE / "protocols/native/codec.py"]


def section(page: str, heading: str) -> str:
    """The text under a heading, up to the next one of its level."""
    text = (DOCS / page).read_text()
    level = heading.partition(" ")[0]
    return text.partition(f"\n{heading}\n")[2].partition(f"\n{level} ")[0]


def first_column(text: str) -> set[str]:
    """What stands in backticks in the first column of a table."""
    rows = re.findall(r"^\|([^|]*)\|", text, re.M)
    return {name for row in rows for name in re.findall(r"`([^`]+)`", row)}


def words(node: ast.AST, constants: dict[str, str]) -> Iterator[str]:
    """The texts in an expression, names of constants resolved, but not what it compares with."""
    if isinstance(node, ast.Compare):
        return
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, ast.Name) and node.id in constants:
        yield constants[node.id]
    elif isinstance(node, ast.JoinedStr):
        yield "".join(
            part.value if isinstance(part, ast.Constant) and isinstance(part.value, str) else "KEY"
            for part in node.values
        )
    else:
        for child in ast.iter_child_nodes(node):
            yield from words(child, constants)


def flags_in(path: Path) -> Iterator[str]:
    """The flags that a file gives: what it adds to `flags`, or calls `flag` and the like with."""
    tree = ast.parse(path.read_text())
    constants = {
        target.id: node.value.value
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)
        for target in node.targets
        if isinstance(target, ast.Name) and isinstance(node.value.value, str)
    }
    for node in ast.walk(tree):
        given: list[ast.AST] = []
        match node:
            case ast.AugAssign(target=target, value=value) if "flags" in ast.unparse(target):
                given = [value]
            case ast.Assign(targets=[target], value=value) if "flags" in ast.unparse(target):
                given = [value]
            case ast.keyword(arg=str(name), value=value) if "flags" in name:
                given = [value]
            case ast.Call(func=ast.Attribute(attr="append", value=to), args=args):
                given = [*args] if "flags" in ast.unparse(to) else []
            case ast.Call(func=ast.Attribute(attr="flag" | "flagged"), args=args):
                given = [*args]
            case ast.FunctionDef(name=name) if name.endswith("flags"):
                given = [n.value for n in ast.walk(node) if isinstance(n, ast.Return) and n.value]
            case ast.Dict(keys=keys, values=values):
                named = zip(keys, values, strict=True)
                given = [v for k, v in named if isinstance(k, ast.Constant) and k.value == "flags"]
        for each in given:
            yield from (word for word in words(each, constants) if WORD.fullmatch(word))


def test_every_flag_has_its_meaning() -> None:
    given = {flag for path in GATEWAY for flag in flags_in(path)}
    assert len(given) > 15
    of_keys = {flag for flag in given if flag.endswith("_invalid")} - {"position_invalid"}
    assert "KEY_invalid" in of_keys
    documented = first_column(section("contract.md", "## Flags"))
    assert documented == (given - of_keys) | {"KEY_invalid"}


def test_every_reason_for_quarantine_has_its_meaning() -> None:
    reasons = {
        kind.reason
        for kind in vars(errors).values()
        if isinstance(kind, type) and issubclass(kind, errors.ProtocolError)
    } - {errors.ProtocolError.reason}
    for path in GATEWAY:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and "arrival" in map(ast.unparse, node.args[:1]):
                reasons |= {
                    arg.value
                    for arg in node.args
                    if isinstance(arg, ast.Constant)
                    and isinstance(arg.value, str)
                    and re.fullmatch("[a-z]+(_[a-z]+)?", arg.value)
                }
    documented = first_column(section("contract.md", "## Quarantine"))
    assert documented == reasons - {"presence"}  # said as the detail of `unregistered`


def metric_names() -> set[str]:
    """All metrics, as Prometheus names them."""
    names = {
        f"{family.name}_total" if family.type == "counter" else family.name
        for family in Metrics().registry.collect()
    }
    looked_up = re.findall(r'gauge\(\s*"(\w+)"', (HOUSE / "gateway/measures.py").read_text())
    return names | set(looked_up)


def test_every_metric_has_its_row() -> None:
    assert first_column(section("operations.md", "## Metrics")) == metric_names()


def test_every_setting_has_its_row() -> None:
    documented = section("operations.md", "## Settings")
    tables = (WebhookSettings, Grid, MapSettings)
    names = [*Settings.__struct_fields__, *(n for each in tables for n in each.__struct_fields__)]
    assert first_column(documented) == set(names)
    for field in msgspec.structs.fields(Settings):
        if field.name not in {"retention", "webhooks", "grids", "map"}:
            assert f"`{ENVIRONMENT_PREFIX}{field.name.upper()}`" in documented


def test_every_command_has_its_row() -> None:
    commands = {c.callback.__name__ for c in app.registered_commands if c.callback is not None}
    groups = {str(group.name) for group in app.registered_groups}
    assert first_column(section("operations.md", "## Commands")) == commands | groups


@pytest.mark.parametrize("page", sorted(DOCS.rglob("*.md")), ids=lambda path: path.name)
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text()):
        assert (page.parent / target).exists(), target
