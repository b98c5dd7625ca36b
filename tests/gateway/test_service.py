"""What systemd is told, on a socket of ours in its place."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import sqlite3
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway import app, health
from gateway.config import Settings
from gateway.journal import sqlite
from gateway.journal.database import transaction
from gateway.service import Service
from tests.parts import free_port


class Manager:
    """Stands in for systemd: what it was told, in order."""

    def __init__(self, folder: Path) -> None:
        self.path = str(folder / "notify")
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(self.path)
        self._socket.setblocking(False)

    def close(self) -> None:
        self._socket.close()

    async def next(self) -> str:
        """The next thing that it is told."""
        async with asyncio.timeout(30):
            return (await asyncio.get_running_loop().sock_recv(self._socket, 1024)).decode()

    async def until(self, line: str) -> None:
        """Return when it is told that."""
        while await self.next() != line:
            pass

    def told(self) -> list[str]:
        """What it was told since."""
        lines = []
        with contextlib.suppress(BlockingIOError):
            while True:
                lines.append(self._socket.recv(1024).decode())
        return lines


@pytest.fixture
def manager(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Manager]:
    each = Manager(tmp_path)
    monkeypatch.setenv("NOTIFY_SOCKET", each.path)
    yield each
    each.close()


async def test_a_change_is_told_once_and_the_end_too(manager: Manager) -> None:
    with Service() as service:
        service.ready()
        service.status("the telemetry lane has no broker")
        service.status("the telemetry lane has no broker")
        service.status("")
        service.alive()
    assert manager.told() == [
        "READY=1",
        "STATUS=the telemetry lane has no broker",
        "STATUS=",
        "WATCHDOG=1",
        "STOPPING=1",
    ]


async def test_without_a_service_manager_nothing_is_told(
    manager: Manager, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET")
    with Service() as service:
        service.ready()
    assert manager.told() == []


async def test_the_watchdog_hears_of_commits_alone(
    manager: Manager, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The event loop is well, and answers: only the journal's writer hangs."""
    monkeypatch.setattr(health, "BEAT_EVERY_S", 0.05)
    monkeypatch.setattr(health, "BEAT_LATE_S", 0.5)
    hangs, go_on = threading.Event(), threading.Event()

    @contextlib.contextmanager
    def hanging(connection: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
        with transaction(connection):
            yield connection
            if hangs.is_set():
                go_on.wait(30)

    monkeypatch.setattr(sqlite, "transaction", hanging)
    stop = asyncio.Event()
    settings = Settings(
        data=str(tmp_path / "data"), mqtt=f"127.0.0.1:{free_port()}", http="127.0.0.1:0"
    )
    running = asyncio.create_task(app.run(settings, lambda ready: None, stop))
    await manager.until("READY=1")
    await manager.until("WATCHDOG=1")
    hangs.set()
    while not (said := await manager.next()).startswith("STATUS=not ready: no commit"):
        assert said == "WATCHDOG=1" or said.startswith("STATUS=")
    http = json.loads((tmp_path / "data/gateway.json").read_bytes())["http"]
    assert "no commit" in await asyncio.to_thread(_asked, f"{http}/readyz")
    assert "WATCHDOG=1" not in manager.told()
    hangs.clear()
    go_on.set()
    await manager.until("WATCHDOG=1")
    stop.set()
    await manager.until("STOPPING=1")
    await running


def _asked(url: str) -> str:
    try:
        with urllib.request.urlopen(url, timeout=30) as answer:
            return str(answer.read())
    except urllib.error.HTTPError as refusal:
        return str(refusal.read())
