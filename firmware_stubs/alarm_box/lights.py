"""What does the box show and play? The table on the wall is docs/alarm-box.md, held to this one."""

from micropython import const

# Looks, by number.
DARK = const(0)
READY = const(1)
READY_SECOND = const(2)
PRESSED = const(3)
NOBODY = const(4)
SENT = const(5)
STORED = const(6)
ACCEPTED = const(7)
ACKNOWLEDGED = const(8)
CLOSED = const(9)
IDENTIFY = const(10)
RING_BACK = const(11)
NO_NETWORK = const(12)
NO_GATEWAY = const(13)
FLASH_FULL = const(14)
FLASH_WORN = const(15)
BUTTON_STUCK = const(16)
CLOCK_UNSET = const(17)
BATTERY_LOW = const(18)
MAINS_LOST = const(19)
CASE_OPEN = const(20)
UPDATING = const(21)

# Name, colour, flashes (0: steady), ms on, ms off between flashes, ms of pause after them.
LOOKS = (
    ("dark", "off", 0, 0, 0, 0),
    ("ready", "green", 1, 50, 0, 4950),
    ("ready_second_network", "green", 2, 50, 250, 4650),
    ("pressed", "red", 0, 0, 0, 0),
    ("nobody_has_it_yet", "red", 1, 125, 0, 125),
    ("sent", "red", 1, 500, 0, 500),
    ("stored", "amber", 0, 0, 0, 0),
    ("accepted", "blue", 1, 500, 0, 500),
    ("acknowledged", "blue", 0, 0, 0, 0),
    ("closed", "green", 0, 0, 0, 0),
    ("identify", "white", 1, 125, 0, 125),
    ("ring_back", "white", 1, 500, 0, 500),
    ("no_network", "amber", 1, 200, 300, 2000),
    ("no_gateway", "amber", 2, 200, 300, 2000),
    ("flash_full", "amber", 3, 200, 300, 2000),
    ("flash_worn", "amber", 4, 200, 300, 2000),
    ("button_stuck", "amber", 5, 200, 300, 2000),
    ("clock_unset", "amber", 6, 200, 300, 2000),
    ("battery_low", "amber", 7, 200, 300, 2000),
    ("mains_lost", "amber", 8, 200, 300, 2000),
    ("case_open", "amber", 9, 200, 300, 2000),
    ("updating", "white", 1, 50, 0, 1950),
)

# Tunes, by number.
SILENCE = const(0)
CLICK = const(1)
TROUBLE = const(2)
ONE_LONG = const(3)
TWO_HIGH = const(4)
THREE_HIGH = const(5)
FALLING = const(6)
RINGING = const(7)

# Name, Hz of one or two notes, how many, ms each, ms between, s until it comes again (0: never).
TUNES = (
    ("silence", (0, 0), 0, 0, 0, 0),
    ("click", (2000, 2000), 1, 20, 0, 0),
    ("two_low", (400, 400), 2, 150, 150, 5),
    ("one_long", (1500, 1500), 1, 600, 0, 0),
    ("two_high", (2500, 2500), 2, 150, 150, 0),
    ("three_high", (2500, 2500), 3, 150, 150, 0),
    ("falling", (2000, 1000), 2, 250, 50, 0),
    ("ringing", (1800, 1400), 6, 300, 50, 3),
)

COLOURS = ("off", "red", "green", "blue", "amber", "white")


def is_on(look, since_ms):
    """Whether the lamp of a look is lit so long after it was begun. Does not allocate."""
    _, _, flashes, on, off, pause = LOOKS[look]
    if flashes == 0:
        return True
    period = on + off
    into = since_ms % (flashes * period + pause)
    return into < flashes * period and into % period < on


def note(tune, since_ms):
    """Which frequency a tune has so long after it was begun; 0 for none."""
    _, notes, count, on, off, again_s = TUNES[tune]
    if again_s:
        since_ms %= again_s * 1000
    period = on + off
    if period == 0 or since_ms >= count * period or since_ms % period >= on:
        return 0
    return notes[since_ms // period % 2]
