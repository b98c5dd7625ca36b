"""How many events a second does one consumer get by pull, from the very first one?"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from statistics import median

from fieldgate.bench.figures import Figure, figure_of
from fieldgate.bench.parts import Gateway, PartFailed, Servant
from fieldgate.bench.puller import LIMIT
from fieldgate.bench.scale import Scale
from fieldgate.bench.stock import fill
from fieldgate.bench.usage import Meter

DEVICES, EVENTS = 1000, 1_000_000
AGAINST = "the same pages from memory, by aiohttp"
GOAL = 100_000

Say = Callable[[str], None]


def feed(folder: Path, scale: Scale, say: Say) -> list[Figure]:
    """Events a second, from cursor 0 to the end."""
    with ExitStack() as parts:
        gateway = Gateway(folder)
        accounts = gateway.register([f"bench-{n:04}" for n in range(scale.devices(DEVICES))])
        parts.enter_context(gateway)
        generator = parts.enter_context(Servant("generator", folder))
        count = fill(gateway, generator, accounts, scale.count(EVENTS))
        generator.stop()
        puller = parts.enter_context(Servant("puller", folder))
        server = parts.enter_context(_server(folder))
        ours = {"address": gateway.api.address, "authorization": gateway.api.authorization}
        found = puller.order("check", folder=str(folder), within_s=600, **ours)
        say(f"  read and checked: {found}")
        if found["faults"] or found["twice"] or found["events"] < count:
            raise PartFailed(f"the feed does not give every event once: {found}, due {count:,}")
        theirs = server.order("serve", folder=str(folder))["address"]
        until = int(gateway.api.metric("fieldgate_journal_cursor"))
        per_s, reference, cores = list[float](), list[float](), list[dict[str, float]]()
        for _ in range(scale.runs(3)):
            meter = Meter({"gateway": gateway.own, "consumer": [puller.process]})
            pulled = puller.order("pull", until=until, within_s=600, **ours)
            cores.append(meter.stop().cores())
            if pulled["events"] != found["events"]:
                raise PartFailed(f"{pulled['events']:,} events came, {found['events']:,} are there")
            per_s.append(pulled["events"] / pulled["seconds"])
            pulled = puller.order("pull", address=theirs, until=until, within_s=600)
            reference.append(pulled["events"] / pulled["seconds"])
            say(f"  {per_s[-1]:,.0f} events a second; from memory {reference[-1]:,.0f}")
    row = figure_of(
        "feed",
        f"one consumer from cursor 0 over {found['events']:,} events by pull, {LIMIT:,} a page",
        per_s,
        "/s",
        reference=reference,
        against=AGAINST,
        goal=f"at least {GOAL:,} a second",
        at_least=GOAL,
        cores={role: round(median(each[role] for each in cores), 2) for role in cores[0]},
    )
    return scale.judged([row])


def _server(folder: Path) -> Servant:
    """Another of the puller's processes: it serves what the first one has kept."""
    apart = folder / "server"
    apart.mkdir()
    return Servant("puller", apart)
