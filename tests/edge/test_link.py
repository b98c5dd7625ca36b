"""The link: protocol versions, the last will, backoff, brokers that drop or hang up."""

from __future__ import annotations

import asyncio
import random
import shutil
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest

from edge.agent import Agent
from edge.config import Broker, Tls
from edge.connections import Connections
from edge.link import BACKOFF_MAX_S, BACKOFF_URGENT_S, STEADY_S, Backoff
from protocols.native.topics import Up
from tests import parts
from tests.edge.stand_in import StandInGateway, config

CONNECT, CONNACK_V311_REFUSED = 0x10, b"\x20\x02\x00\x01"
Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Between:
    """A TCP proxy in front of the broker that counts connections and can cut them."""

    def __init__(self, broker_port: int, *, refuse_v5: bytes | None = None) -> None:
        self._broker_port, self._refuse_v5 = broker_port, refuse_v5
        self.versions: list[int] = []
        self.writers: set[asyncio.StreamWriter] = set()
        self.came = asyncio.Event()

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readexactly(2)
        head += await reader.read(4096)
        version = head[head.index(b"MQTT") + 4]
        self.versions.append(version)
        self.came.set()
        if version == 5 and self._refuse_v5 is not None:
            writer.write(self._refuse_v5)
            writer.close()
            return
        there_reader, there = await asyncio.open_connection("127.0.0.1", self._broker_port)
        self.writers |= {writer, there}
        there.write(head)
        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(_pass(reader, there))
                both.create_task(_pass(there_reader, writer))
        finally:
            there.transport.abort()

    def cut(self) -> None:
        """Drop all connections without a word."""
        for writer in self.writers:
            writer.transport.abort()
        self.writers.clear()


async def _pass(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(4096):
            writer.write(data)
    except ConnectionError:
        pass
    finally:
        writer.close()


@asynccontextmanager
async def listening(handler: Handler) -> AsyncIterator[int]:
    port = parts.free_port()
    connections = Connections(handler)
    server = await asyncio.start_server(connections.accept, "127.0.0.1", port)
    try:
        yield port
    finally:
        await connections.close(server)


@pytest.mark.parametrize("answer", [CONNACK_V311_REFUSED, b""], ids=["refused", "hung_up"])
async def test_a_broker_that_knows_only_3_1_1_is_spoken_to_in_that(
    broker_port: int, tmp_path: Path, answer: bytes
) -> None:
    between = Between(broker_port, refuse_v5=answer)
    async with listening(between) as port, StandInGateway(broker_port) as gateway:
        async with Agent(config(port, tmp_path), rng=_Impatient()) as agent:
            track = agent.press()
            await gateway.alarms()
            async for step in track.follow():
                if step.stage == "stored":
                    break
        await gateway.presence(online=False)
    assert between.versions[:2] == [5, 4]


async def test_a_cut_connection_leaves_a_will_of_this_boot_and_comes_back(
    broker_port: int, tmp_path: Path
) -> None:
    between = Between(broker_port)
    async with (
        listening(between) as port,
        StandInGateway(broker_port, receipting=False) as gateway,
        Agent(config(port, tmp_path), rng=_Impatient()) as agent,
    ):
        await gateway.presence(online=True)
        between.cut()
        will = await gateway.presence(online=False)
        assert will.boot == agent.boot
        await gateway.until(lambda: len([p for p in gateway.of(Up.PRESENCE) if p.online]) >= 2)


async def test_presence_is_retained(broker_port: int, tmp_path: Path) -> None:
    async with StandInGateway(broker_port) as gateway, Agent(config(broker_port, tmp_path)):
        await gateway.presence(online=True)
    async with StandInGateway(broker_port) as later:
        offline = await later.presence(online=False)
        assert offline.online is False
        assert [taken.retained for taken in later.taken] == [True]


async def test_an_alarm_that_was_under_way_at_a_cut_is_sent_again_at_once(
    broker_port: int, tmp_path: Path
) -> None:
    between = Between(broker_port)
    async with (
        listening(between) as port,
        StandInGateway(broker_port, receipting=False) as gateway,
        Agent(config(port, tmp_path), rng=_Impatient()) as agent,
    ):
        agent.press()
        await gateway.alarms(1)
        between.cut()
        first, again = (await gateway.alarms(2))[:2]
        assert first == again


async def test_a_broker_that_drops_an_accepted_connection_at_once_is_not_hammered(
    tmp_path: Path,
) -> None:
    waits: list[float] = []

    class Told(random.Random):
        def uniform(self, a: float, b: float) -> float:
            waits.append(b)
            return 0.0

    enough = asyncio.Event()

    async def accept_and_drop(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(4096)
        writer.write(b"\x20\x03\x00\x00\x00")  # CONNACK of MQTT 5: accepted
        await writer.drain()
        writer.close()
        if len(waits) >= 7:
            enough.set()

    async with (
        listening(accept_and_drop) as port,
        Agent(config(port, tmp_path), rng=Told()),
    ):
        await asyncio.wait_for(enough.wait(), 30)
    assert waits[:7] == [1, 2, 4, 8, 16, 30, 30]


@pytest.mark.skipif(shutil.which("openssl") is None, reason="no openssl to make a certificate")
async def test_a_broker_behind_tls_is_reached(tmp_path: Path) -> None:
    certificate, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    await asyncio.to_thread(_make_certificate, certificate, key)
    plain = parts.free_port()
    lines = ["allow_anonymous true", f"certfile {certificate}", f"keyfile {key}"]
    lines += ["user root"]  # who may read the key, if the test runs as root
    with parts.mosquitto(tmp_path, *lines, f"listener {plain} 127.0.0.1") as (port, process):
        parts.wait_for_port(plain, process)
        settings = msgspec.structs.replace(
            config(port, tmp_path),
            broker=Broker(host="127.0.0.1", port=port, tls=Tls(ca_file=str(certificate))),
        )
        async with StandInGateway(plain) as gateway, Agent(settings) as agent:
            for zone in range(50):
                agent.press(text="x" * 1000, zone=str(zone))
            await gateway.alarms(50)


def test_backoff_has_full_jitter_and_ends_with_a_steady_connection() -> None:
    backoff = Backoff(random.Random(1))
    waits = [backoff.after(0) for _ in range(300)]
    assert all(0 <= wait <= BACKOFF_MAX_S for wait in waits)
    assert min(waits[10:]) < 1
    assert max(waits[10:]) > 29
    assert max(backoff.after(0, urgent=True) for _ in range(50)) <= BACKOFF_URGENT_S
    assert backoff.after(STEADY_S) <= 1.0


class _Impatient(random.Random):
    """Jitter that never waits."""

    def uniform(self, a: float, b: float) -> float:
        return 0.0


def _make_certificate(certificate: Path, key: Path) -> None:
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
         "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1",
         "-out", certificate, "-keyout", key],
        check=True, capture_output=True,
    )  # fmt: skip
