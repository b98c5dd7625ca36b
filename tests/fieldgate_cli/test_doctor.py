"""`fieldgate doctor`: what it finds on this machine, and what it says is missing."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from typer.testing import CliRunner

from fieldgate import checkup
from fieldgate.cli import app

ANY = ("--mqtt", "127.0.0.1:0", "--http", "127.0.0.1:0")


def examine(*arguments: object, status: int = 0) -> dict[str, dict[str, Any]]:
    result = CliRunner().invoke(app, ["doctor", *(str(a) for a in arguments), "--json"])
    assert result.exit_code == status, result.output
    answer = json.loads(result.output)
    assert answer["ok"] == (status == 0)
    return {check["name"]: check for check in answer["checks"]}


@pytest.fixture
def taken() -> Iterator[int]:
    """A port that somebody else listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_a_machine_with_all_that_up_needs_is_well(tmp_path: Path) -> None:
    checks = examine("--data", tmp_path / "new", *ANY)
    assert checks["mosquitto"]["found"].startswith("version 2")
    assert checks["fsync"]["found"].endswith("median of 20")
    assert not any(check["grade"] == "missing" for check in checks.values())
    assert not list(tmp_path.iterdir()), "it leaves nothing behind"


def test_without_mosquitto_it_says_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkup, "PATH", str(tmp_path))
    checks = examine("--data", tmp_path, *ANY, status=1)
    assert checks["mosquitto"]["grade"] == "missing"
    assert checks["mosquitto"]["advice"] == "apt-get install mosquitto"
    assert checks["gpsfake (tests)"]["grade"] == "optional"


def test_an_old_mosquitto_is_not_enough(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mosquitto").write_text("#!/bin/sh\necho mosquitto version 1.6.12\n")
    (tmp_path / "mosquitto").chmod(0o755)
    monkeypatch.setattr(checkup, "PATH", f"{tmp_path}:{checkup.PATH}")
    checks = examine("--data", tmp_path, *ANY, status=1)
    assert "1.6.12" in checks["mosquitto"]["found"]


def test_a_port_that_is_taken_keeps_up_from_running(tmp_path: Path, taken: int) -> None:
    checks = examine(
        "--data", tmp_path, "--mqtt", f"127.0.0.1:{taken}", "--http", "127.0.0.1:0", status=1
    )
    assert checks[f"port {taken} (mqtt)"]["grade"] == "missing"


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("root writes everywhere")
    tmp_path.chmod(0o500)
    assert examine("--data", tmp_path, *ANY, status=1)["fsync"]["grade"] == "missing"


@pytest.mark.slow
def test_a_running_gateway_is_found_and_its_ports_are_its_own(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "from fieldgate.cli import main; main()", "up", "--json"]
    with subprocess.Popen(
        [*command, "--data", str(tmp_path), *ANY], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as gateway:
        try:
            assert gateway.stdout is not None
            ready = json.loads(gateway.stdout.readline())
            checks = examine(
                *("--data", tmp_path),
                *("--mqtt", ready["mqtt"]),
                *("--http", ready["http"].removeprefix("http://")),
            )
            assert checks[f"gateway of {tmp_path}"]["found"] == f"ready at {ready['http']}"
            ports = [check for name, check in checks.items() if name.startswith("port ")]
            assert [check["found"] for check in ports] == ["this gateway's"] * 2
        finally:
            gateway.terminate()
            gateway.wait(30)
    assert examine("--data", tmp_path, *ANY)[f"gateway of {tmp_path}"]["found"] == "does not run"


def test_a_number_that_another_process_has_by_now_is_no_gateway(tmp_path: Path) -> None:
    """After a power cut the file is still there, and its pid may be anybody's."""
    ready = {"ready": True, "mqtt": "127.0.0.1:1", "http": "http://127.0.0.1:1", "pid": os.getpid()}
    path = tmp_path / "gateway.json"
    path.write_text(json.dumps(ready))
    before = psutil.Process().create_time() - 60
    os.utime(path, (before, before))
    name = f"gateway of {tmp_path}"
    assert examine("--data", tmp_path, *ANY)[name]["found"] == "does not run"
    os.utime(path)
    assert examine("--data", tmp_path, *ANY)[name]["grade"] == "poor"
