"""MQTT 3.1.1 as far as a device needs it, written from the standard: a client of nobody's library.

What the gateway proves to its own clients it must prove to a stranger, so the devices of
the campaign share no code with the simulators and the agent.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

CONNECT, CONNACK, PUBLISH, PUBACK, SUBSCRIBE, PINGREQ, DISCONNECT = 1, 2, 3, 4, 8, 12, 14
CONNECT_TIMEOUT_S = 5.0


class Refused(Exception):
    """The broker did not let us in."""


def text(value: str) -> bytes:
    """A UTF-8 string with its length (1.5.3)."""
    encoded = value.encode()
    return len(encoded).to_bytes(2, "big") + encoded


def packet(kind: int, flags: int, body: bytes) -> bytes:
    """A control packet (2.2): type and flags, remaining length, the rest."""
    length, rest = bytearray(), len(body)
    while True:
        rest, digit = divmod(rest, 128)
        length.append(digit | (0x80 if rest else 0))
        if not rest:
            return bytes([kind << 4 | flags]) + bytes(length) + body


async def read_packet(reader: asyncio.StreamReader) -> tuple[int, int, bytes]:
    """Type, flags and body of the next packet; IncompleteReadError at the end."""
    (first,) = await reader.readexactly(1)
    length, shift = 0, 0
    while True:
        (digit,) = await reader.readexactly(1)
        length |= (digit & 0x7F) << shift
        shift += 7
        if not digit & 0x80:
            return first >> 4, first & 0x0F, await reader.readexactly(length)


class Connection:
    """One connection with a clean session. Entering raises Refused or OSError."""

    def __init__(
        self,
        host: str,
        port: int,
        *,
        client: str,
        password: str,
        will_topic: str,
        will: bytes,
        on_message: Callable[[str, bytes], None],
        on_puback: Callable[[int], None],
        keepalive_s: int = 10,
    ) -> None:
        self._host, self._port = host, port
        self._client, self._password = client, password
        self._will_topic, self._will = will_topic, will
        self._on_message, self._on_puback = on_message, on_puback
        self._keepalive_s = keepalive_s
        self._next_id = 0
        self._reader: asyncio.StreamReader
        self._writer: asyncio.StreamWriter

    async def __aenter__(self) -> Connection:
        async with asyncio.timeout(CONNECT_TIMEOUT_S):
            self._reader, self._writer = await asyncio.open_connection(self._host, self._port)
            try:
                await self._connect()
            except BaseException:
                self.abort()
                raise
        return self

    async def __aexit__(self, *_: object) -> None:
        with contextlib.suppress(OSError, RuntimeError):
            self._writer.write(packet(DISCONNECT, 0, b""))
            self._writer.close()

    def abort(self) -> None:
        """End it with a reset, as a device that loses power."""
        self._writer.transport.abort()

    def subscribe(self, topic: str) -> None:
        """Ask for a topic at QoS 1."""
        self._send(SUBSCRIBE, 2, self._packet_id().to_bytes(2, "big") + text(topic) + b"\x01")

    def publish(self, topic: str, payload: bytes, *, qos: int, retain: bool = False) -> int:
        """Send a message; the packet id that its PUBACK will carry (0 at QoS 0)."""
        packet_id = self._packet_id() if qos else 0
        head = text(topic) + (packet_id.to_bytes(2, "big") if qos else b"")
        self._send(PUBLISH, qos << 1 | retain, head + payload)
        return packet_id

    async def write(self, packets: bytes) -> None:
        """Send what is encoded already, no faster than it is taken."""
        self._writer.write(packets)
        await self._writer.drain()

    async def serve(self) -> None:
        """Take what comes until the connection ends or falls silent; then return."""
        pinging = asyncio.create_task(self._ping(), name=f"{self._client} ping")
        try:
            while True:
                async with asyncio.timeout(1.5 * self._keepalive_s):
                    kind, flags, body = await read_packet(self._reader)
                if kind == PUBLISH:
                    self._take(flags, body)
                elif kind == PUBACK:
                    self._on_puback(int.from_bytes(body[:2], "big"))
        except (OSError, asyncio.IncompleteReadError, TimeoutError):
            return
        finally:
            pinging.cancel()
            self.abort()

    async def _connect(self) -> None:
        flags = 0b1110_1110  # user, password, will retained at QoS 1, clean session
        body = text("MQTT") + bytes([4, flags]) + self._keepalive_s.to_bytes(2, "big")
        body += text(self._client) + text(self._will_topic)
        body += len(self._will).to_bytes(2, "big") + self._will
        self._send(CONNECT, 0, body + text(self._client) + text(self._password))
        kind, _, answer = await read_packet(self._reader)
        if kind != CONNACK or answer[1] != 0:
            raise Refused(f"{self._client}: {kind} {answer.hex()}")

    def _take(self, flags: int, body: bytes) -> None:
        at = 2 + int.from_bytes(body[:2], "big")
        topic, qos = body[2:at].decode(), flags >> 1 & 3
        if qos:
            self._send(PUBACK, 0, body[at : at + 2])
            at += 2
        self._on_message(topic, body[at:])

    def _packet_id(self) -> int:
        self._next_id = self._next_id % 0xFFFF + 1
        return self._next_id

    async def _ping(self) -> None:
        while True:
            await asyncio.sleep(self._keepalive_s / 2)
            self._send(PINGREQ, 0, b"")

    def _send(self, kind: int, flags: int, body: bytes) -> None:
        if not self._writer.is_closing():
            self._writer.write(packet(kind, flags, body))
