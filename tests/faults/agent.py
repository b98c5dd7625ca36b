"""The agent of a device, `fieldgate edge`, as a part: its presses, and what became of them."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from http.client import HTTPException
from pathlib import Path
from typing import Any

from edge.control_client import NotTaken, call
from tests.faults.experiment import Trial
from tests.faults.parts import START_TIMEOUT_S, Part, until


class Agent(Part):
    """`fieldgate edge` on one spool. Each press has a zone of its own, by which it is known.

    ``tried``: zones that were pressed. ``answered``: message ids that the agent gave, by
    zone: it has said that these are on its disk.
    """

    def __init__(
        self,
        device: str,
        password: str,
        *,
        host: str,
        port: int,
        spool: Path,
        folder: Path,
        logs: Path,
        wrap: Sequence[str] = (),
        tables: Sequence[str] = (),
    ) -> None:
        self.device, self.spool = device, spool
        self.tried: set[str] = set()
        self.answered: dict[str, str] = {}
        self._socket = folder / "edge.sock"
        config = folder / "agent.toml"
        config.write_text(
            f'device = "{device}"\nkind = "vehicle_terminal"\n'
            f'[broker]\nhost = "{host}"\nport = {port}\npassword = "{password}"\n'
            f'[spool]\nfolder = "{spool}"\n[control]\nsocket = "{self._socket}"\n'
            + "\n".join(tables)
        )
        command = ["-m", "fieldgate", "edge", "--config", str(config)]
        super().__init__("agent", command, logs=logs, wrap=wrap)

    async def start(self) -> None:
        """Start it and wait until its control socket answers."""
        await self.launch()
        if not await until(self.status_or_end, START_TIMEOUT_S) or not self.is_running:
            raise self.failure(f"does not answer, status {self.status}")

    async def status_or_end(self) -> object:
        """Its status, or that it has ended."""
        return await self._call("GET", "/status") or not self.is_running

    async def press(self) -> str | None:
        """Press a button of a new zone; the message id, or None if nobody answered."""
        zone = f"room {len(self.tried)}"
        self.tried.add(zone)
        answer = await self._call("POST", "/press", {"kind": "panic", "zone": zone})
        if answer is None:
            return None
        self.answered[zone] = answer["id"]
        return str(answer["id"])

    async def alarms_receipted(self, timeout_s: float) -> bool:
        """Whether no alarm waits any more, in time."""

        async def is_so() -> bool:
            status = await self._call("GET", "/status")
            return status is not None and not status["spool"].get("alarm")

        return bool(await until(is_so, timeout_s))

    def judge(self, trial: Trial, raised: Sequence[Mapping[str, Any]]) -> None:
        """Judge its presses by the alarms of the gateway's feed; notes all in the trial.

        A press that nobody answered, since the agent was killed, may be there or not.
        """
        mine = [event for event in raised if event["subject"] == self.device]
        zones = Counter(event["data"]["zone"] for event in mine)
        ids = {event["data"]["zone"]: event["id"] for event in mine}
        lost = {zone for zone, id_ in self.answered.items() if ids.get(zone) != id_}
        twice = {zone for zone, count in zones.items() if count > 1}
        phantom = zones.keys() - self.tried
        for name, wrong in (("lost", lost), ("twice", twice), ("phantom", phantom)):
            trial.safety(f"agent: {name}", not wrong, len(wrong))
        trial.figure(
            f"agent: {len(self.tried)} pressed, {len(self.answered)} answered, {len(zones)} raised"
        )

    def ids(self, raised: Sequence[Mapping[str, Any]]) -> set[str]:
        """The message ids of its alarms."""
        return {event["id"] for event in raised if event["subject"] == self.device}

    async def _call(self, method: str, target: str, body: object = None) -> dict[str, Any] | None:
        try:
            (answer,) = await asyncio.to_thread(
                lambda: list(call(self._socket, method, target, body, 5.0))
            )
        except (OSError, HTTPException, ValueError, NotTaken):  # gone before, or in the middle
            return None
        return answer
