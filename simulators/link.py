"""A bad network: a relay on TCP that is slow, and that a tunnel cuts."""

from __future__ import annotations

import asyncio
import contextlib
from types import TracebackType
from typing import NamedTuple, Self

from edge.connections import Connections

CHUNK_BYTES = 4096


class Address(NamedTuple):
    """Where something listens."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> Address:
        """``HOST:PORT``; raise ValueError."""
        host, colon, port = text.rpartition(":")
        if not (colon and host and port.isdecimal() and int(port) < 65536):
            raise ValueError(f"expected HOST:PORT, got {text!r}")
        return cls(host.strip("[]"), int(port))

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


class Relay:
    """Listens on the loopback interface and carries bytes both ways to ``target``.

    Each chunk takes ``latency_s`` and its length over ``bytes_per_s``, which may change
    meanwhile. While it is cut, connections break and new ones are dropped as soon as accepted.
    Nothing passes the ``gate`` while somebody else holds it.
    """

    def __init__(
        self, target: Address, *, latency_s: float = 0.0, bytes_per_s: float = float("inf")
    ) -> None:
        self._target = target
        self.latency_s, self.bytes_per_s = latency_s, bytes_per_s
        self._server: asyncio.Server | None = None
        self._carried = Connections(self._accept)
        self._cut = False
        self.gate = asyncio.Lock()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._carried.accept, "127.0.0.1", 0)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._server is not None
        await self._carried.close(self._server)

    @property
    def address(self) -> Address:
        """Where it listens."""
        assert self._server is not None
        return Address(*self._server.sockets[0].getsockname()[:2])

    async def cut(self) -> None:
        """Into the tunnel."""
        self._cut = True
        await self._carried.drop()

    def restore(self) -> None:
        """Out of the tunnel."""
        self._cut = False

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._cut:
            writer.transport.abort()
            return
        try:
            await self._carry_both(reader, writer)
        except OSError:
            pass  # either end is gone
        finally:
            writer.transport.abort()

    async def _carry_both(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection(*self._target)
        try:
            ways = [
                asyncio.create_task(self._carry(reader, far_writer), name="relay up"),
                asyncio.create_task(self._carry(far_reader, writer), name="relay down"),
            ]
            try:
                await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for way in ways:
                    way.cancel()
                await asyncio.gather(*ways, return_exceptions=True)
        finally:
            far_writer.transport.abort()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while chunk := await reader.read(CHUNK_BYTES):
                await asyncio.sleep(self.latency_s + len(chunk) / self.bytes_per_s)
                async with self.gate:
                    writer.write(chunk)
                await writer.drain()
            with contextlib.suppress(asyncio.CancelledError):
                writer.close()
                await writer.wait_closed()
