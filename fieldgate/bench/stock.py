"""A gateway with a past: so many fixes, come in by the front door as a backlog in arrays."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from fieldgate.bench.parts import Account, Gateway, PartFailed, Servant

PORTION, PER_S = 400_000, 200_000
"""Fixes on their way at a time, and how fast they are sent: fewer than the queues can hold."""

BATCH = 200
STALLED_S = 60.0


def fill(
    gateway: Gateway, generator: Servant, accounts: Sequence[Account], count: int, **times: Any
) -> int:
    """Bring so many fixes in, from all devices alike; how many the journal has when they are.

    ``times``: the generator's ``since_ms`` and ``every_ms``, else as of now.
    """
    generator.order("connect", to="stock", host=gateway.host, port=gateway.port, accounts=accounts)
    each = len(accounts) * BATCH
    count = -(-count // each) * each  # the devices have equally many
    portion = max(1, PORTION // each) * each
    api, sent = gateway.api, 0
    before = api.metric("fieldgate_journal_cursor")
    while sent < count:
        some = min(portion, count - sent)
        generator.order("load", to="stock", count=some, batch=BATCH, qos=1, rate=1e5, **times)
        _wait(gateway, before + sent)  # meanwhile the portion before was taken
        generator.order("go", to="stock", rate=PER_S)
        sent += some
    _wait(gateway, before + count)
    generator.order("close", to="stock")
    return count


def _wait(gateway: Gateway, cursor: float) -> None:
    """Return when the journal has got there; PartFailed when it moves no more."""
    newest, moved = -1.0, time.monotonic()
    while (at := gateway.api.metric("fieldgate_journal_cursor")) < cursor:
        if at > newest:
            newest, moved = at, time.monotonic()
        elif time.monotonic() - moved > STALLED_S:
            shed = gateway.api.metric("fieldgate_telemetry_shed_total")
            raise PartFailed(f"the journal stays at {at:,.0f} of {cursor:,.0f}; {shed:,.0f} shed")
        time.sleep(0.1)  # the journal tells nobody outside
