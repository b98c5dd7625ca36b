"""What is counted and measured, under the names that Prometheus reads."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

LATENCY_S = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5)


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
        self.alarm_commit_s = Histogram(
            "fieldgate_alarm_commit_seconds",
            "Alarm received to committed",
            buckets=LATENCY_S,
            registry=r,
        )

    def gauge(self, name: str, text: str, value: Callable[[], float], **labels: str) -> None:
        """A figure that is looked up when it is read."""
        gauge = self._gauges.get(name)
        if gauge is None:
            gauge = self._gauges[name] = Gauge(name, text, list(labels), registry=self.registry)
        (gauge.labels(**labels) if labels else gauge).set_function(value)
