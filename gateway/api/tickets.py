"""Tickets: how a page shows live pictures, since a browser's <img> can send no bearer token.

A token in an address would stay in histories and logs. A ticket is good for one device, once,
and only for a minute.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable

TICKET_S = 60
MAX_TICKETS = 1000
"""Not used yet: beyond that the oldest is worth nothing any more."""


class Tickets:
    """Those that were given out. They do not outlive the gateway."""

    def __init__(self, now_ms: Callable[[], int]) -> None:
        self._now_ms = now_ms
        self._given: dict[str, tuple[str, str, int]] = {}

    def give(self, device: str, by: str) -> tuple[str, int]:
        """A ticket for somebody to watch the device, and until when it can be used (ms)."""
        ticket, until = secrets.token_urlsafe(24), self._now_ms() + 1000 * TICKET_S
        self._given[ticket] = device, by, until
        if len(self._given) > MAX_TICKETS:
            del self._given[next(iter(self._given))]
        return ticket, until

    def take(self, ticket: str, device: str) -> str | None:
        """To whom it was given, if it is good for that device now; it is used up."""
        given, by, until = self._given.pop(ticket, ("", "", 0))
        return by if given == device and self._now_ms() < until else None
