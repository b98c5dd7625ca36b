"""The panel's server: who may see the page, what it may ask, and what it refuses."""

from __future__ import annotations

import asyncio
import json
import re
import socket
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, get_args

import aiohttp
import pytest

from edge.agent import Agent
from edge.config import PanelSettings, load
from edge.panel.server import FILES
from edge.panel.view import view
from edge.requests import MAX_BODY_BYTES
from protocols.errors import FieldInvalid
from protocols.model import AlarmKind, CameraHealth, DutyAct, Stage
from protocols.native.topics import Up
from tests import parts
from tests.edge.panel_parts import page_of, panelled, port_of, settings
from tests.edge.stand_in import DEVICE, StandInGateway, config


@pytest.fixture
async def agent(tmp_path: Path) -> AsyncIterator[Agent]:
    """An agent with a panel and without a network."""
    async with panelled(config(parts.free_port(), tmp_path, panel=settings())) as agent:
        yield agent


async def ask(
    agent: Agent, method: str, path: str, body: object = None, **headers: str
) -> tuple[int, Any]:
    """As the page asks; ``headers`` replace its own."""
    own = {"Origin": page_of(agent), "Content-Type": "application/json"}
    sent = {**own, **{name.replace("_", "-"): value for name, value in headers.items()}}
    data = body if isinstance(body, bytes) else json.dumps(body or {}).encode()
    async with (
        aiohttp.ClientSession() as session,
        session.request(
            method,
            page_of(agent) + path,
            data=None if method == "GET" else data,
            headers={name: value for name, value in sent.items() if value},
        ) as response,
    ):
        text = await response.text()
        return response.status, json.loads(text) if "json" in response.content_type else text


def reported(agent: Agent) -> int:
    """How many messages of the crew wait in the spool."""
    return agent._spool.count[Up.ALARM] + agent._spool.count[Up.DUTY] + agent._spool.count[Up.REPLY]


async def test_a_touch_is_answered_when_it_is_spooled(agent: Agent) -> None:
    assert await ask(agent, "POST", "/api/duty", {"act": "on_duty", "crew": ["012345"]}) == (
        200,
        {"id": f"{DEVICE}:{agent.boot}:p:1"},
    )
    status, alarm = await ask(agent, "POST", "/api/press", {"zone": "panel"})
    assert (status, alarm["stage"], alarm["count"]) == (200, "spooled", 1)
    assert reported(agent) == 2


async def test_the_page_and_its_files_come_from_the_agent_alone(agent: Agent) -> None:
    async with aiohttp.ClientSession() as session, session.get(page_of(agent)) as response:
        assert response.content_type == "text/html"
        policy = response.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert response.headers["X-Frame-Options"] == "DENY"
        assert "Access-Control-Allow-Origin" not in response.headers
        text = await response.text()
    assert "://" not in text
    for name, kind in (("panel.js", "text/javascript"), ("icons.svg", "image/svg+xml")):
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"{page_of(agent)}/{name}") as response,
        ):
            assert (response.status, response.content_type) == (200, kind)


@pytest.mark.parametrize(
    "path",
    ["/nothing", "/../server.py", "/%2e%2e/server.py", "/..%2fserver.py", "/static/panel.js"],
)
async def test_nothing_else_is_given_out(agent: Agent, path: str) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port_of(agent))
    head = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port_of(agent)}\r\n\r\n"
    writer.write(head.encode())
    assert (await reader.readline()).split()[1] == b"404"
    writer.close()
    await writer.wait_closed()


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Host": "evil.example"}, 421),  # a name of another that points here
        ({"Host": "127.0.0.1:1"}, 421),
        ({"Host": "localhost"}, 421),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "http://127.0.0.1:1"}, 403),
        ({"Origin": ""}, 403),
        ({"Sec_Fetch_Site": "cross-site"}, 403),
        ({"Sec_Fetch_Site": "same-site"}, 403),
        ({"Content_Type": "text/plain"}, 415),  # what a form of another page can send
        ({"Content_Type": "application/x-www-form-urlencoded"}, 415),
        ({"Content_Type": "multipart/form-data"}, 415),
    ],
)
async def test_another_page_presses_nothing(
    agent: Agent, headers: dict[str, str], status: int
) -> None:
    for path, body in (("/api/press", {}), ("/api/duty", {"act": "off_duty"})):
        answer, problem = await ask(agent, "POST", path, body, **headers)
        assert (answer, problem["status"]) == (status, status)
    assert reported(agent) == 0


