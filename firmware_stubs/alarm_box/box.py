"""What does a press do, and what does the box show of it? The state machine, as a table.

look() is the way of a press: from the contact over the light to the journal. It allocates
nothing and asks nothing of clock, settings, network or status but what it can do without.
"""

from micropython import const

from . import frame, hal, journal, lights
from .button import Button
from .clock import Clock, ticks_add, ticks_diff
from .outbox import MAX_PAYLOAD

# Events of an alarm.
OUT = const(0)  # the broker has it
LATE = const(1)  # there is no network, or no receipt
HELD = const(2)
ACCEPT = const(3)
ACKNOWLEDGE = const(4)
CLOSE = const(5)

# Stage, which is a look of lights.py: what each event makes of it. What is not here changes
# nothing: a stage told late, or twice, leads nowhere back.
NEXT = {
    lights.PRESSED: {
        OUT: lights.SENT, LATE: lights.NOBODY, HELD: lights.STORED, ACCEPT: lights.ACCEPTED,
        ACKNOWLEDGE: lights.ACKNOWLEDGED, CLOSE: lights.CLOSED,
    },
    lights.NOBODY: {
        OUT: lights.SENT, HELD: lights.STORED, ACCEPT: lights.ACCEPTED,
        ACKNOWLEDGE: lights.ACKNOWLEDGED, CLOSE: lights.CLOSED,
    },
    lights.SENT: {
        LATE: lights.NOBODY, HELD: lights.STORED, ACCEPT: lights.ACCEPTED,
        ACKNOWLEDGE: lights.ACKNOWLEDGED, CLOSE: lights.CLOSED,
    },
    lights.STORED: {
        ACCEPT: lights.ACCEPTED, ACKNOWLEDGE: lights.ACKNOWLEDGED, CLOSE: lights.CLOSED,
    },
    lights.ACCEPTED: {ACKNOWLEDGE: lights.ACKNOWLEDGED, CLOSE: lights.CLOSED},
    lights.ACKNOWLEDGED: {CLOSE: lights.CLOSED},
    lights.CLOSED: {},
    lights.READY: {},
}  # fmt: skip

STAGES = {"stored": HELD, "accepted": ACCEPT, "acknowledged": ACKNOWLEDGE, "closed": CLOSE}

TUNE_OF = {
    lights.PRESSED: lights.CLICK,
    lights.NOBODY: lights.TROUBLE,
    lights.SENT: lights.CLICK,
    lights.STORED: lights.ONE_LONG,
    lights.ACCEPTED: lights.TWO_HIGH,
    lights.ACKNOWLEDGED: lights.THREE_HIGH,
    lights.CLOSED: lights.FALLING,
    lights.READY: lights.SILENCE,
}

LATCHED = (lights.PRESSED, lights.NOBODY, lights.SENT, lights.STORED, lights.ACCEPTED)
"""Stages in which a further press adds to the alarm."""

NO_LINK_MS = const(1_000)
NO_RECEIPT_MS = const(10_000)
SHOW_CLOSED_MS = const(10_000)
TELL_MORE_MS = const(1_000)
NETWORK_GONE_MS = const(5_000)
TEST_TIMEOUT_MS = const(100_000)
FIRST_TEST_MS = const(600_000)
LOW_BATTERY_PCT = const(20)


class Alarm:
    """The alarm of one button: the open one, or the last."""

    def __init__(self, kind, about):
        self.kind = kind
        self.about = about
        self.stage = lights.READY
        self.boot = 0
        self.seq = 0
        self.count = 0
        self.told = 0  # of the count
        self.update = 0  # the number of the message that told it
        self.since = 0  # of the stage, in ticks
        self.told_at = 0
        self.text = b""  # a pair that is still to be told
        self.was_out = False

    def is_open(self):
        """Whether a further press adds to it."""
        return self.stage in LATCHED

    def is_waiting(self):
        """Whether nobody is known to hold it."""
        return self.stage in (lights.PRESSED, lights.NOBODY, lights.SENT)


