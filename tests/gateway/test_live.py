"""Does who asks for a picture get one of after that, and who watches never a heap of old ones?"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from gateway.api.tickets import MAX_TICKETS, Tickets
from gateway.asked import Frame
from gateway.journal.base import Chunk, Event, EventType
from gateway.live import LiveViews, Viewer
from gateway.registry import Device, Role
from gateway.shots import Shots
from gateway.snapshot import Ordered
from protocols.model import Command
from protocols.native import codec, media
from simulators.camera import draw_jpeg
from tests.gateway.outward import NOW_MS, Outward, outward

JPEG = draw_jpeg(1, NOW_MS)
LIVE = "/api/v1/devices/box-1/live"


def huge(jpeg: bytes) -> bytes:
    """The same, which says that it has 65,535 pixels a side."""
    frame = jpeg.index(b"\xff\xc0")
    return jpeg[: frame + 5] + b"\xff" * 4 + jpeg[frame + 9 :]


class Box:
    """The device's end: what it was ordered, and what it answers."""

    def __init__(self, gateway: Outward, device: str = "box-1") -> None:
        self.gateway, self.device = gateway, device
        self._seen = self._seq = 0

    async def ordered(self, act: str) -> Command:
        """The next command of that action."""
        async with asyncio.timeout(10):
            while True:
                while self._seen == len(self.gateway.sent):
                    await asyncio.sleep(0.005)  # the list tells nobody
                down = self.gateway.sent[self._seen]
                self._seen += 1
                command = codec.decode(down.payload, Command)
                if command.act == act:
                    return command

    async def says(self, command: Command, state: str, detail: str | None = None) -> None:
        """A reply, by the way of the pipeline."""
        self._seq += 1
        event = Event(
            type=EventType.COMMAND,
            id=f"{self.device}:1:p:{self._seq}",
            device=self.device,
            t=NOW_MS,
            received=NOW_MS,
            data={"seq": self._seq, "cmd": command.id, "state": state, "detail": detail},
        )
        change = await self.gateway.commands.take(event)
        cursors, _ = await self.gateway.journal.commit(change)
        self.gateway.commands.after_commit(change, cursors)

    def shows(
        self,
        jpeg: bytes,
        ref: str,
        *,
        reason: str = "command",
        taken: int | None = NOW_MS,
        order: Callable[[list[Chunk]], list[Chunk]] = list,
        **more: Any,
    ) -> None:
        """A picture whose chunks are committed."""
        cut = media.cut(
            jpeg, "image/jpeg", taken=0, width_px=640, height_px=480, reason="command",
            chunk_bytes=4096, **more,
        )  # fmt: skip
        chunks = []
        for keys in cut:
            about = {"mime": "image/jpeg", "reason": reason, "ref": ref, "taken": taken, **more}
            about = {} if keys["n"] else {k: v for k, v in about.items() if v is not None}
            chunks.append(
                Chunk(
                    self.device, keys["id"], keys["n"], keys["of"], keys["size"], keys["mime"],
                    keys["data"], about,
                )
            )  # fmt: skip
        for chunk in order(chunks):
            self.gateway.shots.chunk_held(chunk)


@pytest.fixture
async def gateway(tmp_path: Path) -> AsyncIterator[Outward]:
    async with outward(tmp_path) as gateway:
        gateway.registry.add(Device(id="box-1", kind="vehicle_terminal"))
        twin = gateway.twins.of("box-1")
        twin.heard(NOW_MS)
        twin.clock.observe(NOW_MS, NOW_MS)
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
        return await asyncio.wait_for(self._task, 15)

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


# -- live ---------------------------------------------------------------------


async def parts(response: aiohttp.ClientResponse) -> AsyncIterator[tuple[dict[str, str], bytes]]:
    """The parts of a multipart answer, each as soon as its boundary has come."""
    assert response.content_type == "multipart/x-mixed-replace"
    await response.content.readuntil(b"--picture\r\n")
    while True:
        head = (await response.content.readuntil(b"\r\n\r\n")).decode()
        headers = dict(line.split(": ", 1) for line in head.strip().splitlines())
        body = await response.content.readexactly(int(headers["Content-Length"]))
        assert await response.content.readuntil(b"--picture\r\n") == b"\r\n--picture\r\n"
        yield headers, body


