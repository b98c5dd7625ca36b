"""A stand-in for the dispatch core: one incident per alarm, accepted and acknowledged in time."""

from __future__ import annotations

import asyncio
import base64
import binascii
import contextlib
import hashlib
import hmac
import random
import time
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Annotated, Any, Literal, ParamSpec, Self, TypeVar
from urllib.parse import quote

import aiohttp
import msgspec
import structlog
from aiohttp import web
from msgspec import Meta, Struct
from yarl import URL

from protocols.cloudevents import BATCH_CONTENT_TYPE, event_type
from protocols.model import Stage
from simulators import ledger
from simulators.incidents import NEXT, Alarm, Answer, Incident, Incidents
from simulators.instructions import Instructions
from simulators.ledger import Ledger, now_ms
from simulators.link import Address

ALARM_RAISED = event_type("alarm.raised")
MAX_BATCH_BYTES = 16 * 1024 * 1024
MAX_SKEW_S = 5 * 60  # of a webhook's time stamp, as the Standard Webhooks libraries have it
FIRST_BACKOFF_S, LAST_BACKOFF_S = 0.5, 10.0
MAX_ANSWERS_AT_ONCE = 16
REQUEST_TIMEOUT_S = 10.0

ME = "dispatch-core"
STAGES = {
    Answer.ACCEPT: Stage.ACCEPTED,
    Answer.ACKNOWLEDGE: Stage.ACKNOWLEDGED,
    Answer.CLOSE: Stage.CLOSED,
}

_P = ParamSpec("_P")
_T = TypeVar("_T")

log = structlog.get_logger()


class SignatureInvalid(Exception):
    """A webhook that the gateway has not signed, or long ago."""


class SecretInvalid(ValueError):
    """A webhook secret that is not ``whsec_`` and base64."""


class Event(Struct, frozen=True):
    """The keys of a CloudEvent that matter here."""

    id: Annotated[str, Meta(min_length=1)]
    type: str
    subject: str = ""
    data: dict[str, Any] = {}


class Step(Struct, frozen=True):
    """One stage that an alarm has reached, and who brought it there."""

    stage: str
    by: str | None = None


class Answered(Struct, frozen=True):
    """The keys of an alarm that matter here."""

    stages: list[Step] = []


_alarm_decoder = msgspec.json.Decoder(Answered)
_batch_decoder = msgspec.json.Decoder(list[Event])
_event_decoder = msgspec.json.Decoder(Event)


class WebhookSecret:
    """Checks signatures as in the Standard Webhooks spec."""

    def __init__(self, text: str) -> None:
        if not text.startswith("whsec_"):
            raise SecretInvalid("a webhook secret starts with whsec_")
        try:
            self._key = base64.b64decode(text.removeprefix("whsec_"), validate=True)
        except binascii.Error as error:
            raise SecretInvalid(f"a webhook secret is base64: {error}") from None

    def verify(self, headers: Mapping[str, str], body: bytes, now_s: float) -> None:
        """Raise SignatureInvalid unless one of the signatures fits and is fresh."""
        try:
            id_, sent_at = headers["webhook-id"], headers["webhook-timestamp"]
            given = headers["webhook-signature"]
        except KeyError as missing:
            raise SignatureInvalid(f"no header {missing}") from None
        if not (sent_at.isdecimal() and abs(now_s - int(sent_at)) <= MAX_SKEW_S):
            raise SignatureInvalid(f"webhook-timestamp {sent_at!r} is not of now")
        signed = hmac.digest(self._key, f"{id_}.{sent_at}.".encode() + body, hashlib.sha256)
        due = "v1," + base64.b64encode(signed).decode()
        if not any(hmac.compare_digest(due.encode(), one.encode()) for one in given.split()):
            raise SignatureInvalid("webhook-signature does not fit")


