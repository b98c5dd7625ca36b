"""What goes out next, and what goes out again until the gateway has it?

The priority lane: alarms and replies. Each stands in the journal before it is sent; where the
flash fails it stands in memory, and is sent all the same.
"""

from micropython import const

from . import frame, journal
from .clock import ticks_add, ticks_diff

SPARE = const(8)
"""Messages that can be kept in memory, without a flash."""

MAX_PAYLOAD = const(160)
"""Bytes of an alarm or a reply."""

FIRST_RESEND_MS = const(2_000)
LAST_RESEND_MS = const(30_000)
FOR_ALARMS = const(4)
"""Places under way that are kept free for alarms."""

_SLOTS = const(248)  # those of the journal, and the spare ones


class Outbox:
    """The messages that wait for a receipt, by slot. ``box`` is told how far each has got."""

    def __init__(self, book):
        self.book = book
        self.dropped = 0
        self.last_seq = 0
        self._count = book.waiting()  # of what waits: most turns have nothing to look for
        self._due = [0] * _SLOTS  # ticks
        self._tries = bytearray(_SLOTS)
        self._new = -1  # goes before all others
        self._spare_state = bytearray(SPARE)
        self._spare_about = bytearray(SPARE)
        self._spare_boot = [0] * SPARE
        self._spare_seq = [0] * SPARE
        self._spare_size = bytearray(SPARE)
        self._spare = [bytearray(MAX_PAYLOAD) for _ in range(SPARE)]

    # -- what is added -----------------------------------------------------

    def add(self, seq, about, writer, ticks):
        """A message of this boot; its slot, or -1 if there is no room at all. No allocation."""
        slot = self.book.keep(self.book.boot, seq, about, writer.buf, writer.at)
        if slot < 0:
            slot = self._add_spare(seq, about, writer)
            if slot < 0:
                self.dropped += 1
                return -1
        self.last_seq = seq
        self._count += 1
        self._due[slot] = ticks
        self._tries[slot] = 0
        if about & (journal.REPLY | journal.ADDITION) == 0:
            self._new = slot
        return slot

    def _add_spare(self, seq, about, writer):
        """Room in memory: an empty place, else that of what matters least."""
        place = -1
        for n in range(SPARE):
            if self._spare_state[n] != journal.WAITING:
                place = n
                break
            if self._spare_about[n] != journal.ALARM and place < 0:
                place = n  # a reply, an addition, a test
        if place < 0 or writer.at > MAX_PAYLOAD:
            return -1
        if self._spare_state[place] == journal.WAITING:
            if about & (journal.REPLY | journal.ADDITION | journal.QUIET):
                return -1
            self.dropped += 1
            self._count -= 1
        buf, spare = writer.buf, self._spare[place]
        for n in range(writer.at):
            spare[n] = buf[n]
        self._spare_state[place] = journal.WAITING
        self._spare_about[place] = about
        self._spare_boot[place] = self.book.boot
        self._spare_seq[place] = seq
        self._spare_size[place] = writer.at
        return journal.MAX_SLOTS + place

    # -- what goes out -----------------------------------------------------

    def all_due(self, ticks):
        """A new connection: everything goes out at once."""
        for slot in range(_SLOTS):
            self._due[slot] = ticks
            self._tries[slot] = 0

    def next(self, ticks, room):
        """The slot to send now, -1 if none is due. ``room``: how many more may be under way."""
        if room <= 0 or not self._count:
            return -1
        if self._new >= 0:
            slot, self._new = self._new, -1
            if self._may_go(slot, ticks, room):
                return slot
        found = -1
        for slot in range(_SLOTS):
            if self._may_go(slot, ticks, room):
                if self.about(slot) & (journal.REPLY | journal.ADDITION) == 0:
                    return slot
                if found < 0 or self._is_older(slot, found):
                    found = slot  # replies in their order
        return found

    def _is_older(self, slot, other):
        if self.boot(slot) != self.boot(other):
            return self.boot(slot) < self.boot(other)
        return self.seq(slot) < self.seq(other)

    def _may_go(self, slot, ticks, room):
        if self.state(slot) != journal.WAITING or ticks_diff(ticks, self._due[slot]) < 0:
            return False
        return room > FOR_ALARMS or self.about(slot) & journal.REPLY == 0

    def sent(self, slot, ticks):
        """It was handed to the socket: again after 2, 4, 8 … 30 s."""
        wait_ms = min(LAST_RESEND_MS, FIRST_RESEND_MS << min(4, self._tries[slot]))
        self._tries[slot] = min(200, self._tries[slot] + 1)
        self._due[slot] = ticks_add(ticks, wait_ms)

    def payload(self, slot):
        """Its bytes; None if they are lost."""
        if slot < journal.MAX_SLOTS:
            return self.book.payload(slot)
        place = slot - journal.MAX_SLOTS
        return memoryview(self._spare[place])[: self._spare_size[place]]

    def give_up(self, slot):
        """Its bytes are lost."""
        self.dropped += 1
        self._set_held(slot)

    # -- what was receipted ------------------------------------------------

    def take_receipt(self, keys, on_held, ticks):
        """Forget what the gateway holds; what it misses is due now. ValueError if it cannot be
        believed. ``on_held(boot, seq)`` for each message that it holds."""
        boot, upto = keys.get("boot"), keys.get("p")
        if not frame.number(boot) or not frame.number(upto):
            raise ValueError("a receipt without boot or p")
        high, missing = keys.get("high"), keys.get("miss")
        high = high.get("p") if isinstance(high, dict) else None
        missing = frame.ranges(missing.get("p")) if isinstance(missing, dict) else []
        high = high if frame.number(high) and missing else 0
        if boot == self.book.boot and max(upto, high) > self.last_seq:
            raise ValueError("a receipt for what was never sent")
        for slot in range(_SLOTS):
            if self.state(slot) != journal.WAITING or self.boot(slot) != boot:
                continue
            seq = self.seq(slot)
            is_missing = any(first <= seq <= last for first, last in missing)
            if seq <= upto or (seq <= high and not is_missing):
                self._set_held(slot)
                on_held(boot, seq)
            elif is_missing:
                self._due[slot] = ticks

    def take_stage(self, boot, seq, on_held):
        """The gateway names that alarm: it holds it."""
        if boot == self.book.boot and seq > self.last_seq:
            raise ValueError("a stage of what was never sent")
        for slot in range(_SLOTS):
            if (
                self.state(slot) == journal.WAITING
                and self.seq(slot) == seq
                and self.boot(slot) == boot
            ):
                self._set_held(slot)
                on_held(boot, seq)

    def _set_held(self, slot):
        self._count -= 1
        if slot < journal.MAX_SLOTS:
            self.book.held(slot)
        else:
            self._spare_state[slot - journal.MAX_SLOTS] = journal.FREE

    # -- what is known of a slot -------------------------------------------

    def state(self, slot):
        """FREE, WAITING or SHOWN."""
        if slot < journal.MAX_SLOTS:
            return self.book.state[slot]
        return self._spare_state[slot - journal.MAX_SLOTS]

    def about(self, slot):
        """What the message is."""
        if slot < journal.MAX_SLOTS:
            return self.book.about[slot]
        return self._spare_about[slot - journal.MAX_SLOTS]

    def boot(self, slot):
        """The start that it belongs to."""
        if slot < journal.MAX_SLOTS:
            return self.book.boots[slot]
        return self._spare_boot[slot - journal.MAX_SLOTS]

    def seq(self, slot):
        """Its number."""
        if slot < journal.MAX_SLOTS:
            return self.book.seqs[slot]
        return self._spare_seq[slot - journal.MAX_SLOTS]

    def waits(self, boot, seq):
        """Whether that message has no receipt yet."""
        for slot in range(_SLOTS):
            if (
                self.state(slot) == journal.WAITING
                and self.seq(slot) == seq
                and self.boot(slot) == boot
            ):
                return True
        return False

    def waiting(self):
        """How many have no receipt."""
        return self._count

    def alarms_waiting(self):
        """Whether an alarm has no receipt."""
        if not self._count:
            return False
        for slot in range(_SLOTS):
            if self.state(slot) == journal.WAITING and not self.about(slot) & journal.REPLY:
                return True
        return False
