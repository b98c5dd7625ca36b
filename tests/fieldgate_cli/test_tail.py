"""`fieldgate tail`: the live feed in a terminal, over breaks of the connection."""

from __future__ import annotations

import asyncio
import json
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web

from fieldgate.cli.tail import line
from gateway.feeds.envelope import envelope
from gateway.journal.sqlite import SqliteJournal
from gateway.registry import Role
from protocols.cloudevents import to_json
from tests.gateway.outward import alarm_change, alarm_event, outward

pytestmark = pytest.mark.slow  # whole processes, real time

COMMAND = (sys.executable, "-c", "from fieldgate.cli import main; main()", "tail")


@asynccontextmanager
async def tailing(*arguments: str) -> AsyncIterator[Process]:
    process = await asyncio.create_subprocess_exec(*COMMAND, *arguments, stdout=PIPE, stderr=PIPE)
    try:
        async with asyncio.timeout(30):
            yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def read(process: Process) -> str:
    assert process.stdout is not None
    return (await process.stdout.readline()).decode()


async def test_events_are_printed_as_they_are_committed(tmp_path: Path) -> None:
    async with outward(tmp_path) as gateway:
        (tmp_path / "gateway.json").write_text(json.dumps({"http": gateway.url}))
        (tmp_path / "admin.token").write_text(gateway.tokens[Role.ADMIN] + "\n")
        async with tailing("--data", str(tmp_path), "--types", "alarm.raised", "--json") as process:
            committing = asyncio.create_task(_commit_until_seen(gateway.journal))
            event = json.loads(await read(process))
            committing.cancel()
            assert event["type"] == "fieldgate.alarm.raised.v1"


async def _commit_until_seen(journal: SqliteJournal) -> None:
    for seq in range(1, 1000):  # the stream starts from now, and nothing tells when it is on
        await journal.commit(alarm_change(seq))
        await asyncio.sleep(0.05)


async def test_a_refusal_is_said_and_ends_it(tmp_path: Path) -> None:
    async with (
        outward(tmp_path) as gateway,
        tailing("--url", gateway.url, "--token", "guess") as process,
    ):
        _, said = await process.communicate()
        assert process.returncode == 1
        assert b"unknown or revoked" in said


async def test_after_a_break_it_goes_on_behind_the_last_event() -> None:
    asked: list[str | None] = []

    async def stream(request: web.Request) -> web.StreamResponse:
        asked.append(request.headers.get("Last-Event-ID"))
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        number = len(asked)
        await response.write(
            b': hello\n\nid: %d\nevent: x\ndata: {"n":\ndata: %d}\n\n' % (number, number)
        )
        return response

    app = web.Application()
    app.router.add_get("/api/v1/events/stream", stream)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    async with tailing("--url", url, "--token", "any", "--json") as process:
        seen = [await read(process) for _ in range(4)]
    await runner.cleanup()
    assert seen == ['{"n":\n', "1}\n", '{"n":\n', "2}\n"]
    assert asked[:2] == [None, "1"]


async def test_without_a_gateway_it_says_what_to_give(tmp_path: Path) -> None:
    async with tailing("--data", str(tmp_path)) as process:
        _, said = await process.communicate()
        assert process.returncode == 1
        assert b"--url and --token" in said


def test_a_line_has_the_main_facts_and_no_markup_of_the_device() -> None:
    event = envelope(alarm_event(1, zone="[red]hall[/red]"))
    text = line(json.loads(to_json(event)))
    assert "box-1" in text.plain
    assert "kind=panic" in text.plain
    assert "zone=[red]hall[/red]" in text.plain
