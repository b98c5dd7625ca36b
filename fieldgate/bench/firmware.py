"""What does a press on the alarm box's firmware take until its lamp says `stored`, and how much
memory does the firmware need?"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fieldgate.bench.figures import Figure, figure_of, percentile
from fieldgate.bench.parts import Account, Gateway, PartFailed
from fieldgate.bench.scale import Scale
from simulators import firmware as box_firmware
from simulators.firmware import FirmwareBox, FirmwareMissing

PRESSES, GOAL_MS = 200, 300.0
HEAP_GOAL_KB = 128.0
HEAPS_KB = range(144, 60, -4)
AGAINST_LIGHT = "the same press until the lamp says `pressed`: the contact settles for 30 ms"
AGAINST_LIVE = "what is in use after the presses, collected"
AGAINST_SOURCE = "its source"
_BOARD_ONLY = {"hal_unix.mpy", "__main__.mpy"}

Say = Callable[[str], None]


def firmware(folder: Path, scale: Scale, say: Say) -> list[Figure]:
    """Presses on MicroPython's Unix port, and what the firmware takes."""
    try:
        built = box_firmware.build(folder)
    except FirmwareMissing as error:
        raise PartFailed(str(error)) from error
    gateway = Gateway(folder)
    (account,) = gateway.register(["box-1"], "alarm_box")
    with gateway:
        settings = _settings(gateway, account)
        lit, stored, heap = asyncio.run(_press(folder / "box", built, settings, scale))
        least_kb = asyncio.run(_least_heap(folder, built, settings, scale))
    say(f"  {percentile(stored, 0.99):.0f} ms in 99 %, in {least_kb} KB")
    size = sum(path.stat().st_size for path in _compiled(built))
    source = sum((box_firmware.SOURCES / f"{p.stem}.py").stat().st_size for p in _compiled(built))
    rows = [
        figure_of(
            "firmware", "press to the lamp that says `stored`, median", [percentile(stored, 0.5)],
            "ms", reference=[percentile(lit, 0.5)], against=AGAINST_LIGHT,
        ),
        figure_of(
            "firmware", "press to the lamp that says `stored`, p99", [percentile(stored, 0.99)],
            "ms", reference=[percentile(lit, 0.99)], against=AGAINST_LIGHT,
            goal=f"at most {GOAL_MS:g} ms", at_most=GOAL_MS, notes=[f"{len(stored)} presses"],
        ),
        figure_of(
            "firmware", "bytecode of the box, without the board's own file", [size / 1000], "kB",
            reference=[source / 1000], against=AGAINST_SOURCE,
        ),
        figure_of(
            "firmware", "least heap in which it starts, connects and is pressed", [least_kb], "KB",
            reference=[heap / 1024], against=AGAINST_LIVE,
            goal=f"at most {HEAP_GOAL_KB:g} KB", at_most=HEAP_GOAL_KB,
            notes=[
                "64-bit, with the bytecode in the heap, which a board keeps in its flash"
            ],
        ),
    ]  # fmt: skip
    return scale.judged(rows)


def _compiled(built: Path) -> list[Path]:
    return [path for path in built.rglob("*.mpy") if path.name not in _BOARD_ONLY]


def _settings(gateway: Gateway, account: Account) -> dict[str, Any]:
    address = f"{gateway.host}:{gateway.port}"
    return {"device": account.user, "password": account.password, "brokers": [address, address]}


async def _press(
    folder: Path, built: Path, settings: dict[str, Any], scale: Scale
) -> tuple[list[float], list[float], int]:
    """Milliseconds from the order to press to two lights; bytes of heap in use at the end."""
    seen: dict[str, float] = {}

    def note(line: dict[str, Any]) -> None:
        if line["what"] == "light":
            seen[line["look"]] = time.perf_counter()

    lit, stored = list[float](), list[float]()
    async with box_firmware.running(FirmwareBox(folder, built, on_line=note), **settings) as box:
        await box.told("link_up")
        for _ in range(scale.count(PRESSES)):
            began = time.perf_counter()
            await box.press()
            await box.shows("stored")
            lit.append((seen["pressed"] - began) * 1000)
            stored.append((seen["stored"] - began) * 1000)
            await box.press("key")
        heap = (await box.report())["heap"]
    return lit, stored, heap


async def _least_heap(folder: Path, built: Path, settings: dict[str, Any], scale: Scale) -> float:
    """The smallest heap, in KB, in which a box does its work."""
    least = float("inf")
    for heap_kb in HEAPS_KB[::8] if scale.quick else HEAPS_KB:
        box = FirmwareBox(folder / f"heap-{heap_kb}", built, heap_kb=heap_kb)
        try:
            async with box_firmware.running(box, **settings):
                await box.told("link_up", within_s=3)
                for _ in range(3):
                    await box.press()
                    await box.shows("stored", within_s=3)
                    await box.press("key")
                if (await box.report())["failures"]:
                    break
        except TimeoutError:
            break
        least = heap_kb
    return least
