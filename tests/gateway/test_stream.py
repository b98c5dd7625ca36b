"""The live feed: pages to their end, streams that resume, slow readers that delay nobody."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from gateway.journal.base import Change
from tests.gateway.outward import Outward, alarm_change, alarm_event, fix, fixes, outward


@pytest.fixture
async def gateway(tmp_path: Path) -> AsyncIterator[Outward]:
    async with outward(tmp_path) as started:
        yield started


async def next_event(stream: aiohttp.StreamReader) -> dict[str, Any]:
    """The fields of the next event, as a client that knows only the standard reads them."""
    event: dict[str, Any] = {}
    async with asyncio.timeout(30):
        while True:
            line = (await stream.readline()).decode().rstrip("\r\n")
            if not line and event:
                return {**event, "data": json.loads(event["data"])}
            if line and not line.startswith(":"):
                name, _, value = line.partition(":")
                event[name] = value.removeprefix(" ")


async def test_an_event_is_streamed_as_it_is_committed(gateway: Outward) -> None:
    await gateway.journal.commit(alarm_change(1))
    async with gateway.request("GET", "/api/v1/events/stream") as response:
        assert response.content_type == "text/event-stream"
        [cursor], _ = await gateway.journal.commit(alarm_change(2))
        event = await next_event(response.content)
    assert event["id"] == str(cursor)
    assert event["event"] == "fieldgate.alarm.raised.v1"
    assert event["data"]["id"] == "box-1:1:p:2", "without a cursor it starts from now"
    assert event["data"]["sequence"] == event["id"]


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        ("/api/v1/events/stream?after=1", {}),
        ("/api/v1/events/stream", {"Last-Event-ID": "1"}),
        ("/api/v1/events/stream?after=0", {"Last-Event-ID": "1"}),
    ],
)
async def test_a_stream_resumes_after_the_last_event(
    gateway: Outward, path: str, headers: dict[str, str]
) -> None:
    for seq in (1, 2, 3):
        await gateway.journal.commit(alarm_change(seq))
    async with gateway.request("GET", path, headers=headers) as response:
        assert [(await next_event(response.content))["id"] for _ in range(2)] == ["2", "3"]


async def test_a_stream_has_only_the_types_asked_for(gateway: Outward) -> None:
    path = "/api/v1/events/stream?after=0&types=alarm.raised"
    await gateway.journal.commit_block(fixes("car-1", fix(1)))
    async with gateway.request("GET", path) as response:
        await gateway.journal.commit(alarm_change(1))
        assert (await next_event(response.content))["data"]["subject"] == "box-1"


async def test_a_quiet_stream_is_pinged(gateway: Outward, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.feeds.stream.HEARTBEAT_S", 0.01)
    async with gateway.request("GET", "/api/v1/events/stream") as response, asyncio.timeout(30):
        while not (await response.content.readline()).startswith(b": ping"):
            pass


async def test_a_reader_that_takes_nothing_delays_no_other(gateway: Outward) -> None:
    text = "x" * 1000
    for group in range(20):
        events = [alarm_event(1000 * group + n, text=text) for n in range(1, 501)]
        await gateway.journal.commit(Change(events=events))
    async with gateway.request("GET", "/api/v1/events/stream?after=0") as slow:
        assert slow.status == 200
        async with gateway.request("GET", "/api/v1/events/stream") as quick:
            await gateway.journal.commit(alarm_change(1, "box-2"))
            assert (await next_event(quick.content))["data"]["subject"] == "box-2"
        # The slow one finds everything in order when it reads at last.
        ids = [int((await next_event(slow.content))["id"]) for _ in range(10_001)]
        assert ids == list(range(1, 10_002))


async def test_a_stream_that_fails_ends_and_can_be_resumed(
    gateway: Outward, monkeypatch: pytest.MonkeyPatch
) -> None:
    await gateway.journal.commit(alarm_change(1))
    async with gateway.request("GET", "/api/v1/events/stream?after=0") as response:
        await next_event(response.content)
        with monkeypatch.context() as patched:
            patched.setattr(gateway.journal, "read", None)
            await gateway.journal.commit(alarm_change(2))
            assert b"HTTP/" not in await response.content.read()
    headers = {"Last-Event-ID": "1"}
    async with gateway.request("GET", "/api/v1/events/stream", headers=headers) as response:
        assert (await next_event(response.content))["id"] == "2"


async def test_a_server_that_stops_ends_its_streams_at_once(tmp_path: Path) -> None:
    async with asyncio.timeout(30):
        async with outward(tmp_path) as gateway:
            response = await gateway.request("GET", "/api/v1/events/stream").__aenter__()
            await response.content.readline()
        response.close()


@pytest.mark.parametrize("limit", [2, 300, 10_000])
async def test_pages_lead_to_the_end_and_on_from_there(gateway: Outward, limit: int) -> None:
    last = 2 * limit + 1 if limit < 1000 else 500
    await gateway.journal.commit(Change(events=[alarm_event(n) for n in range(1, last + 1)]))
    seen, cursor = [], 0
    while True:
        page = await gateway.get(f"/api/v1/events?after={cursor}&limit={limit}")
        cursor = page["next"]
        if not page["events"]:
            break
        seen += [event["id"] for event in page["events"]]
    assert seen == [f"box-1:1:p:{seq}" for seq in range(1, last + 1)]
    await gateway.journal.commit(alarm_change(last + 1))
    page = await gateway.get(f"/api/v1/events?after={cursor}")
    assert [event["id"] for event in page["events"]] == [f"box-1:1:p:{last + 1}"]


async def test_a_page_without_events_moves_on_past_those_not_asked_for(gateway: Outward) -> None:
    await gateway.journal.commit_block(fixes("car-1", fix(1), fix(2)))
    page = await gateway.get("/api/v1/events?types=alarm.raised")
    assert page == {"events": [], "next": 2}


@pytest.mark.parametrize("types", ["alarm.raised,position", "fieldgate.alarm.raised.v1,position"])
async def test_types_have_short_and_full_names(gateway: Outward, types: str) -> None:
    await gateway.journal.commit_block(fixes("car-1", fix(1)))
    await gateway.journal.commit(alarm_change(1))
    page = await gateway.get(f"/api/v1/events?types={types}")
    assert [event["type"] for event in page["events"]] == [
        "fieldgate.position.v1",
        "fieldgate.alarm.raised.v1",
    ]


@pytest.mark.parametrize(
    ("query", "parameter", "value"),
    [
        ("after=-1", "after", "-1"),
        ("after=soon", "after", "soon"),
        ("after=" + "9" * 5000, "after", "9" * 5000),
        ("limit=0", "limit", "0"),
        ("limit=10001", "limit", "10001"),
        ("types=alarm", "types", "alarm"),
        ("types=", "types", ""),
        ("types=refused", "types", "refused"),
    ],
)
async def test_a_parameter_out_of_range_is_named(
    gateway: Outward, query: str, parameter: str, value: str
) -> None:
    async with gateway.request("GET", f"/api/v1/events?{query}") as response:
        problem = await response.json(content_type="application/problem+json")
    assert (problem["status"], problem["parameter"], problem["value"]) == (400, parameter, value)


async def test_a_last_event_id_that_is_no_cursor_is_named(gateway: Outward) -> None:
    headers = {"Last-Event-ID": "yesterday"}
    async with gateway.request("GET", "/api/v1/events/stream", headers=headers) as response:
        problem = await response.json(content_type="application/problem+json")
    assert (problem["status"], problem["parameter"]) == (400, "Last-Event-ID")
