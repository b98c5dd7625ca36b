"""Between a device and the broker: lets packets through, and holds one kind back on request."""

from __future__ import annotations

import asyncio
from typing import Literal

from edge.connections import Connections
from tests.faults.mqtt import PUBACK, PUBLISH, packet, read_packet

Moment = Literal["publish", "puback", "receipt"]


class PacketRelay:
    """`async with` listens at ``port``. ``hold`` says what a device is to wait for in vain.

    ``publish``: that the broker gets its alarm at all.
    ``puback``: the acknowledgement of an alarm, and all that follows it.
    ``receipt``: the receipt of an alarm that was acknowledged.
    """

    def __init__(self, host: str, port: int) -> None:
        self.port = 0
        self.hold: Moment | None = None
        self.held = asyncio.Event()
        self._host, self._broker_port = host, port
        self._server: asyncio.Server
        self._links = Connections(self._serve)

    async def __aenter__(self) -> PacketRelay:
        self._server = await asyncio.start_server(self._links.accept, self._host, 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._links.close(self._server)

    def arm(self, moment: Moment) -> None:
        """Hold that back from now on; ``held`` is set when it has come."""
        self.hold = moment
        self.held.clear()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One device's connection, until either side ends it."""
        to_broker: asyncio.StreamWriter | None = None
        try:
            from_broker, to_broker = await asyncio.open_connection(self._host, self._broker_port)
            alarms: set[bytes] = set()
            async with asyncio.TaskGroup() as ways:
                ways.create_task(self._up(reader, to_broker, alarms))
                ways.create_task(self._down(from_broker, writer, alarms))
        except* (OSError, asyncio.IncompleteReadError):
            pass  # one side has gone: so does the other
        finally:
            if to_broker is not None:
                to_broker.close()

    async def _up(
        self, reader: asyncio.StreamReader, broker: asyncio.StreamWriter, alarms: set[bytes]
    ) -> None:
        while True:
            kind, flags, body = await read_packet(reader)
            if kind == PUBLISH and _topic(body).endswith("/up/alarm"):
                at = 2 + int.from_bytes(body[:2], "big")
                alarms.add(body[at : at + 2])
                if self.hold == "publish":
                    self.held.set()
                    await asyncio.Event().wait()
            broker.write(packet(kind, flags, body))

    async def _down(
        self, reader: asyncio.StreamReader, device: asyncio.StreamWriter, alarms: set[bytes]
    ) -> None:
        is_acknowledged = is_receipted = False
        while True:
            kind, flags, body = await read_packet(reader)
            is_puback = kind == PUBACK and body[:2] in alarms
            if is_puback and self.hold == "puback":
                self.held.set()
                await asyncio.Event().wait()
            is_acknowledged |= is_puback
            is_receipt = kind == PUBLISH and _topic(body).endswith("/dn/receipt")
            is_receipted |= is_receipt
            if not (is_receipt and self.hold == "receipt"):
                device.write(packet(kind, flags, body))
                await device.drain()  # fails where the device has gone
            if self.hold == "receipt" and is_receipted and is_acknowledged:
                self.held.set()


def _topic(publish: bytes) -> str:
    return publish[2 : 2 + int.from_bytes(publish[:2], "big")].decode()
