"""A device that knows the contract by its pages: keeps until the receipt, sends again, same id.

It shares no code with the gateway, the agent or the simulators; only the ledger is theirs.
"""

from __future__ import annotations

import asyncio
import json
import random
from dataclasses import dataclass
from typing import Any

import msgpack

from simulators import ledger
from simulators.ledger import Ledger, now_ms
from tests.faults.mqtt import Connection, Refused

ALARM_KINDS = ("panic", "duress", "hold_up", "fire", "medical")
FIRST_RESEND_S, LAST_RESEND_S = 2.0, 30.0
TELEMETRY_RESEND_S = 5.0
BATCH = 200
FIRST_BACKOFF_S = 0.1


@dataclass
class Waiting:
    """A message without a receipt. ``due_s``: when it goes out next."""

    channel: str
    keys: dict[str, Any]
    due_s: float
    wait_s: float


class Device:
    """One device with one boot: what it says is numbered, kept, and sent until receipted."""

    def __init__(
        self,
        device: str,
        password: str,
        *,
        kind: str,
        host: str,
        port: int,
        book: Ledger,
        boot: int,
        rng: random.Random,
        speaks_json: bool,
        backoff_max_s: float,
        connect_within_s: float = 0.0,
        prefix: str = "field",
    ) -> None:
        self.device, self.kind = device, kind
        self.connects = self.pressed = self.receipted = self.fixes = 0
        self._password, self._host, self._port = password, host, port
        self._book, self._boot, self._rng = book, boot, rng
        self._speaks_json, self._backoff_max_s = speaks_json, backoff_max_s
        self._connect_within_s = connect_within_s
        self._up, self._down = f"{prefix}/v1/{device}/up/", f"{prefix}/v1/{device}/dn/"
        self._seq = {"p": 0, "t": 0}
        self._alarms: dict[int, Waiting] = {}
        self._telemetry: dict[int, Waiting] = {}
        self._unacked: int | None = None  # the batch of telemetry under way
        self._link: Connection | None = None
        self._place = [24.4 + rng.random() / 10, 117.6 + rng.random() / 10]

    @property
    def online(self) -> bool:
        """Whether its link is up, as far as it can know."""
        return self._link is not None

    @property
    def alarms_waiting(self) -> int:
        """How many alarms have no receipt."""
        return len(self._alarms)

    @property
    def telemetry_waiting(self) -> int:
        """How many positions have no receipt."""
        return len(self._telemetry)

    async def run(self) -> None:
        """Live until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._connect_always(), name=f"{self.device} link")
            tasks.create_task(self._beat(), name=f"{self.device} beat")

    async def press(self) -> str:
        """Press the button. The ledger has it before anything is sent; the message id."""
        seq = self._number("p")
        kind = self._rng.choice(ALARM_KINDS)
        keys = {"boot": self._boot, "seq": seq, "t": now_ms(), "kind": kind}
        id_ = f"{self.device}:{self._boot}:p:{seq}"
        await self._book.write(
            ledger.Pressed(id=id_, at=now_ms(), kind=kind, online=self.online)  # type: ignore[arg-type]
        )
        self.pressed += 1
        self._alarms[seq] = Waiting("alarm", keys, 0.0, FIRST_RESEND_S)
        self._flush()
        return id_

    def report(self) -> None:
        """Report a position: live at QoS 0, kept until receipted."""
        self._place[0] += self._rng.uniform(-1e-4, 1e-4)
        self._place[1] += self._rng.uniform(-1e-4, 1e-4)
        seq = self._number("t")
        keys = {
            "boot": self._boot, "seq": seq, "t": now_ms(), "fix": 3,
            "lat": round(self._place[0], 6), "lon": round(self._place[1], 6),
            "spd": 8.5, "acc": 3.0,
        }  # fmt: skip
        self._telemetry[seq] = Waiting("pos", keys, _now_s() + TELEMETRY_RESEND_S, 0.0)
        self.fixes += 1
        if self._link is not None:
            self._link.publish(self._up + "pos", self._encode(keys), qos=0)

    def account(self) -> ledger.Telemetry:
        """What it has made, for the ledger."""
        return ledger.Telemetry(
            at=now_ms(), device=self.device, boot=self._boot, fixes=self.fixes, seq=self._seq["t"]
        )

    def drop_link(self) -> None:
        """Lose the connection without a word."""
        if self._link is not None:
            self._link.abort()

    async def _connect_always(self) -> None:
        await asyncio.sleep(self._rng.random() * self._connect_within_s)
        wait_s = FIRST_BACKOFF_S
        while True:
            try:
                async with Connection(
                    self._host,
                    self._port,
                    client=self.device,
                    password=self._password,
                    will_topic=self._up + "presence",
                    will=self._encode({"online": False, "boot": self._boot}),
                    on_message=self._take,
                    on_puback=self._on_puback,
                ) as link:
                    await self._live(link)
                wait_s = FIRST_BACKOFF_S
            except (OSError, TimeoutError, Refused, asyncio.IncompleteReadError):
                wait_s = min(2 * wait_s, self._backoff_max_s)
            await asyncio.sleep(wait_s * self._rng.uniform(0.5, 1))

    async def _live(self, link: Connection) -> None:
        link.subscribe(self._down + "#")
        presence = {"online": True, "boot": self._boot, "kind": self.kind, "t": now_ms()}
        link.publish(self._up + "presence", self._encode(presence), qos=1, retain=True)
        self._link, self._unacked = link, None
        self.connects += 1
        for waiting in [*self._alarms.values(), *self._telemetry.values()]:
            waiting.due_s = 0.0
        self._flush()
        try:
            await link.serve()
        finally:
            self._link = None

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(0.25)
            self._flush()

    def _flush(self) -> None:
        """Send what is due: alarms at once, telemetry one batch after the other."""
        if self._link is None:
            return
        now_s = _now_s()
        for waiting in self._alarms.values():
            if waiting.due_s <= now_s:
                self._link.publish(self._up + "alarm", self._encode(waiting.keys), qos=1)
                waiting.due_s = now_s + waiting.wait_s
                waiting.wait_s = min(2 * waiting.wait_s, LAST_RESEND_S)
        if self._unacked is not None:
            return
        due = [waiting for waiting in self._telemetry.values() if waiting.due_s <= now_s][-BATCH:]
        if due:
            for waiting in due:
                waiting.due_s = now_s + TELEMETRY_RESEND_S
            batch = [waiting.keys for waiting in due]
            self._unacked = self._link.publish(self._up + "pos", self._encode(batch), qos=1)

    def _on_puback(self, packet_id: int) -> None:
        if packet_id == self._unacked:
            self._unacked = None
            self._flush()

    def _take(self, topic: str, payload: bytes) -> None:
        if topic == self._down + "receipt":
            is_json = payload[:1] == b"{"
            receipt = json.loads(payload) if is_json else msgpack.unpackb(payload)
            if receipt["boot"] == self._boot:
                self._take_receipt(receipt)

    def _take_receipt(self, receipt: dict[str, Any]) -> None:
        """Forget what is held: up to the mark, above it what is not missing, alarms by stage."""
        for lane, kept in (("p", self._alarms), ("t", self._telemetry)):
            missing = receipt.get("miss", {}).get(lane, [])
            high = receipt.get("high", {}).get(lane, 0)
            staged = {alarm["seq"] for alarm in receipt.get("alarms", [])} if lane == "p" else set()
            for seq in list(kept):
                is_missed = any(first <= seq <= last for first, last in missing)
                if is_missed:
                    kept[seq].due_s = min(kept[seq].due_s, _now_s())
                elif seq <= max(receipt[lane], high) or seq in staged:
                    del kept[seq]
                    if lane == "p":
                        self._note_receipted(seq)
        self._flush()

    def _note_receipted(self, seq: int) -> None:
        self.receipted += 1
        id_ = f"{self.device}:{self._boot}:p:{seq}"
        self._book.note(ledger.Receipted(id=id_, at=now_ms()))

    def _number(self, lane: str) -> int:
        self._seq[lane] += 1
        return self._seq[lane]

    def _encode(self, keys: Any) -> bytes:
        if self._speaks_json:
            return json.dumps(keys).encode()
        packed: bytes = msgpack.packb(keys)
        return packed


def _now_s() -> float:
    return asyncio.get_running_loop().time()
