"""What a light device has said and no receipt covers yet: in memory, bounded, alarms for ever."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable

from msgspec import Struct

from protocols.model import MAX_FIXES, AlarmStage, Lane, LaneMessage, LostRange, Receipt
from protocols.native.topics import LANES, Up

FIRST_RESEND_S = 2.0
LAST_RESEND_S = 30.0
TELEMETRY_RESEND_S = 6.0  # the gateway receipts telemetry after 5 s at the latest
MAX_TELEMETRY = 4_000
MAX_LOST_RANGES = 64  # as many as a status may name

HELD = math.inf
"""When a message is due that must not go out yet."""


class Kept(Struct, kw_only=True):
    """One message, when to send it (again), and how often it went out."""

    channel: Up
    message: LaneMessage
    due_s: float
    sends: int = 0


class Spool:
    """Numbers messages and keeps each until a receipt covers it.

    A reboot starts a new boot with numbers of its own and keeps the messages, so
    this stands for a spool on disk; ``boot`` must grow from process to process.
    ``lost``: telemetry given up for want of room, to be reported until receipted.
    """

    def __init__(self, boot: int, max_telemetry: int = MAX_TELEMETRY) -> None:
        self.boot = boot
        self.last_seq = dict.fromkeys(Lane, 0)
        self.dropped = 0
        self.lost: list[LostRange] = []
        self._max_telemetry = max_telemetry
        # Oldest first, as they are made: (boot, seq) only grows.
        self._kept: dict[Lane, OrderedDict[tuple[int, int], Kept]] = {
            lane: OrderedDict() for lane in Lane
        }

    def __len__(self) -> int:
        return sum(map(len, self._kept.values()))

    def waiting(self, lane: Lane) -> int:
        """How many messages of the lane no receipt covers."""
        return len(self._kept[lane])

    def add(self, channel: Up, build: Callable[..., LaneMessage], due_s: float) -> Kept:
        """Keep the message that ``build`` makes of ``boot`` and the lane's next ``seq``."""
        lane = LANES[channel]
        self.last_seq[lane] += 1
        kept = Kept(
            channel=channel, message=build(boot=self.boot, seq=self.last_seq[lane]), due_s=due_s
        )
        messages = self._kept[lane]
        if lane is Lane.TELEMETRY and len(messages) >= self._max_telemetry:
            self._drop_oldest(messages)
        messages[kept.message.boot, kept.message.seq] = kept
        return kept

    def reboot(self, now_s: float) -> None:
        """Start a new boot; everything kept is due."""
        self.boot += 1
        self.last_seq = dict.fromkeys(Lane, 0)
        self.all_due(now_s)

    def all_due(self, now_s: float) -> None:
        """A new connection: nobody knows what the old one has carried. Resends start anew."""
        for messages in self._kept.values():
            for kept in messages.values():
                kept.sends = min(kept.sends, 1)
                _make_due(kept, now_s)

    def sent(self, kept: Kept, now_s: float) -> None:
        """It went out: when it is due again without a receipt."""
        first_s = FIRST_RESEND_S if LANES[kept.channel] is Lane.PRIORITY else TELEMETRY_RESEND_S
        kept.due_s = now_s + min(LAST_RESEND_S, first_s * 2.0 ** min(kept.sends, 8))
        kept.sends += 1

    def priority_due(self, now_s: float) -> list[Kept]:
        """What of the priority lane is due, oldest first."""
        return [kept for kept in self._kept[Lane.PRIORITY].values() if kept.due_s <= now_s]

    def telemetry_due(self, now_s: float) -> list[Kept]:
        """The next telemetry to send: a batch of fixes, or one message of another channel.

        Newest first. What is sent is not due for a while, so that older ones get their turn.
        """
        due = [kept for kept in self._kept[Lane.TELEMETRY].values() if kept.due_s <= now_s]
        if not due:
            return []
        if due[-1].channel is not Up.POS:
            return due[-1:]
        fixes = (kept for kept in reversed(due) if kept.channel is Up.POS)
        return [kept for kept, _ in zip(fixes, range(MAX_FIXES), strict=False)]

    def apply(self, receipt: Receipt, now_s: float) -> list[Kept]:
        """Forget and return what the receipt covers; what it misses is due now."""
        covered: list[Kept] = []
        for lane, held_to in ((Lane.PRIORITY, receipt.p), (Lane.TELEMETRY, receipt.t)):
            missing = receipt.miss.get(lane, [])
            covered += self._forget_up_to(lane, receipt.boot, held_to)
            covered += self._forget_between(
                lane, receipt.boot, held_to + 1, receipt.high.get(lane, 0), missing
            )
            self._miss(lane, receipt.boot, missing, now_s)
        for stage in receipt.alarms:
            covered += self._forget_staged(receipt.boot, stage)
        self.lost = [
            gone for gone in self.lost if gone.boot != receipt.boot or gone.last > receipt.t
        ]
        return covered

    def _forget_up_to(self, lane: Lane, boot: int, held_to: int) -> list[Kept]:
        messages = self._kept[lane]
        keys = []
        for key in messages:
            if (key[0] == boot and key[1] > held_to) or key[0] > boot:
                break
            if key[0] == boot:
                keys.append(key)
        return [messages.pop(key) for key in keys]

    def _forget_between(
        self, lane: Lane, boot: int, first: int, last: int, missing: list[tuple[int, int]]
    ) -> list[Kept]:
        """What the gateway holds above the first gap: all but the missing ranges."""
        messages = self._kept[lane]
        keys = [
            key
            for key in messages
            if key[0] == boot
            and first <= key[1] <= last
            and not any(since <= key[1] <= to for since, to in missing)
        ]
        return [messages.pop(key) for key in keys]

    def _forget_staged(self, boot: int, stage: AlarmStage) -> list[Kept]:
        kept = self._kept[Lane.PRIORITY].pop((boot, stage.seq), None)
        return [] if kept is None else [kept]

    def _miss(self, lane: Lane, boot: int, missing: list[tuple[int, int]], now_s: float) -> None:
        for (kept_boot, seq), kept in self._kept[lane].items():
            if kept_boot == boot and any(since <= seq <= to for since, to in missing):
                _make_due(kept, now_s)

    def _drop_oldest(self, messages: OrderedDict[tuple[int, int], Kept]) -> None:
        """Make room: the oldest position goes first, then whatever is oldest."""
        oldest = next(
            (key for key, kept in messages.items() if kept.channel is Up.POS), next(iter(messages))
        )
        del messages[oldest]
        self.dropped += 1
        boot, seq = oldest
        if self.lost and self.lost[-1].boot == boot and self.lost[-1].last == seq - 1:
            self.lost[-1] = LostRange(boot, self.lost[-1].first, seq)
        elif len(self.lost) < MAX_LOST_RANGES:
            self.lost.append(LostRange(boot, seq, seq))


def _make_due(kept: Kept, now_s: float) -> None:
    if kept.due_s != HELD:
        kept.due_s = min(kept.due_s, now_s)
