"""What is counted and measured, under the names that Prometheus reads."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from gateway.journal.base import CommandRecord, CommandStep, Event, EventType
from gateway.unit import Contradiction
from protocols.commands import CommandState

LATENCY_S = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 15, 60)


class Metrics:
    """The gateway's metrics, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._gauges: dict[str, Gauge] = {}
        r = self.registry
        self.received = Counter(
            "fieldgate_messages_received", "Messages from devices", ["channel"], registry=r
        )
        self.refused = Counter(
            "fieldgate_messages_refused", "Messages put in quarantine", ["reason"], registry=r
        )
        self.duplicates = Counter(
            "fieldgate_duplicates", "Messages that were held already", ["lane"], registry=r
        )
        self.conflicts = Counter(
            "fieldgate_conflicts", "Message ids that came again with another body", registry=r
        )
        self.shed = Counter(
            "fieldgate_telemetry_shed",
            "Telemetry dropped under overload, asked for later",
            registry=r,
        )
        self.disk_refused = Counter(
            "fieldgate_disk_refused",
            "Telemetry not taken while the disk runs out, asked for later",
            ["channel"],
            registry=r,
        )
        self.errors = Counter(
            "fieldgate_errors", "Messages that met a fault of the gateway's own", registry=r
        )
        self.alarms = Counter("fieldgate_alarms_raised", "Alarms raised", ["kind"], registry=r)
        self.contradictions = Counter(
            "fieldgate_unit_contradictions", "Contradictions that began", ["kind"], registry=r
        )
        self.pictures = Counter(
            "fieldgate_pictures",
            "Pictures of which all chunks came, by what became of them",
            ["state"],
            registry=r,
        )
        self.pictures_left = Counter(
            "fieldgate_pictures_left",
            "Pictures somebody waited for that were too large to be waited for",
            registry=r,
        )
        self.commands = Counter(
            "fieldgate_commands", "Commands that reached a state", ["act", "state"], registry=r
        )
        self.command_s = Histogram(
            "fieldgate_command_delivered_seconds",
            "A command's order to the device's word that it has it",
            ["act"],
            buckets=(*LATENCY_S, 300, 900, 3600),
            registry=r,
        )
        self.custody = Counter(
            "fieldgate_pictures_custody",
            "What became of pictures: held, released, deleted, abandoned, damaged, mended",
            ["act"],
            registry=r,
        )
        self.alarm_s = Histogram(
            "fieldgate_alarm_seconds",
            "An alarm's arrival to a stage; for `device`, its press to its arrival",
            ["stage"],
            buckets=LATENCY_S,
            registry=r,
        )
        self.alarm_fed_s = Histogram(
            "fieldgate_alarm_fed_seconds",
            "An alarm's arrival to its delivery",
            ["feed"],
            buckets=LATENCY_S,
            registry=r,
        )
        self.commit_s = Histogram(
            "fieldgate_commit_seconds",
            "Handed to the journal to committed",
            ["lane"],
            buckets=LATENCY_S,
            registry=r,
        )
        self.loop_lag_s = Histogram(
            "fieldgate_event_loop_lag_seconds",
            "How late the event loop is, looked at every second",
            buckets=LATENCY_S,
            registry=r,
        )

    def committed(self, lane: str, seconds: float) -> None:
        """The journal has committed something. From any thread."""
        self.commit_s.labels(lane).observe(seconds)

    def commanded(self, command: CommandRecord, step: CommandStep) -> None:
        """A command takes a step."""
        self.commands.labels(command.act, step.state).inc()
        if step.state is CommandState.DELIVERED:
            self.command_s.labels(command.act).observe(max(0, step.t - command.t) / 1000)

    def contradicted(self, found: Contradiction) -> None:
        """A unit does what it has not reported."""
        self.contradictions.labels(found.kind).inc()

    def delivered(self, feed: str, events: Sequence[Event]) -> None:
        """A receiver has taken these."""
        for event in events:
            if event.type is EventType.ALARM_RAISED:
                self.alarm_fed_s.labels(feed).observe(max(0.0, time.time() - event.received / 1000))

    def gauge(self, name: str, text: str, value: Callable[[], float], **labels: str) -> None:
        """A figure that is looked up when it is read."""
        gauge = self._gauges.get(name)
        if gauge is None:
            gauge = self._gauges[name] = Gauge(name, text, list(labels), registry=self.registry)
        (gauge.labels(**labels) if labels else gauge).set_function(value)
