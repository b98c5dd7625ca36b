"""The way to the gateway: one MQTT connection after another, driven from the spool.

paho speaks MQTT; its sockets run in our event loop. Every connection has a new
paho client, so that nothing is sent but what the outbox gives out. MQTT 5 first;
3.1.1 where the broker does not take it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from edge import tcp
from edge.config import Broker
from edge.outbox import Outbox, Outgoing
from protocols.errors import TopicInvalid
from protocols.native import topics
from protocols.native.topics import Down, Up

KEEPALIVE_S = 5  # silence for twice as long ends a connection, on the broker's side too
SESSION_EXPIRY_S = 24 * 3600
CONNECT_TIMEOUT_S = 5.0
CONNACK_TIMEOUT_S = 10.0
PUBACK_TIMEOUT_S = 30.0  # a broker that is silent for longer is given up
FAREWELL_S = 2.0
TICK_S = 0.5
BACKOFF_FIRST_S, BACKOFF_MAX_S = 1.0, 30.0
BACKOFF_URGENT_S = 2.0  # while an alarm has no receipt
STEADY_S = 60.0  # a connection that lived this long was a good one

_T = TypeVar("_T")
log = logging.getLogger(__name__)

Failure = Literal["unreachable", "no_connack", "protocol_refused", "refused", "dropped"]


class Backoff:
    """How long to wait before the next connection: exponential, with full jitter."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._failures = 0

    def after(self, lived_s: float, *, urgent: bool = False) -> float:
        """The wait after a connection that lived so long; one that drops at once has failed."""
        if lived_s >= STEADY_S:
            self._failures = 0
        longest_s = BACKOFF_URGENT_S if urgent else BACKOFF_MAX_S
        ceiling_s = min(longest_s, BACKOFF_FIRST_S * 2 ** min(self._failures, 10))
        self._failures += 1
        return self._rng.uniform(0, ceiling_s)


@dataclass(frozen=True, slots=True)
class Presence:
    """The payloads that say whether the device is there."""

    online: Callable[[], bytes]
    offline: bytes


