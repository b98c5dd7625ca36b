"""What time it is, by the device's own clock."""

from __future__ import annotations

import time


def wall_ms() -> int:
    """Milliseconds since 1970 UTC; may be wrong, and may jump."""
    return time.time_ns() // 1_000_000
