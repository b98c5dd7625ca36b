"""The timetable of a day: what happens to which device, and when. Same seed, same day."""

from __future__ import annotations

import heapq
import itertools
import random
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import NamedTuple, TypeAlias

from protocols.model import AlarmKind, DeviceKind, DutyAct
from simulators.scenario import Recurring, Scenario, Unit

SHIFT_BEGINS_WITHIN_S = 4.0
"""A day begins with crews on duty: each tells so once within its first seconds."""

SETTLED_AFTER_S = 4.0
"""And once more within so many, what it does then."""

ActsAfter: TypeAlias = dict[DutyAct | None, tuple[DutyAct, ...]]
# What a crew may report after its last act; the first of the day follows None. An act
# that stands twice is twice as likely. An incident is a matter of orders: crew.py.
DUTY_ACTS: dict[DeviceKind, ActsAfter] = {
    "vehicle_terminal": {
        None: ("on_duty",),
        "on_duty": ("vehicle_patrol", "vehicle_patrol", "vehicle_patrol", "parked", "foot_patrol"),
        "vehicle_patrol": ("parked", "foot_patrol", "foot_patrol", "break"),
        "foot_patrol": ("vehicle_patrol",),
        "parked": ("vehicle_patrol",),
        "break": ("vehicle_patrol",),
    },
    "body_camera": {
        None: ("on_duty",),
        "on_duty": ("foot_patrol",),
        "foot_patrol": ("break",),
        "break": ("foot_patrol",),
    },
    "phone": {None: ("on_duty",), "on_duty": ("break",), "break": ("on_duty",)},
}


class Press(NamedTuple):
    """Somebody presses so many times within a second."""

    kind: AlarmKind
    presses: int


class Duty(NamedTuple):
    """A one-key duty report."""

    act: DutyAct


class Picture(NamedTuple):
    """A periodic picture."""


class Offline(NamedTuple):
    """The network is gone for a while."""

    length_s: float


class Reboot(NamedTuple):
    """The device restarts, with its spool, and is dark for a while."""

    length_s: float


class ClockJump(NamedTuple):
    """The device's clock jumps."""

    by_s: float


Action: TypeAlias = Press | Duty | Picture | Offline | Reboot | ClockJump


class Event(NamedTuple):
    """What happens to which device, so many seconds after the start."""

    at_s: float
    device: str
    action: Action


class Nature(NamedTuple):
    """What is wrong with a device from the start."""

    skew_s: float
    slow: bool


def chance(scenario: Scenario, *names: object) -> random.Random:
    """A stream of chance of its own for each thing: adding one changes no other."""
    return random.Random(":".join(map(str, (scenario.seed, *names))))


def nature(scenario: Scenario, unit: Unit) -> Nature:
    """What is wrong with this device all day."""
    rng = chance(scenario, "nature", unit.device)
    clocks, slow = scenario.troubles.clocks, scenario.troubles.slow
    skewed, is_slow = rng.random() < clocks.skewed_share, rng.random() < slow.share
    return Nature(rng.uniform(-clocks.skew_s, clocks.skew_s) if skewed else 0.0, is_slow)


def is_cut_off(scenario: Scenario, unit: Unit) -> bool:
    """Whether this device is offline now and then."""
    return _befalls(scenario, "offline", unit, scenario.troubles.offline.share)


def leaders(units: Sequence[Unit]) -> list[Unit]:
    """The devices that report for a crew."""
    return [unit for unit in units if unit.kind in DUTY_ACTS and unit.leader is None]


def timetable(scenario: Scenario, units: Sequence[Unit]) -> Iterator[Event]:
    """All that will happen, in order of time, without end."""
    streams = [
        _presses(scenario, units),
        _duties(scenario, leaders(units), {unit.leader for unit in units}),
        _pictures(scenario, [unit for unit in units if unit.kind in DUTY_ACTS]),
        *itertools.chain.from_iterable(_troubles(scenario, unit) for unit in units),
    ]
    return heapq.merge(*streams, key=_when)


def _when(event: Event) -> float:
    return event.at_s


