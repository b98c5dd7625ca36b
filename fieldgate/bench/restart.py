"""After kill -9, how long until a new alarm has its receipt?"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from fieldgate.bench.box import AlarmBox
from fieldgate.bench.figures import Figure, figure_of
from fieldgate.bench.parts import Account, Gateway, Servant, free_port
from fieldgate.bench.scale import Scale
from fieldgate.bench.stock import fill

DEVICES, SIZES = 1000, (1_000_000, 10_000_000)
LIGHT_PER_S, LIGHT_S = 500, 7.0
"""Positions before the kill: beyond the last checkpoint there is something to replay."""

GOAL_S = 2.0
AGAINST = "the same with an empty journal"

Say = Callable[[str], None]


def restart(folder: Path, scale: Scale, say: Say) -> list[Figure]:
    """Seconds from starting the process to the receipt, by the size of the journal."""
    figures, kills = list[Figure](), scale.runs(3)
    with Servant("generator", folder) as generator:
        place = House(folder, scale, generator)
        empty = [place.killed_and_back(light=False) for _ in range(kills)]
        say(f"  empty: {', '.join(f'{took:.2f} s' for took in empty)}")
        for size in SIZES:
            have = place.grow(scale.count(size))
            took = [place.killed_and_back(light=True) for _ in range(kills)]
            say(f"  {have:,} events: {', '.join(f'{each:.2f} s' for each in took)}")
            row = figure_of(
                "restart",
                f"kill -9 to a new alarm's receipt, counted from the new process's start,"
                f" {have:,} events journalled",
                took,
                "s",
                reference=empty,
                against=AGAINST,
                goal=f"at most {GOAL_S:g} s",
                at_most=GOAL_S,
            )
            row.met = row.met and max(took) <= GOAL_S
            figures.append(row)
    return scale.judged(figures)


class House:
    """A folder whose gateway is started, filled and killed again and again, on one port."""

    def __init__(self, folder: Path, scale: Scale, generator: Servant) -> None:
        self._folder = folder
        self._light_s = scale.seconds(LIGHT_S)
        self._generator = generator
        self._options = ("--mqtt", f"127.0.0.1:{free_port()}")
        gateway = self._gateway()
        self._accounts = gateway.register([f"bench-{n:04}" for n in range(scale.devices(DEVICES))])
        self._box = AlarmBox(gateway.register(["box"], "alarm_box")[0])

    def grow(self, count: int) -> int:
        """Bring the journal to about so many events; how many it has."""
        with self._gateway() as gateway:
            have = int(gateway.api.metric("fieldgate_journal_cursor"))
            if count > have:
                fill(gateway, self._generator, self._accounts, count - have)
            return int(gateway.api.metric("fieldgate_journal_cursor"))

    def killed_and_back(self, *, light: bool) -> float:
        """Kill it, under a light load or at rest, start it, and press once it is started."""
        with ExitStack() as parts:
            gateway = parts.enter_context(self._gateway())
            at = (gateway.host, gateway.port)
            self._box.press_until_receipted(at)
            if light:
                self._flow(gateway, self._accounts)
            gateway.kill()
            begun = time.monotonic()
            again = self._gateway()
            again.launch()
            parts.callback(again.stop)
            self._box.press_until_receipted(at)
            return time.monotonic() - begun

    def _flow(self, gateway: Gateway, accounts: list[Account]) -> None:
        """Positions for a while, so that the kill finds the gateway at work."""
        order = self._generator.order
        order("connect", to="light", host=gateway.host, port=gateway.port, accounts=accounts)
        order("load", to="light", count=int(LIGHT_PER_S * self._light_s), rate=LIGHT_PER_S)
        order("go", to="light", rate=LIGHT_PER_S)
        order("close", to="light")

    def _gateway(self) -> Gateway:
        return Gateway(self._folder, *self._options)
