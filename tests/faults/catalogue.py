"""Which experiments are there? Every file of tests/faults/experiments that defines some."""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache

from tests.faults import experiments
from tests.faults.experiment import Experiment


@cache
def every() -> tuple[Experiment, ...]:
    """All of them, by number; those of one number in the order of their file."""
    found: list[Experiment] = []
    for module in sorted(m.name for m in pkgutil.iter_modules(experiments.__path__)):
        names = vars(importlib.import_module(f"{experiments.__name__}.{module}"))
        found += [value for value in names.values() if isinstance(value, Experiment)]
    assert len({each.name for each in found}) == len(found), "two experiments of one name"
    return tuple(sorted(found, key=lambda each: each.number))


def named(name: str) -> Experiment:
    """The experiment of that name; KeyError."""
    return {each.name: each for each in every()}[name]


def chosen(only: list[str], *, short: bool) -> list[Experiment]:
    """Those of these numbers or names, or all; of the short selection without ``only``."""
    if not only:
        return [each for each in every() if each.short_s is not None or not short]
    words = {word for words in only for word in words.split(",")}
    known = {str(each.number) for each in every()} | {each.name for each in every()}
    if words - known:
        raise KeyError(", ".join(sorted(words - known)))
    return [each for each in every() if {str(each.number), each.name} & words]
