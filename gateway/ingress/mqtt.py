"""Bytes from the broker, one client per lane, and messages back to devices."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

import gmqtt
import structlog
from gmqtt.mqtt.constants import MQTTv50, MQTTv311

log = structlog.get_logger()

SESSION_S = 24 * 3600
RECONNECT_S = 0.2
GIVE_UP_S = 5.0
"""A client that was gone for so long is replaced: gmqtt stops for good after some refusals."""


class Account(NamedTuple):
    """Where a client connects, and as whom. Client id and user name are the same."""

    host: str
    port: int
    user: str
    password: str | None
    version: int = 5


class Incoming(NamedTuple):
    """A message as the broker delivered it."""

    topic: str
    payload: bytes
    qos: int
    retained: bool


class LaneClient:
    """One MQTT client with a persistent session, kept connected by run().

    ``take`` is awaited for each message, and the message acknowledged to the
    broker when it returns; or, with ``acknowledge_after=False``, called at once.
    """

    def __init__(
        self,
        account: Account,
        filters: list[tuple[str, int]],
        take: Callable[[Incoming], Awaitable[None]] | Callable[[Incoming], None],
        *,
        acknowledge_after: bool,
        receive_maximum: int,
    ) -> None:
        self._account = account
        self._filters = filters
        self._take = take
        self._acknowledge_after = acknowledge_after
        self._receive_maximum = receive_maximum
        self._client: gmqtt.Client | None = None
        self._subscribed = asyncio.Event()
        self._lost = asyncio.Event()

    @property
    def is_connected(self) -> bool:
        """Whether messages can come in."""
        return self._subscribed.is_set()

    async def wait_connected(self) -> None:
        """Return when messages can come in."""
        await self._subscribed.wait()

    async def run(self) -> None:
        """Stay connected until cancelled."""
        try:
            while True:
                try:
                    await self._connect()
                    await self._until_given_up()
                except (OSError, gmqtt.MQTTConnectError) as error:
                    log.warning("broker_refuses", user=self._account.user, error=str(error))
                    await asyncio.sleep(RECONNECT_S)
                await self._close()
        finally:
            await self._close()

    def publish(self, topic: str, payload: bytes, *, expiry_s: int) -> bool:
        """Send at QoS 1; False where there is no connection or too much is under way."""
        if self._client is None or not self._subscribed.is_set():
            return False
        try:
            self._client.publish(topic, payload, qos=1, message_expiry_interval=expiry_s)
        except OverflowError:  # every packet identifier is in use: the device will ask again
            return False
        return True

    async def _until_given_up(self) -> None:
        """Return when gmqtt has not brought the connection back for too long."""
        while True:
            await self._lost.wait()
            try:
                await asyncio.wait_for(self._subscribed.wait(), GIVE_UP_S)
            except TimeoutError:
                log.warning("broker_given_up", user=self._account.user)
                return

    async def _connect(self) -> None:
        account = self._account
        client = gmqtt.Client(
            account.user,
            clean_session=False,
            optimistic_acknowledgement=not self._acknowledge_after,
            session_expiry_interval=SESSION_S,
            receive_maximum=self._receive_maximum,
        )
        client.set_auth_credentials(account.user, account.password)
        client.set_config({"reconnect_retries": -1, "reconnect_delay": RECONNECT_S})
        client.on_connect = self._on_connect
        client.on_subscribe = self._on_subscribe
        client.on_disconnect = self._on_disconnect
        client.on_message = self._on_message_later if self._acknowledge_after else self._on_message
        self._client = client
        version = MQTTv50 if account.version == 5 else MQTTv311
        await client.connect(account.host, account.port, keepalive=10, version=version)

    async def _close(self) -> None:
        self._subscribed.clear()
        client, self._client = self._client, None
        if client is not None and client._connection is not None:
            await client.disconnect()

    def _on_connect(self, client: gmqtt.Client, *_: object) -> None:
        client.subscribe([gmqtt.Subscription(topic, qos=qos) for topic, qos in self._filters])

    def _on_subscribe(self, client: gmqtt.Client, mid: int, granted: Any, _: object) -> None:
        refused = [f for (f, _), code in zip(self._filters, granted, strict=True) if code >= 128]
        if refused:
            log.error("subscription_refused", user=self._account.user, filters=refused)
            return
        log.info("broker_connected", user=self._account.user)
        self._lost.clear()
        self._subscribed.set()

    def _on_disconnect(self, client: gmqtt.Client, packet: bytes, exc: object = None) -> None:
        if self._subscribed.is_set():
            log.warning("broker_lost", user=self._account.user)
        self._subscribed.clear()
        self._lost.set()

    async def _on_message_later(
        self, client: gmqtt.Client, topic: str, payload: bytes, qos: int, properties: Any
    ) -> int:
        taken = self._take(Incoming(topic, bytes(payload), qos, bool(properties["retain"])))
        if taken is not None:
            await taken
        return 0

    def _on_message(
        self, client: gmqtt.Client, topic: str, payload: bytes, qos: int, properties: Any
    ) -> None:
        self._take(Incoming(topic, bytes(payload), qos, bool(properties["retain"])))
