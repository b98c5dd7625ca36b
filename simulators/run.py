"""Plays a scenario: devices live, fate befalls them, and in the end everything is drained."""

from __future__ import annotations

import asyncio
import contextlib
import resource
import time
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Any, Literal, Protocol

import msgspec
import structlog
from msgspec import Struct

from protocols.model import AlarmKind, DutyAct, MediaReason, Stage
from protocols.native.topics import DEFAULT_PREFIX
from simulators import firmware, ledger, people, scenario, timetable, town_plan
from simulators.city import City, CityUnreadable
from simulators.devices.crew import Crew
from simulators.devices.firmware import FirmwareDevice
from simulators.devices.full import FullDevice
from simulators.devices.light import LightDevice
from simulators.errand import Responder
from simulators.ledger import Ledger
from simulators.link import Address, Relay
from simulators.scenario import Scenario, ScenarioInvalid, Unit
from simulators.sense import sense
from simulators.tally import Tally
from simulators.timetable import ClockJump, Duty, Offline, Picture, Press, Reboot

log = structlog.get_logger()

STATUS_PERIOD_S = 1.0
ACCOUNT_PERIOD_S = 10.0
CONNECTS_PER_S = 300
MAX_OPEN_FILES = 65536


class Device(Protocol):
    """What the runner does with a device: light, full, or the firmware of a box."""

    unit: Unit
    making: bool
    clock_offset_s: float

    @property
    def online(self) -> bool: ...
    @property
    def waiting(self) -> int: ...
    async def run(self) -> None: ...
    async def press(self, kind: AlarmKind, presses: int = 1) -> None: ...
    def duty(self, act: DutyAct) -> None: ...
    def take_picture(self, reason: MediaReason) -> None: ...
    async def reboot(self, dark_s: float) -> None: ...
    def account(self) -> list[ledger.Telemetry]: ...


class State(Struct, frozen=True, kw_only=True):
    """How far the run is: one line a second, and the last one with the totals.

    ``waiting``: messages that no receipt covers. ``alarms_*``: how many have got at
    least so far. ``refused``: messages from the gateway that cannot be read.
    """

    phase: Literal["running", "draining", "done"]
    elapsed_s: float
    devices: int
    online: int
    connects: int
    positions: int
    positions_sent: int
    telemetry: int
    messages_sent: int
    receipts: int
    alarms_pressed: int
    alarms_stored: int
    alarms_accepted: int
    alarms_acknowledged: int
    alarms_closed: int
    waiting: int
    dropped: int
    refused: int


class PasswordsMissing(Exception):
    """Devices of the scenario that nobody has registered."""

    def __init__(self, devices: list[str]) -> None:
        shown = ", ".join(devices[:5]) + (", …" if len(devices) > 5 else "")
        super().__init__(f"no password for {len(devices)} devices: {shown}")
        self.devices = devices


class _Credential(Struct, frozen=True):
    user: str
    password: str


def read_passwords(path: Path) -> dict[str, str]:
    """Passwords by device from JSON lines ``{"user": …, "password": …, …}``."""
    decoder = msgspec.json.Decoder(_Credential)
    lines = decoder.decode_lines(path.read_bytes())
    return {credential.user: credential.password for credential in lines}


def city_of(day: Scenario) -> City:
    """The city that a scenario plays in; raise ScenarioInvalid if its map cannot be read."""
    if day.city == "synthetic":
        return town_plan.draw(day.seed)
    from simulators import osm  # noqa: PLC0415  osmium is needed for real maps only

    try:
        return osm.load(Path(day.city))
    except CityUnreadable as error:
        raise ScenarioInvalid(f"city: {error}") from error


