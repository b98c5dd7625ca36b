"""Is a picture on demand never an older one, through the whole system?"""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from protocols.native import media
from simulators.camera import draw_jpeg, read_stamp
from simulators.ledger import now_ms
from tests.scenarios.seeing import scene
from tests.scenarios.whole import Gateway, Terminal

pytestmark = pytest.mark.slow  # whole processes, real time


async def test_each_snapshot_shows_what_was_after_its_request(tmp_path: Path) -> None:
    async with scene(tmp_path) as there:
        last = 0
        for _ in range(5):
            requested = now_ms()
            status, headers, jpeg = await there.snapshot("?by=desk")
            answered = now_ms()
            stamp = read_stamp(jpeg)
            assert status == 200
            assert requested <= stamp.millis <= answered
            assert stamp.frame > last
            last = stamp.frame
            assert headers["Fieldgate-Id"] == media.picture_id(jpeg)
            assert requested <= int(headers["Fieldgate-Taken"]) <= answered
            assert int(headers["Fieldgate-Round-Trip-Ms"]) <= answered - requested
        commands = await there.commands("snapshot")
        assert [command["state"] for command in commands] == ["done"] * 5
        events = await there.gateway.wait_for(5, "media")
        assert {event["data"]["ref"] for event in events} == {each["id"] for each in commands}
        async with there.session.get(
            f"{there.gateway.url}/api/v1/media/{headers['Fieldgate-Id']}"
        ) as kept:
            assert await kept.read() == jpeg


async def test_the_command_line_writes_it_to_a_file(tmp_path: Path) -> None:
    async with scene(tmp_path) as there:
        requested, file = now_ms(), tmp_path / "now.jpg"
        told = await there.gateway.command(
            "media", "snapshot", "car-1", "--out", str(file), "--by", "desk 5"
        )
        assert read_stamp(file.read_bytes()).millis >= requested
        assert (told["id"], told["by"]) == (media.picture_id(file.read_bytes()), "desk 5")
        assert told["taken"] >= requested


async def test_while_the_camera_lags_no_older_picture_comes(tmp_path: Path) -> None:
    """It holds back what it takes, which then comes all at once, the oldest first."""
    async with scene(tmp_path) as there:
        await there.snapshot()
        there.camera.held = True
        await there.camera.takes(12)
        requested = now_ms()
        asking = asyncio.create_task(there.snapshot())
        await there.camera.takes(8)
        there.camera.held = False
        status, _, jpeg = await asking
        assert status == 200
        assert read_stamp(jpeg).millis >= requested
        there.camera.held = True
        status, _, body = await there.snapshot("?timeout_ms=1000")
        assert (status, json.loads(body)["why"]) == (504, "timed_out")
        there.camera.held = False


async def test_pictures_that_wait_in_the_spool_let_it_pass(tmp_path: Path) -> None:
    async with scene(tmp_path, period_s=0.05) as there:
        await there.relay.cut()
        await there.is_seen("offline")
        status, _, body = await there.snapshot()
        assert (status, json.loads(body)["why"]) == (503, "offline")
        async with asyncio.timeout(30):
            while there.chunks < 150:
                await asyncio.sleep(0.05)  # old pictures come to wait
        there.relay.bytes_per_s = 400_000
        there.relay.restore()
        await there.is_seen("online")
        requested = now_ms()
        status, _, jpeg = await there.snapshot()
        assert status == 200
        assert read_stamp(jpeg).millis >= requested
        assert there.chunks > 50, "and wait still"


async def test_two_requests_at_once_have_a_command_and_a_picture_each(tmp_path: Path) -> None:
    async with scene(tmp_path) as there:
        answers = await asyncio.gather(there.snapshot(), there.snapshot())
        assert [status for status, _, _ in answers] == [200, 200]
        assert len({headers["Fieldgate-Command"] for _, headers, _ in answers}) == 2


class Foreign:
    """A terminal of another maker that answers as a test wants."""

    def __init__(self, gateway: Gateway, terminal: Terminal) -> None:
        self.gateway, self.terminal = gateway, terminal
        self._seq = {"reply": 0, "media": 0}

    async def ask(self, query: str = "") -> tuple[int, Any, bytes]:
        authorization = {"Authorization": f"Bearer {self.gateway.token}"}
        async with (
            aiohttp.ClientSession(headers=authorization) as session,
            session.post(
                f"{self.gateway.url}/api/v1/devices/{self.terminal.device}/snapshot{query}"
            ) as response,
        ):
            return response.status, response.headers, await response.read()

    def reply(self, command: str, state: str) -> None:
        self._send("reply", {"cmd": command, "state": state})

    def picture(self, jpeg: bytes, ref: str, taken: int) -> None:
        for chunk in media.cut(
            jpeg, "image/jpeg", taken=taken, width_px=640, height_px=480, reason="command", ref=ref
        ):
            self._send("media", chunk)

    def _send(self, channel: str, keys: dict[str, Any]) -> None:
        self._seq[channel] += 1
        self.terminal.send(channel, {"boot": 1, "seq": self._seq[channel], "t": now_ms(), **keys})


async def test_a_foreign_terminal_that_is_late_wrong_or_answers_twice(tmp_path: Path) -> None:
    async with Gateway(tmp_path / "data") as gateway:
        password = await gateway.add("cam-9", "body_camera")
        async with Terminal(gateway.mqtt_port, "cam-9", password) as terminal:
            foreign = Foreign(gateway, terminal)
            terminal.send("presence", {"online": True, "boot": 1, "t": now_ms()})
            await gateway.wait_for(1, "presence")

            # Nobody answers in time, and what comes later answers no other request.
            status, _, body = await foreign.ask("?timeout_ms=300")
            assert (status, json.loads(body)["why"]) == (504, "timed_out")
            late = (await terminal.command())["id"]

            asking = asyncio.create_task(foreign.ask())
            command = (await terminal.command())["id"]
            foreign.reply(command, "delivered")
            foreign.picture(draw_jpeg(1, 1), late, now_ms())
            foreign.picture(draw_jpeg(2, 2), command, now_ms() - 60_000)  # an old one
            foreign.reply(command, "done")
            right = draw_jpeg(3, 3)
            for _ in range(2):
                foreign.picture(right, command, now_ms())
                foreign.reply(command, "done")
            status, headers, jpeg = await asking
            assert (status, jpeg) == (200, right)
            assert headers["Fieldgate-Command"] == command

            asking = asyncio.create_task(foreign.ask("?timeout_ms=1500"))
            command = (await terminal.command())["id"]
            foreign.picture(draw_jpeg(4, 4), command, now_ms() - 60_000)
            status, _, body = await asking
            assert (status, json.loads(body)["why"]) == (502, "older")

            # The bytes of before, which the terminal calls new.
            asking = asyncio.create_task(foreign.ask())
            command = (await terminal.command())["id"]
            foreign.picture(right, command, now_ms())
            status, _, body = await asking
            assert (status, json.loads(body)["why"]) == (502, "older")
            assert "very bytes" in json.loads(body)["detail"]

            terminal.send("presence", {"online": False, "boot": 1})
            await gateway.wait_for(2, "presence")
            began_s = time.monotonic()
            status, _, body = await foreign.ask("?timeout_ms=30000")
            assert (status, json.loads(body)["why"]) == (503, "offline")
            assert time.monotonic() - began_s < 10, "it is not waited for"
