"""From the broker's deliveries to arrivals: whose message it is, and on which channel."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import structlog

from gateway.arrival import Arrival, quarantined
from gateway.journal.base import Change, CommitFailed, Journal
from gateway.metrics import Metrics
from gateway.pipeline import Pipeline
from protocols.errors import TopicInvalid
from protocols.model import Lane
from protocols.native import topics
from protocols.native.topics import Up

log = structlog.get_logger()

PRIORITY_CHANNELS = frozenset(
    {Up.PRESENCE, *(channel for channel, lane in topics.LANES.items() if lane is Lane.PRIORITY)}
)


def priority_filters(prefix: str) -> list[tuple[str, int]]:
    """What the priority client subscribes to, with QoS."""
    return [(topics.up(prefix, "+", channel), 1) for channel in sorted(PRIORITY_CHANNELS)]


def telemetry_filters(prefix: str) -> list[tuple[str, int]]:
    """All channels, so that what is on none of the contract's is seen and kept too."""
    return [(f"{prefix}/v1/+/up/#", 1)]


class Delivery(Protocol):
    """A message as the broker delivered it."""

    @property
    def topic(self) -> str: ...
    @property
    def payload(self) -> bytes: ...
    @property
    def qos(self) -> int: ...
    @property
    def retained(self) -> bool: ...


class Doorstep:
    """Reads topics. What is wrong with one goes into quarantine, here for both lanes."""

    def __init__(self, *, prefix: str, journal: Journal, metrics: Metrics) -> None:
        self._prefix = prefix
        self._journal = journal
        self._metrics = metrics

    def arrival(
        self, topic: str, payload: bytes, received: int, qos: int, retained: bool
    ) -> Arrival | None:
        """The delivery with whose it is; None if its topic is none of the contract's."""
        try:
            parts = topics.parse(self._prefix, topic)
        except TopicInvalid as error:
            self._refuse(topic, payload, received, str(error))
            return None
        return Arrival(topic, parts.device, parts.channel, payload, received, qos, retained)

    def _refuse(self, topic: str, payload: bytes, received: int, detail: str) -> None:
        self._metrics.refused.labels(TopicInvalid.reason).inc()
        device = topic.split("/")[2] if topic.count("/") > 2 else ""
        arrival = Arrival(topic, device, "", payload, received)
        aside = quarantined(arrival, TopicInvalid.reason, detail)
        self._journal.commit(Change(quarantined=(aside,)))


class Intake:
    """The priority lane's front door."""

    def __init__(
        self,
        *,
        doorstep: Doorstep,
        priority: Pipeline,
        metrics: Metrics,
        now_ms: Callable[[], int],
    ) -> None:
        self._doorstep = doorstep
        self._priority = priority
        self._metrics = metrics
        self._now_ms = now_ms

    async def take(self, delivery: Delivery) -> None:
        """Return when the message may be acknowledged to the broker; else raise CommitFailed."""
        arrival = self._doorstep.arrival(
            delivery.topic, delivery.payload, self._now_ms(), delivery.qos, delivery.retained
        )
        if arrival is None:
            return
        try:
            await self._priority.take(arrival)
        except CommitFailed:
            raise  # it is not acknowledged, and the gateway is about to stop
        except Exception:
            log.exception("message_failed", topic=arrival.topic, payload=arrival.payload.hex())
            self._metrics.errors.inc()
            await self._priority.take_unread(arrival, "internal_error", "see the gateway's log")
