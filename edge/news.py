"""What has changed on the device, for those who show it: a follower misses nothing and holds up
nobody, as changes of the same sort are told together."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Literal, TypeAlias, get_args

Subject: TypeAlias = Literal["orders", "alarms", "reports", "calls"]
SUBJECTS: frozenset[Subject] = frozenset(get_args(Subject))


class News:
    """`tell` what has changed; each follower hears of it."""

    def __init__(self) -> None:
        self._heard: dict[asyncio.Event, set[Subject]] = {}  # of each follower

    def tell(self, subject: Subject) -> None:
        """That has changed."""
        for event, subjects in self._heard.items():
            subjects.add(subject)
            event.set()

    async def follow(self) -> AsyncGenerator[frozenset[Subject], None]:
        """At first all subjects, then those that have changed since the last were taken."""
        event = asyncio.Event()
        subjects = self._heard[event] = set(SUBJECTS)
        event.set()
        try:
            while True:
                await event.wait()
                event.clear()
                changed = frozenset(subjects)
                subjects.clear()
                yield changed
        finally:
            del self._heard[event]
