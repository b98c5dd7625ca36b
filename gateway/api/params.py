"""Query parameters: each one's name, meaning, range and default, for reading and for OpenAPI."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Generic, TypeVar

from aiohttp import web
from msgspec import Struct

from protocols.errors import FieldInvalid

T = TypeVar("T")

_WHOLE = re.compile(r"-?[0-9]{1,40}")

MAX_CURSOR = 2**53 - 1
"""The largest that every reader of JSON takes for what it is."""

MOST = 1_000_000
"""So many entries has a list that is answered whole."""

EARLIEST_MS, LATEST_MS = -(2**63), 2**63 - 1


class Param(Struct, Generic[T], frozen=True, kw_only=True):
    """One query parameter. ``parse`` raises ValueError saying what is due.

    ``needed``: it has no default; a request without it is refused. ``several``: it may be given
    again and again, which is the same as once with commas.
    """

    name: str
    about: str
    schema: dict[str, Any]
    parse: Callable[[str], T]
    default: T
    needed: bool = False
    several: bool = False

    def read(self, request: web.Request) -> T:
        """Its value in this request; raise FieldInvalid if it has none."""
        text = request.query.get(self.name)
        if text is None:
            if self.needed:
                raise FieldInvalid(self.name, "is needed")
            return self.default
        if self.several:
            text = ",".join(request.query.getall(self.name))
        try:
            return self.parse(text)
        except ValueError as error:
            raise FieldInvalid(self.name, str(error), text) from error


def integer(name: str, about: str, *, default: int, low: int, high: int) -> Param[int]:
    """A whole number in a range."""
    schema = {"type": "integer", "minimum": low, "maximum": high, "default": default}
    return Param(
        name=name, about=about, schema=schema, parse=whole_number(low, high), default=default
    )


def whole_number(low: int, high: int) -> Callable[[str], int]:
    """Reads a whole number in a range."""

    def parse(text: str) -> int:
        number = int(text[:20]) if text.isascii() and text.isdigit() else low - 1
        if not low <= number <= high:
            raise ValueError(f"must be a whole number from {low} to {high}")
        return number

    return parse


def number(name: str, about: str, *, default: float, low: float, high: float) -> Param[float]:
    """A number in a range."""

    def parse(text: str) -> float:
        value = float(text)
        if not low <= value <= high:
            raise ValueError(f"must be a number from {low} to {high}")
        return value

    schema = {"type": "number", "minimum": low, "maximum": high, "default": default}
    return Param(name=name, about=about, schema=schema, parse=parse, default=default)


def degrees(name: str, about: str, *, most: float) -> Param[float]:
    """An angle, needed: from minus the most to it."""

    def parse(text: str) -> float:
        value = float(text[:40])
        if not -most <= value <= most:
            raise ValueError(f"must lie between -{most:g} and {most:g}")
        return value

    schema = {"type": "number", "minimum": -most, "maximum": most}
    return Param(name=name, about=about, schema=schema, parse=parse, default=0.0, needed=True)


def text(name: str, about: str, *, longest: int | None = None) -> Param[str | None]:
    """Any text, of so many characters at most."""

    def parse(text: str) -> str:
        if longest is not None and len(text) > longest:
            raise ValueError(f"must have at most {longest} characters")
        return text

    schema: dict[str, Any] = {"type": "string"}
    schema |= {} if longest is None else {"maxLength": longest}
    return Param(name=name, about=about, schema=schema, parse=parse, default=None)


def fixed(name: str, about: str) -> Param[str]:
    """A word that must be there; which one is not looked at."""
    schema = {"type": "string"}
    return Param(name=name, about=about, schema=schema, parse=str, default="", needed=True)


def moment(name: str, about: str, *, default: int, needed: bool = False) -> Param[int]:
    """A time: ms since 1970, or RFC 3339."""

    whole = {"type": "integer", "minimum": EARLIEST_MS, "maximum": LATEST_MS}
    schema = {"oneOf": [whole, {"type": "string", "format": "date-time"}]}
    return Param(
        name=name, about=about, schema=schema, parse=moment_ms, default=default, needed=needed
    )


def moment_ms(text: str) -> int:
    """Reads a time: ms since 1970, or RFC 3339; raise ValueError."""
    if _WHOLE.fullmatch(text):
        millis = int(text)
    else:
        problem = "must be ms since 1970, or RFC 3339 with its time zone"
        try:
            when = datetime.fromisoformat(text)
        except ValueError:
            raise ValueError(problem) from None
        if when.tzinfo is None:
            raise ValueError(problem)
        millis = (when - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)
    if not EARLIEST_MS <= millis <= LATEST_MS:
        raise ValueError(f"must lie between {EARLIEST_MS} and {LATEST_MS}")
    return millis


def before(about: str) -> Param[int]:
    """A number, newest first: what comes before it."""
    return Param(
        name="before",
        about=f"A cursor: {about} before it. `next` of the page before.",
        schema={"type": "integer", "minimum": 0, "maximum": MAX_CURSOR},
        parse=whole_number(0, MAX_CURSOR),
        default=MAX_CURSOR,
    )


def after(about: str) -> Param[str | None]:
    """An id, in their order: what comes behind it."""
    about = f"An id: {about} beyond it. `next` of the page before."
    return text("after", about, longest=64)


def all_or(about: str) -> Param[int]:
    """How many at most, where a list may be had whole."""
    return Param(
        name="limit",
        about=f"How many {about} at most; all if not given.",
        schema={"type": "integer", "minimum": 1, "maximum": MOST},
        parse=whole_number(1, MOST),
        default=MOST,
    )


def one_of(name: str, about: str, choices: tuple[str, ...]) -> Param[str]:
    """One of a few words; the first is the default."""

    def parse(text: str) -> str:
        if text not in choices:
            raise ValueError(f"must be one of {', '.join(choices)}")
        return text

    schema = {"type": "string", "enum": list(choices), "default": choices[0]}
    return Param(name=name, about=about, schema=schema, parse=parse, default=choices[0])


def any_of(name: str, about: str, choices: tuple[str, ...]) -> Param[str | None]:
    """One of a few words, or none."""
    known = one_of(name, about, choices)
    schema = {"type": "string", "enum": list(choices)}
    return Param(name=name, about=about, schema=schema, parse=known.parse, default=None)


def some_of(name: str, about: str, words: Mapping[str, T]) -> Param[frozenset[T] | None]:
    """Some of a few words, one each time or separated by commas; all if it is not given."""

    def parse(text: str) -> frozenset[T]:
        for word in text.split(","):
            if word not in words:
                raise ValueError(f"{word!r} is none of {', '.join(words)}")
        return frozenset(words[word] for word in text.split(","))

    schema = {"type": "array", "items": {"type": "string", "enum": list(words)}}
    return Param(name=name, about=about, schema=schema, parse=parse, default=None, several=True)
