"""The board: a WT32-ETH01 (an ESP32 with Ethernet), a cellular modem, five contacts, a lamp and a
sounder.

The pins are those of README.md. The journal is a partition of its own, written as the flash is:
sector by sector, without a file system.
"""

import errno
import os
import select
import socket
import ssl
import struct
import sys
import time

import esp32
import machine
import network
from machine import ADC, PWM, UART, WDT, Pin
from micropython import const

from . import lights
from .clock import ticks_diff

PANIC_PIN = const(32)
DURESS_PIN = const(33)
KEY_PIN = const(39)
CASE_PIN = const(36)
MAINS_PIN = const(14)
BATTERY_PIN = const(35)
LAMP_PINS = (const(2), const(12), const(15))  # red, green, blue
SOUNDER_PIN = const(4)
MODEM_TX, MODEM_RX = const(17), const(5)
LAN_MDC, LAN_MDIO, LAN_POWER = const(23), const(18), const(16)

SECTOR_SIZE = const(4096)
WATCHDOG_MS = const(8_000)
LOOK_MS = const(5)
BATTERY_FULL_MV = const(2_100)  # behind the divider
BATTERY_EMPTY_MV = const(1_650)
MODEM_RETRY_MS = const(30_000)
_NTP_TO_UNIX_S = 2_208_988_800

# Red, green and blue of each colour of lights.COLOURS.
_COLOURS = {"off": 0, "red": 1, "green": 2, "blue": 4, "amber": 3, "white": 7}
_BITS = tuple(_COLOURS[look[1]] for look in lights.LOOKS)


