"""How is the box? The telemetry lane: numbered statuses, the last few in memory.

They are not worth the flash's wear: what a restart loses nobody asks for, and what the gateway
asks for and is gone the next status gives up in ``lost``.
"""

from micropython import const

from . import frame
from .clock import ticks_add, ticks_diff

KEEP = const(8)
UNANSWERED_MS = const(30_000)
"""The gateway receipts a status within 5 s: without one for so long it is not there."""


class Status:
    """Makes statuses and repeats those that the gateway misses."""

    def __init__(self, hal, settings, boot, clock):
        self._hal, self._settings = hal, settings
        self._boot, self._clock = boot, clock
        self._writer = frame.Writer(320)
        self._seq = 0
        self._kept = []  # (seq, payload), oldest first
        self._again = []  # numbers to send again
        self._lost = []  # ranges to give up
        self._waits_since = None  # ticks since when no receipt has come
        self._due = hal.ticks()

    def hurry(self):
        """Something has changed: tell now."""
        self._due = self._hal.ticks()

    def turn(self, ticks, uplink, figures):
        """Send what is due. ``figures()`` gives the keys of the moment."""
        while self._again:
            seq = self._again[0]
            for each, payload in self._kept:
                if each == seq and not uplink.publish_status(payload):
                    return
            self._again.pop(0)
        if ticks_diff(ticks, self._due) < 0 or not uplink.is_up():
            return
        self._due = ticks_add(ticks, self._settings.status_every_s * 1000)
        keys = {"boot": self._boot, "seq": self._seq + 1, "t": self._clock.unix_ms(ticks)}
        keys.update(figures())
        if self._lost:
            keys["lost"] = self._lost
        self._writer.clear()
        frame.message(self._writer, keys)
        payload = bytes(memoryview(self._writer.buf)[: self._writer.at])
        if uplink.publish_status(payload):
            self._seq += 1
            self._lost = []
            self._kept.append((self._seq, payload))
            if len(self._kept) > KEEP:
                self._kept.pop(0)
            if self._waits_since is None:
                self._waits_since = ticks

    def take_receipt(self, keys, ticks):
        """What the gateway holds and misses of this boot."""
        upto = keys.get("t")
        if not frame.number(upto) or upto > self._seq:
            return
        self._waits_since = None  # it is there, whatever it misses
        missing = keys.get("miss")
        missing = frame.ranges(missing.get("t")) if isinstance(missing, dict) else []
        if not missing:
            return
        oldest = self._kept[0][0] if self._kept else self._seq + 1
        self._again, self._lost = [], []
        for first, last in missing[:16]:
            if first < oldest:
                self._lost.append([keys["boot"], first, min(last, oldest - 1)])
            for seq, _ in self._kept:
                if first <= seq <= last:
                    self._again.append(seq)

    def link_changed(self, ticks):
        """The time without a link counts for nobody's silence."""
        if self._waits_since is not None:
            self._waits_since = ticks
        self._due = ticks

    def is_unanswered(self, ticks):
        """Whether the gateway has not receipted for long."""
        since = self._waits_since
        return since is not None and ticks_diff(ticks, since) > UNANSWERED_MS
