"""The push feed: signed, in order, again until taken, an alarm never behind telemetry."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from standardwebhooks import Webhook

from gateway.config import WebhookSettings
from gateway.feeds.webhook import WebhookFeed, decode_secret
from gateway.hooks import webhook_lanes
from gateway.journal.base import Change, Event, EventType
from gateway.journal.sqlite import SqliteJournal
from tests import parts
from tests.gateway.outward import alarm_change, fix, fixes

SECRET = "whsec_" + base64.b64encode(b"0123456789abcdef0123456789abcdef").decode()
URGENT = frozenset({EventType.ALARM_RAISED, EventType.ALARM_STAGE})
TELEMETRY = frozenset({EventType.POSITION})


class Receiver:
    """A dispatch core's end: keeps what it takes, refuses as told."""

    def __init__(self) -> None:
        self.answers: list[int] = []
        self.requests: list[tuple[dict[str, str], bytes]] = []
        self.events: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.gate: Callable[[bytes], Any] | None = None
        self.port = parts.free_port()
        self.url = f"http://127.0.0.1:{self.port}/hook"
        self._runner: web.AppRunner

    async def start(self) -> None:
        app = web.Application()
        app.router.add_post("/hook", self.handle)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self.port).start()

    async def stop(self) -> None:
        await self._runner.cleanup()

    async def handle(self, request: web.Request) -> web.Response:
        body = await request.read()
        self.requests.append((dict(request.headers), body))
        if self.gate is not None:
            await self.gate(body)
        status = self.answers.pop(0) if self.answers else 204
        if status < 300:
            for event in Webhook(SECRET).verify(body, dict(request.headers)):
                self.events.put_nowait(event)
        return web.Response(status=status, headers={"Location": "/"} if status == 302 else None)

    async def take(self, count: int) -> list[str]:
        async with asyncio.timeout(30):
            return [(await self.events.get())["id"] for _ in range(count)]


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    receiver = Receiver()
    await receiver.start()
    yield receiver
    await receiver.stop()


@pytest.fixture
async def journal(tmp_path: Path) -> AsyncIterator[SqliteJournal]:
    async with SqliteJournal(tmp_path) as opened:
        yield opened


@contextlib.asynccontextmanager
async def pushing(
    journal: SqliteJournal,
    url: str,
    types: frozenset[EventType] = URGENT,
    name: str = "core",
    jitter: Callable[[], float] = lambda: 0.01,
) -> AsyncIterator[WebhookFeed]:
    async with aiohttp.ClientSession() as session:
        feed = WebhookFeed(journal, url, SECRET, types, name=name, session=session, jitter=jitter)
        await feed.begin()
        running = asyncio.create_task(feed.run())
        try:
            yield feed
        finally:
            running.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await running


async def test_an_alarm_is_pushed_signed_as_a_cloudevents_batch(
    journal: SqliteJournal, receiver: Receiver
) -> None:
    async with pushing(journal, receiver.url):
        await journal.commit(alarm_change(1))
        assert await receiver.take(1) == ["box-1:1:p:1"]
        [(headers, body)] = receiver.requests
        assert headers["Content-Type"] == "application/cloudevents-batch+json"
        assert json.loads(body)[0]["type"] == "fieldgate.alarm.raised.v1"


async def test_what_was_journalled_before_is_pushed_in_order_in_batches(
    journal: SqliteJournal, receiver: Receiver
) -> None:
    for seq in range(1, 251):
        await journal.commit(alarm_change(seq))
    async with pushing(journal, receiver.url):
        assert await receiver.take(250) == [f"box-1:1:p:{seq}" for seq in range(1, 251)]
    assert len(receiver.requests) == 3


@pytest.mark.parametrize("status", [500, 429, 404, 302])
async def test_a_batch_comes_again_with_its_id_until_it_is_taken(
    journal: SqliteJournal, receiver: Receiver, status: int
) -> None:
    receiver.answers = [status, status]
    async with pushing(journal, receiver.url) as feed:
        await journal.commit(alarm_change(1))
        await journal.commit(alarm_change(2))
        assert await receiver.take(2) == ["box-1:1:p:1", "box-1:1:p:2"]
        assert feed.failures == 2
    first, second, third = receiver.requests[:3]
    assert first[0]["webhook-id"] == second[0]["webhook-id"] == third[0]["webhook-id"]
    assert first[1] == second[1] == third[1]


async def test_a_receiver_that_is_away_gets_all_when_it_is_back(
    journal: SqliteJournal, receiver: Receiver
) -> None:
    failed = asyncio.Queue[None]()

    def jitter() -> float:
        failed.put_nowait(None)
        return 0.01

    await receiver.stop()
    async with pushing(journal, receiver.url, jitter=jitter) as feed, asyncio.timeout(30):
        await journal.commit(alarm_change(1))
        for _ in range(3):
            await failed.get()
        assert (feed.failures, feed.lag) == (3, 1)
        await receiver.start()
        assert await receiver.take(1) == ["box-1:1:p:1"]