@pytest.mark.slow
async def test_viewers_share_one_command_and_the_last_one_ends_it(
    gateway: Outward, box: Box
) -> None:
    query = f"{LIVE}.mjpeg?fps=4&seconds=30"
    first = asyncio.create_task(gateway.request("GET", query, role=Role.DISPATCHER).__aenter__())
    command = await box.ordered("live")
    assert command.args["fps"] == 4.0
    second = asyncio.create_task(gateway.request("GET", query, role=Role.DISPATCHER).__aenter__())
    while gateway.live.viewers < 2:
        await asyncio.sleep(0.005)  # the request is on its way
    box.shows(JPEG, command.id, reason="live", quality=55, limited="start")
    shown = [await anext(parts(await viewer)) for viewer in (first, second)]
    assert {body for _, body in shown} == {JPEG}
    headers, _ = shown[0]
    assert (headers["Fieldgate-Seq"], headers["Fieldgate-Quality"]) == ("1", "55")
    assert (headers["Fieldgate-Limited"], headers["Fieldgate-Age-Ms"]) == ("start", "0")
    assert [down.topic for down in gateway.sent] == ["field/v1/box-1/dn/cmd"]
    (await first).close()
    (await second).close()
    await box.says(command, "delivered")
    cancelled = await box.ordered("cancel")
    assert cancelled.args == {"id": command.id}


@pytest.mark.slow
async def test_a_websocket_tells_of_each_picture_and_of_silence(gateway: Outward, box: Box) -> None:
    token = {"Authorization": f"Bearer {gateway.tokens[Role.DISPATCHER]}"}
    opening = asyncio.create_task(
        gateway.session.ws_connect(f"{gateway.url}{LIVE}?fps=5&seconds=4", headers=token)
    )
    command = await box.ordered("live")
    box.shows(JPEG, command.id, reason="live", taken=NOW_MS - 100, quality=40, limited="link")
    async with await opening as socket:
        view = json.loads(await socket.receive_str())
        assert (view["seq"], view["age_ms"], view["limited"]) == (1, 100, "link")
        assert await socket.receive_bytes() == JPEG
        silence = json.loads(await socket.receive_str(timeout=5))
        assert silence == {"silent_ms": 0, "device": "online"}
        end = json.loads(await socket.receive_str(timeout=5))
        assert end == {"end": "over", "detail": ""}
    assert (await box.ordered("cancel")).args == {"id": command.id}


async def test_a_device_that_stops_ends_it_and_says_why(gateway: Outward, box: Box) -> None:
    token = {"Authorization": f"Bearer {gateway.tokens[Role.DISPATCHER]}"}
    opening = asyncio.create_task(gateway.session.ws_connect(f"{gateway.url}{LIVE}", headers=token))
    command = await box.ordered("live")
    box.shows(JPEG, command.id, reason="live")
    async with await opening as socket:
        await socket.receive_str()
        await socket.receive_bytes()
        await box.says(command, "failed", "the camera gives no picture")
        end = json.loads(await socket.receive_str(timeout=5))
    assert end == {
        "end": "failed",
        "detail": "device box-1 could not: the camera gives no picture",
    }


async def test_a_device_that_does_not_begin_is_a_problem(gateway: Outward, box: Box) -> None:
    asking = asyncio.create_task(
        gateway.request("GET", f"{LIVE}.mjpeg", role=Role.DISPATCHER).__aenter__()
    )
    await box.says(await box.ordered("live"), "refused", "no camera")
    response = await asking
    problem = await response.json(content_type=None)
    assert (response.status, problem["why"]) == (502, "refused")
    assert gateway.live.viewers == 0
    response.close()


