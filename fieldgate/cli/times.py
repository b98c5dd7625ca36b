"""Times in ms as people read them: by the clock of this machine."""

from __future__ import annotations

from datetime import datetime

DAY_AND_TIME = "%Y-%m-%d %H:%M:%S"
TIME = "%H:%M:%S"


def shown(millis: int | None, form: str = DAY_AND_TIME, *, to_the_ms: bool = False) -> str:
    """Nothing for None; as the number it is what no calendar has: a device's clock may say it."""
    if millis is None:
        return ""
    try:
        when = f"{datetime.fromtimestamp(millis / 1000):{form}}"
    except (ValueError, OverflowError, OSError):
        return f"{millis} ms"
    return f"{when}.{millis % 1000:03d}" if to_the_ms else when
