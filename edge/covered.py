"""Which messages a receipt says that the gateway holds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from protocols.model import Lane, Receipt


def covered(receipt: Receipt, lane: Lane) -> Iterator[tuple[int, int]]:
    """The ranges of a lane that the gateway holds: up to its first gap, and with ``high``
    what lies between the missing ranges."""
    held_to = receipt.p if lane is Lane.PRIORITY else receipt.t
    if held_to:
        yield 1, held_to
    since = held_to + 1
    if lane in receipt.high:
        for first, last in sorted(receipt.miss.get(lane, [])):
            if since < first:
                yield since, min(first - 1, receipt.high[lane])
            since = max(since, last + 1)
        if since <= receipt.high[lane]:
            yield since, receipt.high[lane]
    if lane is Lane.PRIORITY:  # an alarm that has a stage is at least stored
        yield from ((stage.seq, stage.seq) for stage in receipt.alarms)


def is_beyond(receipt: Receipt, boot: int, last: Mapping[Lane, int]) -> bool:
    """Whether it speaks of numbers that this boot has not given out yet: ``last`` of each lane."""
    if receipt.boot != boot:
        return receipt.boot > boot
    named = [stage.seq for stage in receipt.alarms]
    told = {Lane.PRIORITY: max([receipt.p, *named]), Lane.TELEMETRY: receipt.t}
    return any(max(told[lane], receipt.high.get(lane, 0)) > last[lane] for lane in Lane)
