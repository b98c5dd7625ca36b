"""A full alarm box: the firmware itself on MicroPython, pressed as people press it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from protocols.model import AlarmKind, DutyAct, Lane, MediaReason, Stage, message_id
from simulators import firmware, ledger
from simulators.firmware import FirmwareBox
from simulators.ledger import Ledger
from simulators.link import Relay
from simulators.scenario import Reports, Unit
from simulators.tally import Tally

PRESS_MS = 60
_STAGES = frozenset(Stage)


class FirmwareDevice:
    """Runs the box, and runs it again on the same flash after each reboot.

    The box has one button and one hidden contact: every kind but duress is a panic.
    """

    def __init__(
        self,
        unit: Unit,
        *,
        password: str,
        relay: Relay,
        folder: Path,
        compiling: asyncio.Lock,
        book: Ledger,
        tally: Tally,
        reports: Reports,
        prefix: str,
    ) -> None:
        self.unit = unit
        self.making = True
        self.clock_offset_s = 0.0  # it takes the machine's time, as a board takes NTP's
        self._settings = {
            "device": unit.device,
            "password": password,
            "prefix": prefix,
            "status_every_s": max(5, round(reports.status_period_s)),
        }
        self._relay = relay
        self._folder, self._compiling = folder, compiling
        self._book, self._tally = book, tally
        self._box: FirmwareBox | None = None
        self._online = False
        self._waiting = 0
        self._pressing = asyncio.Lock()
        self._told: dict[str, set[str]] = {}  # by alarm: what the ledger has of it

    async def run(self) -> None:
        """Live until cancelled."""
        async with self._compiling:  # one box compiles for all of them
            built = await asyncio.to_thread(firmware.build, self._folder.parent)
        box = FirmwareBox(self._folder, built, on_line=self._take)
        host, port = self._relay.address
        box.provision(**self._settings, brokers=[f"{host}:{port}"])
        async with box:
            self._box = box
            await asyncio.Event().wait()

    @property
    def online(self) -> bool:
        """Whether the link is up."""
        return self._online

    @property
    def waiting(self) -> int:
        """How many messages no receipt covers."""
        return self._waiting

    async def press(self, kind: AlarmKind, presses: int = 1) -> None:
        """Press a contact; its first press raises an alarm, if none is open.

        The box sends at once, and only then is the alarm's id known: so its link is
        held until the press is in the ledger.
        """
        contact, kind = ("duress", kind) if kind == "duress" else ("press", "panic")
        async with self._pressing:
            async with self._relay.gate:
                box = self._box
                if box is None or not box.running:
                    return  # nobody can press on a box without power
                online, since = self._online, len(box.lines)
                box.do(f"{contact} {PRESS_MS}")
                line = await box.told("alarm", since, kind=kind)
                if line["stage"] == "pressed":
                    await self._book.write(self._pressed(line, kind, online))
            await box.told("let_go", since)
            for _ in range(min(presses, 5) - 1):
                await box.press(contact)

    def duty(self, act: DutyAct) -> None:
        """A box has no duty."""

    def take_picture(self, reason: MediaReason) -> None:
        """A box has no camera."""

    async def reboot(self, dark_s: float) -> None:
        """Cut its power, and give it back after a while."""
        async with self._pressing:
            if self._box is not None:
                await self._box.kill()
                self._online = False
                await asyncio.sleep(dark_s)
                await self._box.start()

    def account(self) -> list[ledger.Telemetry]:
        """A box reports no positions."""
        return []

    def _pressed(self, line: dict[str, Any], kind: AlarmKind, online: bool) -> ledger.Pressed:
        id_ = self._id(line)
        self._told[id_] = {"pressed"}
        self._tally.press(id_)
        return ledger.Pressed(id=id_, at=line["at"], kind=kind, online=online)

    def _take(self, line: dict[str, Any]) -> None:
        match line["what"]:
            case "link_up" | "link_down" as what:
                self._online = what == "link_up"
                self._tally.connects += self._online
            case "waiting":
                self._waiting = line["count"]
            case "test":
                self._book.note(self._pressed(line, "test", self._online))
            case "alarm" if line["stage"] != "pressed":
                self._reached(line)

    def _reached(self, line: dict[str, Any]) -> None:
        id_, stage = self._id(line), line["stage"]
        if id_ not in self._told:  # the power went before it could tell of the press
            self._book.note(self._pressed(line, line["kind"], False))
        told, now = self._told[id_], ledger.now_ms()
        if stage == "sent" and stage not in told:
            self._book.note(ledger.Sent(id=id_, at=now))
        if stage in _STAGES:
            if not told & _STAGES:
                self._book.note(ledger.Receipted(id=id_, at=now))
            self._tally.reach(id_, Stage(stage))
        told.add(stage)

    def _id(self, line: dict[str, Any]) -> str:
        return message_id(self.unit.device, line["boot"], Lane.PRIORITY, line["seq"])
