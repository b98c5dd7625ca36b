"""Which presses of a button raise an alarm, and which add to the one that is open.

A button latches: its first press raises an alarm, further ones count up until the
gateway closes it or somebody resets it. A self-test lets go by itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from edge.spool import Spooled
from protocols.model import AlarmKind

UPDATE_EVERY_S = 1.0
MAX_LATCHED = 64
TEST_LATCH_S = 10.0


class Button(NamedTuple):
    """Presses of one kind, at one place."""

    kind: AlarmKind
    zone: str | None = None


@dataclass(slots=True)
class Latched:
    """The open alarm of a button: how often it was pressed, how much of that was told."""

    seq: int
    raised_s: float
    told_s: float
    count: int = 1
    told: int = 1
    text: str | None = None
    update: Spooled | None = None  # the message that told last

    def tell(self, update: Spooled, now_s: float) -> None:
        """That message tells the count so far."""
        self.told, self.told_s, self.text, self.update = self.count, now_s, None, update


class Buttons:
    """The buttons of a device. Times are monotonic seconds."""

    def __init__(self) -> None:
        self._latched: dict[Button, Latched] = {}

    def add(self, button: Button, text: str | None, now_s: float) -> Latched | None:
        """A press: the open alarm that it adds to, or None if it must raise one."""
        latched = self._latched.get(button)
        if latched is None:
            return None
        if button.kind == "test" and now_s - latched.raised_s >= TEST_LATCH_S:
            return None
        latched.count += 1
        latched.text = text or latched.text
        return latched

    def latch(self, button: Button, seq: int, now_s: float) -> None:
        """The press has raised that alarm."""
        self._latched[button] = Latched(seq, raised_s=now_s, told_s=now_s)
        if len(self._latched) > MAX_LATCHED:  # letting go too early only raises one alarm more
            del self._latched[next(iter(self._latched))]

    def untold(self, now_s: float) -> list[tuple[Button, Latched]]:
        """The open alarms whose count is to be told now: at most once a second each."""
        return [
            (button, latched)
            for button, latched in self._latched.items()
            if latched.count > latched.told and now_s - latched.told_s >= UPDATE_EVERY_S
        ]

    @property
    def any_untold(self) -> bool:
        """Whether a count has grown since it was told."""
        return any(latched.count > latched.told for latched in self._latched.values())

    def release(
        self, *, seq: int | None = None, button: Button | None = None
    ) -> list[tuple[Button, Latched]]:
        """Let go of an alarm, of a button, or of all: the next press raises a new alarm. Gives
        back those whose last count is still to be told."""
        released = [
            (pressed, latched)
            for pressed, latched in self._latched.items()
            if (seq is None or latched.seq == seq) and (button is None or pressed == button)
        ]
        for pressed, _ in released:
            del self._latched[pressed]
        return [(pressed, latched) for pressed, latched in released if latched.count > latched.told]
