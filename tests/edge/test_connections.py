"""A server that ends leaves no connection open, at whatever moment it came."""

from __future__ import annotations

import asyncio
import gc
import socket
from collections.abc import Callable

import pytest
import uvloop

from edge.connections import Connections


async def listen(connections: Connections) -> tuple[asyncio.Server, socket.socket]:
    """A server, and a client whom the kernel has connected: the server does not know it yet."""
    server = await asyncio.start_server(connections.accept, "127.0.0.1", 0)
    client = socket.create_connection(server.sockets[0].getsockname(), timeout=30)
    return server, client


def hears_the_end(client: socket.socket) -> bool:
    with client:
        try:
            while client.recv(1 << 20):
                pass
        except ConnectionResetError:
            pass
    return True


@pytest.mark.parametrize("loop", [asyncio.new_event_loop, uvloop.new_event_loop])
@pytest.mark.parametrize("turns", range(8))
def test_a_connection_at_any_turn_of_the_loop_ends_with_the_server(
    turns: int, loop: Callable[[], asyncio.AbstractEventLoop]
) -> None:
    async def serve(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        await reader.read()

    async def connected() -> socket.socket:
        connections = Connections(serve)
        server, client = await listen(connections)
        for _ in range(turns):
            await asyncio.sleep(0)
        await connections.close(server)
        assert len(connections) == 0
        return client

    with asyncio.Runner(loop_factory=loop) as runner:
        client = runner.run(connected())
    gc.collect()  # what was left open says so now, and fails the test
    assert hears_the_end(client)


async def test_a_client_that_reads_nothing_does_not_hold_up_the_end() -> None:
    answered = asyncio.Event()

    async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(bytes(1 << 24))  # more than the kernel takes
        answered.set()

    connections = Connections(serve)
    server, client = await listen(connections)
    await answered.wait()
    await asyncio.wait_for(connections.close(server), 30)
    assert await asyncio.to_thread(hears_the_end, client)


async def test_what_fails_is_logged_and_hangs_up(caplog: pytest.LogCaptureFixture) -> None:
    async def serve(_: asyncio.StreamReader, __: asyncio.StreamWriter) -> None:
        raise LookupError("no such zone")

    connections = Connections(serve)
    server, client = await listen(connections)
    assert await asyncio.to_thread(hears_the_end, client)
    assert "no such zone" in caplog.text
    await connections.close(server)


async def test_all_can_be_dropped_while_the_server_goes_on() -> None:
    came = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        came.set()
        writer.write(await reader.readline())

    connections = Connections(serve)
    server, client = await listen(connections)
    client.setblocking(False)
    reader, writer = await asyncio.open_connection(sock=client)
    await came.wait()
    await connections.drop()
    assert await reader.read() == b""
    writer.close()
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    writer.write(b"still there?\n")
    assert await reader.read() == b"still there?\n"
    writer.close()
    await writer.wait_closed()
    await connections.close(server)
