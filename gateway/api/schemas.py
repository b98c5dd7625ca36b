"""Schemas as programs that write clients read them: every enum and object has a name and a type.

msgspec writes JSON Schema to the letter, and generators know less of it: ``items: false`` behind
a tuple stops one of them, an enum without a name becomes a class called after where it was found.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

Json = dict[str, Any]

EMPTY: tuple[Any, ...] = (None, "", [], {})
"""A default that is one of these says no more than that the key may be left out."""

PREFIX = "#/components/schemas/"


def as_json_schema(value: Any) -> Any:
    r"""The same with patterns as JSON Schema has them: for ``\Z`` it has ``$``."""
    if isinstance(value, dict):
        return {
            name: each.replace(r"\Z", "$")
            if name == "pattern" and isinstance(each, str)
            else as_json_schema(each)
            for name, each in value.items()
        }
    return [as_json_schema(each) for each in value] if isinstance(value, list) else value


def reference(name: str) -> Json:
    """The schema of that name."""
    return {"$ref": PREFIX + name}


class Names:
    """The named schemas of a description; enums are known again by their values."""

    def __init__(self, components: Mapping[str, Json], enums: Mapping[str, Sequence[Any]]) -> None:
        self._names = {
            frozenset(schema["enum"]): name
            for name, schema in components.items()
            if "enum" in schema
        }
        self._names |= {frozenset(values): name for name, values in enums.items()}
        self.components = {
            **{
                name: self._within(as_json_schema(schema), is_named=True)
                for name, schema in components.items()
            },
            **{name: _enum(name, list(values)) for name, values in enums.items()},
        }

    def mended(self, schema: Any) -> Any:
        """The same schema, or a part of a description that has some, as generators read it."""
        return self._within(as_json_schema(schema))

    def _within(self, value: Any, *, is_named: bool = False) -> Any:
        if isinstance(value, list):
            return [self._within(each) for each in value]
        if not isinstance(value, dict):
            return value
        found = {name: self._within(each) for name, each in value.items()}
        if isinstance(found.get("prefixItems"), list):
            return _of_one_kind(found)
        if isinstance(found.get("enum"), list):
            return self._enum(found, is_named=is_named)
        if found.get("type") == "object" and "properties" not in found:
            found.setdefault("additionalProperties", True)
        if "default" in found and found["default"] in EMPTY:
            del found["default"]
        return found

    def _enum(self, schema: Json, *, is_named: bool) -> Json:
        values = [value for value in schema["enum"] if value is not None]
        about = {name: each for name, each in schema.items() if name not in {"enum", "type"}}
        if not is_named and (name := self._names.get(frozenset(values))) is not None:
            found = reference(name)
        else:
            found = _enum(about.pop("title", None), values)
        if len(values) < len(schema["enum"]):
            found = {"anyOf": [found, {"type": "null"}]}
        return {**found, **about}


def _enum(title: str | None, values: list[Any]) -> Json:
    kind = "string" if isinstance(values[0], str) else "integer"
    named = {} if title is None else {"title": title}
    if len(values) == 1:
        return {**named, "type": kind, "const": values[0]}
    return {**named, "type": kind, "enum": values}


def _of_one_kind(schema: Json) -> Json:
    """A tuple of numbers, of texts, as an array of so many: their own limits are not told."""
    [kind] = {each["type"] for each in schema["prefixItems"]}
    many = len(schema["prefixItems"])
    rest = {name: each for name, each in schema.items() if name not in {"prefixItems", "items"}}
    return {**rest, "items": {"type": kind}, "minItems": many, "maxItems": many}


def always_sent(kinds: Iterable[Any]) -> dict[str, tuple[str, ...]]:
    """The keys that are there in every answer of these types, by the names of their schemas."""
    found: dict[str, tuple[str, ...]] = {}
    waiting: list[Any] = list(msgspec.inspect.multi_type_info(kinds))
    while waiting:
        about = waiting.pop()
        if isinstance(about, msgspec.inspect.StructType):
            if about.cls.__name__ in found:
                continue
            config = about.cls.__struct_config__
            is_whole = not (config.omit_defaults or config.array_like)
            keys = tuple(
                each.encode_name
                for each in about.fields
                if is_whole or (each.required and not config.array_like)
            )
            found[about.cls.__name__] = keys
        if isinstance(about, tuple):
            waiting += about
        elif isinstance(about, msgspec.inspect.Type | msgspec.inspect.Field):
            waiting += [getattr(about, name) for name in about.__struct_fields__]
    return found
