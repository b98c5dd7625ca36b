"""Does who watches see the newest picture, and never a heap of old ones?"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from gateway.api.tickets import MAX_TICKETS, Tickets
from gateway.asked import Frame
from gateway.live import LiveViews, Viewer
from gateway.registry import Device, Role
from gateway.snapshot import Ordered
from tests.gateway.asked import JPEG, Box, with_a_device
from tests.gateway.outward import NOW_MS, Outward

LIVE = "/api/v1/devices/box-1/live"


@pytest.fixture
async def gateway(tmp_path: Path) -> AsyncIterator[Outward]:
    async with with_a_device(tmp_path) as gateway:
        yield gateway


@pytest.fixture
def box(gateway: Outward) -> Box:
    return Box(gateway)


def huge(jpeg: bytes) -> bytes:
    """The same, which says that it has 65,535 pixels a side."""
    frame = jpeg.index(b"\xff\xc0")
    return jpeg[: frame + 5] + b"\xff" * 4 + jpeg[frame + 9 :]


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
        silence = json.loads(await socket.receive_str(timeout=30))
        assert silence == {"silent_ms": 0, "device": "online"}
        end = json.loads(await socket.receive_str(timeout=30))
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
        end = json.loads(await socket.receive_str(timeout=30))
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


async def test_what_cannot_be_ordered_is_a_problem_and_others_can_still_watch(
    gateway: Outward, box: Box, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as full:
        full.setattr("gateway.commands.MOST_WAITING", 0)
        for path, method in ((f"{LIVE}.mjpeg", "GET"), ("/api/v1/devices/box-1/snapshot", "POST")):
            async with gateway.request(method, path, role=Role.DISPATCHER) as response:
                problem = await response.json(content_type=None)
            assert (response.status, problem["why"]) == (503, "busy")
    with monkeypatch.context() as broken:
        broken.setattr(gateway.commands, "send", None)
        async with gateway.request("GET", f"{LIVE}.mjpeg", role=Role.DISPATCHER) as response:
            assert response.status == 502
    opening = asyncio.create_task(
        gateway.request("GET", f"{LIVE}.mjpeg?seconds=1", role=Role.DISPATCHER).__aenter__()
    )
    box.shows(JPEG, (await box.ordered("live")).id, reason="live")
    response = await opening
    assert response.status == 200
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
    used, until = tickets.give("box-1", "desk 3")
    late, _ = tickets.give("box-1", "desk 3")
    assert tickets.take(used, "box-1") == "desk 3"
    assert tickets.take(used, "box-1") is None
    now = until
    assert tickets.take(late, "box-1") is None
    first, *_ = [tickets.give("box-1", "desk 3")[0] for _ in range(MAX_TICKETS + 1)]
    now -= 1
    assert tickets.take(first, "box-1") is None, "the oldest gives way"


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
