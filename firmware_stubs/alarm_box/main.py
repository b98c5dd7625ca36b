"""Who turns the parts, and what if one of them fails?

The way of a press comes first in each turn and is called by nothing that could fail before it.
Every other part is tried; one that fails is counted and told, and the rest goes on. A part that
fails for ever, or a loop that hangs, ends in a restart: the journal knows what is to be done.
"""

import gc
import sys

from . import frame, journal, mqtt, settings
from .box import OUT, STAGES, Box
from .button import BLIND_MS
from .clock import EARLIEST_MS, ticks_add, ticks_diff
from .outbox import Outbox
from .status import Status
from .uplink import Uplink

IDLE_WAIT_MS = 50
BUSY_WAIT_MS = 5
CLOCK_SET_MS = 60_000
CLOCK_UNSET_MS = 1_000
"""How often the board is asked for the time."""

MAX_FAILURES = 50
ESSENTIAL = ("buttons", "box", "uplink", "wait")
"""Parts that are restarted with the whole box if they fail so often in a row."""


class Device:
    """All parts on one board."""

    def __init__(self, hal):
        self._hal = hal
        gc.collect()
        client = mqtt.Client()  # its buffers first: later there is no room in one piece
        self.failures = 0  # of parts, in all
        self._in_a_row = {}
        book = journal.Journal(hal.flash)
        self._try("journal", book.load)
        self.outbox = Outbox(book)
        self._restarting = False
        self.settings = self._read_settings(book)
        self._number_start(book)
        self.box = Box(hal, self.settings, self.outbox, book.boot)
        self.uplink = Uplink(hal, self.settings, self.outbox, client, self)
        self.status = Status(hal, self.settings, book.boot, self.box.clock)
        self.update = None
        self.commands = None
        self._clock_due = hal.ticks()
        self._ticks = hal.ticks()
        if book.kept.get(settings.KEPT_REBOOT):
            self._try("commands", self.commanding().begin, self._ticks)
        if hal.slot_on_trial() or book.kept.get(settings.KEPT_UPDATE):
            self._try("update", self.updating().begin, self._ticks)

    # -- a start -----------------------------------------------------------

    def _read_settings(self, book):
        values = settings.Settings()
        for data in (self._hal.settings, book.kept.get(settings.KEPT_PROVISION)):
            if data and self._try("settings", values.provision, data):
                if book.kept.get(settings.KEPT_PROVISION) != data:
                    book.keep_value(settings.KEPT_PROVISION, data)
                break
        else:
            self._hal.say("no_settings")
        changed = book.kept.get(settings.KEPT_CONFIG)
        if changed:
            self._try("settings", lambda: values.change(frame.unpack(changed)))
        return values

    def _number_start(self, book):
        """A boot number above all before. What the flash does not keep might be drawn twice, and
        the gateway would take the second alarm for the first: so chance keeps them apart."""
        boot = book.boot + 1
        if book.boot == 0:
            boot = self.settings.boot_above + 1 + self._hal.random(1 << 24)
        if not book.begin(boot):
            book.boot = boot + 1 + self._hal.random(1 << 24)

    # -- the loop ----------------------------------------------------------

    def run(self):
        """For ever, or until a restart is due."""
        hal, box = self._hal, self.box
        busy_ms = 0
        while not self._restarting:
            ticks = self._ticks = hal.ticks()
            try:
                box.look(ticks, busy_ms > BLIND_MS)
            except Exception as error:
                self._failed("buttons", error)
            self.turn(ticks)
            hal.watchdog()
            busy_ms = ticks_diff(hal.ticks(), ticks)
            wait_ms = BUSY_WAIT_MS if box.unsettled() else IDLE_WAIT_MS
            self._try("wait", hal.wait, wait_ms, self.uplink.sock(), self.uplink.wants_to_write())
        self._try("goodbye", self.uplink.close)
        hal.restart()

    def turn(self, ticks):
        """Every part once, each on its own."""
        self._try("box", self.box.turn, ticks)
        if self.box.pressed:
            self.box.pressed = False
            self._try("uplink", self.uplink.hurry)
        self._try("uplink", self.uplink.turn, ticks)
        self._try("board", self._hal.turn, ticks)
        self._try("journal", self.outbox.book.tidy)
        self._try("clock", self._set_clock, ticks)
        self._try("status", self._tell_status, ticks)
        if self.commands is not None:
            self._try("commands", self.commands.turn, ticks)
        if self.update is not None:
            self._try("update", self.update.turn, ticks)

    def _try(self, name, part, *args):
        """Call a part that may fail; what it gives, None if it failed."""
        try:
            result = part(*args)
        except Exception as error:
            self._failed(name, error)
            return None
        self._in_a_row[name] = 0
        return result

    def _failed(self, name, error):
        if isinstance(error, MemoryError):
            gc.collect()
        self.failures += 1
        row = self._in_a_row[name] = self._in_a_row.get(name, 0) + 1
        if row in (1, MAX_FAILURES):
            self._hal.fault(name, error)
        if name == "uplink":
            self.uplink.drop("a fault")
        if row == MAX_FAILURES and name in ESSENTIAL:
            self._restarting = True

    def restart(self):
        """Start anew when this turn is over."""
        self._restarting = True

    def commanding(self):
        """The commands, which take memory only once there is one."""
        if self.commands is None:
            from .commands import Commands

            self.commands = Commands(self.box, self.outbox, self.settings, self)
        return self.commands

    def updating(self):
        """The update, which takes memory only once somebody asks for one."""
        if self.update is None:
            from .update import Update

            self.update = Update(self._hal, self.box, self.outbox, self.settings, self.restart)
        return self.update

    def _set_clock(self, ticks):
        """Ask the board for the time, now and then; often while nobody knows it."""
        clock = self.box.clock
        if ticks_diff(ticks, self._clock_due) < 0:
            return
        self._clock_due = ticks_add(ticks, CLOCK_UNSET_MS)
        unix_ms = self._hal.unix_ms()
        if unix_ms >= EARLIEST_MS:
            clock.set(unix_ms, ticks)
            self._clock_due = ticks_add(ticks, CLOCK_SET_MS)

    # -- what the uplink tells ---------------------------------------------

    def unix_ms(self):
        """The time, for presence; 0 if nobody knows it."""
        return self._try("clock", self.box.clock.unix_ms, self._ticks) or 0

    def on_up(self):
        """The broker has let us in."""
        self._link_changed(True)

    def on_down(self):
        """The connection is gone."""
        self._link_changed(False)

    def _link_changed(self, is_up):
        self.box.second_network = is_up and self.uplink.using > 0
        self.box.link_changed(is_up, self._ticks)
        self._try("status", self.status.link_changed, self._ticks)

    def on_out(self, boot, seq):
        """The broker has that message."""
        self.box.event(boot, seq, OUT, self._ticks)

    def on_message(self, channel, payload):
        """The gateway speaks; what makes no sense is counted and forgotten."""
        take = _TAKES.get(channel)
        if take is not None and len(payload):
            self._try("message", take, self, payload)

    def _take_receipt(self, payload):
        keys, ticks = frame.unpack(payload), self._ticks
        self.outbox.take_receipt(keys, self._on_held, ticks)
        stages = keys.get("alarms")
        for each in stages if isinstance(stages, list) else ():
            if isinstance(each, dict) and frame.number(each.get("seq"), 1):
                stage = STAGES.get(each.get("stage"))
                if stage is not None:
                    self.outbox.take_stage(keys["boot"], each["seq"], self._on_held)
                    self.box.event(keys["boot"], each["seq"], stage, ticks)
        if keys["boot"] == self.box.boot:
            self._try("status", self.status.take_receipt, keys, ticks)

    def _on_held(self, boot, seq):
        self.box.on_held(boot, seq, self._ticks)

    def _take_command(self, payload):
        self.commanding().take(frame.unpack(payload), self._ticks)

    def _take_config(self, payload):
        keys = frame.unpack(payload)
        self.settings.change(keys)
        self.commanding().keep_config()
        self.status.hurry()

    def _tell_status(self, ticks):
        box = self.box
        box.no_gateway = box.is_unanswered() or self.status.is_unanswered(ticks)
        if box.changed:
            box.changed = False
            self.status.hurry()
        self.status.turn(ticks, self.uplink, self._figures)

    def _figures(self):
        keys = self.box.figures()
        network = self._hal.networks[self.uplink.using]
        keys["net"] = network.name
        rssi = network.rssi_dbm()
        if rssi is not None:
            keys["rssi"] = rssi
        keys["fw"] = self.settings.firmware
        if self.settings.version is not None:
            keys["cfg"] = self.settings.version
        return keys


_TAKES = {
    b"receipt": Device._take_receipt,
    b"cmd": Device._take_command,
    b"config": Device._take_config,
}


def start():
    """On a board: for ever. On the Unix port: the folder of the box is the argument."""
    if sys.platform == "esp32":
        from .hal_esp32 import Board
    else:
        from .hal_unix import Board
    board = Board(sys.argv)
    try:
        board.device = Device(board)
        board.device.run()
    except Exception as error:  # nothing that was foreseen
        board.fault("box", error)
        board.restart()
