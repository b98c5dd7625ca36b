"""Experiment 16: between gateway and dispatch core nothing gets through for a while."""

from __future__ import annotations

import asyncio
import time

from simulators.ledger import Dispatched, now_ms, read
from tests.faults.boxes import Box, Boxes
from tests.faults.experiment import Trial, experiment
from tests.faults.network import TOWN, Network
from tests.faults.parts import until
from tests.faults.town import Town

STORED_WITHIN_S = 2.0
ANSWERED = {"accepted", "acknowledged", "closed"}
CAUGHT_UP_WITHIN_S = 45.0


@experiment(
    number=16,
    name="core-parted",
    breaks="gateway and dispatch core parted for minutes",
    holds="box shows `stored`, not `accepted`; catches up",
    full_s=260,
    short_s=None,
    namespaces=("net",),
)
async def core_parted(trial: Trial) -> None:
    """Packets vanish on the cable between the two; the devices are on the gateway's side."""
    parted_s = trial.pick(full=120, short=12)
    with Network(trial) as network:
        field = network.field()
        town = Town(
            trial, boxes=3, cars=3, alarms_per_s=2, host=TOWN, core_host=field.address,
            core={"wrap": field.place.inside},
        )  # fmt: skip
        async with town, Boxes(town, [()] * 3) as boxes:
            await boxes.start()
            await _accepted(boxes, [await box.press() for box in boxes.each])
            field.lose(100)
            ends_s = time.monotonic() + parted_s
            pressed_ms: dict[str, int] = {}
            await asyncio.gather(*(_press(trial, box, ends_s, pressed_ms) for box in boxes.each))
            await asyncio.sleep(STORED_WITHIN_S)
            await _judge_stages(trial, boxes, pressed_ms)
            field.lose(0)
            healed_s = time.monotonic()
            in_time = await _accepted(boxes, list(pressed_ms))
            trial.liveness(
                f"accepted within {CAUGHT_UP_WITHIN_S:g} s of the end, on the boxes too",
                in_time, f"{time.monotonic() - healed_s:.1f} s",
            )  # fmt: skip
            await boxes.judge()
            raised = [event["id"] for event in await town.gateway.events("alarm.raised")]
            came = [line.id for line in read(town.core.ledger) if isinstance(line, Dispatched)]
            trial.safety("dispatched in order", list(dict.fromkeys(came)) == raised, len(raised))


async def _press(trial: Trial, box: Box, ends_s: float, pressed_ms: dict[str, int]) -> None:
    while time.monotonic() < ends_s:
        await asyncio.sleep(trial.rng.uniform(0.5, 3))
        pressed_ms[await box.press()] = now_ms()


async def _judge_stages(trial: Trial, boxes: Boxes, pressed_ms: dict[str, int]) -> None:
    """What the boxes show at the end of the parting."""
    shown = {id_: steps for box in boxes.each for id_, steps in (await box.stages()).items()}
    stages = [shown[id_] for id_ in pressed_ms]
    accepted = sum(bool(steps.keys() & ANSWERED) for steps in stages)
    trial.safety("shown as accepted while parted", not accepted, f"{accepted} of {len(stages)}")
    waits_ms = [shown[id_].get("stored", 10**9) - at for id_, at in pressed_ms.items()]
    trial.liveness(
        f"shown as stored within {STORED_WITHIN_S:g} s",
        max(waits_ms) <= 1000 * STORED_WITHIN_S,
        f"max {max(waits_ms)} ms",
    )


async def _accepted(boxes: Boxes, ids: list[str]) -> bool:
    """Wait until the boxes show all of these as accepted; whether it was in time."""

    async def are() -> bool:
        shown = {id_: steps for box in boxes.each for id_, steps in (await box.stages()).items()}
        return all(shown[id_].keys() & ANSWERED for id_ in ids)

    return bool(await until(are, CAUGHT_UP_WITHIN_S, every_s=0.2))
