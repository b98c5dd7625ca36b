"""What time it is, by the device's own clock."""

from __future__ import annotations

import time


def wall_ms() -> int:
    """Milliseconds since 1970 UTC; may be wrong, and may jump."""
    return time.time_ns() // 1_000_000


def steady_ms() -> int:
    """Milliseconds of a counter that nobody sets, and that counts on while the device sleeps."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1_000_000