class Run:
    """One play of a scenario against a broker; ``stop`` ends the making before ``seconds``.

    ``folder``: where full devices have their spools.
    """

    def __init__(
        self,
        day: Scenario,
        city: City,
        *,
        broker: Address,
        passwords: Mapping[str, str],
        book: Ledger,
        folder: Path,
        seconds: float,
        drain_s: float,
        on_state: Callable[[State], None],
        prefix: str = DEFAULT_PREFIX,
    ) -> None:
        self.stop = asyncio.Event()
        self.tally = Tally()
        self._day, self._city = day, city
        self._units = scenario.roster(day, city)
        missing = [unit.device for unit in self._units if unit.device not in passwords]
        if missing:
            raise PasswordsMissing(missing)
        self._members = people.members(day, self._units)
        self._broker, self._passwords, self._prefix = broker, passwords, prefix
        self._book, self._folder = book, folder
        self._seconds, self._drain_s = seconds, drain_s
        self._on_state = on_state
        self._devices: dict[str, Device] = {}
        self._drivers: dict[str, Responder | None] = {}
        self._crews: dict[str, Crew] = {}
        self._relays: dict[str, Relay] = {}
        self._began_s = time.monotonic()
        self._phase: Literal["running", "draining", "done"] = "running"
        self._draining = asyncio.Event()
        self._compiling = asyncio.Lock()

    async def play(self) -> State:
        """Play to the end and give the last state."""
        _allow_open_files()
        async with self._network(), asyncio.TaskGroup() as tasks:
            self._devices = {unit.device: self._device(unit) for unit in self._units}
            lives = [
                tasks.create_task(device.run(), name=device.unit.device)
                for device in self._devices.values()
            ]
            fate = tasks.create_task(self._fate(tasks), name="fate")
            watchers = [
                tasks.create_task(self._report(), name="report"),
                tasks.create_task(self._keep_account(), name="account"),
            ]
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.stop.wait(), self._seconds)
            fate.cancel()
            await self._drain()
            for task in watchers + lives:
                task.cancel()
        await self._note_accounts()
        self._phase = "done"
        return self.state()

    def state(self) -> State:
        """How far it is now."""
        tally, devices = self.tally, self._devices.values()
        reached, at_least = 0, {}
        for stage in reversed(Stage):
            reached += tally.stages[stage]
            at_least[stage] = reached
        return State(
            phase=self._phase,
            elapsed_s=round(time.monotonic() - self._began_s, 1),
            devices=len(devices),
            online=sum(device.online for device in devices),
            connects=tally.connects,
            positions=tally.fixes,
            positions_sent=tally.fixes_sent,
            telemetry=tally.telemetry,
            messages_sent=tally.messages_sent,
            receipts=tally.receipts,
            alarms_pressed=tally.pressed,
            alarms_stored=at_least[Stage.STORED],
            alarms_accepted=at_least[Stage.ACCEPTED],
            alarms_acknowledged=at_least[Stage.ACKNOWLEDGED],
            alarms_closed=at_least[Stage.CLOSED],
            waiting=sum(device.waiting for device in devices),
            dropped=tally.dropped,
            refused=tally.refused,
        )

    @contextlib.asynccontextmanager
    async def _network(self) -> AsyncIterator[None]:
        """Relays for the devices that the network troubles, and for those with the real agent."""
        slow = self._day.troubles.slow
        async with contextlib.AsyncExitStack() as stack:
            for unit in self._units:
                if timetable.nature(self._day, unit).slow:
                    relay = Relay(
                        self._broker, latency_s=slow.latency_s, bytes_per_s=slow.bytes_per_s
                    )
                elif unit.full or unit.firmware or timetable.is_cut_off(self._day, unit):
                    relay = Relay(self._broker)
                else:
                    continue
                self._relays[unit.device] = await stack.enter_async_context(relay)
            yield

    def _device(self, unit: Unit) -> Device:
        common: dict[str, Any] = {
            "password": self._passwords[unit.device],
            "book": self._book,
            "tally": self.tally,
            "reports": self._day.reports,
            "prefix": self._prefix,
        }
        if unit.firmware:
            if firmware.available():
                return self._firmware(unit, **common)
            log.warning("no_micropython", device=unit.device, instead="a light box")
        leader = None if unit.leader is None else self._drivers[unit.leader]
        sensed = sense(self._day, self._city, unit, leader)
        self._drivers[unit.device] = sensed.driver
        common |= {
            "sense": sensed.sense,
            "driver": sensed.driver,
            "crews": self._day.crews,
            "rng": timetable.chance(self._day, "device", unit.device),
            "clock_offset_s": timetable.nature(self._day, unit).skew_s,
        }
        if unit.leader is not None:
            return self._light(unit, crew=self._crews[unit.leader], **common)
        members = self._members.get(unit.device, ())
        device = (self._full if unit.full else self._light)(unit, members=members, **common)
        self._crews[unit.device] = device.crew
        return device

    def _firmware(self, unit: Unit, **common: Any) -> Device:
        return FirmwareDevice(
            unit,
            relay=self._relays[unit.device],
            folder=self._folder / unit.device,
            compiling=self._compiling,
            **common,
        )

    def _full(self, unit: Unit, **common: Any) -> FullDevice:
        return FullDevice(
            unit, relay=self._relays[unit.device], folder=self._folder / unit.device, **common
        )

    def _light(self, unit: Unit, **common: Any) -> LightDevice:
        relay = self._relays.get(unit.device)
        return LightDevice(
            unit,
            broker=self._broker if relay is None else relay.address,
            boot=int(time.time()),  # grows from process to process
            first_connect_within_s=len(self._units) / CONNECTS_PER_S,
            duplicates=self._day.troubles.duplicates,
            reordering=self._day.troubles.reordering,
            alarm_pictures=self._day.alarms.pictures,
            **common,
        )

    async def _fate(self, tasks: asyncio.TaskGroup) -> None:
        began_s = time.monotonic()
        for event in timetable.timetable(self._day, self._units):
            await asyncio.sleep(began_s + event.at_s - time.monotonic())
            tasks.create_task(self._befall(event), name=f"fate of {event.device}")

    async def _befall(self, event: timetable.Event) -> None:
        device = self._devices[event.device]
        match event.action:
            case Press(kind, presses):
                await device.press(kind, presses)
            case Duty(act):
                device.duty(act)
            case Picture():
                device.take_picture("periodic")
            case Reboot(length_s):
                await device.reboot(length_s)
            case ClockJump(by_s):
                device.clock_offset_s += by_s
            case Offline(length_s):
                await self._into_tunnel(self._relays[event.device], length_s)

    async def _into_tunnel(self, relay: Relay, length_s: float) -> None:
        await relay.cut()
        with contextlib.suppress(TimeoutError):  # the end of the run is the end of the tunnel
            await asyncio.wait_for(self._draining.wait(), length_s)
        relay.restore()

    async def _drain(self) -> None:
        """Nothing new; wait until everything is receipted, but not for ever."""
        self._phase = "draining"
        self._draining.set()
        for device in self._devices.values():
            device.making = False
        deadline_s = time.monotonic() + self._drain_s
        while any(device.waiting for device in self._devices.values()):
            if time.monotonic() > deadline_s:
                return
            await asyncio.sleep(0.05)

    async def _report(self) -> None:
        while True:
            await asyncio.sleep(STATUS_PERIOD_S)
            self._on_state(self.state())

    async def _keep_account(self) -> None:
        while True:
            await asyncio.sleep(ACCOUNT_PERIOD_S)
            await self._note_accounts()

    async def _note_accounts(self) -> None:
        lines = [line for device in self._devices.values() for line in device.account()]
        if lines:
            *rest, last = lines
            for line in rest:
                self._book.note(line)
            await self._book.write(last)


def _allow_open_files() -> None:
    """Raise the limit of this process as far as it may: each device is a connection."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MAX_OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, MAX_OPEN_FILES)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))