async def test_a_ticket_opens_one_devices_pictures_once(gateway: Outward, box: Box) -> None:
    async with gateway.request("POST", f"{LIVE}/ticket", role=Role.VIEWER) as response:
        assert response.status == 403
    async with gateway.request("POST", f"{LIVE}/ticket", role=Role.DISPATCHER) as response:
        ticket = (await response.json(content_type=None))["ticket"]
    gateway.registry.add(Device(id="box-2", kind="vehicle_terminal"))
    gateway.twins.of("box-2").heard(NOW_MS)
    query = f"?ticket={ticket}&seconds=1"
    asking = asyncio.create_task(
        gateway.request("GET", f"{LIVE}.mjpeg{query}", role=None).__aenter__()
    )
    command = await box.ordered("live")
    box.shows(JPEG, command.id, reason="live")
    response = await asking
    assert response.status == 200
    response.close()
    for device in ("box-1", "box-2"):
        path = f"/api/v1/devices/{device}/live.mjpeg{query}"
        async with gateway.request("GET", path, role=None) as refused:
            assert refused.status == 401


async def test_a_ticket_is_good_for_a_minute() -> None:
    now = NOW_MS
    tickets = Tickets(lambda: now)
    used, until = tickets.give("box-1")
    late, _ = tickets.give("box-1")
    assert tickets.take(used, "box-1")
    assert not tickets.take(used, "box-1")
    now = until
    assert not tickets.take(late, "box-1")
    first, *_ = [tickets.give("box-1")[0] for _ in range(MAX_TICKETS + 1)]
    now -= 1
    assert not tickets.take(first, "box-1"), "the oldest gives way"


async def test_the_command_is_renewed_before_it_ends_and_at_once_for_more_pictures(
    gateway: Outward, box: Box
) -> None:
    ordered = Ordered(
        gateway.commands, gateway.shots, gateway.twins, gateway.journal.shelf.sendings,
        lambda: NOW_MS,
    )  # fmt: skip
    live = LiveViews(ordered, now_s=time.monotonic, renew_s=0.4)
    running = asyncio.create_task(live.run())
    await asyncio.sleep(0)
    async with live.watch("box-1", fps=4, seconds=60, by=None) as viewer:
        first = await box.ordered("live")
        box.shows(JPEG, first.id, reason="live")
        assert (await viewer.first()).command == first.id
        second = await box.ordered("live")
        box.shows(JPEG, first.id, reason="live")  # it was on its way when the next took over
        assert (await viewer.first()).command == first.id
        async with live.watch("box-1", fps=5, seconds=60, by=None):
            assert (await box.ordered("live")).args.get("fps", 5.0) == 5.0
    assert second.id != first.id
    assert (await box.ordered("cancel")).args["id"] != first.id
    running.cancel()
    await asyncio.wait([running])


@pytest.mark.parametrize(
    "spoilt",
    [
        b"GIF89a" + JPEG,
        huge(JPEG),
        JPEG + bytes(2 * 1024 * 1024),
    ],
)
async def test_what_no_page_should_decode_is_not_shown(
    gateway: Outward, box: Box, spoilt: bytes
) -> None:
    opening = asyncio.create_task(
        gateway.request("GET", f"{LIVE}.mjpeg?seconds=2", role=Role.DISPATCHER).__aenter__()
    )
    command = await box.ordered("live")
    box.shows(spoilt, command.id, reason="live")
    box.shows(JPEG, command.id, reason="live")
    response = await opening
    headers, body = await anext(parts(response))
    assert (body, headers["Fieldgate-Seq"]) == (JPEG, "1")
    response.close()


async def test_a_slow_viewer_gets_the_newest_and_never_a_heap() -> None:
    now_s = 0.0
    viewer = Viewer("box-1", 5.0, 60.0, lambda: now_s)
    for seq in range(1, 51):
        now_s += 0.2
        viewer.offer(frame(seq))
    assert (await viewer.first()).seq == 50
    assert viewer.passed_over == 49
    assert await viewer.next(0) is None


async def test_who_wants_fewer_gets_fewer() -> None:
    now_s, seen = 0.0, []
    viewer = Viewer("box-1", 1.0, 60.0, lambda: now_s)
    for seq in range(1, 51):
        now_s += 0.2
        viewer.offer(frame(seq))
        if (shown := await viewer.next(0)) is not None:
            seen.append(shown.seq)
    assert 10 <= len(seen) <= 13
    assert viewer.passed_over == 0


def frame(seq: int) -> Frame:
    return Frame(
        id="a" * 64, seq=seq, command="c1", taken=None, received=NOW_MS, fps=None, width_px=640,
        height_px=480, quality=None, limited=None, data=JPEG,
    )  # fmt: skip
