"""HTTP on a Unix socket: what a panel, a GPIO daemon or a panic button calls.

POST /press   {"kind", "zone", "silent", "text"}; with ?follow=1 one JSON line a stage
POST /duty    {"act", "ref", "crew"}
POST /reset   lets go of the latched buttons
GET  /status, /alarms, /alarms/SEQ[?boot=…][&follow=1]
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Annotated, Any, Literal, Protocol, TypeAlias
from urllib.parse import parse_qsl, urlsplit

import h11
import msgspec
from msgspec import Meta, Struct

from edge.alarms import AlarmTrack, Step
from edge.connections import Connections
from protocols.errors import FieldInvalid
from protocols.fields import convert
from protocols.model import DutyAct, Name, Text

MAX_BODY_BYTES = 16 * 1024
MAX_CALLERS = 32
REQUEST_TIMEOUT_S = 10.0
SOCKET_MODE = 0o660  # the panel is in the agent's group

PressedKind: TypeAlias = Literal[
    "panic", "duress", "hold_up", "fire", "medical", "tamper", "man_down", "test"
]
log = logging.getLogger(__name__)


class Press(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The body of POST /press."""

    kind: PressedKind = "panic"
    zone: Text | None = None
    silent: bool | None = None
    text: Text | None = None


class Duty(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The body of POST /duty."""

    act: DutyAct
    ref: Text | None = None
    crew: Annotated[list[Name], Meta(max_length=32)] | None = None


class Device(Protocol):
    """What the socket drives."""

    @property
    def boot(self) -> int:
        """The boot number in force."""

    def press(
        self, kind: PressedKind, *, zone: str | None, silent: bool | None, text: str | None
    ) -> AlarmTrack:
        """A press; returns when it is durably spooled."""

    def duty(self, act: DutyAct, *, ref: str | None, crew: list[str] | None) -> str:
        """A duty report; its message id."""

    def reset(self) -> None:
        """Let go of the latched buttons."""

    def status(self) -> dict[str, object]:
        """How the device is."""

    def alarm(self, boot: int, seq: int) -> AlarmTrack | None:
        """An alarm and how far it has got."""

    def alarms(self) -> list[AlarmTrack]:
        """The latest alarms."""


class Refusal(Exception):
    """A request that is not answered with 200."""

    def __init__(self, status: int, title: str, **facts: object) -> None:
        super().__init__(title)
        self.status = status
        self.problem = {"title": title, "status": status, **facts}


Answer: TypeAlias = dict[str, object] | AlarmTrack


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
            answer, follow = self._route(request, body)
        except TimeoutError:
            return
        except h11.RemoteProtocolError as error:
            refusal = Refusal(error.error_status_hint, f"not HTTP: {error}")
            await _respond(http, writer, refusal.status, refusal.problem)
        except Refusal as refusal:
            await _respond(http, writer, refusal.status, refusal.problem)
        except FieldInvalid as error:
            problem = {"title": str(error), "field": error.field, "value": error.value}
            await _respond(http, writer, 400, {"status": 400, **problem})
        else:
            if follow and isinstance(answer, AlarmTrack):
                await _stream(http, reader, writer, answer)
            else:
                await _respond(http, writer, 200, _shown(answer))

    def _route(self, request: h11.Request, body: bytes) -> tuple[Answer, bool]:
        target = urlsplit(request.target.decode("ascii"))
        query = dict(parse_qsl(target.query))
        follow = query.get("follow") in ("1", "true")
        method, path = request.method.decode("ascii"), target.path
        routes: dict[tuple[str, str], Callable[[], Answer]] = {
            ("POST", "/press"): lambda: self._press(body),
            ("POST", "/duty"): lambda: self._duty(body),
            ("POST", "/reset"): self._reset,
            ("GET", "/status"): self._device.status,
            ("GET", "/alarms"): lambda: {"alarms": [_shown(a) for a in self._device.alarms()]},
        }
        if method == "GET" and path.startswith("/alarms/"):
            return self._alarm(path.removeprefix("/alarms/"), query.get("boot")), follow
        if (method, path) in routes:
            return routes[method, path](), follow
        allowed = [known for known, route in routes if route == path]
        if allowed:
            raise Refusal(405, f"{method} {path}", allow=allowed)
        raise Refusal(404, f"nothing at {path}")

    def _press(self, body: bytes) -> AlarmTrack:
        press = _parse(body, Press)
        return self._device.press(press.kind, zone=press.zone, silent=press.silent, text=press.text)

    def _duty(self, body: bytes) -> dict[str, object]:
        duty = _parse(body, Duty)
        return {"id": self._device.duty(duty.act, ref=duty.ref, crew=duty.crew)}

    def _reset(self) -> dict[str, object]:
        self._device.reset()
        return {}

    def _alarm(self, seq: str, boot: str | None) -> AlarmTrack:
        track = self._device.alarm(
            self._device.boot if boot is None else _number("boot", boot), _number("seq", seq)
        )
        if track is None:
            raise Refusal(404, f"no alarm {seq} is followed here")
        return track


def _number(field: str, text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 20):
        raise FieldInvalid(field, "must be a number", text)
    return int(text)


def _parse(body: bytes, kind: type[Any]) -> Any:
    try:
        value = msgspec.json.decode(body or b"{}")
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise FieldInvalid("body", f"not JSON: {error}") from None
    return convert(value, kind)


def _shown(answer: Answer) -> dict[str, object]:
    if not isinstance(answer, AlarmTrack):
        return answer
    return {
        "id": answer.id,
        "boot": answer.boot,
        "seq": answer.seq,
        "kind": answer.kind,
        "count": answer.count,
        "stage": answer.stage,
        "steps": [_step(step) for step in answer.steps],
    }


def _step(step: Step) -> dict[str, object]:
    about: dict[str, object] = {"stage": step.stage, "t": step.t}
    return about if step.by is None else {**about, "by": step.by}


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
            http, writer, h11.Data(data=msgspec.json.encode({**line, **_step(step)}) + b"\n")
        )
    await _send(http, writer, h11.EndOfMessage())


async def _send(http: h11.Connection, writer: asyncio.StreamWriter, event: h11.Event) -> None:
    data = http.send(event)
    if data:
        writer.write(data)
        await writer.drain()
