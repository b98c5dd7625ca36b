"""Is the house as the plan draws it: rooms apart, files short, imports without effect?"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from itertools import chain
from pathlib import Path

from packaging.requirements import Requirement

HOUSE = Path(__file__).parents[2]
ROOMS = ["protocols", "gateway", "edge", "simulators", "fieldgate"]
MODULES = sorted(path for room in ROOMS for path in (HOUSE / room).rglob("*.py"))
OTHERS = [path for room in ("firmware_stubs", "tests") for path in (HOUSE / room).rglob("*.py")]
FILES = [*MODULES, *sorted(OTHERS)]
MAX_LINES = 450


def shown(path: Path) -> str:
    return str(path.relative_to(HOUSE))


def dotted(path: Path) -> str:
    """The name by which a module is imported."""
    return ".".join(path.relative_to(HOUSE).with_suffix("").parts).removesuffix(".__init__")


# Who may import whom, `make lint` looks at: see [tool.importlinter] in pyproject.toml.


def test_the_first_line_says_which_question_a_file_answers() -> None:
    # An empty __init__.py answers none.
    texts = {shown(path): path.read_text() for path in FILES}
    assert not [name for name, text in texts.items() if text and not text.startswith('"""')]


def test_a_file_answers_one_question() -> None:
    lines = {shown(path): len(path.read_text().splitlines()) for path in FILES}
    assert not {name: count for name, count in lines.items() if count > MAX_LINES}


def test_nobody_reaches_for_the_private_names_of_another_file() -> None:
    reached = [
        f"{shown(path)}: {node.module}.{alias.name}"
        for path in MODULES
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] in ROOMS
        for alias in node.names
        if alias.name.startswith("_")
    ]
    assert not reached


IMPORT_ALL = """
import importlib, logging, signal, sys, threading

EFFECTS = {"socket.__new__", "subprocess.Popen", "sqlite3.connect", "os.mkdir", "os.remove"}
effects = []

def watch(event, arguments):
    writes = event == "open" and isinstance(arguments[1], str) and set(arguments[1]) & set("wax+")
    if event in EFFECTS or writes:
        effects.append((event, repr(arguments)[:100]))

def state():
    return logging.root.level, logging.root.handlers, [signal.getsignal(n) for n in (2, 13, 15)]

before = repr(state())
sys.addaudithook(watch)
for name in sys.argv[1:]:
    importlib.import_module(name)
    if effects or threading.active_count() > 1 or repr(state()) != before:
        sys.exit(f"{name}: {effects} {threading.enumerate()} {state()}")
"""


def test_importing_does_nothing() -> None:
    names = [dotted(path) for path in MODULES if path.name != "__main__.py"]
    run = subprocess.run(
        [sys.executable, "-B", "-c", IMPORT_ALL, *names],
        cwd=HOUSE,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    assert run.stdout + run.stderr == ""


def test_the_lock_file_fits_what_is_required() -> None:
    project = tomllib.loads((HOUSE / "pyproject.toml").read_text())["project"]
    pins = re.findall(r"^([\w.-]+)==([^\s;]+)", (HOUSE / "requirements.lock").read_text(), re.M)
    locked = {name.lower(): version for name, version in pins}
    extras = project["optional-dependencies"].values()
    for requirement in map(Requirement, chain(project["dependencies"], *extras)):
        if requirement.name != project["name"]:
            assert requirement.specifier.contains(locked[requirement.name.lower()]), requirement
