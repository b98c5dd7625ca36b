"""What each device shall be configured as, and whether it is: ``dn/config``, retained."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any

import msgspec

from gateway.receipts import Down
from gateway.registry import Configuration, Registry
from gateway.twins import Twins
from protocols.commands import settings_of
from protocols.errors import FieldInvalid
from protocols.model import MAX_MESSAGE_BYTES, Lane
from protocols.native import topics

TICK_S = 0.25
AT_ONCE = 100
"""So many are handed to the broker in one turn."""

_encoders = {True: msgspec.json.encode, False: msgspec.msgpack.encode}


class Configurations:
    """Keeps in the registry what is desired, and has the broker hold it for the device.

    The broker may have lost what it held; so it is told again at the start, and whenever
    a device connects that reports another version.
    """

    def __init__(
        self,
        registry: Registry,
        *,
        prefix: str,
        twins: Twins,
        publish: Callable[[Down], bool],
    ) -> None:
        self._registry = registry
        self._prefix = prefix
        self._twins = twins
        self._publish = publish
        self._desired = {each.device: each for each in registry.configurations()}
        self._untold: deque[str] = deque()

    def restore(self) -> None:
        """After the start, when it is known what devices have reported."""
        self._untold.extend(d for d in self._desired if not self._is_in_force(d))

    def put(self, device: str, settings: dict[str, Any], *, by: str | None) -> Configuration:
        """Desire these settings of a device, under a new version; raise FieldInvalid.

        The same settings again are the same version.
        """
        taken = settings_of(settings, "settings")
        if "version" in taken:
            raise FieldInvalid("settings.version", "is given by the gateway", taken["version"])
        size = len(msgspec.json.encode(taken))
        if size > MAX_MESSAGE_BYTES // 2:
            raise FieldInvalid("settings", f"are {size} bytes, {MAX_MESSAGE_BYTES // 2} fit")
        desired = self._desired.get(device)
        if desired is None or desired.settings != taken:
            desired = self._registry.configure(device, taken, by=by or "")
            self._desired[device] = desired
        self._tell(device)
        return desired

    def desired(self, device: str) -> Configuration | None:
        """What was last desired of a device."""
        return self._desired.get(device)

    def came_online(self, device: str) -> None:
        """The device connects: the broker shall have its configuration."""
        if device in self._desired and not self._is_in_force(device):
            self._tell(device)

    async def run(self) -> None:
        """Tell the broker what it has not been told, for ever."""
        while True:
            await asyncio.sleep(TICK_S)
            self.look()

    def look(self) -> None:
        """Tell the broker some of it."""
        for _ in range(min(AT_ONCE, len(self._untold))):
            if not self._send(self._untold[0]):
                return
            self._untold.popleft()

    def _tell(self, device: str) -> None:
        if not self._send(device) and device not in self._untold:
            self._untold.append(device)

    def _send(self, device: str) -> bool:
        desired = self._desired[device]
        encode = _encoders[self._twins.of(device).speaks_json]
        payload = encode({**desired.settings, "version": desired.version})
        topic = topics.down(self._prefix, device, topics.Down.CONFIG)
        down = Down(topic, payload, expiry_s=None, lane=Lane.PRIORITY, is_retained=True)
        return self._publish(down)

    def _is_in_force(self, device: str) -> bool:
        status = self._twins.of(device).status
        return status is not None and status.cfg == self._desired[device].version
