"""Connections to a server of ours: each has its task, and none outlives the server.

asyncio's streams do not see to that. A task that is cancelled before its first step closes
nothing, and a connection that is accepted in the very turn in which its server closes belongs
to nobody.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from typing import TypeAlias

Serve: TypeAlias = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
log = logging.getLogger(__name__)


class Connections:
    """What is connected. A connection is closed when ``serve`` returns, and dropped when it is
    cancelled or fails."""

    def __init__(self, serve: Serve) -> None:
        self._serve = serve
        self._writers: dict[asyncio.Task[None], asyncio.StreamWriter] = {}

    def __len__(self) -> int:
        return len(self._writers)

    def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One more: give this to `asyncio.start_server`."""
        task = asyncio.create_task(self._attend(reader, writer), name="connection")
        self._writers[task] = writer
        task.add_done_callback(self._ended)

    async def drop(self) -> None:
        """End all that are there now."""
        tasks = list(self._writers)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    async def close(self, server: asyncio.Server) -> None:
        """End the server, and then all its connections."""
        loop = asyncio.get_running_loop()
        for listening in server.sockets:
            loop.remove_reader(listening)  # it accepts no more;
        for _ in range(2):
            await asyncio.sleep(0)  # what it has accepted gets its transport, and comes here
        server.close()
        await self.drop()

    async def _attend(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await self._serve(reader, writer)
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._writers.pop(task).transport.abort()  # nothing, where it is closed already
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("connection_failed", exc_info=error)