class DispatchCore:
    """Takes alarms by webhook or from the stream; answers each until the gateway has taken it.

    An alarm is answered only after its incident is durable. Self-tests (kind
    ``test``) count as dispatched but open no incident. ``instructs``: with its
    acceptance the nearest car is sent there.
    """

    def __init__(
        self,
        *,
        listen: Address,
        gateway: str,
        token: str,
        secret: str,
        folder: Path,
        book: Ledger,
        source: Literal["webhook", "stream"] = "webhook",
        delay_s: float = 0.0,
        accept_after_s: float = 1.0,
        acknowledge_after_s: float = 3.0,
        close_after_s: float = 10.0,
        instructs: bool = False,
    ) -> None:
        self._listen = listen
        self._gateway = gateway.rstrip("/")
        self._token = token
        self._secret = WebhookSecret(secret) if source == "webhook" else None
        self._path = folder / "incidents.db"
        self._book = book
        self._delay_s = delay_s
        self._after_s = {
            Answer.ACCEPT: accept_after_s,
            Answer.ACKNOWLEDGE: acknowledge_after_s,
            Answer.CLOSE: close_after_s,
        }
        self._instructs = instructs
        self._instructions: Instructions
        self._tasks: asyncio.TaskGroup
        self._instructing: set[asyncio.Task[None]] = set()
        self._news = asyncio.Event()
        self._rng = random.Random()
        self._failures: Counter[int] = Counter()
        self._disk = ThreadPoolExecutor(1, "incidents")  # one thread: SQLite's transactions
        self._incidents: Incidents
        self._http: aiohttp.ClientSession
        self._port = 0
        self._parts = AsyncExitStack()

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as parts:
            parts.enter_context(self._disk)
            self._incidents = await self._on_disk(Incidents, self._path)
            parts.push_async_callback(self._on_disk, self._incidents.close)
            self._http = await parts.enter_async_context(
                aiohttp.ClientSession(
                    headers={"Authorization": f"Bearer {self._token}"},
                    timeout=aiohttp.ClientTimeout(total=REQUEST_TIMEOUT_S),
                )
            )
            self._instructions = Instructions(self._http, self._gateway)
            await self._serve(parts)
            self._tasks = tasks = await parts.enter_async_context(asyncio.TaskGroup())
            running = [tasks.create_task(self._answer_all(), name="answers")]
            if self._secret is None:
                running.append(tasks.create_task(self._follow_stream(), name="stream"))
            parts.callback(lambda: [task.cancel() for task in [*running, *self._instructing]])
            self._parts = parts.pop_all()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._parts.__aexit__(kind, error, trace)

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://{self._listen.host}:{self._port}"

    async def take(self, events: list[Event]) -> None:
        """Dispatch the alarms among the events; return when their incidents are durable."""
        arrived_ms = now_ms()
        await asyncio.sleep(self._delay_s)
        alarms = [event for event in events if event.type == ALARM_RAISED]
        if not alarms:
            return
        real = [
            Alarm(alarm.id, alarm.subject, str(alarm.data.get("kind", "unreadable")))
            for alarm in alarms
            if alarm.data.get("kind") != "test"
        ]
        due_ms = arrived_ms + round(self._after_s[Answer.ACCEPT] * 1000)
        numbers = await self._on_disk(self._incidents.open, real, arrived_ms, due_ms)
        for alarm in alarms:
            written = self._book.note(
                ledger.Dispatched(id=alarm.id, at=arrived_ms, incident=numbers.get(alarm.id))
            )
        await asyncio.shield(written)
        self._news.set()

    # What it takes.

    async def _serve(self, parts: AsyncExitStack) -> None:
        app = web.Application(client_max_size=MAX_BATCH_BYTES)
        app.router.add_post("/events", self._take_webhook)
        app.router.add_get("/incidents", self._show_incidents)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        parts.push_async_callback(runner.cleanup)
        site = web.TCPSite(runner, self._listen.host, self._listen.port)
        await site.start()
        self._port = runner.addresses[0][1]

    async def _take_webhook(self, request: web.Request) -> web.Response:
        body = await request.read()
        if self._secret is None:
            raise web.HTTPNotFound(text="follows the stream")
        try:
            self._secret.verify(request.headers, body, time.time())
            events = _batch_decoder.decode(body)
        except SignatureInvalid as error:
            log.warning("webhook_refused", why=str(error))
            raise web.HTTPUnauthorized(text=str(error)) from None
        except msgspec.DecodeError as error:
            log.warning("webhook_unreadable", why=str(error))
            raise web.HTTPBadRequest(text=f"no {BATCH_CONTENT_TYPE}: {error}") from None
        await self.take(events)
        return web.Response(status=204)

    async def _show_incidents(self, request: web.Request) -> web.Response:
        found = await self._on_disk(self._incidents.all)
        rows = [incident._asdict() for incident in found]
        return web.json_response({"incidents": rows})

    async def _follow_stream(self) -> None:
        failures = 0
        while True:
            try:
                await self._follow_once()
                failures = 0
            except (aiohttp.ClientError, TimeoutError, msgspec.DecodeError) as error:
                failures += 1
                log.warning("stream_lost", why=repr(error))
            await asyncio.sleep(self._backoff_s(failures))

    async def _follow_once(self) -> None:
        """One connection of server-sent events, from where the last one ended."""
        cursor = await self._on_disk(self._incidents.cursor)
        headers = {"Accept": "text/event-stream", "Last-Event-ID": cursor}
        async with self._http.get(
            f"{self._gateway}/api/v1/events/stream",
            headers=headers,
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=REQUEST_TIMEOUT_S),
        ) as answer:
            answer.raise_for_status()
            data: list[bytes] = []
            async for line in answer.content:
                name, _, value = line.rstrip(b"\r\n").partition(b":")
                value = value.removeprefix(b" ")
                if name == b"id":
                    cursor = value.decode()
                elif name == b"data":
                    data.append(value)
                elif not line.strip() and data:
                    event = _event_decoder.decode(b"\n".join(data))
                    data.clear()
                    await self.take([event])
                    if event.type == ALARM_RAISED:  # the rest may come again, it changes nothing
                        await self._on_disk(self._incidents.move_to, cursor)

    # What it answers.

    async def _answer_all(self) -> None:
        """Answer whatever is due, for ever."""
        while True:
            self._news.clear()
            due = await self._on_disk(self._incidents.due, now_ms(), MAX_ANSWERS_AT_ONCE)
            await asyncio.gather(*map(self._answer, due))
            if due:
                continue
            next_ms = await self._on_disk(self._incidents.next_due_ms)
            pause_s = None if next_ms is None else max(0, next_ms - now_ms()) / 1000
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._news.wait(), pause_s)

    async def _answer(self, incident: Incident) -> None:
        """Give the next answer; if the gateway does not take it, it is due again later."""
        answer = incident.waits_for
        assert answer is not None
        taken_by = await self._tell(incident, answer)
        if taken_by is None:
            self._failures[incident.number] += 1
            wait_s = self._backoff_s(self._failures[incident.number])
            await self._on_disk(
                self._incidents.wait_for, incident.number, answer, now_ms() + round(wait_s * 1000)
            )
            return
        self._failures.pop(incident.number, None)
        if answer is Answer.ACCEPT and taken_by != ME:  # a desk has it, and leads it to its end
            await self._on_disk(self._incidents.wait_for, incident.number, None, now_ms())
            return
        if answer is Answer.ACKNOWLEDGE:
            await self._book.write(ledger.Acknowledged(id=incident.alarm, at=now_ms()))
        if answer is Answer.ACCEPT and self._instructs:
            name = f"instruct {incident.number}"
            task = self._tasks.create_task(self._instructions.send(incident), name=name)
            self._instructing.add(task)
            task.add_done_callback(self._instructing.discard)
        following = NEXT[answer]
        due_ms = now_ms() + (0 if following is None else round(self._after_s[following] * 1000))
        await self._on_disk(self._incidents.wait_for, incident.number, following, due_ms)

    async def _tell(self, incident: Incident, answer: Answer) -> str | None:
        """Who brought the alarm to that stage, or None: the gateway has not taken the answer."""
        path = f"/api/v1/alarms/{quote(incident.alarm, safe='')}/{answer}"
        said = {"by": ME, "note": f"incident {incident.number}"}
        try:
            async with self._http.post(URL(self._gateway + path, encoded=True), json=said) as reply:
                if reply.ok:
                    steps = _alarm_decoder.decode(await reply.read()).stages
                    return next((step.by for step in steps if step.stage == STAGES[answer]), ME)
                if reply.status == 409:  # others have taken it further
                    return ""
                text = await reply.text()
                log.warning("answer_refused", path=path, status=reply.status, text=text[:200])
        except (aiohttp.ClientError, TimeoutError, msgspec.DecodeError) as error:
            log.warning("answer_failed", path=path, why=repr(error))
        return None

    async def _on_disk(self, work: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._disk, partial(work, *args, **kwargs))

    def _backoff_s(self, failures: int) -> float:
        return self._rng.uniform(0, min(LAST_BACKOFF_S, FIRST_BACKOFF_S * 2.0 ** min(failures, 8)))
