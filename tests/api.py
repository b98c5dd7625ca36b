"""The gateway's HTTP API, as a caller in a test sees it: whole answers, and what is wrong."""

from __future__ import annotations

import asyncio
import json
import urllib.error
import urllib.request
from abc import ABC, abstractmethod
from typing import Any


class Api(ABC):
    """Calls of whatever has a ``url`` and a ``token``."""

    @property
    @abstractmethod
    def url(self) -> str:
        """Where its API answers."""

    @property
    @abstractmethod
    def token(self) -> str:
        """What opens it."""

    async def get(self, path: str) -> Any:
        """The answer; OSError (HTTPError too) if there is none."""
        return await asyncio.to_thread(self._request, path, None)

    async def post(self, path: str, **keys: Any) -> Any:
        """The answer to a POST."""
        return await asyncio.to_thread(self._request, path, json.dumps(keys).encode())

    async def wrong(self) -> str:
        """What /readyz says is wrong; nothing if an alarm would be taken now."""
        try:
            await self.get("/readyz")
        except urllib.error.HTTPError as error:
            return error.read().decode()
        except OSError as error:
            return f"no answer: {error}"
        return ""

    async def events(self, *types: str) -> list[dict[str, Any]]:
        """All events of the feed so far, or those of these types."""
        found: list[dict[str, Any]] = []
        after = 0
        query = f"&types={','.join(types)}" if types else ""
        while True:
            page = await self.get(f"/api/v1/events?after={after}&limit=1000{query}")
            if not page["events"]:
                return found
            found += page["events"]
            after = page["next"]

    def _request(self, path: str, body: bytes | None) -> Any:
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
        request = urllib.request.Request(self.url + path, data=body, headers=headers)
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)
