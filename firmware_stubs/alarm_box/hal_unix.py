"""A board on MicroPython's Unix port: contacts closed by lines on stdin, lights told on stdout.

    micropython -X heapsize=96k -m alarm_box FOLDER

FOLDER has box.json, and gets flash.bin. Lines in: press 60, duress 60, key 60 (closed so many
ms), case on|off, mains off|on, battery 15, clock off|on, net 0 off|on, flash fail|ok, break PART,
report. Lines out are JSON, each with the wall clock in ms as ``at``.
"""

import errno
import gc
import io
import json
import os
import select
import socket
import sys
import time

from . import frame, hal, lights

SECTOR_SIZE = 4096
SECTORS = 16
_NAMES = {"press": hal.PANIC, "duress": hal.DURESS, "key": hal.KEY, "case": hal.CASE}
_EVENTS = 16


class Flash:
    """Sectors in a file. flush() is an fsync here."""

    sector_size = SECTOR_SIZE

    def __init__(self, path, sectors):
        self.sectors = sectors
        self.fails = False
        try:
            self._file = open(path, "r+b")
        except OSError:
            self._file = open(path, "w+b")

    def read(self, at, buf):
        self._file.seek(at)
        count = self._file.readinto(buf) or 0
        for n in range(count, len(buf)):
            buf[n] = 0xFF

    def write(self, at, buf):
        if self.fails:
            raise OSError(errno.EIO)
        self._file.seek(at)
        self._file.write(buf)
        self._file.flush()

    def erase(self, sector):
        if self.fails:
            raise OSError(errno.EIO)
        blank = b"\xff" * 256
        self._file.seek(sector * SECTOR_SIZE)
        for _ in range(SECTOR_SIZE // 256):
            self._file.write(blank)
        self._file.flush()


class Network:
    """The machine's own network, by the name of another."""

    def __init__(self, name):
        self.name = name
        self.on = True

    def is_up(self):
        return self.on

    def dial(self, host, port):
        if not self.on:
            raise OSError(errno.ENETUNREACH)
        return _dial(host, port)

    def rssi_dbm(self):
        return None


class Board:
    """The box as a process."""

    def __init__(self, argv):
        self._folder = argv[1]
        sectors = int(argv[2]) if len(argv) > 2 else SECTORS
        self.flash = Flash(self._folder + "/flash.bin", sectors)
        self.networks = (Network("eth"), Network("4g"))
        self.settings = self._read("box.json")
        self.device = None  # for `report` and `break`
        self._poll = select.poll()
        self._poll.register(sys.stdin, select.POLLIN)
        self._ends = [0] * 5  # ticks at which a contact opens
        self._closed = 0
        self._edges = 0
        self._battery = 100
        self._clock_on = True
        self._line = b""
        # What is shown and played, to be told when there is time to.
        self._told = [0] * _EVENTS
        self._told_at = [0] * _EVENTS
        self._tell_from = self._tell_to = 0
        self._slot = None
        self._alarms = {}
        self._tests = self._waiting = 0
        self._pressed = False

    def _read(self, name):
        try:
            with open(self._folder + "/" + name, "rb") as file:
                return file.read()
        except OSError:
            return None

    # -- time and contacts -------------------------------------------------

    def ticks(self):
        return time.ticks_ms()

    def unix_ms(self):
        return time.time_ns() // 1_000_000 if self._clock_on else 0

    def inputs(self):
        now = time.ticks_ms()
        for n in range(5):
            if self._ends[n] and time.ticks_diff(now, self._ends[n]) >= 0:
                self._ends[n] = 0
                self._closed &= ~(1 << n)
        return self._closed

    def edges(self):
        edges, self._edges = self._edges, 0
        return edges

    def battery_pct(self):
        return self._battery

    def random(self, below):
        return int.from_bytes(os.urandom(4), "big") % max(1, below)

    # -- what is shown -----------------------------------------------------

    def light(self, look):
        self._note(look)

    def sound(self, tune):
        self._note(100 + tune)

    def _note(self, what):
        self._told[self._tell_to] = what
        self._told_at[self._tell_to] = time.ticks_ms()
        self._tell_to = (self._tell_to + 1) % _EVENTS

    def turn(self, ticks):
        while self._tell_from != self._tell_to:
            what, at = self._told[self._tell_from], self._told_at[self._tell_from]
            self._tell_from = (self._tell_from + 1) % _EVENTS
            ago_ms = time.ticks_diff(time.ticks_ms(), at)
            if what < 100:
                self.say("light", ago_ms, look=lights.LOOKS[what][0])
            else:
                self.say("sound", ago_ms, tune=lights.TUNES[what - 100][0])

        self._tell_alarms(self.device)

    def _tell_alarms(self, device):
        """What no lamp tells: which alarm it is, how far the silent one is, what waits."""
        box, tests = device.box, device.box.test_seq
        if self._pressed and not self._closed and box.is_released():
            self._pressed = False
            self.say("let_go")
        for alarm in box.alarms:
            key = (alarm.boot, alarm.seq, alarm.stage, alarm.count)
            if alarm.seq and self._alarms.get(alarm.kind) != key:
                self._alarms[alarm.kind] = key
                stage = lights.LOOKS[alarm.stage][0]
                kind = frame.KINDS[alarm.kind]
                self.say(
                    "alarm", kind=kind, boot=alarm.boot, seq=alarm.seq, stage=stage,
                    count=alarm.count,
                )  # fmt: skip
        if tests and tests != self._tests:
            self.say("test", boot=box.boot, seq=tests)
        self._tests = tests
        waiting = device.outbox.waiting()
        if waiting != self._waiting:
            self._waiting = waiting
            self.say("waiting", count=waiting)

    def say(self, what, ago_ms=0, **about):
        about["what"] = what
        about["at"] = time.time_ns() // 1_000_000 - ago_ms
        print(json.dumps(about))

    def fault(self, part, error):
        text = io.StringIO()
        sys.print_exception(error, text)
        self.say("fault", part=part, error=text.getvalue())

    # -- the loop ----------------------------------------------------------

    def wait(self, ms, sock, writing):
        poll = self._poll
        if sock is not None:
            poll.register(sock, select.POLLIN | (select.POLLOUT if writing else 0))
        for each, events in poll.poll(ms):
            if each is sys.stdin:
                self._read_line(events)
        if sock is not None:
            poll.unregister(sock)

    def events(self, sock):
        poll = select.poll()
        poll.register(sock, select.POLLIN | select.POLLOUT)
        found = poll.poll(0)
        return found[0][1] if found else 0

    def _read_line(self, events):
        line = sys.stdin.readline()
        if not line:
            raise SystemExit  # whoever drove us is gone
        words = line.split()
        if words:
            self._do(*words)

    def _do(self, what, *words):
        if what in _NAMES and words and words[0] not in ("on", "off"):
            n = _bit(_NAMES[what])
            self._close(n)
            self._ends[n] = time.ticks_add(time.ticks_ms(), int(words[0]))
            self._pressed = True
        elif what == "case":
            self._set(3, words[0] == "on")
        elif what == "mains":
            self._set(4, words[0] == "off")
        elif what == "battery":
            self._battery = int(words[0])
        elif what == "clock":
            self._clock_on = words[0] == "on"
            if not self._clock_on:
                self.device.box.clock.forget()
        elif what == "net":
            self.networks[int(words[0])].on = words[1] == "on"
        elif what == "flash":
            self.flash.fails = words[0] == "fail"
        elif what == "break":
            _break(self.device, words[0])
        elif what == "report":
            self._report()

    def _close(self, n):
        if not self._closed & 1 << n:
            self._edges |= 1 << n
        self._closed |= 1 << n

    def _set(self, n, closed):
        if closed:
            self._close(n)
        else:
            self._closed &= ~(1 << n)

    def _report(self):
        gc.collect()
        device = self.device
        self.say(
            "report",
            heap=gc.mem_alloc(),
            free=gc.mem_free(),
            boot=device.box.boot,
            waiting=device.outbox.waiting(),
            dropped=device.outbox.dropped,
            failures=device.failures,
            worn=device.outbox.book.worn,
        )

    def restart(self):
        self.say("restart")
        raise SystemExit

    def watchdog(self):
        pass

    # -- sockets -----------------------------------------------------------

    def dial(self, host, port):
        return _dial(host, port)

    def secure(self, sock, settings):
        tls = settings.tls
        if not tls:
            return sock
        import ssl

        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(cadata=self._read(tls["ca"]))
        if "cert" in tls:
            context.load_cert_chain(self._read(tls["cert"]), self._read(tls["key"]))
        return context.wrap_socket(sock, server_hostname=tls["name"], do_handshake_on_connect=False)

    # -- the other slot: a file, and a note which of the two runs ----------

    def slot_open(self, size):
        self._slot = open(self._folder + "/slot.new", "wb")

    def slot_write(self, data):
        self._slot.write(data)

    def slot_start(self):
        self._slot.flush()
        self._slot.close()
        os.rename(self._folder + "/slot.new", self._folder + "/slot.trial")
        self.say("slot_start")

    def slot_keep(self):
        os.rename(self._folder + "/slot.trial", self._folder + "/slot.kept")
        self.say("slot_keep")

    def slot_on_trial(self):
        try:
            os.stat(self._folder + "/slot.trial")
        except OSError:
            return False
        return True


def _bit(mask):
    n = 0
    while mask > 1:
        mask >>= 1
        n += 1
    return n


def _dial(host, port):
    sock = socket.socket()
    try:
        sock.setblocking(False)
        sock.connect(socket.getaddrinfo(host, port)[0][-1])
    except OSError as error:
        if error.errno != errno.EINPROGRESS:
            sock.close()
            raise
    return sock


def _break(device, part):
    """Make a part fail whenever it is asked: what must go on without it?"""

    def fail(*_, **__):
        raise RuntimeError("broken on purpose")

    if part == "clock":
        device.box.clock.put = fail
        device.box.clock.unix_ms = fail
    elif part == "settings":
        device.settings.change = fail
        device.settings.zone = None
    elif part == "status":
        device.status.turn = fail
    elif part == "commands":
        device.commanding().turn = fail
