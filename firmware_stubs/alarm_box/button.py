"""Is that a press? Contacts bounce, are held, are hammered, stick, and close while nobody looks."""

from micropython import const

from .clock import ticks_diff

SETTLE_MS = const(30)
"""A contact is what it has been for so long: a press of 50 ms counts."""

BLIND_MS = const(20)
"""Where the main loop looked at something else for longer, a contact that has closed meanwhile,
or had just closed before, was pressed: its 50 ms may be over before anybody looks again. The
circuit filters what is shorter than 10 ms."""

STUCK_MS = const(60_000)


class Button:
    """One contact, looked at again and again. Nothing here allocates."""

    def __init__(self):
        self.closed = False
        self.stuck = False
        self.unsettled = False
        self._raw = False
        self._since = 0  # when the raw contact changed
        self._looked = 0

    def look(self, raw, edge, blind, ticks):
        """Whether that is a press. ``raw``: closed now; ``edge``: has closed since the last look;
        ``blind``: that was long ago. Closed from the start is a press, too: it has no edge."""
        if self.unsettled and ticks_diff(ticks, self._looked) > BLIND_MS:
            blind = True  # it should have been looked at again within 5 ms
        self._looked = ticks
        was = self._raw
        if raw != was:
            self._raw = raw
            self._since = ticks
        if blind and (edge or was) and not self.closed:
            self.closed = raw
            self.unsettled = False
            return True
        for_ms = ticks_diff(ticks, self._since)
        self.unsettled = raw != self.closed
        if not self.unsettled:
            self.stuck = raw and (self.stuck or for_ms > STUCK_MS)
            return False
        if for_ms < SETTLE_MS:
            return False
        self.closed = raw
        self.unsettled = False
        return raw
