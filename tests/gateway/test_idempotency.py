"""A request under its key is done once, and answered alike. ETags, packed answers."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import brotli
import pytest

from gateway import answered
from gateway.answered import KEPT_MS, Answered, AnsweredStore
from gateway.api.finish import taken
from gateway.registry import Role
from tests.gateway.outward import Outward, alarm_change, outward

PATH = "/api/v1/alarms/box-1:1:p:1/accept"


@pytest.fixture
async def gateway(tmp_path: Path) -> AsyncIterator[Outward]:
    async with outward(tmp_path) as gateway:
        await gateway.journal.commit(alarm_change(1))
        yield gateway


async def accept(gateway: Outward, by: str, key: str = "k", role: Role = Role.ADMIN) -> Any:
    headers = {"Idempotency-Key": key}
    async with gateway.request(
        "POST", PATH, role=role, json={"by": by}, headers=headers
    ) as response:
        replayed = response.headers.get("Idempotency-Replayed")
        return response.status, replayed, await response.json(content_type=None)


async def test_the_same_request_again_is_answered_alike_and_done_once(gateway: Outward) -> None:
    status, replayed, first = await accept(gateway, "Li")
    assert (status, replayed) == (200, None)
    assert await accept(gateway, "Li") == (200, "true", first)
    assert len(gateway.alarms.asked) == 1
    status, _, problem = await accept(gateway, "Wang")
    assert (status, problem["key"]) == (409, "k")
    assert len(gateway.alarms.asked) == 1


async def test_another_token_has_keys_of_its_own(gateway: Outward) -> None:
    await accept(gateway, "Li")
    status, replayed, _ = await accept(gateway, "Li", role=Role.DISPATCHER)
    assert (status, replayed) == (200, None)


async def test_two_at_once_are_done_once(gateway: Outward) -> None:
    found = await asyncio.gather(*(accept(gateway, "Li") for _ in range(5)))
    assert [status for status, _, _ in found] == [200] * 5
    assert len(gateway.alarms.asked) == 1


async def test_what_was_refused_may_be_tried_again(gateway: Outward) -> None:
    for _ in range(2):
        status, _, problem = await accept(gateway, "x" * 99)
        assert (status, problem["parameter"]) == (400, "by")
    assert (await accept(gateway, "Li"))[0] == 200


@pytest.mark.parametrize("key", ["", "a b", "x" * 256])
async def test_a_key_that_is_none_is_refused(gateway: Outward, key: str) -> None:
    status, _, problem = await accept(gateway, "Li", key)
    assert (status, problem["parameter"]) == (400, "Idempotency-Key")


def test_answers_are_kept_through_a_restart_and_forgotten_in_a_day(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 10 * KEPT_MS
    monkeypatch.setattr(answered, "MAX_KEPT", 2)
    kept = Answered(request=b"r", status=201, headers={"Location": "/x"}, body=b"{}")
    with AnsweredStore(tmp_path, now_ms=lambda: now) as store:
        for key in (b"a", b"b", b"c"):
            now += 1
            store.keep(key, kept)
    with AnsweredStore(tmp_path, now_ms=lambda: now) as store:
        assert [store.find(key) for key in (b"a", b"b", b"c")] == [None, kept, kept]
        now += KEPT_MS
        assert store.find(b"c") is None


# ETags, packed answers


async def test_who_knows_an_answer_is_told_that_it_is_the_same(gateway: Outward) -> None:
    async with gateway.request("GET", "/api/v1/alarms") as response:
        tag = response.headers["ETag"]
    async with gateway.request("GET", "/api/v1/alarms", headers={"If-None-Match": tag}) as response:
        assert (response.status, await response.read()) == (304, b"")
    await accept(gateway, "Li")
    async with gateway.request("GET", "/api/v1/alarms", headers={"If-None-Match": tag}) as response:
        assert response.status == 200


async def test_head_says_what_get_would(gateway: Outward) -> None:
    async with gateway.request("GET", "/api/v1/alarms") as response:
        tag = response.headers["ETag"]
    async with gateway.request("HEAD", "/api/v1/alarms") as response:
        assert (response.status, response.headers["ETag"]) == (200, tag)
        assert await response.read() == b""
    async with gateway.request("HEAD", "/api/v1/alarms", role=None) as response:
        assert response.status == 401


@pytest.mark.parametrize("count", [10, 300])
async def test_an_answer_is_packed_for_who_takes_it(gateway: Outward, count: int) -> None:
    for seq in range(2, count):
        await gateway.journal.commit(alarm_change(seq))
    unpacked = {"identity": bytes, "gzip": gzip.decompress, "br": brotli.decompress}
    bodies = set()
    for encoding, unpack in unpacked.items():
        headers = {"Accept-Encoding": encoding}
        path = "/api/v1/alarms?limit=1000"
        headers["Authorization"] = f"Bearer {gateway.tokens[Role.VIEWER]}"
        async with (
            aiohttp.ClientSession(gateway.url, auto_decompress=False) as session,
            session.get(path, headers=headers) as response,
        ):
            assert response.headers.get("Content-Encoding", "identity") == encoding
            bodies.add(unpack(await response.read()))
    assert len(bodies) == 1


@pytest.mark.parametrize(
    ("accepted", "encoding"),
    [
        ("", None),
        ("gzip, deflate, br", "br"),
        ("gzip;q=0.5", "gzip"),
        ("br;q=0, gzip", "gzip"),
        ("br;q=0.0", None),
        ("BR", "br"),
        ("identity, *;q=0", None),
    ],
)
def test_the_best_encoding_that_is_taken(accepted: str, encoding: str | None) -> None:
    assert taken(accepted) == encoding