def _times(rng: random.Random, mean_gap_s: float) -> Iterator[float]:
    """Moments independent of one another, so far apart on average, without end."""
    at_s = 0.0
    while True:
        at_s += rng.expovariate(1 / mean_gap_s)
        yield at_s


def _to_anyone(
    rng: random.Random, units: Sequence[Unit], per_minute: float
) -> Iterator[tuple[float, Unit]]:
    """When, and to whom; never if there is nobody or the rate is 0."""
    if units and per_minute:
        for at_s in _times(rng, 60 / per_minute):
            yield at_s, rng.choice(units)


def _presses(scenario: Scenario, units: Sequence[Unit]) -> Iterator[Event]:
    rng, alarms = chance(scenario, "alarms"), scenario.alarms
    kinds, weights = [*alarms.kinds], [*alarms.kinds.values()]
    for at_s, unit in _to_anyone(rng, units, alarms.per_minute):
        hammered = rng.random() < alarms.hammered_share
        presses = rng.randint(5, 50) if hammered else 1
        yield Event(at_s, unit.device, Press(rng.choices(kinds, weights)[0], presses))


def _duties(
    scenario: Scenario, crews: Sequence[Unit], leading: Collection[str | None]
) -> Iterator[Event]:
    """The first reports of every crew, then one act after another as the table has it.

    ``leading``: the crews that have a camera or a phone to walk with.
    """
    rng = chance(scenario, "duty")
    last: dict[str, DutyAct] = {}
    begins = [(rng.random() * SHIFT_BEGINS_WITHIN_S, n) for n in range(len(crews))]
    settle = [(at_s + rng.uniform(1, SETTLED_AFTER_S), n) for at_s, n in begins]
    first = ((at_s, crews[n]) for at_s, n in sorted(begins + settle))
    later = (
        (SHIFT_BEGINS_WITHIN_S + SETTLED_AFTER_S + at_s, unit)
        for at_s, unit in _to_anyone(rng, crews, scenario.reports.duty_per_minute)
    )
    for at_s, unit in itertools.chain(first, later):
        act = rng.choice(DUTY_ACTS[unit.kind][last.get(unit.device)])
        if act == "foot_patrol" and unit.kind == "vehicle_terminal" and unit.device not in leading:
            act = "parked"
        last[unit.device] = act
        yield Event(at_s, unit.device, Duty(act))


def _pictures(scenario: Scenario, crews: Sequence[Unit]) -> Iterator[Event]:
    rng = chance(scenario, "pictures")
    for at_s, unit in _to_anyone(rng, crews, scenario.reports.pictures_per_minute):
        yield Event(at_s, unit.device, Picture())


def _troubles(scenario: Scenario, unit: Unit) -> Iterator[Iterator[Event]]:
    """The streams of what befalls this device."""
    offline, reboots = scenario.troubles.offline, scenario.troubles.reboots
    clocks = scenario.troubles.clocks
    if is_cut_off(scenario, unit):
        yield _recurring(
            scenario, "offline", unit, offline.every_s, lambda rng: Offline(_length_s(rng, offline))
        )
    if _befalls(scenario, "reboots", unit, reboots.share):
        yield _recurring(
            scenario, "reboots", unit, reboots.every_s, lambda rng: Reboot(_length_s(rng, reboots))
        )
    if _befalls(scenario, "clocks", unit, clocks.jumping_share):
        yield _recurring(
            scenario,
            "clocks",
            unit,
            clocks.every_s,
            lambda rng: ClockJump(rng.uniform(-clocks.jump_s, clocks.jump_s)),
        )


def _befalls(scenario: Scenario, trouble: str, unit: Unit, share: float) -> bool:
    return chance(scenario, trouble, unit.device, "befalls").random() < share


def _length_s(rng: random.Random, trouble: Recurring) -> float:
    return trouble.length_s * rng.uniform(0.5, 1.5)


def _recurring(
    scenario: Scenario,
    trouble: str,
    unit: Unit,
    every_s: float,
    make: Callable[[random.Random], Action],
) -> Iterator[Event]:
    rng = chance(scenario, trouble, unit.device)
    for at_s in _times(rng, every_s):
        yield Event(at_s, unit.device, make(rng))
