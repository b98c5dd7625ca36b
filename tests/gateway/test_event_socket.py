"""The feed over a WebSocket: events beyond a cursor, a word while it is quiet, the newest."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from aiohttp.client import _WSRequestContextManager

from gateway.registry import Role
from tests.gateway.outward import Outward, alarm_change, fix, fixes, outward

PATH = "/api/v1/events/socket"


def listening(gateway: Outward, query: str = "", **headers: str) -> _WSRequestContextManager:
    headers["Authorization"] = f"Bearer {gateway.tokens[Role.VIEWER]}"
    return gateway.session.ws_connect(gateway.url + PATH + query, headers=headers)


@pytest.fixture
async def gateway(tmp_path: Path) -> AsyncIterator[Outward]:
    async with outward(tmp_path) as started:
        yield started


async def test_events_come_as_they_are_committed_and_go_on_from_a_cursor(gateway: Outward) -> None:
    await gateway.journal.commit(alarm_change(1))
    async with listening(gateway) as socket:
        hello = await socket.receive_json()
        await gateway.journal.commit(alarm_change(2))
        word = await socket.receive_json()
        assert hello == {"type": "hello", "cursor": word["cursor"] - 1}
        assert word["event"]["id"] == "box-1:1:p:2"
        assert word["event"]["sequence"] == str(word["cursor"])
    async with listening(gateway, "?after=0&types=alarm.raised") as socket:
        await gateway.journal.commit_block(fixes("car-1", fix(1)))
        await gateway.journal.commit(alarm_change(3))
        words = [await socket.receive_json() for _ in range(4)]
        assert [word["cursor"] for word in words[:3]] == [0, 1, 2]
        assert words[3]["event"]["id"] == "box-1:1:p:3"


async def test_it_says_that_it_is_there_while_nothing_happens(
    gateway: Outward, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.api.event_socket.QUIET_S", 0.01)
    async with listening(gateway) as socket:
        assert (await socket.receive_json())["type"] == "hello"
        assert await socket.receive_json() == {"type": "quiet"}


async def test_it_ends_when_events_cannot_be_read_and_says_no_longer_that_it_is_there(
    gateway: Outward, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with listening(gateway) as socket:
        await socket.receive_json()
        monkeypatch.setattr(gateway.journal, "read", None)
        await gateway.journal.commit(alarm_change(1))
        assert (await socket.receive()).type is aiohttp.WSMsgType.CLOSE


async def test_it_is_for_our_own_page_and_for_websockets(gateway: Outward) -> None:
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        async with listening(gateway, Origin="http://elsewhere"):
            pass
    assert refused.value.status == 403
    async with gateway.request("GET", PATH) as response:
        assert response.status == 426


async def test_a_server_that_stops_lets_everybody_go_at_once(tmp_path: Path) -> None:
    async with asyncio.timeout(5):
        async with outward(tmp_path) as gateway:
            socket = await listening(gateway).__aenter__()
            await socket.receive_json()
        await socket.close()


@pytest.mark.parametrize(
    ("path", "period"),
    [
        (PATH, "gateway.api.event_socket.QUIET_S"),
        ("/api/v1/map/stream", "gateway.api.map_stream.LOOK_S"),
        ("/api/v1/events/stream", "gateway.feeds.stream.HEARTBEAT_S"),
    ],
)
async def test_a_token_that_is_revoked_ends_what_it_listens_to(
    gateway: Outward, monkeypatch: pytest.MonkeyPatch, path: str, period: str
) -> None:
    monkeypatch.setattr(period, 0.01)
    token = gateway.registry.add_token(Role.VIEWER, "wall")
    number = max(each.no for each in gateway.registry.tokens())
    headers = {"Authorization": f"Bearer {token}"}
    async with asyncio.timeout(10):
        if path.endswith("/events/stream"):
            async with gateway.session.get(gateway.url + path, headers=headers) as response:
                await response.content.readline()
                gateway.registry.revoke_token(number)
                await response.content.read()
        else:
            async with gateway.session.ws_connect(gateway.url + path, headers=headers) as socket:
                await socket.receive()
                gateway.registry.revoke_token(number)
                async for _ in socket:
                    pass
                assert socket.closed


async def test_the_newest_so_many_of_some_types_are_found(gateway: Outward) -> None:
    for seq in range(1, 8):
        await gateway.journal.commit(alarm_change(seq))
        await gateway.journal.commit_block(fixes("car-1", *[fix(7 * seq + n) for n in range(7)]))
    for last, expected in [(1, [7]), (3, [5, 6, 7]), (7, [*range(1, 8)]), (50, [*range(1, 8)])]:
        page = await gateway.get(f"/api/v1/events?types=alarm.raised&last={last}&limit=1")
        assert [event["id"] for event in page["events"]] == [f"box-1:1:p:{n}" for n in expected]
    page = await gateway.get("/api/v1/events?last=3")
    assert [event["type"] for event in page["events"]] == ["fieldgate.position.v1"] * 3
    again = await gateway.get(f"/api/v1/events?last=3&after={page['next']}")
    assert again["events"] == []
    empty = await gateway.get("/api/v1/events?types=duty&last=3")
    assert empty["events"] == []