class Link:
    """Keeps the device connected and the outbox flowing until cancelled."""

    def __init__(
        self,
        broker: Broker,
        device: str,
        prefix: str,
        outbox: Outbox,
        *,
        presence: Callable[[], Presence],
        on_message: Callable[[Down, bytes], None],
        on_out: Callable[[Outgoing], None],
        clock_s: Callable[[], float] = time.monotonic,
        rng: random.Random | None = None,
    ) -> None:
        self._broker, self._device, self._prefix = broker, device, prefix
        self._outbox, self._presence = outbox, presence
        self._on_message, self._on_out = on_message, on_out
        self._clock_s = clock_s
        self._backoff = Backoff(rng or random.Random())
        self._protocol = MQTTProtocolVersion.MQTTv5
        self._connection: _Connection | None = None
        self._hurry = asyncio.Event()
        self.connected = False

    def wake(self, *, urgent: bool = False) -> None:
        """Something is in the outbox; what is urgent does not wait for the backoff to end."""
        if self.connected:
            self._pump()
        elif urgent:
            self._hurry.set()

    async def run(self) -> None:
        """Connect, and connect again, until cancelled; says goodbye then."""
        told = False  # once when it drops, once when it is back
        while True:
            failure, lived_s = await self._connect_once()
            if lived_s or not told:
                log.warning("link_down broker=%s failure=%s", self._broker.address, failure)
                told = True
            if failure in ("protocol_refused", "no_connack"):  # some old brokers just hang up
                self._other_protocol()
            wait_s = self._backoff.after(lived_s, urgent=self._outbox.holds_alarms)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait_s):
                    await self._hurry.wait()
            self._hurry.clear()

    def _other_protocol(self) -> None:
        v5, v311 = MQTTProtocolVersion.MQTTv5, MQTTProtocolVersion.MQTTv311
        self._protocol = v311 if self._protocol is v5 else v5
        log.info("link_tries protocol=%s", self._protocol.name)

    async def _connect_once(self) -> tuple[Failure, float]:
        """One connection from its beginning to its end: why it ended, how long it lived."""
        presence = self._presence()
        connection = _Connection(self._broker, self._device, self._protocol)
        client = connection.client
        client.will_set(self._topic(Up.PRESENCE), presence.offline, qos=1, retain=True)
        client.on_message = self._take_message
        since_s: float | None = None
        async with connection:
            if connection.failure is None:
                connection.failure = await connection.accepted()
            if connection.failure is not None:
                return connection.failure, 0.0
            since_s = self._clock_s()
            self._welcome(connection, presence)
            try:
                await self._serve(connection)
            except asyncio.CancelledError:
                await connection.farewell(self._topic(Up.PRESENCE), presence.offline)
                raise
            finally:
                self.connected, self._connection = False, None
                self._outbox.disconnected()
        return "dropped", self._clock_s() - since_s

    def _welcome(self, connection: _Connection, presence: Presence) -> None:
        connection.client.subscribe(f"{self._prefix}/v1/{self._device}/dn/#", qos=1)
        connection.client.publish(self._topic(Up.PRESENCE), presence.online(), qos=1, retain=True)
        connection.on_publish = self._take_puback
        self.connected, self._connection = True, connection
        self._hurry.clear()
        log.info("link_up broker=%s protocol=%s", self._broker.address, connection.protocol.name)
        self._outbox.connected()
        self._pump()

    async def _serve(self, connection: _Connection) -> None:
        """Until the connection drops: what has fallen due goes out, a silent broker is left."""
        while not await connection.ended(TICK_S):
            if connection.stalled_since(self._clock_s()) > PUBACK_TIMEOUT_S:
                log.warning("link_stalled broker=%s", self._broker.address)
                return
            self._pump()

    def _pump(self) -> None:
        connection = self._connection
        while connection is not None and connection.is_open:
            now_s = self._clock_s()
            outgoing = self._outbox.take(now_s)
            if outgoing is None:
                return
            connection.send(self._topic(outgoing.channel), outgoing, now_s)

    def _take_puback(self, outgoing: Outgoing, reason: ReasonCode) -> None:
        if reason.is_failure or reason.value == 0x10:  # refused, or nobody listens
            log.warning("not_taken channel=%s reason=%s", outgoing.channel, reason)
        else:
            self._on_out(outgoing)
        self._outbox.out(outgoing)
        self._pump()

    def _take_message(self, _: mqtt.Client, __: object, message: mqtt.MQTTMessage) -> None:
        try:
            channel = Down(topics.parse(self._prefix, message.topic).channel)
        except (TopicInvalid, ValueError) as error:
            log.warning("message_ignored topic=%s: %s", message.topic, error)
            return
        self._on_message(channel, bytes(message.payload))
        self._pump()

    def _topic(self, channel: Up) -> str:
        return topics.up(self._prefix, self._device, channel)


