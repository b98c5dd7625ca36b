"""What does the firmware ask of a board? Each board answers with a class Board in a hal_….py.

Whatever may be broken on a board, main.py survives it. What must not allocate is marked *: it is
in the way of a press.

    networks              those it has, the preferred one first: each has
      .name                 the contract's word for it: eth, wifi, 4g …
      .is_up()              whether there is any sense in dialling; switches it on where it must be
      .dial(host, port)     a socket that connects and does not block; OSError
      .rssi_dbm()           or None
    flash                 .sectors, .sector_size, .read(at, buf), .write(at, buf)*, .erase(sector)
    settings              the bytes that the box was provisioned with, or None

    ticks()*              milliseconds that wrap, for ticks_diff()
    unix_ms()             the time; 0 while nobody knows it
    inputs()*             bits of the contacts that are closed now, see below
    edges()*              bits of those that have closed since the last call, however shortly
    battery_pct()         0 to 100, or None
    random(below)         a number from 0 to below - 1 that nobody can foresee
    light(look)*          show this one of lights.LOOKS from now on
    sound(tune)*          play this one of lights.TUNES
    turn(ticks)           go on blinking and beeping
    wait(ms, sock, writing)  sleep; less if a contact closes or the socket can be read (written)
    watchdog()            the main loop lives
    restart()             start anew, now
    say(what, **about)    a line for the log
    fault(part, error)    the same with a traceback

    dial(host, port)      a socket by any network, for what is no alarm
    secure(sock, settings)  the socket in TLS, if settings.tls asks for it
    events(sock)          what poll() says of it now

    slot_open(size)       begin to write the program that does not run (update.py); OSError
    slot_write(data)      its next bytes; OSError
    slot_start()          start from it next time, on trial; OSError
    slot_keep()           the program that runs is the right one: no trial any more
    slot_on_trial()       whether it is on trial: the other one is back after the next start
"""

from micropython import const

# Bits of inputs() and edges().
PANIC = const(1)
DURESS = const(2)
KEY = const(4)
CASE = const(8)  # open
MAINS = const(16)  # lost
