"""The priority lane's client: alarms from the broker, and messages back to devices."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

import gmqtt
import structlog

log = structlog.get_logger()

SESSION_S = 24 * 3600
KEEPALIVE_S = 5
"""gmqtt takes a broker for lost that has said nothing for twice as long."""

RECONNECT_S = 0.2
GIVE_UP_S = 5.0
"""An attempt to connect that takes longer is ended."""

_NEVER = -2  # below gmqtt's -1, which stands for ever
"""gmqtt's own reconnecting cannot be called off: a client that was replaced would come back
under its name, and each would throw the other out."""


class Account(NamedTuple):
    """Where a client connects, and as whom; the client id is the user name where none is given."""

    host: str
    port: int
    user: str | None
    password: str | None
    client_id: str = ""

    @property
    def name(self) -> str:
        """The client id."""
        return self.client_id or self.user or ""


class Incoming(NamedTuple):
    """A message as the broker delivered it."""

    topic: str
    payload: bytes
    qos: int
    retained: bool


class PriorityClient:
    """One MQTT client with a persistent session, kept connected by ``run``.

    It awaits what takes a message before it acknowledges it to the broker.
    """

    def __init__(
        self,
        account: Account,
        filters: list[tuple[str, int]],
        *,
        receive_maximum: int,
    ) -> None:
        self._account = account
        self._filters = filters
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

    async def run(self, take: Callable[[Incoming], Awaitable[None]]) -> None:
        """Stay connected until cancelled; a message is the broker's until ``take`` returns."""

        async def on_message(
            _: object, topic: str, payload: bytes, qos: int, properties: dict[str, Any]
        ) -> int:
            await take(Incoming(topic, bytes(payload), qos, bool(properties["retain"])))
            return 0

        try:
            while True:
                try:
                    await self._connect(on_message)
                    await self._lost.wait()
                except (OSError, TimeoutError, gmqtt.MQTTConnectError) as error:
                    log.warning("broker_refuses", client=self._account.name, error=str(error))
                await self._close()
                await asyncio.sleep(RECONNECT_S)
        finally:
            await self._close()

    def publish(
        self, topic: str, payload: bytes, *, expiry_s: int | None, is_retained: bool = False
    ) -> bool:
        """Send at QoS 1; False where there is no connection or too much is under way."""
        if self._client is None or not self._subscribed.is_set():
            return False
        try:
            until = {} if expiry_s is None else {"message_expiry_interval": expiry_s}
            self._client.publish(topic, payload, qos=1, retain=is_retained, **until)
        except OverflowError:  # every packet identifier is in use: the device will ask again
            return False
        return True

    async def _connect(self, on_message: Callable[..., Any]) -> None:
        account = self._account
        client = gmqtt.Client(
            account.name,
            clean_session=False,
            optimistic_acknowledgement=False,
            session_expiry_interval=SESSION_S,
            receive_maximum=self._receive_maximum,
        )
        if account.user is not None:
            client.set_auth_credentials(account.user, account.password)
        client.set_config({"reconnect_retries": _NEVER})
        client.on_connect = self._on_connect
        client.on_subscribe = self._on_subscribe
        client.on_disconnect = self._on_disconnect
        client.on_message = on_message
        self._client = client
        self._lost.clear()
        # gmqtt waits for ever for an answer that a lost connection never brings.
        async with asyncio.timeout(GIVE_UP_S):
            await client.connect(account.host, account.port, keepalive=KEEPALIVE_S)

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
            log.error("subscription_refused", client=self._account.name, filters=refused)
            return
        log.info("broker_connected", client=self._account.name)
        self._subscribed.set()

    def _on_disconnect(self, client: gmqtt.Client, packet: bytes, exc: object = None) -> None:
        if client is not self._client:
            return  # the end of one that was replaced
        if self._subscribed.is_set():
            log.warning("broker_lost", client=self._account.name)
        self._subscribed.clear()
        self._lost.set()
