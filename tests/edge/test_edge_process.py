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
from http.client import HTTPException
from pathlib import Path
from typing import Any

import psutil
import pytest

from edge.control_client import call
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
        while status(config) is None:
            assert process.poll() is None, (config.parent / "agent.log").read_text()
            time.sleep(0.02)  # nothing tells when it listens
        yield process
    finally:
        process.terminate()
        process.wait(30)


def kill(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGKILL)
    process.wait(30)


def cli(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [FIELDGATE, "edge", *arguments], capture_output=True, text=True, timeout=30, check=False
    )


def status(config: Path) -> dict[str, Any] | None:
    """What a running agent says of itself."""
    try:
        [answer] = call(config.parent / "edge.sock", "GET", "/status")
    except (OSError, HTTPException, ValueError):
        return None
    return answer


def spooled(config: Path) -> dict[str, int]:
    """What waits in the agent's spool, as the command line tells it."""
    waiting: dict[str, int] = order_cli("status", config)[0]["spool"]
    return waiting


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
            assert all(again == first for again in await gateway.alarms(2))
            async with asyncio.timeout(30):
                while "alarm" in await asyncio.to_thread(spooled, config):
                    await asyncio.sleep(0.05)  # nor when its spool is empty


@pytest.mark.slow
async def test_an_order_is_held_over_a_kill_and_answered_without_a_network(tmp_path: Path) -> None:
    port = parts.free_port()
    config = write_config(tmp_path, port)
    steps = [{"zh": "保护现场", "en": "Keep the scene"}, {"zh": "询问", "en": "Ask"}]
    checklist = {"id": "theft", "title": {"zh": "盗窃", "en": "Theft"}, "steps": steps}
    order = {"incident": "I-7", "kind": "theft", "checklist": checklist}
    with agent(config) as process:
        with parts.mosquitto(tmp_path, port=port):
            async with StandInGateway(port) as gateway:
                await gateway.presence(online=True)
                gateway.command("c1", 2**53, act="instruct", **order)
                await gateway.replies("c1", "delivered")
        kill(process)  # the broker is gone too: from here on there is no network
    with agent(config) as process:
        await asyncio.to_thread(order_cli, "tick", config, "c1", "1")
        await asyncio.to_thread(order_cli, "answer", config, "c1", "accepted")
        kill(process)
    with agent(config), parts.mosquitto(tmp_path, port=port):
        async with StandInGateway(port) as gateway:
            await gateway.presence(online=True)
            gateway.command("c1", 2**53, act="instruct", **order)  # once more: not begun again
            [held] = await asyncio.to_thread(order_cli, "orders", config)
            assert held["state"] == "accepted"
            await asyncio.to_thread(order_cli, "answer", config, "c1", "done")
            replies = await gateway.replies("c1", "done")
    told = [reply.state for reply in replies if reply.state != "delivered"]
    assert told == ["step", "accepted", "done"]
    [tick] = [reply for reply in replies if reply.state == "step"]
    assert tick.step == 1
    assert tick.t == held["ticks"][0]["t"]


def order_cli(command: str, config: Path, *arguments: str) -> list[dict[str, Any]]:
    answer = cli("--config", config, command, *arguments, "--json")
    assert answer.returncode == 0, answer.stderr
    return [json.loads(line) for line in answer.stdout.splitlines()]


@pytest.mark.slow
async def test_whoever_reads_the_orders_at_the_device_has_been_shown_them(
    broker_port: int, tmp_path: Path
) -> None:
    config = write_config(tmp_path, broker_port)
    async with StandInGateway(broker_port) as gateway:
        with agent(config):
            await gateway.presence(online=True)
            gateway.command("c1", 2**53, text="come home")
            await gateway.replies("c1", "delivered")
            answer = await asyncio.to_thread(cli, "--config", config, "orders")
            assert answer.stdout.split() == ["c1", "shown", "text", "come", "home"]
            replies = await gateway.replies("c1", "shown")
            assert [reply.state for reply in replies] == ["delivered", "shown"]
            refused = await asyncio.to_thread(cli, "--config", config, "answer", "c1", "eaten")
            assert (refused.returncode, "state" in refused.stderr) == (2, True)


@pytest.mark.slow
async def test_an_agent_is_small_and_idle(broker_port: int, tmp_path: Path) -> None:
    """Contract of section 3: under 40 MiB resident, under 2 % of a core; here a second at rest."""
    config = write_config(tmp_path, broker_port)
    async with StandInGateway(broker_port) as gateway:
        with agent(config) as process:
            press(config)
            await gateway.alarms()
            watched = psutil.Process(process.pid)
            watched.cpu_percent()
            cpu_pct = min(watched.cpu_percent(1.0) for _ in range(3))
            rss_mib = watched.memory_info().rss / 2**20
    assert rss_mib < MAX_RSS_MIB
    assert cpu_pct < 2.0


@pytest.mark.slow
def test_errors_of_the_command_line_name_the_field_and_the_value(tmp_path: Path) -> None:
    config = write_config(tmp_path, 1883, 'prefix = "a#b"')
    answer = cli("--config", config)
    assert answer.returncode == 2
    assert "prefix" in answer.stderr
    assert "a#b" in answer.stderr


@pytest.mark.slow
def test_without_an_agent_a_press_fails_and_says_so(tmp_path: Path) -> None:
    answer = cli("press", "--socket", tmp_path / "edge.sock")
    assert answer.returncode == 1
    assert "no agent" in answer.stderr
