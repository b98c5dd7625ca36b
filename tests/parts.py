"""Real parts for tests: started on free ports, stopped and waited for."""

from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest


def free_port() -> int:
    """A TCP port of the loopback interface that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wait_for_port(port: int, process: subprocess.Popen[bytes], timeout_s: float = 10) -> None:
    """Return when something listens there; fail if the process ends first."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        if process.poll() is not None:
            pytest.fail(f"{process.args!r} ended with status {process.returncode}")
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.02)  # nothing tells when a foreign process listens
    pytest.fail(f"{process.args!r} does not listen on port {port}")


@contextlib.contextmanager
def mosquitto(
    folder: Path, *lines: str, port: int | None = None, persistent: bool = False
) -> Iterator[tuple[int, subprocess.Popen[bytes]]]:
    """A real Mosquitto: yields its port and process. Without ``lines`` it lets everyone in."""
    program = shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin")
    assert program is not None, "mosquitto is not installed: run `make setup`"
    port = port or free_port()
    config = folder / f"mosquitto-{port}.conf"
    text = [f"listener {port} 127.0.0.1", "set_tcp_nodelay true"]
    text += lines or ("allow_anonymous true",)
    if persistent:
        text += ["persistence true", f"persistence_location {folder}/", "autosave_interval 1"]
    config.write_text("\n".join(text) + "\n")
    with (folder / f"mosquitto-{port}.log").open("ab") as log:
        process = subprocess.Popen([program, "-c", str(config)], stdout=log, stderr=log)
    try:
        wait_for_port(port, process)
        yield port, process
    finally:
        process.terminate()
        process.wait(10)
