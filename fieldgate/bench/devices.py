"""How much memory does a device cost the gateway, and are lookups flat up to a million?"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from statistics import median

from fieldgate.bench.figures import Figure, figure_of
from fieldgate.bench.parts import Account, Gateway, PartFailed, PlainBroker, Servant
from fieldgate.bench.scale import Scale
from fieldgate.bench.usage import exact_cpu_s, resident_bytes

CONNECTED, FIRST = 10_000, 100
KNOWN = (1_000, 10_000, 100_000, 1_000_000)
NAIVE = 100_000
MESSAGES, LOOKUPS = 20_000, 300
PORTION = 20_000
SETTLE_S = 8.0
"""Receipts are out and freed after this: what is left is what is known."""

GOAL_BYTES, GOAL_FLAT = 2048, 1.5

AGAINST_MEMORY = "in Python a dict, by device, of its last fix as msgpack decodes it"

Say = Callable[[str], None]


def devices(folder: Path, scale: Scale, say: Say) -> list[Figure]:
    """Memory of connected and of known devices; what a message and a look at one cost."""
    apart = [folder / "connected", folder / "known"]
    for each in apart:
        each.mkdir()
    return scale.judged([*_connected(apart[0], scale, say), *_known(apart[1], scale, say)])


def _connected(folder: Path, scale: Scale, say: Say) -> list[Figure]:
    """Each with a socket at the broker, and a few fixes."""
    count, first = scale.devices(CONNECTED), scale.devices(FIRST)
    with ExitStack() as parts:
        gateway = Gateway(folder)
        accounts = gateway.register([f"bench-{n:05}" for n in range(count)])
        parts.enter_context(gateway)
        generator = parts.enter_context(Servant("generator", folder))
        (broker,) = gateway.broker
        messages, settle_s = 2 * count, scale.seconds(SETTLE_S)
        _online(gateway, generator, accounts[:first], messages, settle_s)
        before = resident_bytes(gateway.process), resident_bytes(broker)
        _online(gateway, generator, accounts[first:], messages, settle_s)
        after = resident_bytes(gateway.process), resident_bytes(broker)
    each = [(b - a) / (count - first) for a, b in zip(before, after, strict=True)]
    say(f"  {count:,} connected: {each[0]:,.0f} bytes a device, the broker {each[1]:,.0f}")
    return [
        figure_of(
            "devices",
            f"memory of the gateway for each of {count:,} connected devices",
            [each[0]],
            "bytes",
            reference=[each[1]],
            against="memory of Mosquitto for each of them",
            goal=f"at most {GOAL_BYTES:,} bytes",
            at_most=GOAL_BYTES,
        )
    ]


def _online(
    gateway: Gateway,
    generator: Servant,
    accounts: list[Account],
    messages: int,
    settle_s: float,
) -> None:
    """Bring devices online, have each of all send its share, wait until all is receipted."""
    order = generator.order
    order("connect", to="all", host=gateway.host, port=gateway.port, accounts=accounts)
    order("load", to="all", count=messages, rate=5000)
    order("go", to="all", rate=5000)
    told = order("settle", to="all", timeout_s=30)
    if told["receipted"] < told["devices"]:
        raise PartFailed(f"{told['receipted']} of {told['devices']} devices have a receipt")
    time.sleep(settle_s)  # nothing tells when memory is given back


def _known(folder: Path, scale: Scale, say: Say) -> list[Figure]:
    """One connection to an outside broker speaks for all of them: the gateway has no sockets."""
    sizes = [scale.count(size) for size in KNOWN]
    resident, message_us, look_ms = list[int](), list[float](), list[float]()
    with ExitStack() as parts:
        broker = parts.enter_context(PlainBroker(folder))
        gateway = Gateway(folder, "--broker", f"mqtt://{broker.host}:{broker.port}")
        begun = time.monotonic()
        gateway.register([_name(n) for n in range(sizes[-1])])
        say(f"  registered {sizes[-1]:,} in {time.monotonic() - begun:.0f} s")
        parts.enter_context(gateway)
        generator = parts.enter_context(Servant("generator", folder))
        generator.order("speak", host=broker.host, port=broker.port, count=sizes[-1])
        rng, known, settle_s = random.Random(1), 0, scale.seconds(SETTLE_S)
        for size in sizes:
            for first in range(known, size, PORTION):
                _speak(gateway, generator, range(first, min(size, first + PORTION)))
            known = size
            time.sleep(settle_s)  # nothing tells when memory is given back
            resident.append(resident_bytes(gateway.process))
            costs = list[float]()
            for _ in range(scale.runs(3)):
                numbers = [rng.randrange(size) for _ in range(scale.count(MESSAGES))]
                before = _cpu_s(gateway)
                _speak(gateway, generator, numbers)
                costs.append((_cpu_s(gateway) - before) / len(numbers) * 1e6)
            message_us.append(median(costs))
            look_ms.append(_look_ms(gateway, [rng.randrange(size) for _ in range(LOOKUPS)]))
            say(
                f"  {size:,} known: {resident[-1] / 2**20:,.0f} MiB, {message_us[-1]:.1f} us a"
                f" message, {look_ms[-1]:.2f} ms a look"
            )
    each = (resident[-1] - resident[0]) / (sizes[-1] - sizes[0])
    naive = _naive_bytes(folder, sizes[0], scale.count(NAIVE))
    say(f"  {each:,.0f} bytes a device; a dict of its last fix {naive:,.0f}")
    return [
        figure_of(
            "devices",
            f"memory of the gateway for each of {sizes[-1]:,} known devices, without sockets",
            [each],
            "bytes",
            reference=[naive],
            against=AGAINST_MEMORY,
            goal=f"at most {GOAL_BYTES:,} bytes",
            at_most=GOAL_BYTES,
            series={"known": sizes, "resident": resident},
        ),
        _flat("CPU of a message from any device", sizes, message_us, "us"),
        _flat("GET of one device", sizes, look_ms, "ms"),
    ]


def _flat(what: str, sizes: list[int], values: list[float], unit: str) -> Figure:
    """What something costs with the most devices known, beside the same with the fewest."""
    return figure_of(
        "devices",
        f"{what}, with {sizes[-1]:,} known devices",
        values[-1:],
        unit,
        reference=values[:1],
        against=f"with {sizes[0]:,} known",
        goal=f"flat: at most {GOAL_FLAT:g} times",
        ratio_at_most=GOAL_FLAT,
        series={"known": sizes, unit: values},
    )


def _naive_bytes(folder: Path, few: int, many: int) -> float:
    """Memory for each device of who keeps the last fix of each as it was decoded."""
    with Servant("naive_twins", folder) as twins:
        resident = list[int]()
        for count in (few, many):
            twins.order("know", count=count)
            resident.append(resident_bytes(twins.process))
    return (resident[1] - resident[0]) / (many - few)


def _cpu_s(gateway: Gateway) -> float:
    return sum(map(exact_cpu_s, gateway.own))


def _name(number: int) -> str:
    return f"known-{number:07}"


def _speak(gateway: Gateway, generator: Servant, numbers: list[int] | range) -> None:
    """A fix of each of these devices; return when the journal has them."""
    due = gateway.api.metric("fieldgate_journal_cursor") + len(numbers)
    generator.order("say", numbers=list(numbers))
    deadline = time.monotonic() + 60
    while gateway.api.metric("fieldgate_journal_cursor") < due:
        if time.monotonic() > deadline:
            raise PartFailed("the journal does not have what was sent")
        time.sleep(0.05)  # the journal tells nobody outside


def _look_ms(gateway: Gateway, numbers: list[int]) -> float:
    """The median time of looking at one device over HTTP."""
    took = []
    for number in numbers:
        begun = time.perf_counter()
        seen = gateway.api.json(f"/api/v1/devices/{_name(number)}")
        took.append(1000 * (time.perf_counter() - begun))
        assert seen["position"] is not None
    return median(took)
