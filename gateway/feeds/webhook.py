"""The push feed: events in order to one receiver, signed, again and again until it takes them.

A receiver has three of these, one for alarms, one for telemetry and one for all else, so
that an alarm waits neither behind positions nor behind the thousand commands of one order.
Headers and signature are those of Standard Webhooks (https://www.standardwebhooks.com), the
body is a CloudEvents JSON batch.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import hmac
import random
import time
from collections.abc import Callable, Sequence

import aiohttp
import structlog

from gateway.feeds.envelope import envelope
from gateway.journal.base import Event, EventType, Page, Reader
from protocols.cloudevents import BATCH_CONTENT_TYPE, to_batch

BATCH_EVENTS = 100
TIMEOUT_S = 15.0
RETRY_FIRST_S, RETRY_MAX_S = 0.1, 5.0  # alarms wait: a receiver that is back is found soon
REMEMBER_EVERY_S = 1.0

log = structlog.get_logger()


def decode_secret(secret: str) -> bytes:
    """The key of a Standard Webhooks secret, ``whsec_`` and base64; ValueError if it is not one."""
    try:
        return base64.b64decode(secret.removeprefix("whsec_"), validate=True)
    except binascii.Error as error:
        raise ValueError(f"webhook secret: not whsec_ and base64: {error}") from error


def sign(key: bytes, message_id: str, seconds: int, body: bytes) -> str:
    """The signature of a delivery, as in Standard Webhooks v1."""
    signed = f"{message_id}.{seconds}.".encode() + body
    return "v1," + base64.b64encode(hmac.digest(key, signed, "sha256")).decode()


class WebhookFeed:
    """One lane to one receiver. ``name`` is its cursor's; ``run`` delivers until cancelled.

    ``was``: the lane that it was a part of, from whose cursor it goes on the first time.

    Each event is delivered at least once: after a restart the last second may come
    again, with the same CloudEvents ids.
    """

    def __init__(
        self,
        reader: Reader,
        url: str,
        secret: str,
        types: frozenset[EventType],
        *,
        name: str,
        was: str | None = None,
        session: aiohttp.ClientSession,
        on_delivered: Callable[[Sequence[Event]], None] = lambda events: None,
        clock: Callable[[], float] = time.time,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self.name, self._was = name, was
        self.delivered = 0
        self.failures = 0
        self._reader = reader
        self._url = url
        self._key = decode_secret(secret)
        self._types = types
        self._session = session
        self._on_delivered = on_delivered
        self._clock = clock
        self._jitter = jitter
        self._cursor = 0
        self._remembered = 0
        self._is_down = False

    @property
    def lag(self) -> int:
        """How many events of the journal the receiver is behind."""
        return max(0, self._reader.last_cursor - self._cursor)

    async def begin(self) -> None:
        """Find where to go on: at the remembered cursor; the first time, with all there is."""
        cursor = await self._reader.feed_cursor(self.name)
        if cursor is None and self._was is not None:
            cursor = await self._reader.feed_cursor(self._was)
            if cursor is not None:
                await self._reader.save_feed_cursor(self.name, cursor)
        self._cursor = self._remembered = cursor or 0

    async def run(self) -> None:
        """Deliver from there on."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._deliver_all(), name=f"{self.name} delivery")
            tasks.create_task(self._remember_all(), name=f"{self.name} cursor")

    async def _deliver_all(self) -> None:
        while True:
            page = await self._reader.read(self._cursor, BATCH_EVENTS, self._types)
            if page.events:
                await self._deliver(page)
            self._cursor = page.next
            if not page.events:
                await self._reader.wait_beyond(self._cursor, self._types)

    async def _remember_all(self) -> None:
        """Saving waits for the journal's writer, so delivery does not wait for saving."""
        while True:
            await asyncio.sleep(REMEMBER_EVERY_S)
            if self._remembered < self._cursor:
                cursor = self._cursor
                await self._reader.save_feed_cursor(self.name, cursor)
                self._remembered = cursor

    async def _deliver(self, page: Page) -> None:
        body = to_batch([envelope(event) for event in page.events])
        # The same events have the same id, however often and by whichever run they are sent.
        message_id = hashlib.sha256(body).hexdigest()[:32]
        limit_s = RETRY_FIRST_S
        while (problem := await self._post(message_id, body)) is not None:
            self.failures += 1
            if not self._is_down:
                self._is_down = True
                log.warning("webhook_down", feed=self.name, url=self._url, problem=problem)
            await asyncio.sleep(limit_s * self._jitter())
            limit_s = min(2 * limit_s, RETRY_MAX_S)
        self.delivered += len(page.events)
        self._on_delivered(page.events)
        if self._is_down:
            self._is_down = False
            log.info("webhook_up", feed=self.name, url=self._url, lag=self.lag)

    async def _post(self, message_id: str, body: bytes) -> str | None:
        """Send once; None if the receiver has taken it, else what was wrong."""
        seconds = int(self._clock())
        headers = {
            "Content-Type": BATCH_CONTENT_TYPE,
            "webhook-id": message_id,
            "webhook-timestamp": str(seconds),
            "webhook-signature": sign(self._key, message_id, seconds, body),
        }
        try:
            async with self._session.post(
                self._url,
                data=body,
                headers=headers,
                allow_redirects=False,
                timeout=aiohttp.ClientTimeout(total=TIMEOUT_S),
            ) as response:
                await response.read()  # so that the connection can be used again
        except (aiohttp.ClientError, TimeoutError) as error:
            return f"{type(error).__name__}: {error}"
        return None if 200 <= response.status < 300 else f"status {response.status}"