class _Connection:
    """One paho client, its socket in our event loop. Entering it opens the socket."""

    def __init__(self, broker: Broker, device: str, protocol: MQTTProtocolVersion) -> None:
        self.protocol = protocol
        self.failure: Failure | None = None
        self.on_publish: Callable[[Outgoing, ReasonCode], None] | None = None
        self._broker = broker
        self._is_ours = False  # the socket: no longer the connecting thread's
        self._under_way: dict[int, tuple[Outgoing, float]] = {}  # by packet id; since when
        v5 = protocol is MQTTProtocolVersion.MQTTv5
        self.client = client = mqtt.Client(
            CallbackAPIVersion.VERSION2,
            client_id=device,
            clean_session=None if v5 else False,
            protocol=protocol,
            reconnect_on_failure=False,
        )
        client.connect_timeout = CONNECT_TIMEOUT_S
        client.username_pw_set(broker.user or device, broker.secret())
        if broker.tls is not None:
            client.tls_set(broker.tls.ca_file, broker.tls.cert_file, broker.tls.key_file)

    async def __aenter__(self) -> _Connection:
        self._loop = asyncio.get_running_loop()
        self._connack: asyncio.Future[ReasonCode] = self._loop.create_future()
        self._end: asyncio.Future[None] = self._loop.create_future()
        client = self.client
        client.on_connect = lambda *args: _settle(self._connack, args[3])
        client.on_disconnect = lambda *_: _settle(self._end, None)
        client.on_publish = self._published
        # Called in the connecting thread too.
        client.on_socket_register_write = self._wants_to_write
        client.on_socket_unregister_write = self._has_written
        client.on_socket_close = self._unwatch
        opening = asyncio.ensure_future(asyncio.to_thread(self._open))
        try:
            await asyncio.shield(opening)
        except asyncio.CancelledError:
            await asyncio.wait([opening])
            self._close()
            raise
        except (OSError, ValueError) as error:  # ssl's errors are OSErrors
            log.debug("unreachable broker=%s: %s", self._broker.address, error)
            self.failure = "unreachable"
            _settle(self._end, None)
        else:
            sock = client.socket()
            assert isinstance(sock, socket.socket)
            tcp.tune(sock)
            self._is_ours = True
            self._loop.add_reader(sock, self._read, sock)
            self._watch()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._close()

    def _open(self) -> None:
        """Blocks; in a thread of its own."""
        broker, client = self._broker, self.client
        if self.protocol is MQTTProtocolVersion.MQTTv5:
            properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
            properties.SessionExpiryInterval = SESSION_EXPIRY_S
            client.connect(
                broker.host, broker.port, KEEPALIVE_S, clean_start=False, properties=properties
            )
        else:
            client.connect(broker.host, broker.port, KEEPALIVE_S)

    @property
    def is_open(self) -> bool:
        """Whether it has not ended."""
        return not self._end.done()

    async def accepted(self) -> Failure | None:
        """Wait for the broker's answer; None if it takes us."""
        both: list[asyncio.Future[Any]] = [self._connack, self._end]
        await asyncio.wait(
            both,
            timeout=CONNACK_TIMEOUT_S,
            return_when=asyncio.FIRST_COMPLETED,
        )
        if not self._connack.done():
            return "no_connack"
        reason = self._connack.result()
        if not reason.is_failure:
            return None
        log.warning("refused broker=%s reason=%s", self._broker.address, reason)
        return "protocol_refused" if reason == "Unsupported protocol version" else "refused"

    async def ended(self, timeout_s: float) -> bool:
        """Wait so long for the end; does paho's housekeeping."""
        await asyncio.wait([self._end], timeout=timeout_s)
        self.client.loop_misc()
        return self._end.done()

    def send(self, topic: str, outgoing: Outgoing, now_s: float) -> None:
        """Hand a message to paho."""
        info = self.client.publish(topic, outgoing.payload, qos=outgoing.qos)
        self._under_way[info.mid] = outgoing, now_s

    def stalled_since(self, now_s: float) -> float:
        """How long the oldest message has waited for its PUBACK."""
        return max((now_s - since_s for _, since_s in self._under_way.values()), default=0.0)

    async def farewell(self, topic: str, offline: bytes) -> None:
        """Say that we go, and go; a broker that does not answer is not waited for long."""
        said = self.client.publish(topic, offline, qos=1, retain=True)
        deadline_s = self._loop.time() + FAREWELL_S
        with contextlib.suppress(RuntimeError):  # it says so when the connection is gone already
            while not said.is_published() and self._loop.time() < deadline_s:
                if await self.ended(0.02):
                    return
        self.client.disconnect()
        await self.ended(0.2)

    def _published(
        self, _: mqtt.Client, __: object, mid: int, reason: ReasonCode, ___: Properties
    ) -> None:
        outgoing, _since_s = self._under_way.pop(mid, (None, 0.0))
        if outgoing is not None and self.on_publish is not None:
            self.on_publish(outgoing, reason)

    def _read(self, sock: socket.socket) -> None:
        self.client.loop_read()
        pending = getattr(sock, "pending", None)  # TLS has read ahead of select
        while pending is not None and self.client.socket() is sock and pending():
            self.client.loop_read()

    def _wants_to_write(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._watch)

    def _has_written(self, _: mqtt.Client, __: object, sock: Any) -> None:
        self._loop.remove_writer(sock)

    def _watch(self) -> None:
        sock = self.client.socket()
        if sock is not None and self._is_ours:
            self._loop.add_writer(sock, self.client.loop_write)

    def _unwatch(self, _: mqtt.Client, __: object, sock: Any) -> None:
        self._loop.remove_reader(sock)
        self._loop.remove_writer(sock)

    def _close(self) -> None:
        sock = self.client.socket()
        if sock is not None:
            # Without a DISCONNECT the broker sends the last will, as it should.
            self._unwatch(self.client, None, sock)
            sock.close()


def _settle(future: asyncio.Future[_T], value: _T) -> None:
    if not future.done():
        future.set_result(value)
