"""What time is it, and how long ago was that? Without allocation, and with the clock unset too.

A board's small integers have 31 bits: milliseconds since 1970 would be made on the heap, which
the way of a press does not touch. So the time is four 16-bit limbs, counted on by ticks.
"""

from micropython import const

try:
    from time import ticks_add, ticks_diff
except ImportError:  # CPython, in tests: ticks that never wrap

    def ticks_add(ticks, delta):
        return ticks + delta

    def ticks_diff(end, start):
        return end - start


EARLIEST_MS = 1_735_689_600_000
"""2025-01-01: a clock that says less was never set."""

_REBASE_MS = const(600_000)  # long before ticks wrap


class Clock:
    """Milliseconds since 1970, counted on from the last time that somebody knew them."""

    def __init__(self):
        self.is_set = False
        self._limbs = [0, 0, 0, 0]  # lowest first, at the time of _ticks
        self._ticks = 0

    def set(self, unix_ms, ticks):
        """Somebody knows the time; what is no time is not believed."""
        if unix_ms < EARLIEST_MS or unix_ms >= 1 << 60:
            return
        for n in range(4):
            self._limbs[n] = (unix_ms >> (16 * n)) & 0xFFFF
        self._ticks = ticks
        self.is_set = True

    def forget(self):
        """The time is not known any more."""
        self.is_set = False

    def turn(self, ticks):
        """Count on before the ticks wrap."""
        if self.is_set and ticks_diff(ticks, self._ticks) > _REBASE_MS:
            self.set(self.unix_ms(ticks), ticks)

    def unix_ms(self, ticks):
        """The time as a number; 0 if it is not known. Allocates on a board."""
        if not self.is_set:
            return 0
        low = self._limbs
        base = low[0] | low[1] << 16 | low[2] << 32 | low[3] << 48
        return base + ticks_diff(ticks, self._ticks)

    def put(self, buf, at, ticks):
        """Write the time at that moment as eight bytes, highest first; does not allocate."""
        limbs = self._limbs
        rest = ticks_diff(ticks, self._ticks)
        if rest < 0:
            rest = 0
        for n in range(4):
            rest += limbs[n]  # below 2^30: so long as somebody calls turn()
            buf[at + 7 - 2 * n] = rest & 0xFF
            buf[at + 6 - 2 * n] = (rest >> 8) & 0xFF
            rest >>= 16
