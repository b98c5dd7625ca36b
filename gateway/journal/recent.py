"""The newest alarms and life cycles in memory: who follows them closely waits for no disk."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable

from gateway.journal.base import Event, EventType, Page

KEPT = 1000


class Recent:
    """The last events committed to ``journal.db``, in order. Written by one thread, read by all."""

    def __init__(self, newest: int) -> None:
        self._lock = threading.Lock()
        self._events: deque[Event] = deque()
        self._before = newest  # this cursor and those below are not here

    @property
    def newest(self) -> int:
        """The cursor of the newest one."""
        return self._events[-1].cursor if self._events else self._before

    def add(self, events: Iterable[Event]) -> None:
        """These are committed: to be called before any reader is told so."""
        with self._lock:
            self._events.extend(events)
            while len(self._events) > KEPT:
                self._before = self._events.popleft().cursor

    def read(self, after: int, limit: int, types: frozenset[EventType], upper: int) -> Page | None:
        """As Reader.read, up to a cursor; None where that begins further back."""
        with self._lock:
            if after < self._before:
                return None
            found = list[Event]()
            for event in reversed(self._events):
                if event.cursor <= after:
                    break
                if event.cursor <= upper and event.type in types:
                    found.append(event)
        found = found[::-1][:limit]
        return Page(found, found[-1].cursor if len(found) == limit else max(after, upper))
