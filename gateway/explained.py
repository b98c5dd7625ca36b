"""What is told of captured bytes: each key, what is wrong, and what becomes of them."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from msgspec import Struct

from protocols.model import Lane


class Verdict(StrEnum):
    """What becomes of the bytes."""

    ACCEPTED = "accepted"
    SALVAGED = "salvaged"  # unreadable in parts: taken without them
    UNREADABLE = "unreadable"  # nothing of an alarm can be read: the bytes are the alarm
    REFUSED = "refused"


class Field(Struct, frozen=True, kw_only=True):
    """One key as it was sent. ``shown``: the value as a person reads it."""

    name: str
    value: Any
    shown: str
    unit: str
    meaning: str


class Fault(Struct, frozen=True, kw_only=True):
    """One thing that is wrong: which field and value where it is one, and why."""

    reason: str
    detail: str
    field: str | None = None
    value: Any = None


class Reading(Struct, frozen=True, kw_only=True):
    """One message in the bytes. ``ignored``: keys that the contract does not know."""

    verdict: Verdict
    id: str | None
    fields: list[Field]
    ignored: list[str]
    flags: tuple[str, ...]
    problems: list[Fault]
    effect: str


class Explanation(Struct, frozen=True, kw_only=True):
    """Topic and bytes, taken apart."""

    topic: str
    device: str | None
    channel: str | None
    lane: Lane | None
    form: str
    size: int
    accepted: bool
    messages: list[Reading]