async def test_after_a_restart_it_goes_on_where_it_was(
    journal: SqliteJournal, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved = asyncio.Queue[int]()
    save = journal.save_feed_cursor

    async def save_and_tell(name: str, cursor: int) -> None:
        await save(name, cursor)
        saved.put_nowait(cursor)

    monkeypatch.setattr(journal, "save_feed_cursor", save_and_tell)
    monkeypatch.setattr("gateway.feeds.webhook.REMEMBER_EVERY_S", 0.01)
    async with pushing(journal, receiver.url) as feed, asyncio.timeout(30):
        await journal.commit(alarm_change(1))
        await receiver.take(1)
        while await saved.get() != journal.last_cursor:
            pass
        assert feed.lag == 0
    await journal.commit(alarm_change(2))
    async with pushing(journal, receiver.url):
        assert await receiver.take(1) == ["box-1:1:p:2"]


async def test_an_alarm_overtakes_telemetry_that_the_receiver_is_slow_to_take(
    journal: SqliteJournal, receiver: Receiver
) -> None:
    release = asyncio.Event()

    async def hold_positions(body: bytes) -> None:
        if b"fieldgate.position" in body:
            await release.wait()

    receiver.gate = hold_positions
    await journal.commit_block(fixes("car-1", fix(1), fix(2)))
    async with (
        pushing(journal, receiver.url, TELEMETRY, "core telemetry"),
        pushing(journal, receiver.url, URGENT, "core urgent"),
    ):
        await journal.commit(alarm_change(1))
        assert await receiver.take(1) == ["box-1:1:p:1"]
        release.set()
        assert await receiver.take(2) == ["car-1:1:t:1", "car-1:1:t:2"]


@contextlib.asynccontextmanager
async def pushing_in_lanes(journal: SqliteJournal, url: str) -> AsyncIterator[list[WebhookFeed]]:
    """All that the gateway has for one receiver."""
    hook = WebhookSettings(name="core", url=url, secret=SECRET)
    async with aiohttp.ClientSession() as session:
        lanes = list(webhook_lanes(hook, journal, session, lambda name, events: None))
        for lane in lanes:
            await lane.begin()
        running = [asyncio.create_task(lane.run()) for lane in lanes]
        try:
            yield lanes
        finally:
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)


def order_to(count: int, *, first: int = 0) -> Change:
    """What an order to so many devices commits."""
    return Change(
        events=[
            Event(
                type=EventType.COMMAND,
                id=f"all:car-{number}/created",
                device=f"car-{number}",
                t=1,
                received=1,
                data={"cmd": f"all:car-{number}", "state": "created", "t": 1},
            )
            for number in range(first, first + count)
        ]
    )


async def test_an_alarm_overtakes_an_order_to_thousands(
    journal: SqliteJournal, receiver: Receiver
) -> None:
    release = asyncio.Event()

    async def hold_commands(body: bytes) -> None:
        if b"fieldgate.command" in body:
            await release.wait()

    receiver.gate = hold_commands
    await journal.commit(order_to(5000))
    async with pushing_in_lanes(journal, receiver.url):
        await journal.commit(alarm_change(1))
        assert await receiver.take(1) == ["box-1:1:p:1"]
        release.set()
        expected = [f"all:car-{number}/created" for number in range(5000)]
        assert await receiver.take(5000) == expected


async def test_what_was_one_lane_goes_on_where_that_was(
    journal: SqliteJournal, receiver: Receiver
) -> None:
    await journal.commit(order_to(2))
    await journal.save_feed_cursor("webhook-core-p", journal.last_cursor)
    await journal.commit(order_to(1, first=2))
    async with pushing_in_lanes(journal, receiver.url):
        assert await receiver.take(1) == ["all:car-2/created"]
    await journal.save_feed_cursor("webhook-core-p", journal.last_cursor)
    await journal.commit(order_to(1, first=3))
    async with pushing_in_lanes(journal, receiver.url):
        while await receiver.take(1) != ["all:car-3/created"]:  # its own cursor from now on
            pass


@pytest.mark.parametrize("secret", ["whsec_no base64!", "whsec_abc"])
def test_a_secret_that_is_none_is_refused(secret: str) -> None:
    with pytest.raises(ValueError, match="webhook secret"):
        decode_secret(secret)


async def test_an_alarm_is_at_the_receiver_within_milliseconds_of_its_commit(
    journal: SqliteJournal, receiver: Receiver
) -> None:
    delays_ms = []
    async with pushing(journal, receiver.url):
        for seq in range(1, 31):
            await journal.commit(alarm_change(seq))
            committed = time.perf_counter()
            await receiver.take(1)
            delays_ms.append(1000 * (time.perf_counter() - committed))
    assert min(delays_ms) < 20, "it waits for nothing; how long others hold it up is no matter"
