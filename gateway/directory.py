"""Which devices are registered, as the lanes ask it: quickly, message by message."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from gateway.arrival import Registered
from gateway.registry import Registry


class Directory:
    """The registry as the lanes ask it: once per device, again when it has changed."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._generation = registry.generation()
        self._known: dict[str, Registered | None] = {}
        self.on_change: Callable[[], None] = self._known.clear

    def __call__(self, device: str) -> Registered | None:
        """What is registered of a device; None if it is unknown or revoked."""
        if device not in self._known or self._known[device] is None:
            found = self._registry.get(device)
            is_known = found is not None and not found.revoked
            self._known[device] = (
                Registered(found.kind, found.lat, found.lon) if found and is_known else None
            )
        return self._known[device]

    async def run(self) -> None:
        """Forget what is known when the registry was changed by another process."""
        while True:
            await asyncio.sleep(1)
            generation = self._registry.generation()
            if generation != self._generation:
                self._generation = generation
                self._known.clear()
                self.on_change()
