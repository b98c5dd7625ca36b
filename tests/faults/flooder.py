"""A device whose positions are known by their numbers: it can send any of them again when asked.

As device.py it knows the contract by its pages alone. It keeps nothing, so it can have
sent hundreds of thousands.
"""

from __future__ import annotations

import time
from typing import Any

import msgpack

from simulators.ledger import now_ms
from tests.faults.mqtt import Connection
from tests.faults.town import Town

BATCH = 200


class Flooder:
    """``held_to``: the gateway has said that it holds all up to there. ``asked``: and what not.

    ``sent`` and ``pubacks`` count messages at QoS 1.
    """

    def __init__(self, town: Town, device: str, password: str) -> None:
        self._boot = int(time.time())
        self.up, self._down = (f"field/v1/{device}/{way}/" for way in ("up", "dn"))
        self._place = {"lat": 24.5, "lon": 117.65, "fix": 3, "t": now_ms()}
        self.sent = self.pubacks = self.held_to = 0
        self.asked: set[int] = set()
        self.link = Connection(
            town.gateway.host, town.gateway.mqtt_port, client=device, password=password,
            will_topic=f"{self.up}presence",
            will=msgpack.packb({"online": False, "boot": self._boot}),
            on_message=self._take, on_puback=self._on_puback,
        )  # fmt: skip

    def listen(self) -> None:
        """Ask for receipts."""
        self.link.subscribe(f"{self._down}#")

    def position(self, seq: int) -> dict[str, Any]:
        """The position of that number."""
        return {"boot": self._boot, "seq": seq, **self._place}

    def report(self, *numbers: int) -> None:
        """Send these positions at QoS 1: one as a map, several as an array."""
        positions = [self.position(seq) for seq in numbers]
        payload: bytes = msgpack.packb(positions if len(positions) > 1 else positions[0])
        self.sent += 1
        self.link.publish(f"{self.up}pos", payload, qos=1)

    def _take(self, topic: str, payload: bytes) -> None:
        if topic != f"{self._down}receipt":
            return
        receipt = msgpack.unpackb(payload)
        if receipt["boot"] != self._boot:
            return
        self.held_to = max(self.held_to, receipt["t"])
        ranges = receipt.get("miss", {}).get("t", [])
        numbers = [seq for first, last in ranges for seq in range(first, last + 1)]
        self.asked.update(numbers)
        for at in range(0, len(numbers), BATCH):
            self.report(*numbers[at : at + BATCH])

    def _on_puback(self, packet_id: int) -> None:
        self.pubacks += 1
