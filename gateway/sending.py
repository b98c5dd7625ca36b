"""Which commands are to be sent to a device now: in which order, and which of them again."""

from __future__ import annotations

import heapq
from collections import OrderedDict
from collections.abc import Iterator

from gateway.journal.base import CommandRecord
from protocols.model import Command

URGENT = frozenset({"snapshot", "live", "locate", "instruct", "ring_back", "cancel"})
"""Actions that wait for no other command."""

TURN_S = 10.0
"""Others go one after another: the next one when the device keeps the one before, or this long
after that was sent. So their order is kept, and none that is stuck keeps the rest back for ever."""

AGAIN_FIRST_S, AGAIN_MAX_S = 5.0, 60.0
"""One that a device which is online has not answered is sent again after so long, doubling."""


AT_ONCE, PER_S = 100, 400.0
"""So many of the orders to many devices go out at once, and after that so many a second. Each is
answered within moments, several times, on the lane of the alarms: all at once those would wait."""

UNANSWERED, ANSWER_S = 200, 1.0
"""And no more than this before their devices have answered, for which they have this time: where
answers are slow to be taken in, no more are asked for."""


class Pace:
    """How many may go out now."""

    def __init__(self) -> None:
        self._left = float(AT_ONCE)
        self._at_s = 0.0
        self._unanswered: OrderedDict[str, float] = OrderedDict()

    def take(self, command_id: str, now_s: float) -> bool:
        """Whether this one may."""
        while self._unanswered and next(iter(self._unanswered.values())) <= now_s - ANSWER_S:
            self._unanswered.popitem(last=False)
        self._left = min(AT_ONCE, self._left + (now_s - self._at_s) * PER_S)
        self._at_s = now_s
        if self._left < 1 or len(self._unanswered) >= UNANSWERED:
            return False
        self._left -= 1
        self._unanswered[command_id] = now_s
        self._unanswered.move_to_end(command_id)
        return True

    def answered(self, command_id: str) -> None:
        """Its device has it, or shall not get it."""
        self._unanswered.pop(command_id, None)


class _Waiting:
    """A command that its device does not have yet. Times by the event loop's clock, in seconds."""

    __slots__ = ("again_s", "due_s", "id", "is_urgent", "since_s")

    def __init__(self, command_id: str, *, is_urgent: bool) -> None:
        self.id = command_id
        self.is_urgent = is_urgent
        self.since_s: float | None = None  # when it was first sent, to the device as it is online
        self.due_s = float("-inf")
        self.again_s = AGAIN_FIRST_S


class Sending:
    """The commands that their devices do not have yet, in the order of their creation."""

    def __init__(self) -> None:
        self._ways: dict[str, dict[str, _Waiting]] = {}
        self._count = 0
        self._ends: list[tuple[int, str, str]] = []  # exp, device, id: a heap

    def __len__(self) -> int:
        return self._count

    def holds(self, device: str, command_id: str) -> bool:
        """Whether it waits."""
        return command_id in self._ways.get(device, {})

    def count(self, device: str) -> int:
        """How many wait for this device."""
        return len(self._ways.get(device, ()))

    @property
    def devices(self) -> list[str]:
        """For which something waits."""
        return list(self._ways)

    def add(self, device: str, command_id: str, act: str, exp: int) -> None:
        """A command that may be sent from now on."""
        waiting = _Waiting(command_id, is_urgent=act in URGENT)
        self._count += 1
        self._ways.setdefault(device, {})[command_id] = waiting
        heapq.heappush(self._ends, (exp, device, command_id))

    def remove(self, device: str, command_id: str) -> None:
        """Its device has it, or shall not get it."""
        way = self._ways.get(device)
        if way is None or way.pop(command_id, None) is None:
            return
        self._count -= 1
        if not way:
            del self._ways[device]

    def came_back(self, device: str) -> None:
        """A device connects anew: all that it has not answered is sent to it again."""
        for waiting in self._ways.get(device, {}).values():
            waiting.since_s, waiting.due_s = None, float("-inf")
            waiting.again_s = AGAIN_FIRST_S

    def due(self, device: str, now_s: float) -> Iterator[str]:
        """What is to be sent to a device that is online, in order; say ``sent`` of each."""
        is_free = True
        for waiting in list(self._ways.get(device, {}).values()):
            if now_s >= waiting.due_s and (is_free or waiting.is_urgent):
                yield waiting.id
            if not waiting.is_urgent and is_free:
                is_free = waiting.since_s is not None and now_s - waiting.since_s >= TURN_S

    def sent(self, device: str, command_id: str, now_s: float) -> None:
        """It was handed to the broker."""
        waiting = self._ways[device][command_id]
        if waiting.since_s is None:
            waiting.since_s = now_s
        waiting.due_s = now_s + waiting.again_s
        waiting.again_s = min(2 * waiting.again_s, AGAIN_MAX_S)

    def expired(self, now_ms: int) -> Iterator[str]:
        """Those whose time has gone by while they waited."""
        while self._ends and self._ends[0][0] <= now_ms:
            _, device, command_id = heapq.heappop(self._ends)
            if self.holds(device, command_id):
                yield command_id


def message(record: CommandRecord, now: int) -> Command:
    """The command as the device gets it now."""
    return Command(
        id=record.id, act=record.act, t=record.t, exp=record.exp, args=record.args, sent=now
    )
