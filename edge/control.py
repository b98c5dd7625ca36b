"""HTTP on a Unix socket: what a panel, a GPIO daemon or a panic button calls.

The routes are those of edge/requests.py. POST /press and GET /alarms/SEQ take ?follow=1: one
JSON line a stage, until the alarm is closed.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import h11
import msgspec

from edge.alarms import AlarmTrack, Step
from edge.connections import Connections
from edge.requests import MAX_BODY_BYTES, Answer, Device, Refusal, answer, shown, step_shown

MAX_CALLERS = 32
REQUEST_TIMEOUT_S = 10.0
SOCKET_MODE = 0o660  # the panel is in the agent's group

log = logging.getLogger(__name__)


class ControlSocket:
    """Serves one device; a context manager."""

    def __init__(self, path: Path, device: Device) -> None:
        self._path, self._device = path, device
        self._callers = Connections(self._call)

    async def __aenter__(self) -> ControlSocket:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._path.unlink(missing_ok=True)  # left by an agent that was killed
        umask = os.umask(0o777 & ~SOCKET_MODE)
        try:
            self._server = await asyncio.start_unix_server(self._callers.accept, self._path)
        finally:
            os.umask(umask)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._callers.close(self._server)
        self._path.unlink(missing_ok=True)

    async def _call(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One request, one answer."""
        http = h11.Connection(h11.SERVER, max_incomplete_event_size=MAX_BODY_BYTES)
        with contextlib.suppress(ConnectionError, h11.LocalProtocolError):
            await self._answer(http, reader, writer)

    async def _answer(
        self, http: h11.Connection, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        try:
            if len(self._callers) > MAX_CALLERS:
                raise Refusal(503, "too many callers", limit=MAX_CALLERS)
            async with asyncio.timeout(REQUEST_TIMEOUT_S):
                request, body = await _read_request(http, reader)
            found, follow = self._route(request, body)
        except TimeoutError:
            return
        except h11.RemoteProtocolError as error:
            refusal = Refusal(error.error_status_hint, f"not HTTP: {error}")
            await _respond(http, writer, refusal.status, refusal.problem)
        except Refusal as refusal:
            await _respond(http, writer, refusal.status, refusal.problem)
        else:
            if follow and isinstance(found, AlarmTrack):
                await _stream(http, reader, writer, found)
            else:
                await _respond(http, writer, 200, shown(found))

    def _route(self, request: h11.Request, body: bytes) -> tuple[Answer, bool]:
        target = urlsplit(request.target.decode("ascii"))
        query = dict(parse_qsl(target.query))
        method = request.method.decode("ascii")
        follow = query.get("follow") in ("1", "true")
        return answer(self._device, method, target.path, query, body), follow


async def _read_request(
    http: h11.Connection, reader: asyncio.StreamReader
) -> tuple[h11.Request, bytes]:
    request: h11.Request | None = None
    body = b""
    while True:
        event = http.next_event()
        if event is h11.NEED_DATA:
            http.receive_data(await reader.read(MAX_BODY_BYTES))
        elif isinstance(event, h11.Request):
            request = event
        elif isinstance(event, h11.Data):
            body += event.data
            if len(body) > MAX_BODY_BYTES:
                raise Refusal(413, f"body: at most {MAX_BODY_BYTES} bytes")
        elif isinstance(event, h11.EndOfMessage):
            assert request is not None
            return request, body
        else:
            raise ConnectionResetError("the caller has gone")


async def _respond(
    http: h11.Connection, writer: asyncio.StreamWriter, status: int, value: object
) -> None:
    kind = b"application/json" if status == 200 else b"application/problem+json"
    body = msgspec.json.encode(value) + b"\n"
    headers = [
        (b"Content-Type", kind),
        (b"Content-Length", b"%d" % len(body)),
        (b"Connection", b"close"),
    ]
    await _send(http, writer, h11.Response(status_code=status, headers=headers))
    await _send(http, writer, h11.Data(data=body))
    await _send(http, writer, h11.EndOfMessage())


async def _stream(
    http: h11.Connection,
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    track: AlarmTrack,
) -> None:
    """A JSON line a stage, until the alarm is closed or the caller has gone."""
    headers = [(b"Content-Type", b"application/x-ndjson"), (b"Connection", b"close")]
    await _send(http, writer, h11.Response(status_code=200, headers=headers))
    gone = asyncio.ensure_future(reader.read(1))  # a caller that hangs up is read as the end
    lines = asyncio.ensure_future(_send_steps(http, writer, track.follow(), track))
    try:
        await asyncio.wait([gone, lines], return_when=asyncio.FIRST_COMPLETED)
    finally:
        gone.cancel()
        lines.cancel()
        await asyncio.wait([gone, lines])
    if not lines.cancelled():
        lines.result()


async def _send_steps(
    http: h11.Connection,
    writer: asyncio.StreamWriter,
    steps: AsyncIterator[Step],
    track: AlarmTrack,
) -> None:
    async for step in steps:
        line = {"id": track.id, "boot": track.boot, "seq": track.seq, "count": track.count}
        await _send(
            http, writer, h11.Data(data=msgspec.json.encode({**line, **step_shown(step)}) + b"\n")
        )
    await _send(http, writer, h11.EndOfMessage())


async def _send(http: h11.Connection, writer: asyncio.StreamWriter, event: h11.Event) -> None:
    data = http.send(event)
    if data:
        writer.write(data)
        await writer.drain()