class Flash:
    """The partition `journal`. Three arguments write without erasing first."""

    sector_size = SECTOR_SIZE

    def __init__(self):
        self._part = esp32.Partition.find(esp32.Partition.TYPE_DATA, label="journal")[0]
        self.sectors = self._part.info()[3] // SECTOR_SIZE

    def read(self, at, buf):
        self._part.readblocks(at // SECTOR_SIZE, buf, at % SECTOR_SIZE)

    def write(self, at, buf):
        self._part.writeblocks(at // SECTOR_SIZE, buf, at % SECTOR_SIZE)

    def erase(self, sector):
        self._part.ioctl(6, sector)


class NoFlash:
    """In place of a partition that is not there: the box works on, from memory."""

    sectors, sector_size = 4, SECTOR_SIZE

    def read(self, at, buf):
        raise OSError(errno.ENODEV)

    write = read

    def erase(self, sector):
        raise OSError(errno.ENODEV)


class Ethernet:
    """The preferred network."""

    name = "eth"

    def __init__(self):
        self._lan = network.LAN(
            mdc=Pin(LAN_MDC), mdio=Pin(LAN_MDIO), power=Pin(LAN_POWER),
            phy_type=network.PHY_LAN8720, phy_addr=1,
        )  # fmt: skip
        self._lan.active(True)

    def is_up(self):
        return self._lan.isconnected()

    def dial(self, host, port):
        return _dial(host, port, self._lan.ifconfig()[0])

    def rssi_dbm(self):
        return None


class Modem:
    """A cellular modem that speaks PPP. It is dialled once, and again when it has hung up."""

    name = "4g"

    def __init__(self):
        self._uart = UART(1, 115_200, tx=MODEM_TX, rx=MODEM_RX, rxbuf=2048, txbuf=2048)
        self._ppp = None
        self._tried = None

    def is_up(self):
        if self._ppp is not None and self._ppp.isconnected():
            return True
        now = time.ticks_ms()
        if self._tried is None or ticks_diff(now, self._tried) > MODEM_RETRY_MS:
            self._tried = now
            if self._ppp is not None:
                self._ppp.disconnect()
            self._uart.write(b"ATD*99#\r")  # CONNECT is not waited for: PPP asks until it answers
            self._ppp = network.PPP(self._uart)
            self._ppp.connect()
        return False

    def dial(self, host, port):
        return _dial(host, port, self._ppp.ifconfig()[0])

    def rssi_dbm(self):
        return None  # the modem's commands are PPP's now


def _dial(host, port, own):
    """A socket that connects by the network of that address: lwIP routes by where it is bound.

    ``host`` is best an address: to look up a name may take seconds, in which edges() alone
    notices a press.
    """
    sock = socket.socket()
    try:
        sock.setblocking(False)
        sock.bind((own, 0))
        sock.connect(socket.getaddrinfo(host, port)[0][-1])
    except OSError as error:
        if error.errno != errno.EINPROGRESS:
            sock.close()
            raise
    return sock


class Board:
    """See hal.py."""

    def __init__(self, argv):
        self._contacts = [
            Pin(PANIC_PIN, Pin.IN, Pin.PULL_UP), Pin(DURESS_PIN, Pin.IN, Pin.PULL_UP),
            Pin(KEY_PIN, Pin.IN), Pin(CASE_PIN, Pin.IN), Pin(MAINS_PIN, Pin.IN, Pin.PULL_UP),
        ]  # fmt: skip
        self._edges = 0
        for n in range(2):  # the buttons: what is not seen while the loop is busy is latched here
            self._contacts[n].irq(self._latch(1 << n), Pin.IRQ_FALLING)
        self._lamps = [Pin(pin, Pin.OUT, value=0) for pin in LAMP_PINS]
        self._sounder = PWM(Pin(SOUNDER_PIN), freq=2000, duty_u16=0)
        self._look = lights.DARK
        self._tune = lights.SILENCE
        self._look_since = self._tune_since = time.ticks_ms()
        self._hz = 0
        self._battery = ADC(Pin(BATTERY_PIN), atten=ADC.ATTN_11DB)
        self.settings = _read("box.json")
        self.flash = self._made(Flash) or NoFlash()
        self.networks = [made for made in map(self._made, (Ethernet, Modem)) if made]
        self.device = None
        self._poll = select.poll()
        self._polled = None
        self._ntp = None
        self._ntp_sent = 0
        self._slot = None
        self._nvs = esp32.NVS("alarm_box")
        self._dog = WDT(timeout=WATCHDOG_MS)

    def _made(self, part):
        """A part of the board; None if it is broken, which must not cost the others."""
        try:
            return part()
        except Exception as error:
            self.fault(part.__name__, error)
            return None

    def _latch(self, bit):
        def closed(_):
            self._edges |= bit

        return closed

    # -- time and contacts -------------------------------------------------

    def ticks(self):
        return time.ticks_ms()

    def inputs(self):
        bits = 0
        for n in range(5):
            if not self._contacts[n].value():  # they close to ground
                bits |= 1 << n
        return bits

    def edges(self):
        edges, self._edges = self._edges, 0
        return edges

    def battery_pct(self):
        mv = self._battery.read_uv() // 1000
        return max(
            0, min(100, (mv - BATTERY_EMPTY_MV) * 100 // (BATTERY_FULL_MV - BATTERY_EMPTY_MV))
        )

    def random(self, below):
        return int.from_bytes(os.urandom(4), "big") % max(1, below)

    def unix_ms(self):
        """Ask the broker's machine for the time by SNTP; 0 until it has answered."""
        try:
            if self._ntp is None:
                return self._ask_time()
            answer = self._ntp.recv(48)
            self._ntp.close()
            self._ntp = None
            seconds, fraction = struct.unpack(">II", answer[40:48])
            if not seconds:
                return 0
            return (seconds - _NTP_TO_UNIX_S) * 1000 + (fraction * 1000 >> 32)
        except OSError as error:
            if error.errno == errno.EAGAIN and ticks_diff(time.ticks_ms(), self._ntp_sent) < 5000:
                return 0
            if self._ntp is not None:
                self._ntp.close()
            self._ntp = None
            return 0

    def _ask_time(self):
        host = self.device.settings.brokers[self.device.uplink.using][0]
        self._ntp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._ntp.setblocking(False)
        self._ntp.sendto(b"\x1b" + bytes(47), socket.getaddrinfo(host, 123)[0][-1])
        self._ntp_sent = time.ticks_ms()
        return 0

    # -- lamp and sounder --------------------------------------------------

    def light(self, look):
        self._look = look
        self._look_since = time.ticks_ms()
        self._lamp(_BITS[look])

    def sound(self, tune):
        self._tune = tune
        self._tune_since = time.ticks_ms()

    def turn(self, ticks):
        look = self._look
        lit = lights.is_on(look, ticks_diff(ticks, self._look_since))
        self._lamp(_BITS[look] if lit else 0)
        hz = lights.note(self._tune, ticks_diff(ticks, self._tune_since))
        if hz != self._hz:
            self._hz = hz
            if hz:
                self._sounder.freq(hz)
            self._sounder.duty_u16(32_768 if hz else 0)

    def _lamp(self, bits):
        for n in range(3):
            self._lamps[n].value(bits >> n & 1)

    # -- the loop ----------------------------------------------------------

    def wait(self, ms, sock, writing):
        if sock is not self._polled:
            if self._polled is not None:
                self._poll.unregister(self._polled)
            self._polled = sock
            if sock is not None:
                self._poll.register(sock, select.POLLIN)
        if sock is None:
            time.sleep_ms(LOOK_MS)
        else:
            for _ in self._poll.ipoll(LOOK_MS):
                pass  # whoever owns it reads it

    def watchdog(self):
        self._dog.feed()

    def restart(self):
        machine.reset()

    def say(self, what, **about):
        print(what, about)

    def fault(self, part, error):
        print("fault", part)
        sys.print_exception(error)

    # -- sockets -----------------------------------------------------------

    def dial(self, host, port):
        return self.networks[self.device.uplink.using].dial(host, port)

    def events(self, sock):
        poll = select.poll()
        poll.register(sock, select.POLLIN | select.POLLOUT)
        found = poll.poll(0)
        return found[0][1] if found else 0

    def secure(self, sock, settings):
        tls = settings.tls
        if not tls:
            return sock
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(cadata=_read(tls["ca"]))
        if "cert" in tls:
            context.load_cert_chain(_read(tls["cert"]), _read(tls["key"]))
        return context.wrap_socket(sock, server_hostname=tls["name"], do_handshake_on_connect=False)

    # -- the other slot ----------------------------------------------------

    def slot_open(self, size):
        self._slot = esp32.Partition(esp32.Partition.RUNNING).get_next_update()
        if size > self._slot.info()[3]:
            raise OSError(errno.ENOSPC)
        self._block = 0
        self._part_of_block = bytearray()

    def slot_write(self, data):
        self._part_of_block += data
        while len(self._part_of_block) >= SECTOR_SIZE:
            self._slot.writeblocks(self._block, self._part_of_block[:SECTOR_SIZE])
            self._part_of_block = self._part_of_block[SECTOR_SIZE:]
            self._block += 1

    def slot_start(self):
        if self._part_of_block:
            rest = bytes(SECTOR_SIZE - len(self._part_of_block))
            self._slot.writeblocks(self._block, self._part_of_block + rest)
        self._slot.set_boot()  # checks the image, and that it can be started
        self._nvs.set_blob("trial", self._slot.info()[4].encode())
        self._nvs.commit()

    def slot_keep(self):
        esp32.Partition.mark_app_valid_cancel_rollback()
        self._nvs.set_blob("trial", b"-")
        self._nvs.commit()

    def slot_on_trial(self):
        label = bytearray(16)
        try:
            size = self._nvs.get_blob("trial", label)
        except OSError:
            return False
        running = esp32.Partition(esp32.Partition.RUNNING).info()[4]
        return bytes(label[:size]) == running.encode()


def _read(name):
    try:
        with open(name, "rb") as file:
            return file.read()
    except OSError:
        return None
