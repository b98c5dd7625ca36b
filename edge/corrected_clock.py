"""What time it is at the gateway, told by a device whose own clock may be wrong.

A clock that a time server or a satellite sets is believed as it is. One that runs free is not:
it may be years off, and may be set by hand in the middle of a shift. Such a device goes by what
the gateway says in its commands (`Command.sent`): it was that late there when the command was
handed out, so it is at least that late now. From then on a steady counter carries the time on.

The smallest delay wins. A message that waited on its way says an earlier time than the counter
already tells, and changes nothing: so a late message cannot make a stale order look fresh, and
the time told is never ahead of the gateway's, and behind by no more than the best message so far
was late. A counter may run fast, so what it adds is taken less the drift that a quartz may have.

The first command after a start has no better witness than itself. There the broker stands in: the
gateway gives each command the life that it has, and the broker hands out none that is past it.
"""

from __future__ import annotations

DRIFT = 1e-4  # of a quartz at its worst: 9 s a day


class CorrectedClock:
    """Pure: ``steady_ms`` comes in, a counter that is never set and counts in sleep too."""

    def __init__(self) -> None:
        self._told: tuple[int, int] | None = None  # the gateway's time, at that count

    def learn(self, gateway_ms: int, steady_ms: int) -> None:
        """At the gateway it is that late, or later."""
        known_ms = self._carried(steady_ms)
        if known_ms is None or gateway_ms > known_ms:
            self._told = gateway_ms, steady_ms

    def now_ms(self, own_ms: int, steady_ms: int, *, is_set: bool) -> int:
        """The time to judge an order by. ``own_ms``: the device's clock; ``is_set``: something
        sets it."""
        known_ms = self._carried(steady_ms)
        return own_ms if is_set or known_ms is None else known_ms

    def _carried(self, steady_ms: int) -> int | None:
        if self._told is None:
            return None
        told_ms, at_ms = self._told
        return told_ms + int((steady_ms - at_ms) * (1 - DRIFT))
