"""From the broker's deliveries to the lanes: whose message it is, on which channel, since when."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import structlog

from gateway.arrival import Arrival, quarantined
from gateway.journal.base import Change, CommitFailed, Journal
from gateway.metrics import Metrics
from gateway.pipeline import Pipeline
from gateway.telemetry import TelemetryPipeline
from protocols.errors import TopicInvalid
from protocols.model import Lane
from protocols.native import topics
from protocols.native.topics import Up

log = structlog.get_logger()

PRIORITY_CHANNELS = frozenset(
    {Up.PRESENCE, *(channel for channel, lane in topics.LANES.items() if lane is Lane.PRIORITY)}
)
TOPICS_KEPT = 200_000


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


class Intake:
    """The front door. What is wrong with a topic goes into quarantine here."""

    def __init__(
        self,
        *,
        prefix: str,
        priority: Pipeline,
        telemetry: TelemetryPipeline,
        journal: Journal,
        metrics: Metrics,
        now_ms: Callable[[], int],
    ) -> None:
        self._prefix = prefix
        self._priority = priority
        self._telemetry = telemetry
        self._journal = journal
        self._metrics = metrics
        self._now_ms = now_ms
        self._topics: dict[str, topics.Topic] = {}

    async def take_priority(self, delivery: Delivery) -> None:
        """Return when the message may be acknowledged to the broker; else raise CommitFailed."""
        arrival = self._arrival(delivery)
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

    def take_telemetry(self, delivery: Delivery) -> None:
        """Hand the message over to the next group."""
        arrival = self._arrival(delivery)
        if arrival is not None and arrival.channel not in PRIORITY_CHANNELS:
            self._telemetry.offer(arrival)

    def _arrival(self, delivery: Delivery) -> Arrival | None:
        topic = self._topics.get(delivery.topic)
        if topic is None:
            try:
                topic = topics.parse(self._prefix, delivery.topic)
            except TopicInvalid as error:
                self._refuse(delivery, str(error))
                return None
            if len(self._topics) < TOPICS_KEPT:
                self._topics[delivery.topic] = topic
        return Arrival(
            delivery.topic,
            topic.device,
            topic.channel,
            delivery.payload,
            self._now_ms(),
            delivery.qos,
            delivery.retained,
        )

    def _refuse(self, delivery: Delivery, detail: str) -> None:
        self._metrics.refused.labels(TopicInvalid.reason).inc()
        device = delivery.topic.split("/")[2] if delivery.topic.count("/") > 2 else ""
        arrival = Arrival(delivery.topic, device, "", delivery.payload, self._now_ms())
        aside = quarantined(arrival, TopicInvalid.reason, detail)
        self._journal.commit(Change(quarantined=(aside,)))
