"""What becomes of a picture that was asked for: one of now, a live one, or why there is none."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

from msgspec import Struct

Why: TypeAlias = Literal[
    "offline",
    "busy",  # too many wait, or watch, already
    "refused",  # by the device
    "failed",  # the device has tried
    "older",  # the device has answered with a picture of before the request
    "damaged",
    "cancelled",
    "timed_out",
]


class NoPicture(Exception):
    """In a word, then in a sentence, and the facts."""

    def __init__(self, why: Why, detail: str, **facts: Any) -> None:
        super().__init__(detail)
        self.why, self.detail, self.facts = why, detail, facts


class Snapshot(Struct, frozen=True, kw_only=True):
    """A picture that was taken for a command; ``id``: the SHA-256 of its bytes.

    Times in ms, by the gateway's clock but for ``taken_device``. ``taken``: that one, set right
    by what is known of the device's clock; None if it shows no time.
    """

    id: str
    device: str
    command: str
    requested: int
    taken: int | None
    taken_device: int | None
    received: int
    mime: str
    width_px: int | None
    height_px: int | None
    data: bytes


class Frame(Struct, frozen=True, kw_only=True):
    """A live picture. ``seq`` counts those of the device while it is watched, from 1.

    Times in ms by the gateway's clock; ``taken`` None: the device shows no time. ``fps``: how
    many came a second of late. ``quality`` and ``limited``: as the device says.
    """

    id: str
    seq: int
    command: str
    taken: int | None
    received: int
    fps: float | None
    width_px: int
    height_px: int
    quality: int | None
    limited: str | None
    data: bytes
