"""The telemetry lane's client at a real Mosquitto: what it hears, and that it comes back."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
import uvloop
from paho.mqtt import publish

from gateway.ingress import bulk
from gateway.ingress.bulk import BulkClient
from gateway.ingress.mqtt import Account
from protocols.mqtt import Publish
from tests.parts import mosquitto


class Ear:
    """A running client and what it has heard."""

    def __init__(self, client: BulkClient) -> None:
        self.client = client
        self.heard: list[Publish] = []
        self._more = asyncio.Event()

    def take(self, publishes: list[Publish]) -> None:
        self.heard += publishes
        self._more.set()

    async def until(self, is_so: Callable[[], bool], timeout_s: float = 30) -> None:
        async with asyncio.timeout(timeout_s):
            while not is_so():
                self._more.clear()
                await self._more.wait()


@contextlib.asynccontextmanager
async def ear(port: int, name: str = "ear") -> AsyncIterator[Ear]:
    account = Account("127.0.0.1", port, None, None, name)
    listening = Ear(BulkClient(account, [("field/v1/+/up/#", 1)], receive_maximum=10))
    task = asyncio.create_task(listening.client.run(listening.take))
    try:
        async with asyncio.timeout(30):
            await listening.client.wait_connected()
        yield listening
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def say(port: int, *payloads: bytes, qos: int) -> None:
    messages: list[Any] = [("field/v1/car-1/up/pos", payload, qos, False) for payload in payloads]
    await asyncio.to_thread(publish.multiple, messages, "127.0.0.1", port)


async def test_it_hears_all_in_order_and_acknowledges_what_wants_it(tmp_path: Path) -> None:
    with mosquitto(tmp_path) as (port, _):
        async with ear(port) as listening:
            sent = [b"%d" % n for n in range(100)]  # ten times what may be under way at once
            await say(port, *sent, qos=1)
            await say(port, b"last", qos=0)
            await listening.until(lambda: len(listening.heard) == 101)
            # Without acknowledgements one may overtake those that wait for theirs.
            heard = [payload for *_, payload in listening.heard]
            assert sorted(heard, key=b"last".__eq__) == [*sent, b"last"]
            assert {topic for _, topic, *_ in listening.heard} == {b"field/v1/car-1/up/pos"}


async def test_what_came_while_it_was_away_waits_for_it(tmp_path: Path) -> None:
    with mosquitto(tmp_path) as (port, _):
        async with ear(port):
            pass
        await say(port, b"meanwhile", qos=1)
        async with ear(port) as listening:
            await listening.until(lambda: len(listening.heard) == 1)


async def test_what_it_sends_comes_to_those_who_listen_and_is_done_with(tmp_path: Path) -> None:
    with mosquitto(tmp_path, "allow_anonymous true", "max_inflight_messages 5") as (port, _):
        async with ear(port) as speaker, ear(port, "other") as listening:
            sent = [b"%d" % n for n in range(20)]
            for payload in sent:
                while not speaker.client.publish("field/v1/car-1/up/x", payload, expiry_s=60):
                    await asyncio.sleep(0)  # five may be under way
            await listening.until(lambda: len(listening.heard) == 20)
            assert [payload for *_, payload in listening.heard] == sent


async def test_it_comes_back_when_the_broker_does(tmp_path: Path) -> None:
    with mosquitto(tmp_path) as (port, first):
        async with ear(port) as listening:
            first.kill()
            await asyncio.to_thread(first.wait)
            with mosquitto(tmp_path, port=port):
                while not listening.heard:
                    await say(port, b"again", qos=1)
                    with contextlib.suppress(TimeoutError):
                        await listening.until(lambda: bool(listening.heard), timeout_s=1)


@pytest.mark.slow
async def test_a_broker_that_is_silent_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulk, "KEEPALIVE_S", 1)
    with mosquitto(tmp_path) as (port, process):
        async with ear(port) as listening:
            process.send_signal(signal.SIGSTOP)
            try:
                async with asyncio.timeout(30):
                    while listening.client.is_connected:
                        await asyncio.sleep(0.05)
            finally:
                process.send_signal(signal.SIGCONT)
            async with asyncio.timeout(30):
                await listening.client.wait_connected()


@pytest.mark.parametrize("turns", range(12))
def test_it_can_be_stopped_at_any_turn_of_the_loop_while_it_connects(turns: int) -> None:
    async def stopped() -> None:
        client = BulkClient(account, [("#", 1)], receive_maximum=10)
        running = asyncio.create_task(client.run(lambda _: None))
        for _ in range(turns):
            await asyncio.sleep(0)
        running.cancel()
        await asyncio.wait([running])
        assert running.cancelled()

    with socket.create_server(("127.0.0.1", 0)) as server:
        host, port = server.getsockname()
        account = Account(host, port, "gateway", "secret")
        uvloop.run(stopped())


async def test_a_broker_that_refuses_is_asked_again(tmp_path: Path) -> None:
    with mosquitto(tmp_path, "allow_anonymous false") as (port, _):
        client = BulkClient(
            Account("127.0.0.1", port, "nobody", "guess"), [("#", 1)], receive_maximum=10
        )
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1):
                await client.run(lambda _: None)
        assert not client.is_connected
