"""Experiment 13: a path dies without a word; each side that still believes in it has to notice."""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

from tests.faults.boxes import Box, Boxes
from tests.faults.experiment import Trial, experiment
from tests.faults.network import TOWN, Field, Network, Place
from tests.faults.parts import Gateway, steady_port
from tests.faults.town import Town, judge_latency
from tests.faults.waits import seconds_until

FOUND_WITHIN_S = 15.0
BACK_WITHIN_S = 20.0
PATIENCE_S = 60.0


@experiment(
    number=13,
    name="half-open",
    breaks="half-open TCP: at the device, at the broker, between gateway and broker",
    holds="found within 15 s; reconnect",
    full_s=150,
    short_s=70,
    namespaces=("net",),
)
async def half_open(trial: Trial) -> None:
    """Some boxes' connections die in both directions or in one; one box is gone altogether."""
    with Network(trial) as network:
        near, far = network.field(), network.field()
        wraps = [near.place.inside] * trial.pick(full=6, short=3) + [far.place.inside]
        async with (
            Town(trial, boxes=0, cars=2, positions_per_s=2, alarms_per_s=0, host=TOWN) as town,
            Boxes(town, wraps) as boxes,
        ):
            await boxes.start()
            *half, gone = boxes.each
            await asyncio.gather(
                _devices_side(trial, network, near, town, half),
                _brokers_side(trial, far, town.gateway, gone),
            )
            await _gateways_side(trial, [network.town], town.gateway, town.gateway.mqtt_port, half)
            await town.heal()
            judge_latency(trial, boxes.waits(half), limit_s=BACK_WITHIN_S, of="pressed into it")
            await boxes.judge()


@experiment(
    number=13,
    name="half-open-outside-broker",
    breaks="half-open TCP between the gateway and an outside broker",
    holds="found within 15 s; reconnect",
    full_s=90,
    short_s=None,
    namespaces=("net",),
)
async def half_open_outside_broker(trial: Trial) -> None:
    """The broker is somebody else's, on another machine; the gateway has its URL."""
    with Network(trial) as network:
        field = network.field()
        port = steady_port(TOWN)
        async with _outside_broker(trial.folder, field, port):
            broker = (field.address, port)
            town = Town(trial, boxes=0, cars=0, host=TOWN)
            town.gateway.arguments += ["--broker", f"mqtt://{broker[0]}:{broker[1]}"]
            async with town, Boxes(town, [field.place.inside] * 3, broker=broker) as boxes:
                await boxes.start()
                places = [network.town, field.place]
                await _gateways_side(trial, places, town.gateway, port, boxes.each)
                await town.heal()
                judge_latency(
                    trial, boxes.waits(boxes.each), limit_s=BACK_WITHIN_S, of="pressed into it"
                )
                await boxes.judge()


async def _devices_side(
    trial: Trial, network: Network, field: Field, town: Town, boxes: list[Box]
) -> None:
    """The connections of these boxes die; every other one presses at that moment."""
    port = town.gateway.mqtt_port
    old = {box: field.place.ports(box.pid, to=port) for box in boxes}
    both, up, down = boxes[0::3], boxes[1::3], boxes[2::3]
    network.town.forget(p for box in [*both, *up] for p in old[box])
    field.place.forget(p for box in [*both, *down] for p in old[box])

    async def has_noticed(box: Box) -> bool:
        return not await box.is_connected() or field.place.ports(box.pid, to=port) != old[box]

    async def is_back(box: Box) -> bool:
        ports = await asyncio.to_thread(field.place.ports, box.pid, to=port)
        return bool(ports - old[box]) and await box.is_connected()

    async def follow(number: int, box: Box) -> tuple[float, float]:
        if number % 2 == 0:
            await box.press()
        found_s = await _seconds_until(lambda: has_noticed(box))
        return found_s, found_s + await _seconds_until(lambda: is_back(box))

    seconds = await asyncio.gather(*(follow(number, box) for number, box in enumerate(boxes)))
    for place in (network.town, field.place):
        place.forget([])
    _note(trial, "a device finds it", [found for found, _ in seconds], FOUND_WITHIN_S)
    _note(trial, "it is back", [back for _, back in seconds], BACK_WITHIN_S)


async def _brokers_side(trial: Trial, field: Field, gateway: Gateway, box: Box) -> None:
    """A box is cut off; the gateway has to say that it is offline, and the box come back."""

    async def is_shown(state: str) -> bool:
        return bool((await gateway.get(f"/api/v1/devices/{box.device}"))["state"] == state)

    field.lose(100)
    _note(
        trial, "the gateway shows a lost device as offline",
        [await _seconds_until(lambda: is_shown("offline"))], FOUND_WITHIN_S,
    )  # fmt: skip
    field.lose(0)
    await box.press()
    back_s = await _seconds_until(lambda: is_shown("online"))
    _note(trial, "a device that was cut off is back", [back_s], BACK_WITHIN_S)


async def _gateways_side(
    trial: Trial, places: list[Place], gateway: Gateway, port: int, boxes: list[Box]
) -> None:
    """Both connections of the gateway to its broker die; the boxes press at that moment."""
    old = places[0].ports(gateway.pid, to=port)
    for place in places:
        place.forget(old)
    for box in boxes:
        await box.press()

    async def is_back() -> bool:
        ports = await asyncio.to_thread(places[0].ports, gateway.pid, to=port)
        return len(ports - old) >= len(old) and not await gateway.wrong()

    back_s = await _seconds_until(is_back)
    _note(trial, "the gateway has other connections", [back_s], FOUND_WITHIN_S)
    for place in places:
        place.forget([])


def _note(trial: Trial, what: str, seconds: list[float], limit_s: float) -> None:
    worst_s = max(seconds)
    trial.liveness(f"{what} within {limit_s:g} s", worst_s <= limit_s, f"max {worst_s:.1f} s")


async def _seconds_until(condition: Callable[[], Awaitable[bool]]) -> float:
    """How long until it is so; infinite if it takes too long."""
    seconds = await seconds_until(condition, PATIENCE_S, every_s=0.05)
    return math.inf if seconds is None else seconds


@contextlib.asynccontextmanager
async def _outside_broker(folder: Path, field: Field, port: int) -> AsyncIterator[None]:
    """A Mosquitto in the field that lets everyone in; whoever needs it waits for it."""
    config = folder / "outside.conf"
    config.write_text(
        f"listener {port} 0.0.0.0\nallow_anonymous true\nset_tcp_nodelay true\nuser root\n"
    )
    process = await asyncio.create_subprocess_exec(
        *field.place.inside, "mosquitto", "-c", str(config), stderr=asyncio.subprocess.DEVNULL
    )
    try:
        yield
    finally:
        process.terminate()
        await process.wait()
