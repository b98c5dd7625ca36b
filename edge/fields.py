"""Plain values from a file or a request to typed ones, or which field is wrong and why."""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec

from protocols.errors import FieldInvalid

_T = TypeVar("_T")


def convert(value: Any, kind: type[_T]) -> _T:
    """The value as that type; raise FieldInvalid with the field's path and its value."""
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        # msgspec says: Expected `int`, got `str` - at `$.broker.port`
        problem, _, path = str(error).partition(" - at ")
        names = [name for name in path.strip("`").removeprefix("$").split(".") if name]
        for kind_of_problem in ("missing required field ", "contains unknown field "):
            if kind_of_problem in problem:
                names.append(problem.rpartition(kind_of_problem)[2].strip("`"))
                problem = kind_of_problem.strip()
        for name in names:
            value = value.get(name) if isinstance(value, dict) else None
        raise FieldInvalid(".".join(names) or "all", problem, value) from None