@pytest.mark.parametrize("path", ["/", "/api/status", "/api/alarms", "/api/stream"])
async def test_another_page_reads_nothing(agent: Agent, path: str) -> None:
    for headers in (
        {"Host": "evil.example"},
        {"Origin": "http://evil.example"},
        {"Sec_Fetch_Site": "cross-site"},
    ):
        answer, _ = await ask(agent, "GET", path, **headers)
        assert answer in (403, 421)


async def test_nobody_is_allowed_to_ask_first(agent: Agent) -> None:
    """A page elsewhere that may send JSON asks by OPTIONS; the answer allows nothing."""
    async with (
        aiohttp.ClientSession() as session,
        session.options(
            f"{page_of(agent)}/api/press", headers={"Origin": "http://evil.example"}
        ) as response,
    ):
        assert response.status == 403
        assert not [name for name in response.headers if name.startswith("Access-Control")]


@pytest.mark.parametrize(
    ("path", "body", "status", "field"),
    [
        ("/api/duty", {"act": "asleep"}, 400, "act"),
        ("/api/duty", {"act": "clear", "who": "me"}, 400, "who"),
        ("/api/press", {"kimd": "panic"}, 400, "kimd"),
        ("/api/press", b"{nojs", 400, "body"),
        ("/api/press", b"\xff\xfe", 400, "body"),
        ("/api/press", b" " * (MAX_BODY_BYTES + 1), 413, None),
        ("/api/nothing", {}, 404, None),
        ("/api/status", {}, 405, None),
        ("/", {}, 405, None),
    ],
)
async def test_what_is_wrong_is_named(
    agent: Agent, path: str, body: object, status: int, field: str | None
) -> None:
    answer, problem = await ask(agent, "POST", path, body)
    assert (answer, problem["status"], problem.get("field")) == (status, status, field)
    assert reported(agent) == 0


async def test_it_listens_on_the_loopback_interface_alone(agent: Agent) -> None:
    others = {info[4][0] for info in socket.getaddrinfo(socket.gethostname(), None)} - {"127.0.0.1"}
    for address in {"127.0.0.2", *map(str, others)}:
        with pytest.raises(ConnectionRefusedError):
            await asyncio.wait_for(asyncio.open_connection(address, port_of(agent)), 2)


async def test_the_stream_tells_each_step(broker_port: int, tmp_path: Path) -> None:
    panel = PanelSettings(port=parts.free_port(), lang="en")
    async with (
        StandInGateway(broker_port) as gateway,
        panelled(config(broker_port, tmp_path, panel=panel)) as agent,
        aiohttp.ClientSession() as session,
        session.get(f"{page_of(agent)}/api/stream") as response,
    ):
        assert response.content_type == "text/event-stream"

        state: dict[str, Any] = {}

        async def until(holds: Callable[[dict[str, Any]], Any]) -> dict[str, Any]:
            async with asyncio.timeout(30):
                while line := await response.content.readline():
                    if line.startswith(b"data: {"):
                        state.update(json.loads(line[6:]))
                        if holds(state):
                            return state
            raise AssertionError("the stream has ended")

        first = await until(lambda state: state["status"]["connected"])
        assert (first["lang"], first["status"]["duty"], first["alarms"]) == ("en", None, [])
        await ask(agent, "POST", "/api/duty", {"act": "parked"})
        await until(lambda state: (state["status"]["duty"] or {}).get("act") == "parked")
        await ask(agent, "POST", "/api/press")
        await until(lambda state: state["alarms"] and state["alarms"][0]["stage"] == "stored")
        gateway.stage(gateway.of(Up.ALARM)[0], Stage.ACKNOWLEDGED, by="d3")
        last = await until(lambda state: state["alarms"][0]["stage"] == "acknowledged")
        assert last["alarms"][0]["steps"][-1]["by"] == "d3"


async def test_too_many_pages_are_refused(agent: Agent) -> None:
    async with aiohttp.ClientSession() as session:
        open_ = [await session.get(f"{page_of(agent)}/api/stream") for _ in range(8)]
        async with session.get(f"{page_of(agent)}/api/stream") as ninth:
            assert ninth.status == 503
        for response in open_:
            response.close()


