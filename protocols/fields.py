"""Plain values from a file or a request to typed ones, or which field is wrong and why."""

from __future__ import annotations

import re
from typing import Any, TypeVar

import msgspec

from protocols.errors import FieldInvalid

_T = TypeVar("_T")


def convert(value: Any, kind: type[_T], within: str = "") -> _T:
    """The value as that type; raise FieldInvalid with the field's path and its value.

    ``within``: the path of the value itself, where it is a part of something.
    """
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        # msgspec says: Expected `int`, got `str` - at `$.broker.port`, or `$.steps[0].zh`
        problem, _, path = str(error).partition(" - at ")
        steps = re.findall(r"\w+|\.\.\.", path)
        for kind_of_problem in ("missing required field ", "contains unknown field "):
            if kind_of_problem in problem:
                steps.append(problem.rpartition(kind_of_problem)[2].strip("`"))
                problem = kind_of_problem.strip()
        for step in steps:
            if isinstance(value, (list, tuple)) and step.isdigit():
                value = value[int(step)]
            else:
                value = value.get(step) if isinstance(value, dict) else None
        names = [within, *steps] if within else steps
        raise FieldInvalid(".".join(names) or "all", problem, value) from None
