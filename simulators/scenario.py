"""Scenarios: how many of what, how much they report, and which troubles they have, in TOML."""

from __future__ import annotations

import itertools
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias

import msgspec
from msgspec import Meta, Struct, field

from protocols.model import AlarmKind, DeviceKind, Latitude, Longitude

if TYPE_CHECKING:
    from simulators.city import City

Share: TypeAlias = Annotated[float, Meta(ge=0, le=1)]
Number: TypeAlias = Annotated[int, Meta(ge=0, le=20_000)]
Seconds: TypeAlias = Annotated[float, Meta(gt=0)]
Rate: TypeAlias = Annotated[float, Meta(ge=0)]


class _Table(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A TOML table: a key that nobody knows is a mistake of its writer."""


class Counts(_Table, frozen=True):
    """How many devices of each kind. ``full`` ones run the real agent, in cars; ``firmware``
    ones are boxes that run theirs on MicroPython. ``cameras`` and ``handsets`` (phones) are
    carried by crews: those of cars first, then officers'."""

    cars: Number = 0
    officers: Number = 0
    cameras: Number = 0
    handsets: Number = 0
    boxes: Number = 0
    phones: Number = 0
    full: Number = 0
    firmware: Number = 0


class Reports(_Table, frozen=True):
    """What devices tell unasked. Rates are per minute over all devices."""

    position_period_s: Seconds = 1.0
    status_period_s: Seconds = 30.0
    duty_per_minute: Rate = 0.0
    pictures_per_minute: Rate = 0.0


class Alarms(_Table, frozen=True):
    """How often somebody presses, what (weights by kind), and who hammers the button.
    ``pictures``: how many of before the press a light box sends with it."""

    per_minute: Rate = 0.0
    kinds: Annotated[dict[AlarmKind, Annotated[float, Meta(gt=0)]], Meta(min_length=1)] = field(
        default_factory=lambda: {"panic": 1.0}
    )
    hammered_share: Share = 0.0
    pictures: Annotated[int, Meta(ge=0, le=10)] = 0


class Crews(_Table, frozen=True):
    """How crews answer orders: about ``answer_s`` until each answer; a share of the instructions
    is refused; ``on_scene_s`` is the work there, or of a message."""

    answer_s: Seconds = 5.0
    refuse_share: Share = 0.05
    on_scene_s: Seconds = 30.0


USUAL_CREWS = Crews()


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
    crews: Crews = Crews()
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

    ``grid``: the index of its patrol grid. A fixed box has its place. ``leader``: the device
    that reports for its crew, where that is another one.
    """

    device: str
    kind: DeviceKind
    name: str
    grid: int
    lat: Latitude | None = None
    lon: Longitude | None = None
    full: bool = False
    firmware: bool = False
    leader: str | None = None


def roster(scenario: Scenario, city: City) -> list[Unit]:
    """All devices of a scenario, in a fixed order; raise ScenarioInvalid if the map lacks room."""
    counts = scenario.devices
    boxes, cars = counts.boxes + counts.firmware, counts.full + counts.cars
    if not city.places and (boxes or counts.phones):
        raise ScenarioInvalid(
            f"{scenario.city}: no school, bank or hospital on the map,"
            f" where {boxes} boxes and {counts.phones} phones of guards should be"
        )
    grids = itertools.cycle(city.teams)
    units: list[Unit] = []
    moving: tuple[tuple[str, DeviceKind, str, int, bool], ...] = (
        (
            "full",
            "vehicle_terminal",
            "实装巡逻车{n} Car {n} with the real agent",
            counts.full,
            True,
        ),
        ("car", "vehicle_terminal", "巡逻车{n} Patrol car {n}", counts.cars, False),
        ("officer", "body_camera", "民警{n} Officer {n}", counts.officers, False),
        ("phone", "phone", "保安{n} Guard {n}", counts.phones, False),
    )
    for prefix, kind, title, count, full in moving:
        units += [
            Unit(
                device=f"{prefix}-{n:04d}",
                kind=kind,
                name=title.format(n=n),
                grid=next(grids),
                full=full,
            )
            for n in range(1, count + 1)
        ]
    units += _carried(
        "camera", "body_camera", "执法记录仪{n} Body camera {n}", counts.cameras, units[:cars]
    )
    units += _carried(
        "handset",
        "phone",
        "警务通{n} Police phone {n}",
        counts.handsets,
        units[: cars + counts.officers],
    )
    for n, place in zip(range(1, boxes + 1), itertools.cycle(city.places), strict=False):
        units.append(
            Unit(
                device=f"box-{n:04d}",
                kind="alarm_box",
                name=place.name,
                grid=place.grid,
                lat=place.lat,
                lon=place.lon,
                firmware=n > counts.boxes,
            )
        )
    return units


def _carried(
    prefix: str, kind: DeviceKind, title: str, count: int, leaders: list[Unit]
) -> list[Unit]:
    """One for each of the first so many crews; raise ScenarioInvalid if there are too few."""
    if count > len(leaders):
        raise ScenarioInvalid(f"devices.{prefix}s: {count} for {len(leaders)} crews")
    return [
        Unit(
            device=f"{prefix}-{n:04d}",
            kind=kind,
            name=title.format(n=n),
            grid=leader.grid,
            leader=leader.device,
        )
        for n, leader in enumerate(leaders[:count], 1)
    ]
