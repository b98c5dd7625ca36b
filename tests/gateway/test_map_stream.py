"""The map's stream: a snapshot, then what moved; a slow page gets one merged update."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway import frames
from gateway.api.map_stream import IN_FLIGHT
from gateway.frames import Frame
from gateway.map_stream import MAX_PAGES
from gateway.map_views import TooManyPages
from gateway.registry import Device, Role
from protocols.errors import FieldInvalid
from protocols.model import Fix, Presence, Status
from tests.gateway.outward import NOW_MS, Outward, alarm_change, outward

CARS = 3


@pytest.fixture
async def gateway(tmp_path: Path) -> AsyncIterator[Outward]:
    async with outward(tmp_path) as started:
        for number in range(CARS):
            started.registry.add(Device(id=f"car-{number}", kind="vehicle_terminal", name="<b>"))
            move(started, number, 1)
        started.registry.add(Device(id="box-1", kind="alarm_box", lat=24.5, lon=117.6))
        yield started


def move(gateway: Outward, number: int, seq: int, **keys: Any) -> None:
    """A car reports where it is: further north each time."""
    twin = gateway.twins.of(f"car-{number}")
    place = {"lat": 24.5 + seq / 1000, "lon": 117.6, "spd": 10.0, "hdg": 90.0, "acc": 4.2} | keys
    twin.take_usual(Fix(boot=1, seq=seq, t=NOW_MS - 100_000 + 1000 * seq, fix=3, **place), NOW_MS)


class Client:
    """A page that shows the map, as far as the gateway sees it."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket
        self.facts: dict[int, dict[str, Any]] = {}
        self.events: list[dict[str, Any]] = []
        self.hello: dict[str, Any] = {}

    async def update(self, *, draw: bool = True) -> list[Frame]:
        """The next update, whole."""
        found = []
        async with asyncio.timeout(30):
            while True:
                message = await self.socket.receive()
                if message.type is aiohttp.WSMsgType.BINARY:
                    found.append(frames.decode(message.data))
                    if found[-1].bits & frames.LAST:
                        break
                else:
                    assert message.type is aiohttp.WSMsgType.TEXT, message
                    self._told(json.loads(message.data))
        if draw:
            await self.drawn(found[-1].update)
        return found

    async def drawn(self, update: int) -> None:
        await self.socket.send_json({"drawn": update})

    async def event(self) -> dict[str, Any]:
        """The next event."""
        while not self.events:
            await self.update()
        return self.events.pop(0)

    def _told(self, word: dict[str, Any]) -> None:
        if word["type"] == "facts":
            self.facts |= {fact["i"]: fact for fact in word["facts"]}
        elif word["type"] == "event":
            self.events.append(word)
        else:
            self.hello = word

    def index_of(self, name: str) -> int:
        return next(i for i, fact in self.facts.items() if fact["id"] == name)


@contextlib.asynccontextmanager
async def following(gateway: Outward, query: str = "") -> AsyncIterator[Client]:
    headers = {"Authorization": f"Bearer {gateway.tokens[Role.VIEWER]}"}
    url = f"{gateway.url}/api/v1/map/stream{query}"
    async with gateway.session.ws_connect(url, headers=headers) as socket:
        yield Client(socket)


async def test_first_all_that_stands_on_the_map_then_what_moves(gateway: Outward) -> None:
    async with following(gateway) as page:
        [whole] = await page.update()
        assert whole.bits == frames.LAST | frames.WHOLE
        assert len(whole.rows) == len(page.facts) == CARS + 1
        move(gateway, 1, 2)
        while not (moved := (await page.update())[0]).rows:
            pass  # updates without news say that the gateway is there
    [row] = moved.rows
    index, lat, lon, age, speed, heading, accuracy, marks = row
    assert index == page.index_of("car-1")
    assert (lat, lon) == (245_020_000, 1_176_000_000)
    assert (age, speed, heading, accuracy, marks) == (98, 20, 60, 5, frames.ONLINE)
    assert page.facts[index]["name"] == "<b>", "it is for the page to show it as text"


async def test_a_box_stands_where_it_is_registered(gateway: Outward) -> None:
    async with following(gateway) as page:
        [whole] = await page.update()
    row = whole.rows[page.index_of("box-1")]
    assert row[1:3] == (245_000_000, 1_176_000_000)
    assert row[7] == frames.OFFLINE | frames.FIXED
    assert page.facts[row[0]] == {
        "i": row[0], "id": "box-1", "kind": "alarm_box", "unit": False,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("device", "health", "marks"),
    [
        ("box-1", {"mains": True, "cam": "ok", "batt": 5}, frames.CAMERA),
        ("box-1", {"mains": False, "batt": 100}, frames.FAULT),
        ("box-1", {"cam": "none"}, 0),
        ("car-1", {"mains": False, "batt": 90}, 0),
        ("car-1", {"mains": False, "batt": 19}, frames.FAULT),
        ("car-1", {"cam": "covered"}, frames.FAULT),
        ("car-1", {"cam": "ok", "gnss": "no_device"}, frames.CAMERA | frames.FAULT),
    ],
)
async def test_what_sees_and_what_is_broken_is_marked(
    gateway: Outward, device: str, health: dict[str, Any], marks: int
) -> None:
    gateway.twins.of(device).take_status(Status(boot=1, seq=1, t=NOW_MS, **health), NOW_MS)
    async with following(gateway) as page:
        [whole] = await page.update()
    assert whole.rows[page.index_of(device)][7] & (frames.CAMERA | frames.FAULT) == marks


