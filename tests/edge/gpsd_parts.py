"""A stand-in gpsd that says what a test wants, and a real one fed by gpsfake."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

import gpsd
import pytest

from edge.connections import Connections
from edge.sources.gps import Gps
from protocols.model import Position
from tests import parts

BANNER = '{"class":"VERSION","release":"3.22","rev":"3.22","proto_major":3,"proto_minor":14}'
DEVICES = '{"class":"DEVICES","devices":[{"class":"DEVICE","path":"/dev/ttyS0","activated":"now"}]}'
WATCHING = '{"class":"WATCH","enable":true,"json":true}'
UNPLUGGED = '{"class":"DEVICE","path":"/dev/ttyS0","activated":0}'


class FakeGpsd:
    """gpsd's side of the socket: a banner, an answer to ``?WATCH``, then what the test says."""

    def __init__(self, port: int = 0, poll: str = "") -> None:
        self.port, self._poll = port, poll
        self._watchers: set[asyncio.StreamWriter] = set()
        self._clients = Connections(self._serve)
        self.connections: asyncio.Queue[None] = asyncio.Queue()

    async def __aenter__(self) -> FakeGpsd:
        self._server = await asyncio.start_server(self._clients.accept, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        await self._clients.close(self._server)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(f"{BANNER}\r\n".encode())
        try:
            while request := await reader.readline():
                if request.startswith(b"?WATCH"):
                    writer.write(f"{DEVICES}\r\n{WATCHING}\r\n".encode())
                    self._watchers.add(writer)
                    self.connections.put_nowait(None)
                elif request.startswith(b"?POLL"):
                    writer.write(f"{self._poll}\r\n".encode())
        except ConnectionError:
            pass  # the client is gone
        finally:
            self._watchers.discard(writer)

    def say(self, *lines: str | bytes) -> int:
        """To everyone who watches; how many that are."""
        for writer in self._watchers:
            for line in lines:
                writer.write((line.encode() if isinstance(line, str) else line) + b"\r\n")
        return len(self._watchers)

    def hang_up(self) -> None:
        for writer in self._watchers:
            writer.close()


@contextlib.asynccontextmanager
async def running(gps: Gps) -> AsyncIterator[asyncio.Queue[Position]]:
    """The client at work: yields its fixes as they come."""
    fixes: asyncio.Queue[Position] = asyncio.Queue()
    task = asyncio.create_task(gps.run(fixes.put_nowait), name="gps")
    try:
        yield fixes
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def until(condition: Callable[[], bool], timeout_s: float = 30) -> None:
    """Return when the condition holds."""
    async with asyncio.timeout(timeout_s):
        while not condition():  # a state that is read has no event
            await asyncio.sleep(0.005)


async def take(fixes: asyncio.Queue[Position], count: int = 1) -> list[Position]:
    async with asyncio.timeout(30):
        return [await fixes.get() for _ in range(count)]


class Player(NamedTuple):
    """A gpsd, and the gpsfake that is its receiver."""

    port: int
    process: subprocess.Popen[bytes]

    def go(self) -> None:
        """Let a receiver that is held begin."""
        self.process.send_signal(signal.SIGCONT)


@contextlib.contextmanager
def real_gpsd(
    log: Path, folder: Path, seconds_per_sentence: float = 0.01, *, held: bool = False
) -> Iterator[Player]:
    """A real gpsd whose receiver plays the log once, a second after the port listens, or
    after ``go`` if it is held.

    gpsfake in single-shot mode never ends and ignores SIGTERM, so it has its own
    process group.
    """
    if shutil.which("gpsfake") is None:
        pytest.skip("gpsfake is not installed (Debian: gpsd, gpsd-clients)")
    port = parts.free_port()
    command = ["gpsfake", "-q", "-n", "-1", "-c", str(seconds_per_sentence), "-P", str(port)]
    with (folder / "gpsfake.log").open("ab") as output:
        process = subprocess.Popen(
            [*command, str(log)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            env={**os.environ, "TMPDIR": str(folder)},
        )
    try:
        parts.wait_for_port(port, process)
        if held:
            # Not sooner: gpsd answers nobody while gpsfake is telling it of the device.
            _wait_for_device(port)
            process.send_signal(signal.SIGSTOP)  # gpsfake alone: its gpsd goes on
        yield Player(port, process)
    finally:
        os.killpg(process.pid, signal.SIGKILL)  # and so its gpsd
        process.wait(30)


def _wait_for_device(port: int) -> None:
    with (
        socket.create_connection(("127.0.0.1", port), timeout=30) as connection,
        connection.makefile("rw") as said,
    ):
        for line in said:  # the banner, then an answer to each question
            if json.loads(line).get("devices"):
                return
            said.write("?DEVICES;\n")
            said.flush()
    pytest.fail("gpsd hung up before it knew its receiver")


async def watch(port: int, on_watching: Callable[[], None] | None = None) -> list[dict[str, Any]]:
    """All that gpsd says until its receiver is gone, by a client of the test's own."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 20)
    said: list[dict[str, Any]] = []
    try:
        writer.write(b'?WATCH={"enable":true,"json":true};\n')
        async with asyncio.timeout(60):
            while not (said and said[-1]["class"] == "DEVICE" and said[-1]["activated"] == 0):
                said.append(json.loads(await reader.readline()))
                if said[-1]["class"] == "WATCH" and on_watching is not None:
                    on_watching()
    finally:
        writer.close()
        await writer.wait_closed()
    return said


def track_of(said: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Of each time that gpsd reports with a fix, the last report."""
    reports = [r for r in said if r["class"] == "TPV" and r["mode"] >= 2 and "lat" in r]
    return list({r["time"]: r for r in reports if "time" in r}.values())


def places_of(said: list[dict[str, Any]]) -> list[tuple[float, float]]:
    """Every place that gpsd reports, in order, without repetitions."""
    return moves([(r["lat"], r["lon"]) for r in said if r["class"] == "TPV" and "lat" in r])


def moves(places: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """Places without repetitions."""
    return [place for n, place in enumerate(places) if n == 0 or place != places[n - 1]]


def as_due(report: dict[str, Any]) -> tuple[int, *tuple[object, ...]]:
    """Time (ms), lat, lon, fix, speed, heading and altitude of what gpsd reports."""
    t = round(datetime.fromisoformat(report["time"]).timestamp() * 1000)
    altitude_m = report.get("altHAE", report.get("altMSL")) if report["mode"] == 3 else None
    return (
        t, report["lat"], report["lon"], report["mode"], report.get("speed"),
        report.get("track"), altitude_m,
    )  # fmt: skip


def poll(port: int) -> Any:
    """What gpsd-py3 makes of a gpsd. It blocks, and keeps its connection in its module."""
    gpsd.connect("127.0.0.1", port)
    try:
        return gpsd.get_current()
    finally:
        gpsd.gpsd_stream.close()
        gpsd.gpsd_socket.close()


def sentence(body: str) -> str:
    """An NMEA sentence with its checksum."""
    checksum = 0
    for byte in body.encode("ascii"):
        checksum ^= byte
    return f"${body}*{checksum:02X}\r\n"


def patrol_log() -> str:
    """A receiver's log: no fix at first, a drive north through Zhangzhou, a tunnel, a drive."""
    lines = ["# Name: a patrol car in Zhangzhou\n", "# Date: 2026-11-01\n"]
    for second in range(24):
        clock = f"0800{second:02d}.00"
        fixed = 4 <= second < 14 or second >= 18
        place = f"24{30 + second * 0.009:07.4f},N,117{39 + second * 0.001:07.4f},E"
        ids = "03,07,08,11,13,16,,,,,,"
        if fixed:
            lines += [
                sentence(f"GPRMC,{clock},A,{place},31.5,005.7,011126,,,A"),
                sentence(f"GPGGA,{clock},{place},1,06,1.2,{18 + second:.1f},M,-4.0,M,,"),
                sentence(f"GPGSA,A,3,{ids},2.0,1.2,1.6"),
            ]
        else:
            lines += [
                sentence(f"GPRMC,{clock},V,,,,,,,011126,,,N"),
                sentence(f"GPGGA,{clock},,,,,0,00,,,M,,M,,"),
                sentence("GPGSA,A,1,,,,,,,,,,,,,,,"),
            ]
        lines += [
            sentence("GPGSV,2,1,06,03,41,050,46,07,60,317,49,08,34,315,45,11,35,148,45"),
            sentence("GPGSV,2,2,06,13,38,213,45,16,27,068,43"),
        ]
    return "".join(lines)
