"""The telemetry lane's client: hears the broker by the socketful, and sends receipts."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from typing import cast

import structlog

from gateway.ingress.mqtt import GIVE_UP_S, KEEPALIVE_S, RECONNECT_S, SESSION_S, Account
from protocols import mqtt
from protocols.errors import Malformed, ProtocolError
from protocols.mqtt import Publish

log = structlog.get_logger()

READ_EVERY_S = 0.01
_SUBSCRIBE_NO = 1


class Refused(Exception):
    """The broker does not want us, or not what we want."""


class BulkClient:
    """One MQTT 5 client with a persistent session, kept connected by ``run``.

    It acknowledges what it has handed over: telemetry is the device's until its receipt.
    """

    def __init__(
        self, account: Account, filters: list[tuple[str, int]], *, receive_maximum: int
    ) -> None:
        self._account = account
        self._filters = filters
        self._receive_maximum = receive_maximum
        self._subscribed = asyncio.Event()
        self._connection: _Connection | None = None
        # What we have sent and the broker has not acknowledged, by packet identifier, in order.
        self._under_way: dict[int, bytes] = {}
        self._most_under_way = 0
        self._number = 0

    @property
    def is_connected(self) -> bool:
        """Whether messages can come in."""
        return self._subscribed.is_set()

    async def wait_connected(self) -> None:
        """Return when messages can come in."""
        await self._subscribed.wait()

    async def run(self, take: Callable[[list[Publish]], None]) -> None:
        """Stay connected until cancelled; messages are ours when they have come."""
        while True:
            connection = self._connection = _Connection(take, self._under_way)
            try:
                async with asyncio.timeout(GIVE_UP_S):
                    keepalive_s = await self._connect(connection)
                self._subscribed.set()
                log.info("broker_connected", client=self._account.name)
                await connection.keep_alive(keepalive_s)
                log.warning("broker_lost", client=self._account.name)
            except (OSError, TimeoutError, ProtocolError, Refused) as error:
                log.warning("broker_refuses", client=self._account.name, error=str(error))
            finally:
                self._subscribed.clear()
                connection.close()
            await asyncio.sleep(RECONNECT_S)

    def publish(self, topic: str, payload: bytes, *, expiry_s: int) -> bool:
        """Send at QoS 1; False where there is no connection or too much is under way."""
        if self._connection is None or not self.is_connected:
            return False
        if len(self._under_way) >= self._most_under_way:
            return False
        self._number = self._number % 65535 + 1
        packet = mqtt.publish(topic, payload, number=self._number, expiry_s=expiry_s)
        self._under_way[self._number] = packet
        self._connection.send_soon(packet)
        return True

    async def _connect(self, connection: _Connection) -> int:
        """Connect and subscribe; the keepalive agreed on."""
        account = self._account
        await asyncio.get_running_loop().create_connection(
            lambda: connection, account.host, account.port
        )
        connection.send(
            mqtt.connect(
                account.name,
                account.user,
                account.password,
                keepalive_s=KEEPALIVE_S,
                session_s=SESSION_S,
                receive_maximum=self._receive_maximum,
            )
        )
        answer = mqtt.read_connack(await connection.answer(mqtt.CONNACK))
        if answer.reason:
            raise Refused(f"the broker refuses the client, reason {answer.reason:#x}")
        connection.send(mqtt.subscribe(_SUBSCRIBE_NO, self._filters))
        for code in mqtt.read_suback(await connection.answer(mqtt.SUBACK)):
            if code >= 0x80:
                raise Refused(f"the broker refuses the subscription, reason {code:#x}")
        # Half of the identifiers at most: none is used again while it may be under way.
        self._most_under_way = min(answer.receive_maximum, 32767)
        if not answer.is_resumed:
            self._under_way.clear()
        for packet in self._under_way.values():
            connection.send(mqtt.again(packet))
        return answer.keepalive_s or KEEPALIVE_S


class _Connection(asyncio.Protocol):
    """One connection: packets in, acknowledgements out."""

    def __init__(self, take: Callable[[list[Publish]], None], under_way: dict[int, bytes]) -> None:
        self._take = take
        self._under_way = under_way
        self._soon: list[bytes] = []
        self._listener = mqtt.Listener()
        self._transport: asyncio.Transport | None = None
        self._answers: asyncio.Queue[mqtt.Packet] = asyncio.Queue()
        self._lost = asyncio.Event()
        self._heard_s = time.monotonic()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is not derived from it

    def data_received(self, data: bytes) -> None:
        self._heard_s = time.monotonic()
        self._pause()
        try:
            heard = self._listener.feed(data)
        except ProtocolError as error:
            log.error("broker_not_understood", error=str(error))
            self.close()
            return
        if heard.publishes:
            self._take(heard.publishes)
        if heard.acknowledgements:
            self.send(heard.acknowledgements)
        for packet in heard.packets:
            if packet.kind == mqtt.PUBACK:
                self._under_way.pop(int.from_bytes(packet.body[:2]), None)
            elif packet.kind == mqtt.DISCONNECT:
                log.warning("broker_disconnects", reason=packet.body[:1].hex())
                self.close()
            elif packet.kind != mqtt.PINGRESP:
                self._answers.put_nowait(packet)

    def _pause(self) -> None:
        """Let some more come before the next look: a read costs as much as three messages."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.pause_reading()
            asyncio.get_running_loop().call_later(READ_EVERY_S, self._go_on)

    def _go_on(self) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        self._lost.set()
        self._answers.put_nowait(mqtt.Packet(mqtt.DISCONNECT, b""))

    def send(self, data: bytes) -> None:
        """Send some packets, if there still is a connection."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)

    def send_soon(self, packet: bytes) -> None:
        """Send a packet, together with those that follow it in this turn of the loop."""
        if not self._soon:
            asyncio.get_running_loop().call_soon(self._send_all)
        self._soon.append(packet)

    def _send_all(self) -> None:
        packets, self._soon = self._soon, []
        self.send(b"".join(packets))

    async def answer(self, kind: int) -> bytes:
        """The body of the next packet, which must be of that kind; raise ProtocolError."""
        packet = await self._answers.get()
        if packet.kind != kind:
            raise Malformed(f"expected an MQTT packet of type {kind}, got {packet.kind}")
        return packet.body

    async def keep_alive(self, keepalive_s: int) -> None:
        """Return when the connection is lost, or silent for two keepalives."""
        while not self._lost.is_set() and time.monotonic() - self._heard_s < 2 * keepalive_s:
            self.send(mqtt.PINGREQ)
            try:
                async with asyncio.timeout(keepalive_s / 2):
                    await self._lost.wait()
            except TimeoutError:
                continue
        if self._transport is not None:
            self._transport.abort()  # to close it in peace would wait for a peer that is silent

    def close(self) -> None:
        """Leave; the session stays with the broker."""
        if self._transport is not None and not self._transport.is_closing():
            with contextlib.suppress(RuntimeError):  # uvloop has closed what was not yet connected
                self._transport.write(mqtt.GOODBYE)
            self._transport.close()
