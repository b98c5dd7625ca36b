"""Experiments 2 to 4: killed exactly between one promise and the next."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path

from simulators.ledger import Dispatched, Receipted, now_ms
from tests.faults.experiment import Trial, experiment
from tests.faults.parts import Core, Gateway, until
from tests.faults.town import Town


def _noted(path: Path) -> list[str]:
    return path.read_text().split() if path.exists() else []


async def _killed_by_itself(part: Gateway | Core, seam: str, note: Path) -> list[str]:
    """Start the part with a seam that kills it; the alarms it held at that moment."""
    so_far = len(_noted(note))
    part.with_seam(seam)
    part.env["FIELDGATE_SEAM_NOTE"] = str(note)
    await part.launch()  # it may die before it can say that it is ready
    await part.ended(40)
    part.without_seam()
    return _noted(note)[so_far:]


@experiment(
    number=2,
    name="kill-before-receipt",
    breaks="kill between commit and receipt",
    holds="redelivered, one incident",
    full_s=240,
    short_s=90,
)
async def kill_before_receipt(trial: Trial) -> None:
    note, held, early = trial.folder / "note", 0, []
    async with Town(trial, boxes=4, cars=2, alarms_per_s=5, positions_per_s=10) as town:
        for _ in range(trial.pick(full=12, short=2)):
            await town.gateway.stop()
            seam = f"kill-after-commit:{trial.rng.randint(1, 5)}"
            ids = await _killed_by_itself(town.gateway, seam, note)
            held += len(ids)
            early += [id_ for id_ in ids if id_ in _receipted(town)]
            await town.gateway.start()
            await town.field.receipts_go_on(20)
        await town.judge()
        again = _receipted(town) & set(_noted(note))
    trial.safety("receipts before the kill", not early, len(early))
    trial.liveness("redelivered and receipted", 0 < held == len(again), f"{len(again)} of {held}")


def _receipted(town: Town) -> set[str]:
    return {line.id for line in town.lines() if isinstance(line, Receipted)}


@experiment(
    number=3,
    name="kill-before-feed",
    breaks="kill between receipt and feed",
    holds="fed after restart",
    full_s=240,
    short_s=None,
)
async def kill_before_feed(trial: Trial) -> None:
    """The core is away, so what is receipted cannot have been fed when the gateway is killed."""
    receipted: set[str] = set()
    waits_s: list[float] = []
    async with Town(trial, boxes=4, cars=2, alarms_per_s=0, positions_per_s=10) as town:
        for _ in range(trial.pick(full=10, short=2)):
            await town.core.kill()
            fresh = set()
            for _ in range(trial.rng.randint(1, 5)):
                device = trial.rng.choice(list(town.devices))
                fresh.add(await town.field.press(device))
            trial.require(
                "receipted with the core away",
                await town.field.wait(lambda state: state.waiting == 0, 20),
            )
            await town.gateway.kill()
            receipted |= fresh & _receipted(town)
            began_ms = now_ms()
            await town.core.start()
            await town.gateway.start()
            await until(_dispatched(town, fresh), 20)
            times = [e.at for e in town.lines() if isinstance(e, Dispatched) and e.id in fresh]
            waits_s.append((max(times) - began_ms) / 1000 if times else 99.0)
        fed = receipted - town.undispatched()
        await town.judge()
    trial.liveness(
        "fed after restart",
        0 < len(fed) == len(receipted),
        f"{len(fed)} of {len(receipted)}, after at most {max(waits_s):.1f} s",
    )


def _dispatched(town: Town, ids: set[str]) -> Callable[[], Awaitable[bool]]:
    async def is_so() -> bool:
        return not ids & town.undispatched()

    return is_so


@experiment(
    number=4,
    name="kill-dispatch-core",
    breaks="kill the dispatch core between accepting and answering",
    holds="one incident",
    full_s=240,
    short_s=90,
)
async def kill_dispatch_core(trial: Trial) -> None:
    note, held, rounds = trial.folder / "note", 0, trial.pick(full=12, short=2)
    async with Town(trial, boxes=4, cars=2, alarms_per_s=5, positions_per_s=0) as town:
        for number in range(rounds):
            await town.core.stop()
            moment = ("kill-after-incident", "kill-before-answer")[number % 2]
            seam = f"{moment}:{trial.rng.randint(1, 5)}"
            held += len(await _killed_by_itself(town.core, seam, note))
            await town.core.start()
        await town.judge()
        again = set(_noted(note)) - town.undispatched()
        numbers: dict[str, set[int | None]] = {id_: set() for id_ in _noted(note)}
        for line in town.lines():
            if isinstance(line, Dispatched) and line.id in numbers:
                numbers[line.id].add(line.incident)
    more = [id_ for id_, incidents in numbers.items() if len(incidents) != 1]
    trial.safety("not exactly one incident", not more, len(more))
    trial.liveness(
        "taken again",
        held > 0 and len(again) == len(numbers),
        f"{len(again)} of {len(numbers)} in {rounds} kills",
    )
