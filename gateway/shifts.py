"""Which shift a moment lies in, by the clock on the wall."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime, time, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

_TIME = re.compile(r"([01]\d|2[0-3]):[0-5]\d")


def shifts_of(text: str) -> tuple[time, ...]:
    """``08:00,20:00`` as times of day in their order; raise ValueError."""
    words = text.split(",")
    if not all(_TIME.fullmatch(word) for word in words) or len(set(words)) < len(words):
        raise ValueError("must be times of day, HH:MM, separated by commas")
    return tuple(sorted(time.fromisoformat(word) for word in words))


def zone_of(name: str) -> tzinfo | None:
    """A time zone by its name, ``Asia/Shanghai``; None for this machine's. Raise ValueError."""
    try:
        return ZoneInfo(name) if name else None
    except (ZoneInfoNotFoundError, OSError) as error:
        raise ValueError("must be the name of a time zone, Asia/Shanghai, say") from error


def shift_at(shifts: Sequence[time], moment_ms: int, zone: tzinfo | None) -> str:
    """The shift that a moment lies in, ``08:00-20:00``. Zone None: this machine's."""
    local = datetime.fromtimestamp(moment_ms / 1000, zone).time()
    begun = [number for number, start in enumerate(shifts) if start <= local]
    number = begun[-1] if begun else len(shifts) - 1  # since the day before
    return f"{shifts[number]:%H:%M}-{shifts[(number + 1) % len(shifts)]:%H:%M}"
