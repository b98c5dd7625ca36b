"""The dispatch stand-in: one incident per alarm, durable before the answer, answered in the end."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import sqlite3
import sys
import time
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from standardwebhooks import Webhook

from protocols import cloudevents
from simulators import ledger
from simulators.dispatch_core import DispatchCore, SecretInvalid, SignatureInvalid, WebhookSecret
from simulators.ledger import Acknowledged, Dispatched, Ledger
from simulators.link import Address

SECRET = "whsec_" + base64.b64encode(b"between the gateway and the core").decode()
ALARM = "box-0001:7:p:1"


def raised(id_: str, kind: str = "panic", cursor: int = 1) -> cloudevents.CloudEvent:
    return cloudevents.CloudEvent(
        id=id_,
        source=f"/field/{id_.partition(':')[0]}",
        type=cloudevents.event_type("alarm.raised"),
        time=cloudevents.rfc3339(1_700_000_000_000),
        subject=id_.partition(":")[0],
        sequence=str(cursor),
        data={"kind": kind},
    )


class FakeGateway:
    """Takes answers on alarms, and streams events to who asks."""

    def __init__(self) -> None:
        self.answers: list[tuple[str, str]] = []
        self.events: list[cloudevents.CloudEvent] = []
        self.resumed_from: list[str] = []
        self.failing = False
        self.accepted_by = "dispatch-core"
        self.changed = asyncio.Condition()

    @contextlib.asynccontextmanager
    async def serve(self) -> AsyncIterator[str]:
        app = web.Application()
        app.router.add_post("/api/v1/alarms/{id}/{answer}", self._take)
        app.router.add_get("/api/v1/events/stream", self._stream)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        try:
            yield f"http://127.0.0.1:{runner.addresses[0][1]}"
        finally:
            await runner.cleanup()

    async def until(self, holds: Callable[[], object]) -> None:
        async with asyncio.timeout(30), self.changed:
            await self.changed.wait_for(holds)

    async def _take(self, request: web.Request) -> web.Response:
        assert request.headers["Authorization"] == "Bearer token-1"
        assert (await request.json())["by"] == "dispatch-core"
        assert "%3A" in request.raw_path
        async with self.changed:
            self.answers.append((request.match_info["id"], request.match_info["answer"]))
            self.changed.notify_all()
        stages = [{"stage": "stored"}, {"stage": "accepted", "by": self.accepted_by}]
        return web.json_response({"stages": stages}, status=503 if self.failing else 200)

    async def _stream(self, request: web.Request) -> web.StreamResponse:
        async with self.changed:
            self.resumed_from.append(request.headers["Last-Event-ID"])
            self.changed.notify_all()
        answer = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await answer.prepare(request)
        for event in self.events:
            if int(event.sequence) > int(self.resumed_from[-1]):
                text = cloudevents.to_json(event).decode()
                await answer.write(f"id: {event.sequence}\ndata: {text}\n\n: beat\n\n".encode())
        return answer  # the end of the stream: a gateway that restarts


class Scene:
    """A core in front of a fake gateway."""

    def __init__(self, folder: Path) -> None:
        self.gateway = FakeGateway()
        self.folder = folder
        self.ledger = folder / "core.jsonl"

    @contextlib.asynccontextmanager
    async def core(self, **settings: Any) -> AsyncIterator[DispatchCore]:
        async with (
            self.gateway.serve() as url,
            Ledger(self.ledger) as book,
            DispatchCore(
                **{
                    "listen": Address("127.0.0.1", 0),
                    "gateway": url,
                    "token": "token-1",
                    "secret": SECRET,
                    "folder": self.folder,
                    "book": book,
                    "accept_after_s": 0.0,
                    "acknowledge_after_s": 0.0,
                    "close_after_s": 0.0,
                    **settings,
                }
            ) as core,
        ):
            yield core

    def lines(self, kind: type[Any]) -> list[Any]:
        return [line for line in ledger.read(self.ledger) if isinstance(line, kind)]


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


async def push(url: str, *events: cloudevents.CloudEvent, secret: str = SECRET) -> int:
    body = cloudevents.to_batch([*events])
    now = datetime.now(UTC)
    headers = {
        "Content-Type": cloudevents.BATCH_CONTENT_TYPE,
        "webhook-id": "msg_1",
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": Webhook(secret).sign("msg_1", now, body.decode()),
    }
    async with (
        aiohttp.ClientSession() as http,
        http.post(f"{url}/events", data=body, headers=headers) as answer,
    ):
        return answer.status


async def test_an_alarm_fed_twice_is_one_incident_and_is_taken_to_its_end(scene: Scene) -> None:
    async with scene.core() as core:
        assert await push(core.url, raised(ALARM)) == 204
        assert await push(core.url, raised(ALARM), raised("box-0002:7:p:1")) == 204
        await scene.gateway.until(lambda: len(scene.gateway.answers) == 6)
        async with aiohttp.ClientSession() as http, http.get(f"{core.url}/incidents") as answer:
            incidents = (await answer.json())["incidents"]
    assert [incident["alarm"] for incident in incidents] == [ALARM, "box-0002:7:p:1"]
    assert [said for id_, said in scene.gateway.answers if id_ == ALARM] == [
        "accept", "acknowledge", "close",
    ]  # fmt: skip
    dispatched = scene.lines(Dispatched)
    assert {(line.id, line.incident) for line in dispatched} == {(ALARM, 1), ("box-0002:7:p:1", 2)}
    assert {line.id for line in scene.lines(Acknowledged)} == {ALARM, "box-0002:7:p:1"}


async def test_an_alarm_that_a_desk_has_accepted_is_left_to_it(scene: Scene) -> None:
    async with scene.core() as core:
        scene.gateway.accepted_by = "desk 3"
        await push(core.url, raised(ALARM))
        await scene.gateway.until(lambda: scene.gateway.answers)
        scene.gateway.accepted_by = "dispatch-core"
        await push(core.url, raised("box-0002:7:p:1"))
        await scene.gateway.until(lambda: len(scene.gateway.answers) == 4)
    assert [said for id_, said in scene.gateway.answers if id_ == ALARM] == ["accept"]


async def test_the_incident_is_durable_and_in_the_ledger_before_the_answer(scene: Scene) -> None:
    async with scene.core(accept_after_s=60) as core:
        assert await push(core.url, raised(ALARM)) == 204
        with contextlib.closing(sqlite3.connect(scene.folder / "incidents.db")) as db:
            assert db.execute("SELECT alarm FROM incident").fetchall() == [(ALARM,)]
        assert [line.id for line in scene.lines(Dispatched)] == [ALARM]


async def test_a_self_test_is_dispatched_without_an_incident(scene: Scene) -> None:
    async with scene.core() as core:
        assert await push(core.url, raised(ALARM, kind="test")) == 204
        async with aiohttp.ClientSession() as http, http.get(f"{core.url}/incidents") as answer:
            assert await answer.json() == {"incidents": []}
    assert [(line.id, line.incident) for line in scene.lines(Dispatched)] == [(ALARM, None)]


async def test_what_is_not_signed_by_the_gateway_opens_nothing(scene: Scene) -> None:
    forged = "whsec_" + base64.b64encode(b"somebody else").decode()
    async with scene.core() as core:
        assert await push(core.url, raised(ALARM), secret=forged) == 401
    assert scene.lines(Dispatched) == []


async def test_answers_are_repeated_until_the_gateway_takes_them(scene: Scene) -> None:
    scene.gateway.failing = True
    async with scene.core() as core:
        await push(core.url, raised(ALARM))
        await scene.gateway.until(lambda: len(scene.gateway.answers) >= 2)
        assert set(scene.gateway.answers) == {(ALARM, "accept")}
        scene.gateway.failing = False
        await scene.gateway.until(lambda: (ALARM, "close") in scene.gateway.answers)


async def test_what_it_owed_before_a_restart_it_answers_after_it(scene: Scene) -> None:
    async with scene.core(accept_after_s=0.2) as core:
        await push(core.url, raised(ALARM))
    assert scene.gateway.answers == []
    async with scene.core():
        await scene.gateway.until(lambda: (ALARM, "acknowledge") in scene.gateway.answers)


async def test_the_stream_is_resumed_where_it_ended(scene: Scene) -> None:
    scene.gateway.events = [
        raised(ALARM, cursor=3), raised("box-0002:7:p:1", cursor=5),
    ]  # fmt: skip
    async with scene.core(source="stream", secret=""):
        await scene.gateway.until(lambda: ("box-0002:7:p:1", "close") in scene.gateway.answers)
    async with scene.core(source="stream", secret=""):
        await scene.gateway.until(lambda: "5" in scene.gateway.resumed_from)
    assert scene.gateway.resumed_from[0] == "0"
    assert len(scene.lines(Dispatched)) == 2


def test_signatures_agree_with_the_reference_library() -> None:
    now = datetime.now(UTC)
    headers = {
        "webhook-id": "msg_1",
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": "v1,bm9uZQ== " + Webhook(SECRET).sign("msg_1", now, "[]"),
    }
    WebhookSecret(SECRET).verify(headers, b"[]", time.time())
    with pytest.raises(SignatureInvalid, match="does not fit"):
        WebhookSecret(SECRET).verify(headers, b"[ ]", time.time())
    with pytest.raises(SignatureInvalid, match="not of now"):
        WebhookSecret(SECRET).verify(headers, b"[]", time.time() + 301)
    with pytest.raises(SignatureInvalid, match="no header 'webhook-id'"):
        WebhookSecret(SECRET).verify({}, b"[]", time.time())
    with pytest.raises(SecretInvalid, match="base64"):
        WebhookSecret("whsec_not base64")


@pytest.mark.slow
async def test_killed_and_started_again_it_opens_no_second_incident(scene: Scene) -> None:
    @contextlib.asynccontextmanager
    async def process(gateway: str) -> AsyncIterator[str]:
        core = await asyncio.create_subprocess_exec(
            sys.executable, "-c", "from fieldgate.cli import main; main()",
            "sim", "core", "--json", "--gateway", gateway, "--data", str(scene.folder),
            "--ledger", str(scene.ledger), "--accept-after", "60",
            env={"FIELDGATE_TOKEN": "token-1", "FIELDGATE_WEBHOOK_SECRET": SECRET},
            stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        assert core.stdout is not None
        try:
            ready = json.loads(await asyncio.wait_for(core.stdout.readline(), 30))
            yield ready["http"]
        finally:
            core.kill()
            await core.communicate()

    async with scene.gateway.serve() as gateway:
        for _ in range(2):
            async with process(gateway) as url:
                assert await push(url, raised(ALARM)) == 204
    assert {(line.id, line.incident) for line in scene.lines(Dispatched)} == {(ALARM, 1)}
