"""Does who asks for a picture get one of after that, or word why there is none?"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from gateway.journal.base import Chunk
from gateway.registry import Role
from gateway.shots import Shots
from protocols.native import media
from simulators.camera import draw_jpeg
from tests.gateway.asked import JPEG, Box, with_a_device
from tests.gateway.outward import NOW_MS, Outward
from tests.gateway.photographs import png_bomb


@pytest.fixture
async def gateway(tmp_path: Path) -> AsyncIterator[Outward]:
    async with with_a_device(tmp_path) as gateway:
        yield gateway


@pytest.fixture
def box(gateway: Outward) -> Box:
    return Box(gateway)


class Asking:
    """A request for a picture that is under way."""

    def __init__(self, gateway: Outward, query: str = "", accept: str = "*/*") -> None:
        self._gateway, self._query, self._accept = gateway, query, accept

    async def __aenter__(self) -> Asking:
        self._task = asyncio.create_task(self._ask())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()
        await asyncio.wait([self._task])

    async def _ask(self) -> tuple[int, Any, bytes]:
        path = f"/api/v1/devices/box-1/snapshot{self._query}"
        async with self._gateway.request(
            "POST", path, role=Role.DISPATCHER, headers={"Accept": self._accept}
        ) as response:
            return response.status, response.headers, await response.read()

    async def answer(self) -> tuple[int, Any, bytes]:
        return await asyncio.wait_for(self._task, 30)

    async def problem(self) -> tuple[int, Any]:
        status, _, body = await self.answer()
        return status, json.loads(body)


async def test_a_snapshot_is_the_picture_of_its_command(gateway: Outward, box: Box) -> None:
    async with Asking(gateway, "?by=desk%205") as asking:
        command = await box.ordered("snapshot")
        box.shows(draw_jpeg(7, NOW_MS), "another command")
        box.shows(draw_jpeg(8, NOW_MS), command.id, reason="periodic")
        box.shows(JPEG, command.id)
        status, headers, body = await asking.answer()
    assert (status, body) == (200, JPEG)
    assert headers["Content-Type"] == "image/jpeg"
    told = {name: value for name, value in headers.items() if name.startswith("Fieldgate-")}
    assert told["Fieldgate-Id"] == media.picture_id(JPEG)
    assert told["Fieldgate-Command"] == command.id
    assert told["Fieldgate-Taken"] == told["Fieldgate-Requested"] == str(NOW_MS)
    assert told["Fieldgate-By"] == "desk%205"
    assert (told["Fieldgate-W"], told["Fieldgate-H"]) == ("640", "480")
    assert command.exp == NOW_MS + 10_000


async def test_what_is_known_of_a_snapshot_is_told_as_json(gateway: Outward, box: Box) -> None:
    async with Asking(gateway, accept="application/json") as asking:
        command = await box.ordered("snapshot")
        box.shows(JPEG, command.id)
        _, _, body = await asking.answer()
    view = json.loads(body)
    assert view["url"] == f"/api/v1/media/{media.picture_id(JPEG)}"
    assert (view["command"], view["size"], view["age_ms"]) == (command.id, len(JPEG), 0)


async def test_chunks_may_come_in_any_order(gateway: Outward, box: Box) -> None:
    async with Asking(gateway) as asking:
        command = await box.ordered("snapshot")
        box.shows(JPEG, command.id, order=lambda chunks: chunks[::-1])
        assert (await asking.answer())[2] == JPEG


async def test_two_requests_have_commands_of_their_own_though_the_bytes_are_the_same(
    gateway: Outward, box: Box
) -> None:
    async with Asking(gateway) as first, Asking(gateway) as second:
        one, two = await box.ordered("snapshot"), await box.ordered("snapshot")
        assert one.id != two.id
        box.shows(JPEG, two.id)
        box.shows(JPEG, one.id)
        answers = [await first.answer(), await second.answer()]
    assert {headers["Fieldgate-Command"] for _, headers, _ in answers} == {one.id, two.id}


async def test_a_picture_of_before_the_request_is_refused_and_a_later_one_still_taken(
    gateway: Outward, box: Box
) -> None:
    async with Asking(gateway) as asking:
        command = await box.ordered("snapshot")
        box.shows(draw_jpeg(1, 1), command.id, taken=NOW_MS - 1)
        box.shows(JPEG, command.id)
        assert (await asking.answer())[2] == JPEG
    async with Asking(gateway, "?timeout_ms=300") as asking:
        command = await box.ordered("snapshot")
        box.shows(draw_jpeg(2, 2), command.id, taken=NOW_MS - 5_000)
        status, problem = await asking.problem()
    assert (status, problem["why"]) == (502, "older")
    assert "5000 ms before the request" in problem["detail"]


async def test_the_devices_clock_is_set_right_before_it_is_judged(
    gateway: Outward, box: Box
) -> None:
    """It is a minute behind: what it calls a minute ago is now."""
    gateway.twins.of("box-1").clock.offset_ms = 60_000
    async with Asking(gateway) as asking:
        command = await box.ordered("snapshot")
        box.shows(JPEG, command.id, taken=NOW_MS - 60_000)
        _, headers, _ = await asking.answer()
    assert headers["Fieldgate-Taken"] == str(NOW_MS)
    assert headers["Fieldgate-Taken-Device"] == str(NOW_MS - 60_000)


@pytest.mark.parametrize("taken", [0, None])
async def test_without_a_clock_the_commands_id_is_the_proof(
    gateway: Outward, box: Box, taken: int | None
) -> None:
    async with Asking(gateway) as asking:
        command = await box.ordered("snapshot")
        box.shows(JPEG, command.id, taken=taken)
        status, headers, _ = await asking.answer()
    assert status == 200
    assert "Fieldgate-Taken" not in headers


async def test_a_damaged_picture_is_no_picture(gateway: Outward, box: Box) -> None:
    async with Asking(gateway, "?timeout_ms=300") as asking:
        command = await box.ordered("snapshot")
        spoilt = lambda chunks: [chunks[0]._replace(data=b"?" * 4096), *chunks[1:]]  # noqa: E731
        box.shows(JPEG, command.id, order=spoilt)
        status, problem = await asking.problem()
    assert (status, problem["why"], problem["picture"]) == (
        502, "damaged", media.picture_id(JPEG),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("sent", "why"),
    [
        (b"<html>", "format_unknown"),
        (JPEG[:-100], "truncated"),
        (png_bomb(), "too_many_pixels"),
    ],
)
async def test_what_is_no_picture_is_no_answer(
    gateway: Outward, box: Box, sent: bytes, why: str
) -> None:
    async with Asking(gateway, "?timeout_ms=200") as asking:
        box.shows(sent, (await box.ordered("snapshot")).id)
        status, problem = await asking.problem()
    assert (status, problem["why"]) == (502, "damaged")
    assert why in problem["detail"]


@pytest.mark.parametrize(
    ("state", "status", "why"), [("refused", 502, "refused"), ("failed", 502, "failed")]
)
async def test_a_device_that_cannot_says_so(
    gateway: Outward, box: Box, state: str, status: int, why: str
) -> None:
    async with Asking(gateway) as asking:
        command = await box.ordered("snapshot")
        await box.says(command, state, "the lens is gone")
        found, problem = await asking.problem()
    assert (found, problem["why"], problem["command"]) == (status, why, command.id)
    assert problem["detail"].endswith(": the lens is gone")


async def test_done_without_a_picture_is_waited_for_no_longer_than_asked(
    gateway: Outward, box: Box
) -> None:
    async with Asking(gateway, "?timeout_ms=200") as asking:
        command = await box.ordered("snapshot")
        await box.says(command, "done")
        status, problem = await asking.problem()
    assert (status, problem["why"], problem["state"]) == (504, "timed_out", "done")


async def test_a_cancelled_one_ends_at_once(gateway: Outward, box: Box) -> None:
    async with Asking(gateway) as asking:
        command = await box.ordered("snapshot")
        await gateway.commands.cancel(command.id)
        status, problem = await asking.problem()
    assert (status, problem["why"]) == (409, "cancelled")


async def test_who_is_offline_is_not_asked(gateway: Outward) -> None:
    gateway.twins.of("box-1").online = False
    async with Asking(gateway) as asking:
        status, problem = await asking.problem()
    assert (status, problem["why"]) == (503, "offline")
    assert not gateway.sent


@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", "/api/v1/devices/ghost/snapshot"), ("GET", "/api/v1/devices/ghost/live.mjpeg")],
)
async def test_a_device_that_is_not_there(gateway: Outward, method: str, path: str) -> None:
    async with gateway.request(method, path, role=Role.DISPATCHER) as response:
        assert response.status == 404
    async with gateway.request(method, path, role=Role.VIEWER) as response:
        assert response.status == 403


async def test_who_asks_is_named_in_a_few_words(gateway: Outward) -> None:
    path = f"/api/v1/devices/box-1/snapshot?by={'x' * 65}"
    async with gateway.request("POST", path, role=Role.DISPATCHER) as response:
        assert response.status == 400


async def test_a_picture_that_is_too_large_to_wait_for_is_left() -> None:
    left = []
    shots = Shots(now_ms=lambda: NOW_MS, on_left=lambda: left.append(1))
    with shots.expected("box-1", lambda shot: pytest.fail("it is whole")):
        for n in range(2100):
            shots.chunk_held(
                Chunk("box-1", "a" * 64, n, 4000, 4000 * 4096, "image/jpeg", b"x" * 4096, {})
            )
    assert left
