"""The control socket, spoken to by curl, by the panel's client and by those who err."""

from __future__ import annotations

import asyncio
import contextlib
import json
import stat
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from edge.agent import Agent
from edge.control_client import NotTaken, call
from protocols.model import Command, Stage
from protocols.native.topics import Up
from tests import parts
from tests.edge.stand_in import DEVICE, StandInGateway, config

POST = b"POST /press HTTP/1.1\r\nHost: x\r\n"


@pytest.fixture
async def agent(tmp_path: Path) -> AsyncIterator[Agent]:
    """An agent without a network."""
    async with Agent(config(parts.free_port(), tmp_path)) as agent:
        yield agent


def socket_of(agent: Agent) -> Path:
    assert agent.config.control is not None
    return Path(agent.config.control.socket)


async def ask(agent: Agent, method: str, target: str, body: object = None) -> list[dict[str, Any]]:
    return await asyncio.to_thread(lambda: list(call(socket_of(agent), method, target, body)))


async def test_a_press_is_answered_when_it_is_spooled(agent: Agent) -> None:
    [answer] = await ask(agent, "POST", "/press", {"kind": "duress", "silent": True})
    assert answer["id"] == f"{DEVICE}:{agent.boot}:p:1"
    assert (answer["kind"], answer["count"], answer["stage"]) == ("duress", 1, "spooled")
    [again] = await ask(agent, "POST", "/press", {"kind": "duress"})
    assert (again["id"], again["count"]) == (answer["id"], 2)
    assert await ask(agent, "GET", "/alarms/1") == [again]
    assert await ask(agent, "GET", "/alarms") == [{"alarms": [again]}]


async def test_a_reset_button_raises_a_new_alarm(agent: Agent) -> None:
    await ask(agent, "POST", "/press")
    await ask(agent, "POST", "/reset")
    [answer] = await ask(agent, "POST", "/press")
    assert (answer["seq"], answer["count"]) == (2, 1)


async def test_duty_and_status(agent: Agent) -> None:
    [answer] = await ask(agent, "POST", "/duty", {"act": "on_scene", "ref": "I-7"})
    assert answer == {"id": f"{DEVICE}:{agent.boot}:p:1"}
    [status] = await ask(agent, "GET", "/status")
    assert status["device"] == DEVICE
    assert status["connected"] is False
    assert status["spool"][Up.DUTY] == 1


@pytest.mark.parametrize(
    ("target", "body", "field", "value"),
    [
        ("/press", {"kind": "unreadable"}, "kind", "unreadable"),
        ("/press", {"kind": 7}, "kind", 7),
        ("/press", {"kimd": "panic"}, "kimd", "panic"),
        ("/press", {"text": "x" * 1001}, "text", "x" * 1001),
        ("/duty", {}, "act", None),
        ("/duty", {"act": "asleep"}, "act", "asleep"),
    ],
)
async def test_what_is_wrong_in_a_request_is_named(
    agent: Agent, target: str, body: object, field: str, value: object
) -> None:
    with pytest.raises(NotTaken) as refusal:
        await ask(agent, "POST", target, body)
    problem = refusal.value.problem
    assert (problem["status"], problem["field"], problem["value"]) == (400, field, value)
    assert agent._spool.count.total() == agent._spool.count[Up.STATUS]


@pytest.mark.parametrize(
    ("method", "target", "status"),
    [("GET", "/press", 405), ("GET", "/", 404), ("GET", "/alarms/9", 404),
     ("GET", "/alarms/x", 400), ("GET", "/alarms/1?boot=-1", 400)],
)  # fmt: skip
async def test_what_is_not_there_is_refused(
    agent: Agent, method: str, target: str, status: int
) -> None:
    with pytest.raises(NotTaken) as refusal:
        await ask(agent, method, target)
    assert refusal.value.problem["status"] == status


