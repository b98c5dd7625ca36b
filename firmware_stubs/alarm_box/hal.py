"""What does the firmware ask of a board? Each board answers in a hal_….py of its own.

Whatever is said here to raise nothing may still be broken: main.py survives that.
"""

from micropython import const

# Bits of inputs() and edges(): set while a contact is closed, or a condition holds.
PANIC = const(1)
DURESS = const(2)
KEY = const(4)
CASE = const(8)  # open
MAINS = const(16)  # lost


class Hal:
    """A board. ``networks``: those it has, the preferred one first. ``flash``: see journal.py."""

    networks = ()
    flash = None
    settings = None
    """The bytes of the settings that the box was provisioned with, or None."""

    def ticks(self):
        """Milliseconds that wrap, for ticks_diff()."""

    def unix_ms(self):
        """The time, 0 while nobody knows it."""

    def inputs(self):
        """Which contacts are closed now. Does not allocate."""

    def edges(self):
        """Which have closed since the last call, however shortly. Does not allocate."""

    def battery_pct(self):
        """0 to 100, or None."""

    def light(self, look):
        """Show one of lights.py from now on: its number. Does not allocate."""

    def sound(self, tune):
        """Play one of lights.py: its number. Does not allocate."""

    def turn(self, ticks):
        """Go on blinking and beeping."""

    def random(self, below):
        """A number from 0 to below - 1, which nobody can foresee."""

    def wait(self, ms, sock, writing):
        """Sleep so long, less if a contact closes or the socket can be read (or written)."""

    def watchdog(self):
        """The main loop lives."""

    def restart(self):
        """Start anew, now."""

    def say(self, what, **about):
        """A line for the log."""

    def fault(self, part, error):
        """Log that a part has failed, with its traceback."""

    def events(self, sock):
        """What poll() says of a socket now."""

    def dial(self, host, port):
        """A socket by any network, for what is no alarm."""

    def secure(self, sock, settings):
        """The socket in TLS, if ``settings.tls`` asks for it."""

    # The other of two slots for the program; see update.py.

    def slot_open(self, size):
        """Begin to write the slot that does not run; OSError if it has no room."""

    def slot_write(self, data):
        """The next bytes of it; OSError."""

    def slot_start(self):
        """Start from it next time, on trial; OSError."""

    def slot_keep(self):
        """The program that runs is the right one: no trial any more."""

    def slot_on_trial(self):
        """Whether the program that runs is on trial: without slot_keep() the other one is back
        after the next start."""


class Network:
    """A way to the broker."""

    name = "eth"
    """One of the contract's words for ``status.net``."""

    def is_up(self):
        """Whether there is any sense in trying. Switches it on where it must be."""

    def dial(self, host, port):
        """A socket that connects and does not block; OSError."""

    def rssi_dbm(self):
        """Or None."""
