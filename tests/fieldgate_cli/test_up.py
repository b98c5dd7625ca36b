"""`fieldgate up`: what keeps it from starting is said in a sentence."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow  # whole processes, real time


def up(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Its end, when it cannot start."""
    command = [sys.executable, "-m", "fieldgate", "up", "--data", str(folder), *options]
    return subprocess.run(command, check=False, capture_output=True, text=True, timeout=30)


def test_a_taken_port_is_named(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        taken = f"127.0.0.1:{server.getsockname()[1]}"
        for options in (
            ("--mqtt", taken, "--http", "127.0.0.1:0"),
            ("--mqtt", "127.0.0.1:0", "--http", taken),
        ):
            ended = up(tmp_path, *options)
            assert ended.returncode == 1
            assert taken.rpartition(":")[2] in ended.stderr
            assert "Traceback" not in ended.stderr, ended.stderr


def test_a_wrong_secret_is_named(tmp_path: Path) -> None:
    settings = tmp_path / "gateway.toml"
    settings.write_text('[[webhooks]]\nurl = "http://127.0.0.1:9/"\nsecret = "whsec_!!!"\n')
    ended = up(
        tmp_path / "data", "--config", str(settings),
        "--mqtt", "127.0.0.1:0", "--http", "127.0.0.1:0",
    )  # fmt: skip
    assert ended.returncode == 1
    assert "webhooks: secret" in ended.stderr
    assert "Traceback" not in ended.stderr, ended.stderr
