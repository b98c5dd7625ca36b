"""Real parts for tests: started on free ports, stopped and waited for."""

from __future__ import annotations

import contextlib
import secrets
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

_PORTS = range(10_000, 32_000)
"""Below those that the kernel gives to whoever connects or asks for any."""


def free_port() -> int:
    """A free TCP port of the loopback interface that no other test is given while this one runs.

    Each is claimed by a name in the kernel, which goes when this process ends: what is tried here
    starts on its port later, and again after a crash, while other workers look for ports too.
    """
    while True:
        port = secrets.choice(_PORTS)
        claim = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        try:
            claim.bind(f"\0fieldgate-test-port-{port}")
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", port))
        except OSError:
            claim.close()
            continue
        claim.detach()  # it stays open until then
        return port


def wait_for_port(port: int, process: subprocess.Popen[bytes], timeout_s: float = 30) -> None:
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
        process.wait(30)
