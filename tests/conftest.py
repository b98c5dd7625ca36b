"""What every test gets: a broker when asked for, and a check that nothing is left behind."""

from __future__ import annotations

import contextlib
import gc
import threading
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import hypothesis
import psutil
import pytest

from tests import parts

if TYPE_CHECKING:
    from playwright.async_api import Browser

# Without a deadline for each example: machines are shared.
hypothesis.settings.register_profile("shared machine", deadline=None, max_examples=60)
hypothesis.settings.load_profile("shared machine")


def pytest_collection_finish() -> None:
    """Have the collector leave out what all tests share: some tests, and the boxes, call it."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
async def chromium() -> AsyncIterator[Browser]:
    """A real Chromium, one for all tests: each opens contexts of its own."""
    from tests.edge.panel_parts import browser

    async with browser() as running:
        yield running


@pytest.fixture
def broker_port(tmp_path: Path) -> Iterator[int]:
    """The port of a real Mosquitto that lets everyone in."""
    with parts.mosquitto(tmp_path) as (port, _):
        yield port


@pytest.fixture(autouse=True)
def _nothing_left_behind() -> Iterator[None]:
    """Fail a test that leaves a thread or a child process running."""
    threads, children = set(threading.enumerate()), _children()
    yield
    deadline = time.monotonic() + 10
    while True:
        left: list[object] = [
            t
            for t in threading.enumerate()
            if t not in threads and not t.name.startswith("asyncio_")
        ]
        left += [pid for pid in _children() - children if not _is_zombie(pid)]
        if not left:
            return
        if time.monotonic() > deadline:
            pytest.fail(f"left behind: {left}")
        time.sleep(0.02)  # a thread that was told to stop takes a moment


def _children() -> set[int]:
    """The process ids of our children, by the kernel's own list: psutil reads all of /proc."""
    found: set[int] = set()
    for each in Path("/proc/self/task").glob("*/children"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # a thread that has ended
            found.update(map(int, each.read_text().split()))
    return found


def _is_zombie(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True
