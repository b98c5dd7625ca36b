"""One run of positions through the gateway, or past it: what was offered, what came of it.

A run counts only when every message is accounted for: the ledger holds as many as were
sent and misses none, the journal's cursor has moved on by as many, nothing was shed,
every device has a receipt for all that it has sent, and the feed gives the last ones back.
"""

from __future__ import annotations

import time
from contextlib import ExitStack
from pathlib import Path
from typing import Self

from msgspec import Struct

from fieldgate.bench.parts import (
    Account,
    Broker,
    Gateway,
    MosquittoSub,
    PartFailed,
    Servant,
    subscribed,
)
from fieldgate.bench.usage import Meter, Used

SAMPLE_S = 1.0
DRAIN_TIMEOUT_S = 60.0
RECEIPT_TIMEOUT_S = 15.0
BACKLOG_S = 0.3
"""The gateway keeps up if so long after the last was sent all are in the journal."""

LATE_S = 0.5
"""The generator offers a rate if it is never further behind."""

FEED_READ = 1000


class Load(Struct, frozen=True, kw_only=True):
    """What is offered: ``rate`` fixes a second for ``seconds``, ``batch`` in a message."""

    rate: int
    seconds: float
    qos: int = 0
    batch: int = 1

    @property
    def count(self) -> int:
        """How many fixes."""
        return int(self.rate * self.seconds) // self.batch * self.batch


class Outcome(Struct, frozen=True, kw_only=True):
    """What came of a run. ``us``: CPU of the taker for each fix, in microseconds."""

    load: Load
    us: float
    used: Used
    late_s: float
    drain_s: float = 0.0
    per_s: float = 0.0
    missing: int = 0
    shed: int = 0
    faults: list[str] = []
    backlog: list[tuple[float, int]] = []

    @property
    def complete(self) -> bool:
        """Every message is accounted for."""
        return not self.faults

    @property
    def sustained(self) -> bool:
        """Complete, as fast as it was offered, with no backlog that grows."""
        return self.complete and self.drain_s <= BACKLOG_S and self.late_s <= LATE_S


class Devices:
    """The devices, online at a gateway and at a broker like its own for the reference."""

    def __init__(self, folder: Path, count: int, *, boxes: int = 0) -> None:
        self._folder = folder
        self._names = [f"bench-{n:04}" for n in range(count)]
        self._boxes = [f"box-{n:03}" for n in range(boxes)]
        self._parts = ExitStack()
        self._times = 0
        self.generator = Servant("generator", folder)
        self.boxes: list[Account] = []
        self.gateway: Gateway
        self.broker: Broker

    def __enter__(self) -> Self:
        self.generator.__enter__()
        try:
            self._start()
        except BaseException:
            self.generator.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._parts.close()
        self.generator.stop()

    def renew(self) -> None:
        """Begin anew with a gateway that knows nothing: what was lost before is not asked for."""
        for to in ("gateway", "reference"):
            self.generator.order("close", to=to, anew=True)
        self._parts.close()
        self._start()

    def _start(self) -> None:
        self._times += 1
        folder = self._folder / str(self._times)
        folder.mkdir()
        with ExitStack() as parts:
            gateway = Gateway(folder)
            accounts = gateway.register(self._names)
            self.boxes = gateway.register(self._boxes, "alarm_box")
            self.gateway = parts.enter_context(gateway)
            self.broker = parts.enter_context(Broker(gateway, folder))
            for to, at in (("gateway", self.gateway), ("reference", self.broker)):
                self.generator.order(
                    "connect", to=to, host=at.host, port=at.port, accounts=accounts
                )
            self._parts = parts.pop_all()


