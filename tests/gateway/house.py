"""The gateway's core on a real journal, with a list in place of the way down."""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgpack

from gateway.alarms import Alarms
from gateway.arrival import Arrival, Registered
from gateway.checkpoint import Checkpoints
from gateway.commands import Commands
from gateway.configuration import Configurations
from gateway.intake import Doorstep
from gateway.journal.base import FED_TYPES, Chunk, Event
from gateway.journal.sqlite import SqliteJournal
from gateway.ledger import Ledger
from gateway.metrics import Metrics
from gateway.overdue import Overdue
from gateway.pipeline import Pipeline
from gateway.receipts import Down, Receipts
from gateway.registry import Registry
from gateway.telemetry import TelemetryPipeline
from gateway.twins import Twins
from gateway.units import Units
from protocols.commands import Checklist
from protocols.model import Receipt
from protocols.native import codec

NOW = 1_790_000_000_000
REGISTERED = {
    "car-1": Registered("vehicle_terminal", None, None),
    "car-2": Registered("vehicle_terminal", None, None),
    "cam-1": Registered("body_camera", None, None),
    "cam-2": Registered("body_camera", None, None),
    "box-1": Registered("alarm_box", 24.5, 117.65),
}


class House:
    """What a test sees of the gateway's inside. ``now`` and ``clock_s`` stand until moved."""

    def __init__(self, journal: SqliteJournal, registry: Registry) -> None:
        self.now = NOW
        self.clock_s = 0.0
        self.journal = journal
        self.sent: list[Down] = []
        self.is_connected = True
        self.chunks: list[Chunk] = []
        self.metrics, self.ledger, touched = Metrics(), Ledger(), set[str]()
        self.twins = Twins(now_ms=lambda: self.now, stale_after_s=60)
        self.receipts = Receipts(
            prefix="field",
            ledger=self.ledger,
            twins=self.twins,
            reader=journal,
            publish=self._send,
            now_s=lambda: self.clock_s,
        )
        self.alarms = Alarms(journal, now_ms=lambda: self.now, on_stage=self.receipts.stage)
        self.units = Units(
            journal, twins=self.twins, registered=REGISTERED.get, now_ms=lambda: self.now
        )
        self.checklists: dict[str, Checklist] = {}
        self.overdue = Overdue(journal, now_ms=lambda: self.now)
        self.commands = Commands(
            journal,
            prefix="field",
            twins=self.twins,
            publish=self._send,
            now_ms=lambda: self.now,
            now_s=lambda: self.clock_s,
            checklists=self.checklists,
            on_step=self.metrics.commanded,
            on_kept=self.overdue.note,
        )
        self.configurations = Configurations(
            registry, prefix="field", twins=self.twins, publish=self._send
        )
        self.checkpoints = Checkpoints(
            journal=journal, ledger=self.ledger, twins=self.twins, touched=touched
        )
        self.priority = Pipeline(
            journal=journal,
            ledger=self.ledger,
            twins=self.twins,
            alarms=self.alarms,
            units=self.units,
            commands=self.commands,
            configurations=self.configurations,
            receipts=self.receipts,
            registered=REGISTERED.get,
            metrics=self.metrics,
            touched=touched,
            now_ms=lambda: self.now,
        )
        self.telemetry = TelemetryPipeline(
            journal=journal,
            ledger=self.ledger,
            twins=self.twins,
            receipts=self.receipts,
            arrival=Doorstep(prefix="field", journal=journal, metrics=self.metrics).arrival,
            registered=REGISTERED.get,
            metrics=self.metrics,
            touched=touched,
            on_chunk=[self.chunks.append],
            now_ms=lambda: self.now,
        )

    def _send(self, down: Down) -> bool:
        if self.is_connected:
            self.sent.append(down)
        return self.is_connected

    def arrival(self, channel: str, payload: bytes, device: str = "car-1", **how: Any) -> Arrival:
        """A message as the broker would bring it now."""
        return Arrival(f"field/v1/{device}/up/{channel}", device, channel, payload, self.now, **how)

    async def alarm(
        self, payload: bytes | None = None, *, device: str = "car-1", **keys: Any
    ) -> None:
        """An alarm comes in: the bytes, or a panic of boot 1 with these keys."""
        keys = {"boot": 1, "seq": 1, "t": self.now, "kind": "panic"} | keys
        await self.priority.take(
            self.arrival("alarm", msgpack.packb(keys) if payload is None else payload, device)
        )

    async def duty(self, act: str, seq: int, *, device: str = "car-1", **keys: Any) -> None:
        """A duty report of boot 1 comes in."""
        keys = {"boot": 1, "seq": seq, "t": self.now, "act": act} | keys
        await self.priority.take(self.arrival("duty", msgpack.packb(keys), device))

    async def telemetry_of(self, channel: str, *messages: Any, device: str = "car-1") -> None:
        """Telemetry comes in, one payload each, and is taken as one group."""
        for message in messages:
            payload = message if isinstance(message, bytes) else msgpack.packb(message)
            topic = f"field/v1/{device}/up/{channel}".encode()
            self.telemetry.offer([(0x30, topic, b"", 0, payload)])
        await self.telemetry.take_group()

    async def events(self, *types: str) -> list[Event]:
        """All that is committed and fed, or of these types."""
        page = await self.journal.read(0, 10_000, FED_TYPES)
        return [e for e in page.events if not types or e.type.feed_name in types]

    def receipts_of(self, device: str = "car-1") -> list[Receipt]:
        """The receipts sent to a device so far."""
        return [
            codec.decode(down.payload, Receipt)
            for down in self.sent
            if down.topic == f"field/v1/{device}/dn/receipt"
        ]


@contextlib.asynccontextmanager
async def house(folder: Path) -> AsyncIterator[House]:
    """A house on the journal in that folder, restored from what is there."""
    with Registry(folder, now_ms=lambda: NOW) as registry:
        async with SqliteJournal(folder, now_ms=lambda: NOW + 5) as journal:
            house = House(journal, registry)
            await house.checkpoints.restore()
            open_alarms = journal.open_alarms()
            house.alarms.restore(open_alarms)
            house.units.restore(journal.units())
            house.priority.restore(open_alarms)
            house.commands.restore(journal.waiting_commands())
            house.configurations.restore()
            yield house


def fix(seq: int, **keys: Any) -> dict[str, Any]:
    """The keys of a position report of boot 1."""
    return {"boot": 1, "seq": seq, "t": NOW + seq, "lat": 24.5, "lon": 117.6, "fix": 3} | keys


def as_json(**keys: Any) -> bytes:
    """A JSON payload."""
    return json.dumps(keys).encode()