async def test_a_slow_page_gets_one_update_with_all_that_it_missed(gateway: Outward) -> None:
    async with following(gateway) as page:
        first = [(await page.update(draw=False))[-1].update for _ in range(IN_FLIGHT)]
        for seq in range(2, 6):
            move(gateway, seq % CARS, seq)
            await gateway.map_stream.look()  # nobody takes it
        await page.drawn(first[-1])
        [merged] = await page.update()
        assert merged.update >= first[-1] + 4
        latest = {row[0]: row[1] for row in merged.rows}
        assert latest == {
            page.index_of("car-0"): 245_030_000,
            page.index_of("car-1"): 245_040_000,
            page.index_of("car-2"): 245_050_000,
        }


async def test_presence_alarms_and_new_devices_are_told(gateway: Outward) -> None:
    async with following(gateway) as page:
        await page.update()
        gateway.twins.of("car-2").take_presence(Presence(online=False, boot=1))
        record = alarm_change(1, "car-2").alarms[0]
        gateway.open_alarms.append(record)
        gateway.registry.add(Device(id="car-9", kind="vehicle_terminal"))
        gateway.twins.of("car-9").heard(NOW_MS)
        rows: dict[int, tuple[int, ...]] = {}
        while len(page.facts) < CARS + 2 or len(rows) < 2:
            rows |= {row[0]: row for frame in await page.update() for row in frame.rows}
        index = page.index_of("car-2")
        assert rows[index][7] == frames.OFFLINE | frames.ALARM | frames.WAITING
        assert (page.facts[index]["alarms"], page.facts[index]["waiting"]) == (1, 1)
        assert rows[page.index_of("car-9")][1] == frames.NOWHERE


@pytest.mark.slow
async def test_events_come_on_the_same_socket_and_resume(gateway: Outward) -> None:
    [first], _ = await gateway.journal.commit(alarm_change(1))
    async with following(gateway) as page:
        await page.update()
        assert page.hello["cursor"] == first
        [second], _ = await gateway.journal.commit(alarm_change(2))
        event = await page.event()
        assert (event["cursor"], event["event"]["id"]) == (second, "box-1:1:p:2")
    async with following(gateway, f"?after={first}") as page:
        assert (await page.event())["cursor"] == second, "what came meanwhile"


async def test_strangers_are_sent_away(gateway: Outward) -> None:
    path = "/api/v1/map/stream"
    async with gateway.request("GET", path) as response:
        assert response.status == 426
    headers = {"Origin": "https://elsewhere.example"}
    async with gateway.request("GET", path, headers=headers) as response:
        assert response.status == 403
    async with following(gateway, "") as page:
        await page.socket.send_str("nonsense")
        message = await page.socket.receive()
        while message.type in (aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY):
            message = await page.socket.receive()
        assert message.type is aiohttp.WSMsgType.CLOSE


async def test_pages_are_bounded(gateway: Outward) -> None:
    with contextlib.ExitStack() as pages:
        for _ in range(MAX_PAGES):
            pages.enter_context(gateway.map_stream.watch())
        with pytest.raises(TooManyPages):
            pages.enter_context(gateway.map_stream.watch())
        with pytest.raises(aiohttp.WSServerHandshakeError, match="503"):
            async with following(gateway):
                pass


async def test_what_a_page_needs_to_draw_the_map(gateway: Outward) -> None:
    about = await gateway.get("/api/v1/map/about")
    assert (about["tiles"], about["crs"], about["stale_after_s"]) == (None, "wgs84", 60)
    assert about["grids"][0]["name"] == "North"


# -- the codec -----------------------------------------------------------------------------------


@given(st.binary(max_size=80))
def test_any_bytes_are_a_frame_or_refused(data: bytes) -> None:
    try:
        frame = frames.decode(data)
    except FieldInvalid:
        return
    assert len(data) == frames.HEADER.size + frames.ROW_BYTES * len(frame.rows)


@given(st.floats(0, 200), st.floats(0, 359.99), st.floats(0, 10_000))
def test_a_byte_holds_speed_heading_and_accuracy(spd: float, hdg: float, acc: float) -> None:
    assert frames.speed_code(spd) <= 254
    assert abs(frames.speed_code(min(spd, 127)) / 2 - min(spd, 127)) <= 0.25
    turned = abs(frames.heading_code(hdg) * 1.5 - hdg) % 360
    assert min(turned, 360 - turned) <= 0.75
    code = frames.accuracy_code(acc)
    assert code <= 254
    shown = code if code <= 200 else 200 + 50 * (code - 200)
    assert shown >= acc or code == 254, "never better than it is"
    assert [frames.speed_code(None), frames.heading_code(None)] == [255, 255]
