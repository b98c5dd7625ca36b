"""What every test gets: a broker when asked for, and a check that nothing is left behind."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests import parts


@pytest.fixture
def broker_port(tmp_path: Path) -> Iterator[int]:
    """The port of a real Mosquitto that lets everyone in."""
    with parts.mosquitto(tmp_path) as (port, _):
        yield port


@pytest.fixture(autouse=True)
def _nothing_left_behind() -> Iterator[None]:
    """Fail a test that leaves a thread or a child process running."""
    threads = set(threading.enumerate())
    children = {child.pid for child in psutil.Process().children(recursive=True)}
    yield
    deadline = time.monotonic() + 2
    while True:
        left: list[object] = [
            t
            for t in threading.enumerate()
            if t not in threads and not t.name.startswith("asyncio_")
        ]
        left += [
            c
            for c in psutil.Process().children(recursive=True)
            if c.pid not in children and c.status() != psutil.STATUS_ZOMBIE
        ]
        if not left:
            return
        if time.monotonic() > deadline:
            pytest.fail(f"left behind: {left}")
        time.sleep(0.02)  # a thread that was told to stop takes a moment
