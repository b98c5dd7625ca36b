"""The examples of docs/api.md against a running gateway, and its client when it is cut off."""

from __future__ import annotations

import asyncio
import itertools
import os
import re
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from fieldgate.client import Client, Refused, Unreachable
from fieldgate.client.connection import Connection
from tests.parts import free_port
from tests.scenarios.peopled import PICTURE, peopled
from tests.scenarios.whole import Gateway

pytestmark = pytest.mark.slow  # whole processes

PAGE = Path(__file__).parents[2] / "docs" / "api.md"
BLOCKS = re.findall(r"^```(python|sh)\n(.*?)^```", PAGE.read_text(), re.M | re.S)


@pytest.fixture
async def gateway(tmp_path: Path) -> AsyncIterator[Gateway]:
    async with peopled(tmp_path / "data") as gateway:
        yield gateway


async def test_the_examples_run_as_they_stand(gateway: Gateway) -> None:
    python = "".join(text for language, text in BLOCKS if language == "python")
    shell = "".join(text for language, text in BLOCKS if language == "sh")
    shell = shell.replace("--data state", f"--data {gateway.folder}")
    folder = Path(sys.executable).parent
    environment = {
        **os.environ,
        "FIELDGATE_URL": gateway.url,
        "FIELDGATE_TOKEN": gateway.token,
        "PATH": f"{folder}:{os.environ['PATH']}",
    }
    for program in ((sys.executable, "-c", python), ("bash", "-euc", shell)):
        process = await asyncio.create_subprocess_exec(
            *program, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        output, _ = await process.communicate()
        assert process.returncode == 0, output.decode()
    found = await gateway.get("/api/v1/commands?device=car-007")
    assert [each["act"] for each in found["commands"]] == ["locate", "text", "identify"]


async def test_what_is_there_is_typed(gateway: Gateway) -> None:
    def ask() -> None:
        with Client(gateway.url, gateway.token) as client:
            (alarm,) = client.alarms()
            assert client.alarm(alarm.id) == alarm
            assert client.accept(alarm.id, by="Li").stages[-1].by == "Li"
            assert [device.id for device in client.devices(q="CAR")] == ["car-007"]
            assert client.device("car-007").state == "online"
            assert [unit.officers for unit in client.units()] == [["035001"]]
            keyed = [client.send("car-007", "locate", key="k-1").id for _ in range(2)]
            assert keyed == ["k-1", "k-1"]
            group = client.send_to({"unit": "car-007"}, "identify", by="Li")
            assert [each.device for each in group.commands] == ["car-007"]
            pages = list(client.commands(limit=1))
            assert len(pages) == 3
            assert client.cancel("k-1").state == "cancelled"
            (picture,) = client.pictures(device="car-007")
            assert client.picture(picture.id) == PICTURE
            assert {event.subject for event in client.events()} == {"car-007"}
            (raised,) = itertools.islice(client.stream(after=0, types="alarm.raised"), 1)
            assert raised.subject == "car-007"
            assert next(client.audit(act="command.cancel")).target == "k-1"
            with pytest.raises(Refused) as refused:
                client.alarm("none")
            assert (refused.value.status, refused.value.facts) == (404, {"alarm": "none"})

    await asyncio.to_thread(ask)


async def test_a_gateway_that_is_back_is_asked_again(gateway: Gateway) -> None:
    with Client(gateway.url, gateway.token) as client:
        before = await asyncio.to_thread(lambda: list(client.units()))
        await gateway.kill()
        await gateway.start()
        after = await asyncio.to_thread(lambda: list(client.units()))  # its connection broke
        assert [unit.unit for unit in after] == [unit.unit for unit in before]


def test_who_does_not_answer_is_asked_a_few_times() -> None:
    pauses: list[float] = []
    connection = Connection(f"http://127.0.0.1:{free_port()}", "token", sleep=pauses.append)
    with pytest.raises(Unreachable, match="does not answer"):
        connection.ask("GET", "/healthz")
    assert len(pauses) == 2
    with pytest.raises(ValueError, match="expected http"):
        Client("localhost:8110", "token")