async def test_the_duty_in_force_outlives_the_agent(tmp_path: Path) -> None:
    about = config(parts.free_port(), tmp_path, panel=settings())
    async with panelled(about) as agent:
        await ask(agent, "POST", "/api/duty", {"act": "on_duty", "crew": ["012345", "cam-1"]})
        await ask(agent, "POST", "/api/duty", {"act": "foot_patrol"})
        before = agent.status()["duty"]
    async with panelled(about) as agent:
        assert agent.status()["duty"] == before
        assert isinstance(before, dict)
        assert (before["act"], before["crew"]) == ("foot_patrol", ["012345", "cam-1"])
        await ask(agent, "POST", "/api/duty", {"act": "off_duty"})
        assert agent.status()["duty"]["crew"] == []  # type: ignore[index]
    (tmp_path / "spool" / "duty.json").write_bytes(b"\x00damaged")
    async with panelled(about) as agent:
        assert agent.status()["duty"] is None


async def test_a_port_that_is_taken_costs_the_page_and_nothing_else(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        panel = PanelSettings(port=taken.getsockname()[1])
        async with Agent(config(parts.free_port(), tmp_path, panel=panel)) as agent:
            assert agent.press().stage == "spooled"


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        ("", None),
        ("panel = false", None),
        ("panel = true", PanelSettings(port=8111, lang="zh")),
        ('[panel]\nport = 9000\nlang = "en"', PanelSettings(port=9000, lang="en")),
        ("[panel]", PanelSettings()),
    ],
)
def test_the_panel_is_switched_on_in_agent_toml(
    tmp_path: Path, table: str, expected: PanelSettings | None
) -> None:
    assert load(written(tmp_path, table)).panel_settings == expected


@pytest.mark.parametrize(
    ("table", "field"),
    [
        ("panel = 8111", "panel"),
        ("[panel]\nhost = 1", "panel.host"),
        ("[panel]\nport=0", "panel.port"),
        ('[panel]\nlang="fr"', "panel.lang"),
    ],
)
def test_a_wrong_setting_is_named(tmp_path: Path, table: str, field: str) -> None:
    with pytest.raises(FieldInvalid) as error:
        load(written(tmp_path, table))
    assert error.value.field == field


def written(folder: Path, table: str) -> Path:
    path = folder / "agent.toml"
    needed = 'device = "x"\nkind = "phone"\nbroker = { host = "b" }\nspool = { folder = "s" }'
    path.write_text(f"{needed}\n{table}")
    return path


@pytest.mark.slow
async def test_what_waits_is_followed_over_a_restart(broker_port: int, tmp_path: Path) -> None:
    about = config(parts.free_port(), tmp_path, panel=settings())
    async with panelled(about) as agent:
        alarm = agent.press(zone="panel")
        agent.press(zone="panel")
        report = agent.duty("en_route", ref="110-1")
    about = config(broker_port, tmp_path, panel=about.panel)
    async with panelled(about) as agent, StandInGateway(broker_port):
        [followed] = agent.alarms()
        assert (followed.id, followed.steps[0]) == (alarm.id, alarm.steps[0])
        assert [(track.id, track.act, track.ref) for track in agent.reports()] == [
            (report, "en_route", "110-1")
        ]
        async with asyncio.timeout(30):
            async for step in followed.follow():
                if step.stage == "stored":
                    break


async def test_a_silent_alarm_is_not_on_the_screen(agent: Agent) -> None:
    agent.press("duress", silent=True)
    agent.press("panic")
    shown = view(agent)["alarms"]
    assert [alarm["kind"] for alarm in shown] == ["panic"]  # type: ignore[attr-defined]


def test_the_page_says_everything_in_both_languages() -> None:
    text = (FILES / "words.js").read_text()
    chinese, english = (set(re.findall(r"(\w+): \"", part)) for part in text.split("const EN ="))
    assert chinese == english
    kinds = {
        *get_args(DutyAct),
        *get_args(AlarmKind),
        *(f"cam_{h}" for h in get_args(CameraHealth)),
    }
    assert kinds - {"unreadable"} <= chinese
    icons = (FILES / "icons.svg").read_text()
    assert set(get_args(DutyAct)) <= set(re.findall(r'id="(\w+)-sign"', icons))