@pytest.mark.parametrize(
    ("request_bytes", "answer"),
    [
        (POST + b"Content-Length: 5\r\n\r\n{nojs", b"400"),
        (POST + b"Content-Length: 99999\r\n\r\n" + b" " * 99999, b"413"),
        (b"\x00\xff\r\n\r\n", b"400"),
        (b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\n\r\n", b"431"),
    ],
)  # fmt: skip
async def test_noise_is_answered_and_harms_nothing(
    agent: Agent, request_bytes: bytes, answer: bytes
) -> None:
    reader, writer = await asyncio.open_unix_connection(socket_of(agent))
    writer.write(request_bytes)
    assert (await reader.readline()).split()[1] == answer
    writer.close()
    assert await ask(agent, "GET", "/status")


INSTRUCT: dict[str, object] = {
    "incident": "I-7",
    "kind": "theft",
    "address": "8 Harbour Road",
    "checklist": {
        "id": "theft",
        "title": {"zh": "盗窃", "en": "Theft"},
        "steps": [{"zh": "保护现场", "en": "Keep the scene"}, {"zh": "询问", "en": "Ask"}],
    },
}


def give(agent: Agent, identity: str) -> None:
    agent.orders.take(Command(id=identity, act="instruct", t=0, exp=2**53, args=INSTRUCT))


def replies_waiting(agent: Agent) -> int:
    spool = agent.status()["spool"]
    assert isinstance(spool, dict)
    return int(spool["reply"])


async def test_an_order_is_read_answered_and_ticked(agent: Agent) -> None:
    give(agent, "c/1")
    [answer] = await ask(agent, "GET", "/orders")
    [order] = answer["orders"]
    assert (order["id"], order["state"], order["open"]) == ("c/1", "delivered", True)
    assert order["args"]["checklist"]["steps"][0]["zh"] == "保护现场"
    for state in ("shown", "accepted"):
        await ask(agent, "POST", "/orders/c%2F1", {"state": state})
    [ticked] = await ask(agent, "POST", "/orders/c%2F1/step", {"step": 1})
    assert [tick["step"] for tick in ticked["ticks"]] == [1]
    [done] = await ask(agent, "POST", "/orders/c%2F1", {"state": "done", "detail": "one arrest"})
    assert (done["open"], done["history"][-1]["detail"]) == (False, "one arrest")
    assert await ask(agent, "GET", "/orders/c%2F1") == [done]
    assert replies_waiting(agent) == 5


@pytest.mark.parametrize(
    ("asked", "body", "status", "field"),
    [
        ("POST /orders/c2", {"state": "done"}, 404, None),
        ("GET /orders/c2", None, 404, None),
        ("POST /orders/c1", {"state": "delivered"}, 400, "state"),
        ("POST /orders/c1", {}, 400, "state"),
        ("POST /orders/c1/step", {"step": 2}, 400, "step"),
        ("POST /orders/c1/step", {"step": "1"}, 400, "step"),
        ("GET /orders/c1/step", None, 405, None),
        ("POST /orders/c1/steps", {"step": 1}, 404, None),
    ],
)
async def test_an_answer_that_is_none_names_the_field(
    agent: Agent, asked: str, body: object, status: int, field: str | None
) -> None:
    give(agent, "c1")
    method, target = asked.split()
    with pytest.raises(NotTaken) as refusal:
        await ask(agent, method, target, body)
    problem = refusal.value.problem
    assert (problem["status"], problem.get("field")) == (status, field)
    assert replies_waiting(agent) == 1


async def test_a_panel_hears_of_orders_alarms_and_reports(broker_port: int, tmp_path: Path) -> None:
    async with (
        StandInGateway(broker_port) as gateway,
        Agent(config(broker_port, tmp_path)) as agent,
    ):
        await gateway.presence(online=True)
        async with contextlib.aclosing(agent.news.follow()) as news:
            assert await anext(news) >= {"orders", "alarms", "reports"}
            give(agent, "c1")
            assert await anext(news) == {"orders"}
            agent.duty("on_scene", ref="I-7")
            heard: set[str] = set()
            while agent.reports()[0].stage != "stored":
                heard |= await anext(news)
            assert heard == {"reports"}
            agent.press()
            assert "alarms" in await anext(news)
        [answer] = await ask(agent, "GET", "/reports")
    [report] = answer["reports"]
    assert (report["act"], report["ref"], report["stage"]) == ("on_scene", "I-7", "stored")
    assert report["steps"][0]["stage"] == "spooled"


async def test_the_socket_is_for_the_group_only(agent: Agent) -> None:
    assert stat.S_IMODE(socket_of(agent).stat().st_mode) == 0o660


async def test_a_socket_left_by_a_killed_agent_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "edge.sock").touch()
    async with Agent(config(parts.free_port(), tmp_path)) as agent:
        assert await ask(agent, "GET", "/status")


async def test_curl_follows_an_alarm_until_it_is_closed(broker_port: int, tmp_path: Path) -> None:
    async with (
        StandInGateway(broker_port) as gateway,
        Agent(config(broker_port, tmp_path)) as agent,
    ):
        curl = await asyncio.create_subprocess_exec(
            *("curl", "-sN", "--unix-socket", str(socket_of(agent))),
            *("-d", '{"zone": "hall"}', "http://agent/press?follow=1"),
            stdout=asyncio.subprocess.PIPE,
        )
        assert curl.stdout is not None
        stages = []
        while line := await asyncio.wait_for(curl.stdout.readline(), 30):
            step = json.loads(line)
            stages.append(step["stage"])
            if step["stage"] == "stored":
                gateway.stage(gateway.of(Up.ALARM)[0], Stage.ACKNOWLEDGED, by="d3")
            if step["stage"] == "acknowledged":
                assert step["by"] == "d3"
                gateway.stage(gateway.of(Up.ALARM)[0], Stage.CLOSED)
        assert await curl.wait() == 0
    assert stages[0] == "spooled"
    assert stages[-3:] == ["stored", "acknowledged", "closed"]


async def test_a_follower_that_hangs_up_is_forgotten(agent: Agent) -> None:
    reader, writer = await asyncio.open_unix_connection(socket_of(agent))
    writer.write(b"POST /press?follow=1 HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")
    await reader.readuntil(b"spooled")
    writer.close()
    await writer.wait_closed()
    assert await ask(agent, "GET", "/status")