def through_gateway(at: Devices, load: Load) -> Outcome:
    """The fixes loaded, sent to the gateway."""
    gateway, api = at.gateway, at.gateway.api
    held = _totals(gateway)["held"]
    cursor = int(api.metric("fieldgate_journal_cursor"))
    shed = api.metric("fieldgate_telemetry_shed_total")
    whole = Meter({"gateway": gateway.own})
    sending = Meter(
        {
            "gateway": gateway.own,
            "broker": gateway.broker,
            "generator": [at.generator.process],
        }
    )
    backlog, began = [], time.monotonic()
    at.generator.begin("go", to="gateway", rate=load.rate)
    while not at.generator.has_line(SAMPLE_S):
        elapsed = time.monotonic() - began
        taken = api.metric("fieldgate_journal_cursor") - cursor
        backlog.append((round(elapsed, 2), int(load.rate * elapsed - taken)))
    sent, used = at.generator.line(1), sending.stop()
    drain_s = _drained(gateway, cursor + load.count)
    settled = at.generator.order("settle", to="gateway", timeout_s=RECEIPT_TIMEOUT_S)
    gateway_s = whole.stop().cpu_s["gateway"]
    totals, newest = _totals(gateway), api.metric("fieldgate_journal_cursor")
    lost = int(api.metric("fieldgate_telemetry_shed_total") - shed)
    fed = _fed(gateway, int(newest))
    faults = [
        fault
        for fault, is_so in (
            (f"the ledger holds {totals['held'] - held:,} of {load.count:,}",
             totals["held"] - held != load.count),
            (f"the ledger misses {totals['missing']:,}", totals["missing"] > 0),
            (f"{lost:,} were shed", lost > 0),
            (f"the journal has {int(newest - cursor):,}", newest - cursor < load.count),
            (f"{settled['receipted']:,} of {settled['devices']:,} devices have their receipt",
             settled["receipted"] < settled["devices"]),
            (f"{settled['acknowledged']:,} were acknowledged",
             load.qos == 1 and settled["acknowledged"] < load.count // load.batch),
            (f"the feed gives {fed:,} of the last {FEED_READ:,}", fed < FEED_READ),
        )
        if is_so
    ]  # fmt: skip
    return Outcome(
        load=load,
        us=gateway_s / load.count * 1e6,
        used=used,
        late_s=sent["late_s"],
        drain_s=drain_s,
        per_s=(totals["held"] - held) / (sent["seconds"] + drain_s),
        missing=totals["missing"],
        shed=lost,
        faults=faults,
        backlog=backlog,
    )


def thrown_away(at: Devices, load: Load) -> Outcome:
    """The same fixes, sent to mosquitto_sub, which ends when it has had them all."""
    messages = load.count // load.batch
    with subscribed(MosquittoSub(at.broker, qos=load.qos, count=messages), at.broker) as sub:
        meter = Meter({"broker": [at.broker.process], "generator": [at.generator.process]})
        sent = at.generator.order("go", to="reference", rate=load.rate)
        began = time.monotonic()
        try:
            cpu_s, faults = sub.finish(DRAIN_TIMEOUT_S / 4), []
        except PartFailed as failure:
            cpu_s, faults = sum(sub.process.cpu_times()[:2]), [str(failure)]
        drain_s, used = time.monotonic() - began, meter.stop()
    # It has ended by itself: the meter took it for one of the others.
    used.cpu_s["mosquitto_sub"] = cpu_s
    used.cpu_s["others"] = max(0.0, used.cpu_s["others"] - cpu_s)
    return Outcome(
        load=load,
        us=cpu_s / load.count * 1e6,
        used=used,
        late_s=sent["late_s"],
        drain_s=drain_s,
        faults=faults,
    )


def _totals(gateway: Gateway) -> dict[str, int]:
    totals: dict[str, int] = gateway.api.json("/api/v1/ledger?device=bench-0000")["totals"]
    return totals


def _drained(gateway: Gateway, cursor: int) -> float:
    """Seconds until the journal has got there, or moves no more."""
    began = moved = time.monotonic()
    newest = -1.0
    while True:
        at, now = gateway.api.metric("fieldgate_journal_cursor"), time.monotonic()
        if at >= cursor or now - moved > 2 or now - began > DRAIN_TIMEOUT_S:
            return moved - began if at < cursor else now - began
        if at > newest:
            newest, moved = at, now
        time.sleep(0.05)  # the journal tells nobody outside


def _fed(gateway: Gateway, newest: int) -> int:
    """How many of the last events the feed gives back."""
    page = gateway.api.json(f"/api/v1/events?after={newest - FEED_READ}&limit={FEED_READ}")
    sequences = {int(event["sequence"]) for event in page["events"]}
    return len(sequences)
