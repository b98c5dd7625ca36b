"""How a journalled event looks to the dispatch core: a CloudEvent (contract section 4)."""

from __future__ import annotations

from gateway.journal.base import Event
from protocols.cloudevents import CloudEvent, event_type, finite, rfc3339

DOUBTED_CLOCK = frozenset({"clock_unset", "clock_skewed"})
"""Flags of events whose device does not know the time: they happened when they arrived."""


def envelope(event: Event) -> CloudEvent:
    """The event as it is fed: its data as the device sent them, and what the gateway adds."""
    data, lost = finite(event.data)
    return CloudEvent(
        id=event.id,
        source=source(event.device),
        type=event_type(event.type.feed_name),
        time=happened(event),
        subject=event.device,
        sequence=str(event.cursor),
        data={
            **data,
            "received": event.received,
            "stored": event.stored,
            "clock_offset_ms": event.clock_offset_ms,
            "flags": [*event.flags, *(f"not_finite:{key}" for key in lost)],
        },
    )


def source(device: str) -> str:
    """Where the events of a device come from."""
    return f"/field/{device}"


def happened(event: Event) -> str:
    """When it happened, RFC 3339: by the device's clock, or on arrival if that cannot be right."""
    if event.t > 0 and DOUBTED_CLOCK.isdisjoint(event.flags):
        try:
            return rfc3339(event.t)
        except OverflowError:  # past the year 9999
            pass
    return rfc3339(event.received)
