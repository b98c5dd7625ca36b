"""One MQTT connection of a light device, from its start to its end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

import gmqtt
import structlog
from gmqtt.mqtt.handler import MQTTConnectError
from gmqtt.storage import PersistentStorage

from simulators.link import Address

KEEPALIVE_S = 30
CONNECT_TIMEOUT_S = 10.0
CLOSE_TIMEOUT_S = 2.0
MAX_IN_FLIGHT = 16  # Mosquitto takes 20; gmqtt raises OverflowError beyond that

_NEVER = -2  # below gmqtt's -1, which stands for ever: reconnecting is the device's, with jitter
_WITH_WILL = 4  # MQTT 5, 3.14.2.1: disconnect, and publish the will

log = structlog.get_logger()


class ConnectFailed(Exception):
    """The broker cannot be reached, or refuses."""


class _InFlight(PersistentStorage):  # type: ignore[misc]  # gmqtt has no types
    """gmqtt's QoS 1 packets without PUBACK; calls when the broker has one more."""

    def __init__(self, on_room: Callable[[], None]) -> None:
        super().__init__()
        self._on_room = on_room

    def remove_message_by_mid(self, mid: int) -> None:
        super().remove_message_by_mid(mid)
        self._on_room()


class Session:
    """Connects on entering, or raises ConnectFailed; disconnects on leaving.

    The device id is user name and client id. ``on_room`` is called when the
    broker has acknowledged a message of QoS 1.
    """

    def __init__(
        self,
        broker: Address,
        device: str,
        password: str,
        *,
        will_topic: str,
        will: bytes,
        on_message: Callable[[str, bytes], None],
        on_room: Callable[[], None],
    ) -> None:
        self._broker = broker
        self._on_message = on_message
        self._in_flight = _InFlight(on_room)
        self._ended = asyncio.Event()
        self._client: Any = gmqtt.Client(
            device,
            will_message=gmqtt.Message(will_topic, will, qos=1, retain=True),
            persistent_storage=self._in_flight,
        )
        self._client.set_config({"reconnect_retries": _NEVER})
        self._client.set_auth_credentials(device, password)
        self._client.on_message = self._take
        self._client.on_disconnect = self._end

    async def __aenter__(self) -> Self:
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                await self._connect()
        except (OSError, TimeoutError, MQTTConnectError) as error:
            await self._close()
            raise ConnectFailed(f"{self._broker}: {error!r}") from None
        except asyncio.CancelledError:
            await self._close()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._close()

    @property
    def idle(self) -> bool:
        """Whether the broker has acknowledged all that was sent at QoS 1."""
        return bool(self._in_flight.is_empty)

    @property
    def has_room(self) -> bool:
        """Whether one more message at QoS 1 may be under way."""
        return len(self._in_flight.get_all()) < MAX_IN_FLIGHT

    @property
    def up(self) -> bool:
        """Whether it has not ended."""
        return not self._ended.is_set()

    def subscribe(self, topic: str) -> None:
        """Listen there at QoS 1."""
        self._client.subscribe(topic, qos=1)

    def publish(self, topic: str, payload: bytes, *, qos: int, retain: bool = False) -> None:
        """Hand over to the connection; whether it arrives is another matter."""
        if self.up:
            self._client.publish(topic, payload, qos=qos, retain=retain)

    async def ended(self) -> None:
        """Wait until the connection is gone."""
        await self._ended.wait()

    async def lose_power(self) -> None:
        """End it so that the broker publishes the last will."""
        await self._close(_WITH_WILL)

    async def _connect(self) -> None:
        """Connect; gmqtt by itself would wait for ever where the connection ends too soon."""
        connecting = asyncio.create_task(self._client.connect(*self._broker, keepalive=KEEPALIVE_S))
        ending = asyncio.create_task(self._ended.wait())
        try:
            await asyncio.wait((connecting, ending), return_when=asyncio.FIRST_COMPLETED)
            if not connecting.done():
                raise ConnectionResetError("ended before the broker accepted it")
            connecting.result()
        finally:
            connecting.cancel()
            ending.cancel()

    def _take(self, client: object, topic: str, payload: bytes, qos: int, about: object) -> int:
        self._on_message(topic, payload)
        return 0

    def _end(self, *_: object) -> None:
        self._ended.set()

    async def _close(self, reason_code: int = 0) -> None:
        try:
            async with asyncio.timeout(CLOSE_TIMEOUT_S):
                await self._client.disconnect(reason_code=reason_code)
        except (OSError, TimeoutError) as error:
            log.debug("session_not_closed", broker=str(self._broker), why=repr(error))
        self._ended.set()
