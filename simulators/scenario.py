"""Scenarios: how many of what, what they do and what befalls them. Same seed, same day."""

from __future__ import annotations

import heapq
import itertools
import random
from collections.abc import Iterable, Iterator
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple, TypeAlias

import msgspec
from msgspec import Meta, Struct, field

from protocols.model import AlarmKind, DeviceKind, DutyAct, Latitude, Longitude

if TYPE_CHECKING:
    from simulators.city import City

Share: TypeAlias = Annotated[float, Meta(ge=0, le=1)]
Number: TypeAlias = Annotated[int, Meta(ge=0, le=20_000)]
Seconds: TypeAlias = Annotated[float, Meta(gt=0)]
Rate: TypeAlias = Annotated[float, Meta(ge=0)]

PART_S = 600.0
"""A day is planned in parts of ten minutes, so that it may last as long as it likes."""


class _Table(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A TOML table: a key that nobody knows is a mistake of its writer."""


class Counts(_Table, frozen=True):
    """How many devices of each kind; ``full`` ones run the real agent, in cars."""

    cars: Number = 0
    officers: Number = 0
    boxes: Number = 0
    phones: Number = 0
    full: Number = 0


class Reports(_Table, frozen=True):
    """What devices tell unasked. Rates are per minute over all devices."""

    position_period_s: Seconds = 1.0
    status_period_s: Seconds = 30.0
    duty_per_minute: Rate = 0.0
    pictures_per_minute: Rate = 0.0


class Alarms(_Table, frozen=True):
    """How often somebody presses, what (weights by kind), and who hammers the button."""

    per_minute: Rate = 0.0
    kinds: Annotated[dict[AlarmKind, Annotated[float, Meta(gt=0)]], Meta(min_length=1)] = field(
        default_factory=lambda: {"panic": 1.0}
    )
    hammered_share: Share = 0.0


class Recurring(_Table, frozen=True):
    """Something that befalls a share of the devices, on average every so often, for so long."""

    share: Share = 0.0
    every_s: Seconds = 300.0
    length_s: Seconds = 20.0


class Clocks(_Table, frozen=True):
    """Wrong clocks: skewed from the start by up to ``skew_s``, or jumping by up to ``jump_s``."""

    skewed_share: Share = 0.0
    skew_s: Rate = 0.0
    jumping_share: Share = 0.0
    jump_s: Rate = 0.0
    every_s: Seconds = 300.0


class SlowLinks(_Table, frozen=True):
    """Devices whose link has so much latency and so little bandwidth."""

    share: Share = 0.0
    latency_s: Rate = 0.0
    bytes_per_s: Seconds = 1e9


class Troubles(_Table, frozen=True):
    """What befalls devices. ``duplicates`` and ``reordering``: shares of live positions."""

    offline: Recurring = Recurring()
    reboots: Recurring = Recurring()
    clocks: Clocks = Clocks()
    slow: SlowLinks = SlowLinks()
    duplicates: Share = 0.0
    reordering: Share = 0.0


class Scenario(_Table, frozen=True):
    """A day in a city. ``city``: ``synthetic``, or the path of an .osm.pbf."""

    seed: int
    duration_s: Seconds
    devices: Counts
    city: str = "synthetic"
    reports: Reports = Reports()
    alarms: Alarms = Alarms()
    troubles: Troubles = Troubles()


class ScenarioInvalid(Exception):
    """A scenario that cannot be played: where in it, and why."""


def parse(text: str, origin: str) -> Scenario:
    """A scenario from TOML; raise ScenarioInvalid with the field and the value."""
    try:
        tables = msgspec.toml.decode(text)
    except msgspec.DecodeError as error:
        raise ScenarioInvalid(f"{origin}: {error}") from None
    try:
        return msgspec.convert(tables, Scenario)
    except msgspec.ValidationError as error:
        problem, _, at = str(error).partition(" - at ")
        path = at.strip("`").removeprefix("$").removeprefix(".")
        value = tables
        for step in path.split("."):
            value = value.get(step) if isinstance(value, dict) else None
        got = "" if value is None or isinstance(value, dict) else f", got {value!r}"
        raise ScenarioInvalid(f"{origin}: {path or 'scenario'}: {problem}{got}") from None


def names() -> list[str]:
    """The scenarios that come with the project."""
    folder = resources.files("simulators") / "scenarios"
    return sorted(Path(item.name).stem for item in folder.iterdir() if item.name.endswith(".toml"))


def load(name_or_path: str) -> Scenario:
    """One of ours by name, or any by the path of its file; raise ScenarioInvalid."""
    if name_or_path in names():
        ours = resources.files("simulators") / "scenarios" / f"{name_or_path}.toml"
        return parse(ours.read_text("utf-8"), name_or_path)
    try:
        return parse(Path(name_or_path).read_text("utf-8"), name_or_path)
    except (OSError, UnicodeDecodeError) as error:
        known = ", ".join(names())
        raise ScenarioInvalid(f"{name_or_path}: {error}; ours are {known}") from None


class Unit(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One device of the scenario, as it is to be registered.

    ``grid``: the index of its patrol grid. A fixed box has its place.
    """

    device: str
    kind: DeviceKind
    name: str
    grid: int
    lat: Latitude | None = None
    lon: Longitude | None = None
    full: bool = False


def roster(scenario: Scenario, city: City) -> list[Unit]:
    """All devices of a scenario, in a fixed order."""
    grids = itertools.cycle(range(len(city.grids)))
    units: list[Unit] = []
    moving: tuple[tuple[str, DeviceKind, str, int, bool], ...] = (
        ("full", "vehicle_terminal", "Car with the real agent", scenario.devices.full, True),
        ("car", "vehicle_terminal", "Patrol car", scenario.devices.cars, False),
        ("officer", "body_camera", "Officer", scenario.devices.officers, False),
        ("phone", "phone", "Guard", scenario.devices.phones, False),
    )
    for prefix, kind, title, count, full in moving:
        units += [
            Unit(
                device=f"{prefix}-{n:04d}",
                kind=kind,
                name=f"{title} {n}",
                grid=next(grids),
                full=full,
            )
            for n in range(1, count + 1)
        ]
    places = itertools.cycle(city.places)
    for n in range(1, scenario.devices.boxes + 1):
        place = next(places)
        units.append(
            Unit(
                device=f"box-{n:04d}",
                kind="alarm_box",
                name=place.name,
                grid=place.grid,
                lat=place.lat,
                lon=place.lon,
            )
        )
    return units


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


_ON_PATROL: dict[DeviceKind, tuple[DutyAct, ...]] = {
    "vehicle_terminal": ("vehicle_patrol", "parked", "en_route", "on_scene", "clear", "break"),
    "body_camera": ("foot_patrol", "en_route", "on_scene", "clear", "break"),
    "phone": ("on_duty", "break"),
}


def nature(scenario: Scenario, unit: Unit) -> Nature:
    """What is wrong with this device all day."""
    rng = _rng(scenario, "nature", unit.device)
    clocks, slow = scenario.troubles.clocks, scenario.troubles.slow
    skewed, is_slow = rng.random() < clocks.skewed_share, rng.random() < slow.share
    return Nature(rng.uniform(-clocks.skew_s, clocks.skew_s) if skewed else 0.0, is_slow)


def timetable(scenario: Scenario, units: Iterable[Unit]) -> Iterator[Event]:
    """All that will happen, in order of time, without end."""
    units = list(units)
    for part in itertools.count():
        yield from _part(scenario, units, part)


def needs_relay(scenario: Scenario, unit: Unit) -> bool:
    """Whether the network troubles this device, so that its link goes through a relay."""
    return nature(scenario, unit).slow or _befalls(scenario, "offline", unit)


def _rng(scenario: Scenario, *names: object) -> random.Random:
    """A stream of chance of its own for each thing: adding one changes no other."""
    return random.Random(":".join(map(str, (scenario.seed, *names))))


def _when(event: Event) -> float:
    return event.at_s


def _befalls(scenario: Scenario, trouble: str, unit: Unit) -> bool:
    troubles = scenario.troubles
    shares = {
        "offline": troubles.offline.share,
        "reboots": troubles.reboots.share,
        "clocks": troubles.clocks.jumping_share,
    }
    return _rng(scenario, trouble, unit.device).random() < shares[trouble]


def _part(scenario: Scenario, units: list[Unit], part: int) -> Iterator[Event]:
    """The events of one part of the day, in order."""
    streams = [_city_wide(scenario, units, part)]
    for unit in units:
        for trouble in ("offline", "reboots", "clocks"):
            if _befalls(scenario, trouble, unit):
                streams.append(_troubled(scenario, unit, trouble, part))
    return heapq.merge(*streams, key=_when)


def _times(rng: random.Random, part: int, mean_gap_s: float) -> Iterator[float]:
    """Moments of one part, independent of one another, so far apart on average."""
    at_s = rng.expovariate(1 / mean_gap_s)
    while at_s < PART_S:
        yield part * PART_S + at_s
        at_s += rng.expovariate(1 / mean_gap_s)


def _troubled(scenario: Scenario, unit: Unit, trouble: str, part: int) -> Iterator[Event]:
    rng = _rng(scenario, trouble, unit.device, part)
    troubles = scenario.troubles
    every_s = {
        "offline": troubles.offline.every_s,
        "reboots": troubles.reboots.every_s,
        "clocks": troubles.clocks.every_s,
    }[trouble]
    for at_s in _times(rng, part, every_s):
        action: Action
        if trouble == "offline":
            action = Offline(troubles.offline.length_s * rng.uniform(0.5, 1.5))
        elif trouble == "reboots":
            action = Reboot(troubles.reboots.length_s * rng.uniform(0.5, 1.5))
        else:
            action = ClockJump(rng.uniform(-troubles.clocks.jump_s, troubles.clocks.jump_s))
        yield Event(at_s, unit.device, action)


def _city_wide(scenario: Scenario, units: list[Unit], part: int) -> Iterator[Event]:
    alarms, reports = scenario.alarms, scenario.reports
    crews = [unit for unit in units if unit.kind != "alarm_box"]
    rates: tuple[tuple[str, float, list[Unit]], ...] = (
        ("alarms", alarms.per_minute, units),
        ("duty", reports.duty_per_minute, crews),
        ("pictures", reports.pictures_per_minute, crews),
    )
    return heapq.merge(
        *(
            _of_anyone(scenario, what, per_minute, those, part)
            for what, per_minute, those in rates
            if per_minute and those
        ),
        key=_when,
    )


def _of_anyone(
    scenario: Scenario, what: str, per_minute: float, units: list[Unit], part: int
) -> Iterator[Event]:
    rng = _rng(scenario, what, part)
    kinds, weights = [*scenario.alarms.kinds], [*scenario.alarms.kinds.values()]
    for at_s in _times(rng, part, 60 / per_minute):
        unit = rng.choice(units)
        action: Action
        if what == "alarms":
            hammered = rng.random() < scenario.alarms.hammered_share
            presses = rng.randint(5, 50) if hammered else 1
            action = Press(rng.choices(kinds, weights)[0], presses)
        elif what == "duty":
            action = Duty(rng.choice(_ON_PATROL[unit.kind]))
        else:
            action = Picture()
        yield Event(at_s, unit.device, action)
