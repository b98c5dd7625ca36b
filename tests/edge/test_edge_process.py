"""`fieldgate edge` as a process: killed, restarted, pressed from the command line, kept small."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests import parts
from tests.edge.stand_in import DEVICE, StandInGateway

FIELDGATE = Path(sys.executable).with_name("fieldgate")
MAX_RSS_MIB = 40.0


def write_config(folder: Path, port: int, *more: str) -> Path:
    path = folder / "agent.toml"
    lines = [
        f'device = "{DEVICE}"',
        'kind = "vehicle_terminal"',
        f'broker = {{ host = "127.0.0.1", port = {port} }}',
        f'spool = {{ folder = "{folder}/spool" }}',
        f'control = {{ socket = "{folder}/edge.sock" }}',
        *more,
    ]
    path.write_text("\n".join(lines))
    return path


@contextlib.contextmanager
def agent(config: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A running agent whose control socket answers."""
    with (config.parent / "agent.log").open("ab") as log:
        process = subprocess.Popen([FIELDGATE, "edge", "--config", config], stderr=log)
    try:
        while status(config).returncode != 0:
            assert process.poll() is None, (config.parent / "agent.log").read_text()
        yield process
    finally:
        process.terminate()
        process.wait(10)


def kill(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGKILL)
    process.wait(10)


def cli(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [FIELDGATE, "edge", *arguments], capture_output=True, text=True, timeout=20, check=False
    )


def status(config: Path) -> subprocess.CompletedProcess[str]:
    return cli("--config", config, "status", "--json")


def press(config: Path, *more: str) -> dict[str, Any]:
    answer = cli("press", "--config", config, "--json", *more)
    assert answer.returncode == 0, answer.stderr
    pressed: dict[str, Any] = json.loads(answer.stdout.splitlines()[-1])
    return pressed


@pytest.mark.slow
async def test_an_alarm_pressed_before_a_kill_arrives_after_it_under_the_same_id(
    tmp_path: Path,
) -> None:
    port = parts.free_port()
    config = write_config(tmp_path, port)
    with agent(config) as process:
        pressed = press(config)
        kill(process)
    with parts.mosquitto(tmp_path, port=port):
        async with StandInGateway(port) as gateway:
            with agent(config):
                [alarm] = await gateway.alarms()
                online = await gateway.presence(online=True)
                assert (alarm.boot, alarm.seq) == (pressed["boot"], pressed["seq"])
                assert online.boot == pressed["boot"] + 1
                stored = await asyncio.to_thread(press, config, "--kind=fire", "--wait=stored")
                assert (stored["boot"], stored["seq"]) == (online.boot, 1)
                assert stored["stage"] == "stored"


@pytest.mark.slow
async def test_an_alarm_that_only_the_broker_had_is_sent_again_after_a_kill(
    broker_port: int, tmp_path: Path
) -> None:
    config = write_config(tmp_path, broker_port)
    async with StandInGateway(broker_port, receipting=False) as gateway:
        with agent(config) as process:
            await asyncio.to_thread(press, config, "--wait=sent")
            kill(process)
        will = await gateway.presence(online=False)
        [first] = await gateway.alarms()
        assert will.boot == first.boot
        gateway.receipting = True
        with agent(config):
            first, again = await gateway.alarms(2)
            assert first == again
            deadline_s = time.monotonic() + 10
            while "alarm" in json.loads((await asyncio.to_thread(status, config)).stdout)["spool"]:
                assert time.monotonic() < deadline_s


@pytest.mark.slow
async def test_an_agent_is_small_and_idle(broker_port: int, tmp_path: Path) -> None:
    """Contract of section 3: under 40 MiB resident, under 2 % of a core; here at rest for 2 s."""
    config = write_config(tmp_path, broker_port)
    async with StandInGateway(broker_port) as gateway:
        with agent(config) as process:
            press(config)
            await gateway.alarms()
            watched = psutil.Process(process.pid)
            watched.cpu_percent()
            cpu_pct = watched.cpu_percent(2.0)
            rss_mib = watched.memory_info().rss / 2**20
    assert rss_mib < MAX_RSS_MIB
    assert cpu_pct < 2.0


def test_errors_of_the_command_line_name_the_field_and_the_value(tmp_path: Path) -> None:
    config = write_config(tmp_path, 1883, 'prefix = "a#b"')
    answer = cli("--config", config)
    assert answer.returncode == 2
    assert "prefix" in answer.stderr
    assert "a#b" in answer.stderr


def test_without_an_agent_a_press_fails_and_says_so(tmp_path: Path) -> None:
    answer = cli("press", "--socket", tmp_path / "edge.sock")
    assert answer.returncode == 1
    assert "no agent" in answer.stderr
