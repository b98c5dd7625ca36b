"""A device by hand, at the gateway's front door: says that it is there, and answers."""

from __future__ import annotations

import asyncio
from typing import Any

import msgpack

from protocols.model import Command
from protocols.native import codec
from tests.gateway.house import House


class Car:
    """A device by hand: says that it is there, and answers."""

    def __init__(self, gateway: House, device: str = "car-1") -> None:
        self._house = gateway
        self.device = device
        self.seq = 0

    async def connects(self, *, boot: int = 1, payload: bytes | None = None) -> None:
        presence = payload or msgpack.packb({"online": True, "boot": boot})
        await self._house.priority.take(self._house.arrival("presence", presence, self.device))
        await settle(self._house)

    async def leaves(self) -> None:
        will = msgpack.packb({"online": False, "boot": 1})
        await self._house.priority.take(self._house.arrival("presence", will, self.device))

    async def says(self, cmd: str, state: str, **keys: Any) -> None:
        self.seq += 1
        reply = {"boot": 1, "seq": self.seq, "t": self._house.now, "cmd": cmd, "state": state}
        payload = msgpack.packb(reply | keys)
        await self._house.priority.take(self._house.arrival("reply", payload, self.device))
        await settle(self._house)

    def got(self) -> list[Command]:
        """The commands sent to it so far."""
        topic = f"field/v1/{self.device}/dn/cmd"
        sent = [down for down in self._house.sent if down.topic == topic]
        return [codec.decode(down.payload, Command) for down in sent]


async def settle(gateway: House) -> None:
    """Let what was handed to the journal be committed, and told."""
    await gateway.journal.save_states({}, 0)
    await asyncio.sleep(0)