class Box:
    """Buttons, alarms and what is shown; ``outbox`` carries the messages."""

    def __init__(self, board, settings, outbox, boot, clock=None):
        ticks = board.ticks()
        self.clock = clock or Clock()
        self.panic = Alarm(frame.PANIC, journal.ALARM)
        self.duress = Alarm(frame.DURESS, journal.ALARM | journal.SILENT)
        self.alarms = (self.panic, self.duress)
        self.boot = boot
        self.link_up = False
        self.second_network = False
        self.no_gateway = False  # nobody receipts, though the link is up
        self.pressed = False  # an alarm was raised
        self.updating = False
        self.changed = True  # something that a status tells
        self._hal, self._settings, self._outbox = board, settings, outbox
        self._boot5 = frame.boot_bytes(boot)
        self._no_clock = Clock()
        self._writer = frame.Writer(MAX_PAYLOAD)
        self._long_writer = frame.Writer(480)
        self._contacts = [Button() for _ in range(5)]
        self._look = -1
        self._called = 0  # identify or ring_back
        self._called_until = ticks
        self._link_since = ticks
        self._looked = ticks
        self._test_due = ticks_add(ticks, min(FIRST_TEST_MS, settings.test_every_s * 1000))
        self.test_seq = 0  # of the self-test that has no receipt yet
        self._test_since = ticks
        self._test_failed = False
        self._faults = 0
        self._stuck_told = False
        self._battery = None
        self._restore(ticks)

    # -- the way of a press ------------------------------------------------

    def look(self, ticks, blind):
        """Look at the contacts. Allocates nothing."""
        raw, edges = self._hal.inputs(), self._hal.edges()
        for n in range(5):
            bit = 1 << n
            contact = self._contacts[n]
            was = contact.closed
            if contact.look(raw & bit != 0, edges & bit != 0, blind, ticks):
                if bit == hal.PANIC:
                    self._press(self.panic, ticks)
                elif bit == hal.DURESS:
                    self._press(self.duress, ticks)
                elif bit == hal.KEY:
                    self._reset(ticks)
                elif bit == hal.CASE:
                    self._raise(frame.TAMPER, journal.QUIET, 1, 0, b"", ticks)
            if was != contact.closed and bit >= hal.CASE:
                self.changed = True

    def unsettled(self):
        """Whether a contact has to be looked at again soon."""
        for n in range(5):
            contact = self._contacts[n]
            if contact.unsettled or (contact.closed and n < 3):  # a button about to be let go
                return True
        return False

    def is_released(self):
        """Whether no button is closed."""
        for n in range(3):
            if self._contacts[n].closed:
                return False
        return True

    def _press(self, alarm, ticks):
        if alarm.is_open() and alarm.boot == self.boot:
            alarm.count += 1
            if alarm is self.panic:
                self._hal.sound(lights.CLICK)
            return
        if alarm is self.panic:
            self._show(lights.PRESSED)  # first of all: somebody stands there
        alarm.boot = self.boot
        alarm.count = alarm.told = 1
        alarm.update = 0
        alarm.told_at = ticks
        alarm.was_out = False
        alarm.seq = self._raise(alarm.kind, alarm.about, 1, 0, self._settings.zone, ticks)
        self._enter(alarm, lights.PRESSED, ticks)

    def _raise(self, kind, about, count, of, extra, ticks):
        """Number an alarm and keep it; its number, or 0 if there is no room at all."""
        seq = self._outbox.last_seq + 1
        writer = self._writer
        writer.clear()
        try:
            frame.alarm(writer, self._boot5, seq, self.clock, ticks, kind, count, of, extra)
        except Exception:  # a broken clock or setting: without them, then
            writer.clear()
            frame.alarm(writer, self._boot5, seq, self._no_clock, ticks, kind, count, of, b"")
        if self._outbox.add(seq, about, writer, ticks) < 0:
            return 0
        self.pressed = True
        return seq

    def _enter(self, alarm, stage, ticks):
        alarm.stage = stage
        alarm.since = ticks
        if alarm is self.panic:
            self._show(stage)
            self._hal.sound(TUNE_OF[stage])

    def _show(self, look):
        if look != self._look:
            self._look = look
            self._hal.light(look)

    # -- what becomes of an alarm ------------------------------------------

    def event(self, boot, seq, event, ticks):
        """Something happened to that alarm."""
        for alarm in self.alarms:
            if alarm.seq != seq or alarm.boot != boot or not seq:
                continue
            if event == OUT:
                if alarm.was_out:
                    continue  # a repetition: that it is out tells nothing new
                alarm.was_out = True
            stage = NEXT[alarm.stage].get(event)
            if stage is not None:
                self._enter(alarm, stage, ticks)
                if not alarm.is_open():
                    self._tell_more(alarm, ticks)
            if alarm.stage in (lights.CLOSED, lights.READY):
                self._release(alarm)

    def on_held(self, boot, seq, ticks):
        """The gateway holds that message."""
        if boot == self.boot and seq == self.test_seq:
            self.test_seq = 0
        self.event(boot, seq, HELD, ticks)

    def _release(self, alarm):
        book = self._outbox.book
        slot = book.find(alarm.boot, alarm.seq)
        if slot >= 0 and book.state[slot] == journal.SHOWN:
            book.release(slot)

    def _reset(self, ticks):
        """The key: lets go of both buttons. What is not yet held goes on being sent."""
        for alarm in self.alarms:
            if alarm.is_open() and not alarm.seq:
                continue  # it is kept nowhere but here
            if alarm.stage != lights.READY:
                self._tell_more(alarm, ticks)
                self._release(alarm)
                self._enter(alarm, lights.READY, ticks)

    def _tell_more(self, alarm, ticks):
        """Tell of further presses, and whatever else there is to add."""
        if alarm.boot != self.boot or not alarm.seq:
            return
        if alarm.count > alarm.told or alarm.text:
            about = alarm.about | journal.ADDITION
            text, alarm.text = alarm.text, b""
            alarm.told = alarm.count
            seq = self._raise(alarm.kind, about, alarm.count, alarm.seq, text, ticks)
            alarm.update = seq
            alarm.told_at = ticks

    def _restore(self, ticks):
        """After a start: the newest open alarms of the journal."""
        book = self._outbox.book
        for slot in range(journal.MAX_SLOTS):
            about = book.about[slot]
            if book.state[slot] == journal.FREE or about & (
                journal.REPLY | journal.ADDITION | journal.QUIET
            ):
                continue
            alarm = self.duress if about & journal.SILENT else self.panic
            if (book.boots[slot], book.seqs[slot]) > (alarm.boot, alarm.seq):
                if alarm.seq:
                    self._release(alarm)
                alarm.boot, alarm.seq = book.boots[slot], book.seqs[slot]
                held = book.state[slot] == journal.SHOWN
                self._enter(alarm, lights.STORED if held else lights.NOBODY, ticks)

    # -- what happens without a press --------------------------------------

    def turn(self, ticks):
        """Let time pass: stages that are late, counts to be told, self-test, faults."""
        self.clock.turn(ticks)
        for alarm in self.alarms:
            self._turn_alarm(alarm, ticks)
        self._turn_test(ticks)
        if ticks_diff(ticks, self._looked) > 250:
            self._looked = ticks
            self._find_faults(ticks)
            self._sweep()
        self._show(self._what_to_show(ticks))

    def _turn_alarm(self, alarm, ticks):
        for_ms = ticks_diff(ticks, alarm.since)
        if alarm.stage in (lights.PRESSED, lights.SENT):
            if not alarm.seq:
                self._enter(alarm, lights.NOBODY, ticks)
            elif for_ms > NO_RECEIPT_MS or (not self.link_up and for_ms > NO_LINK_MS):
                self.event(alarm.boot, alarm.seq, LATE, ticks)
        elif alarm.stage == lights.CLOSED and for_ms > SHOW_CLOSED_MS:
            self._enter(alarm, lights.READY, ticks)
        if alarm.is_open() and not alarm.seq:  # there was no room for it, anywhere: is there now?
            alarm.seq = self._raise(alarm.kind, alarm.about, alarm.count, 0, b"", ticks)
        elif alarm.is_open() and (alarm.count > alarm.told or alarm.text):
            # One addition at a time: a hammered button does not fill the flash.
            at_rest = not alarm.update or not self._outbox.waits(self.boot, alarm.update)
            if at_rest and ticks_diff(ticks, alarm.told_at) > TELL_MORE_MS:
                self._tell_more(alarm, ticks)

    def _turn_test(self, ticks):
        if ticks_diff(ticks, self._test_due) >= 0:
            self._test_due = ticks_add(ticks, self._settings.test_every_s * 1000)
            if not self.test_seq:
                self.test(ticks)
        if not self.test_seq or not self.link_up:
            self._test_failed = False
        elif ticks_diff(ticks, self._test_since) > TEST_TIMEOUT_MS:
            self._test_failed = True

    def test(self, ticks):
        """Send a self-test the way of an alarm; its number."""
        self.test_seq = self._raise(frame.TEST, journal.QUIET, 1, 0, b"", ticks)
        self._test_since = ticks
        return self.test_seq

    def _sweep(self):
        """Let the journal forget alarms that the gateway holds and nobody is shown any more."""
        book = self._outbox.book
        for slot in range(journal.MAX_SLOTS):
            if book.state[slot] == journal.SHOWN:
                boot, seq = book.boots[slot], book.seqs[slot]
                for alarm in self.alarms:
                    if alarm.seq == seq and alarm.boot == boot and alarm.stage != lights.READY:
                        break
                else:
                    book.release(slot)

    def _find_faults(self, ticks):
        contacts, book = self._contacts, self._outbox.book
        stuck = contacts[0].stuck or contacts[1].stuck
        if stuck and not self._stuck_told:
            alarm = self.panic if contacts[0].stuck else self.duress
            alarm.text = frame.pair("text", "button stuck")
        self._stuck_told = stuck
        battery = self._hal.battery_pct()
        low = battery is not None and battery < LOW_BATTERY_PCT
        self._battery = battery
        gone = not self.link_up and ticks_diff(ticks, self._link_since) > NETWORK_GONE_MS
        faults = (
            (lights.NO_NETWORK, gone),
            (lights.NO_GATEWAY, self.link_up and self.no_gateway),
            (lights.BUTTON_STUCK, stuck),
            (lights.FLASH_WORN, book.worn),
            (lights.FLASH_FULL, not book.worn and book.is_full()),
            (lights.CASE_OPEN, contacts[3].closed),
            (lights.MAINS_LOST, contacts[4].closed),
            (lights.BATTERY_LOW, low),
            (lights.CLOCK_UNSET, not self.clock.is_set),
        )
        found = 0
        for look, is_so in faults:
            found = found or (look if is_so else 0)
        if found != self._faults:
            self._faults = found
            self.changed = True

    def _what_to_show(self, ticks):
        if self._called and ticks_diff(ticks, self._called_until) < 0:
            return self._called
        if self._called:
            self._called = 0
            self._hal.sound(lights.SILENCE)
        if self.panic.stage != lights.READY:
            return self.panic.stage
        if self.updating:
            return lights.UPDATING
        if self._faults:
            return self._faults
        return lights.READY_SECOND if self.second_network else lights.READY

    # -- for the other parts -----------------------------------------------

    def link_changed(self, is_up, ticks):
        """The link is up, or down."""
        self.link_up = is_up
        self._link_since = ticks
        for alarm in self.alarms:
            alarm.was_out = False

    def call(self, look, tune, for_ms, ticks):
        """Show and play that for a while: somebody at the centre asks for it."""
        self._called = look
        self._called_until = ticks_add(ticks, for_ms)
        self._hal.sound(tune)

    def is_unanswered(self):
        """Whether the last self-test has found nobody, or an open alarm waits for long."""
        waits = self.panic.stage == lights.NOBODY and self.panic.was_out
        return self._test_failed or waits

    def is_silent(self):
        """Whether a duress is open: nothing may happen here that was not there before."""
        return self.duress.stage not in (lights.READY, lights.CLOSED)

    def is_busy(self):
        """Whether an alarm is open, or waits for its receipt."""
        return self.panic.is_open() or self.is_silent() or self._outbox.alarms_waiting()

    def reply(self, command, state, detail, ticks):
        """Say how far a command has got; whether there was room to."""
        seq = self._outbox.last_seq + 1
        keys = {"boot": self.boot, "seq": seq, "t": self.clock.unix_ms(ticks)}
        keys["cmd"], keys["state"] = command, state
        if detail:
            keys["detail"] = detail
        self._long_writer.clear()
        frame.message(self._long_writer, keys)
        return self._outbox.add(seq, journal.REPLY, self._long_writer, ticks)

    def figures(self):
        """The keys of a status that the box knows."""
        used = self._outbox.waiting()
        keys = {
            "mains": not self._contacts[4].closed,
            "clock": "ntp" if self.clock.is_set else "free",
            "disk": 100 - used * 100 // journal.MAX_SLOTS,
            "spool": used,
        }
        if self._battery is not None:
            keys["batt"] = self._battery
        return keys
