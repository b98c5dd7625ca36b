"""A crew with several devices: one order to all of them is one errand."""

from __future__ import annotations

import asyncio
import random
from typing import Any

from protocols.commands import CommandState
from simulators.devices.crew import Crew
from simulators.scenario import Crews

CHECKLIST = {
    "id": "theft",
    "title": {"zh": "盗窃", "en": "Theft"},
    "steps": [{"zh": "保护现场", "en": "Keep the scene"}, {"zh": "询问", "en": "Ask"}],
}
INSTRUCT: dict[str, Any] = {"incident": "I-7", "kind": "theft", "checklist": CHECKLIST}


class Told:
    """What a crew says to one order."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.more = asyncio.Event()

    def say(self, state: CommandState, detail: str | None = None) -> None:
        self.said.append(state if detail is None else f"{state}: {detail}")
        self.more.set()

    def tick(self, step: int) -> None:
        self.said.append(f"step {step}")

    async def until(self, state: str) -> None:
        async with asyncio.timeout(10):
            while state not in self.said:
                self.more.clear()
                await self.more.wait()


async def test_one_order_to_all_devices_of_a_crew_is_one_errand() -> None:
    keys: list[str] = []
    crew = crew_of(Crews(answer_s=0.001, refuse_share=0.0, on_scene_s=0.3), keys)
    car, camera = Told(), Told()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(crew.obey("instruct", dict(INSTRUCT), car))
        tasks.create_task(crew.obey("instruct", dict(INSTRUCT), camera))
    assert sorted([car.said, camera.said], key=len) == [
        ["shown", "accepted", "done"],
        ["shown", "accepted", "step 0", "step 1", "done"],
    ]
    assert keys == ["en_route", "on_scene", "clear", "vehicle_patrol"]


async def test_what_a_crew_refuses_it_refuses_on_all_its_devices_and_a_recall_ends_it_on_all() -> (
    None
):
    refusing = crew_of(Crews(answer_s=0.01, refuse_share=1.0), [])
    car, camera = Told(), Told()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(refusing.obey("instruct", dict(INSTRUCT), car))
        tasks.create_task(refusing.obey("instruct", dict(INSTRUCT), camera))
    assert car.said == camera.said == ["shown", "refused: on another incident"]

    busy = crew_of(Crews(answer_s=0.01, refuse_share=0.0, on_scene_s=600.0), [])
    car, camera = Told(), Told()
    first = asyncio.create_task(busy.obey("instruct", dict(INSTRUCT), car))
    await car.until("accepted")
    second = asyncio.create_task(busy.obey("instruct", dict(INSTRUCT), camera))
    await camera.until("accepted")
    first.cancel()
    await second
    assert camera.said == ["shown", "accepted", "failed: recalled"]


def crew_of(manners: Crews, keys: list[str]) -> Crew:
    """A crew without a car of its own to drive."""
    return Crew(
        manners,
        random.Random(1),
        duty=lambda act, ref, crew: keys.append(act),
        driver=None,
        is_making=lambda: True,
    )
