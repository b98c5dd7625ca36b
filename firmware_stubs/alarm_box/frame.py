"""What do the contract's messages look like as bytes? MessagePack out and in, JSON in; pure.

Out: a Writer fills a buffer that was made once, and writes an alarm without allocating.
In: unpack() takes what a gateway may say and nothing that could fill the memory.
"""

import json
import struct

from micropython import const

MAX_NESTING = const(8)
MAX_ITEMS = const(640)
"""Values in one message: a receipt of 64 ranges and 32 alarms has fewer."""

KINDS = ("panic", "duress", "tamper", "test")
PANIC = const(0)
DURESS = const(1)
TAMPER = const(2)
TEST = const(3)

_KIND_TEXTS = (b"\xa5panic", b"\xa6duress", b"\xa6tamper", b"\xa4test")
_BOOT, _SEQ, _T = b"\xa4boot", b"\xa3seq", b"\xa1t"
_KIND, _COUNT, _SILENT, _OF = b"\xa4kind", b"\xa5count", b"\xa6silent\xc3", b"\xa2of"


class Writer:
    """MessagePack into a buffer of its own. IndexError where that is full.

    Only text() and value() allocate; numbers are below 2^30 but for those of value().
    """

    def __init__(self, size):
        self.buf = bytearray(size)
        self.at = 0

    def clear(self):
        """Begin anew."""
        self.at = 0

    def raw(self, data):
        """Bytes as they are."""
        buf, at = self.buf, self.at
        for n in range(len(data)):
            buf[at] = data[n]
            at += 1
        self.at = at

    def byte(self, value):
        """One byte as it is."""
        self.buf[self.at] = value
        self.at += 1

    def uint(self, value):
        """A whole number, 0 or above, in its shortest form."""
        if value < 0x80:
            self.byte(value)
        elif value < 0x100:
            self.byte(0xCC)
            self.byte(value)
        elif value < 0x10000:
            self.byte(0xCD)
            self.byte(value >> 8)
            self.byte(value & 0xFF)
        else:
            self.byte(0xCE)
            for shift in (24, 16, 8, 0):
                self.byte((value >> shift) & 0xFF)

    def time(self, clock, ticks):
        """The time of that moment, 0 if nobody knows it."""
        if not clock.is_set:
            self.byte(0)
            return
        self.byte(0xCF)
        self.buf[self.at + 7] = 0  # IndexError before anything is written past the end
        clock.put(self.buf, self.at, ticks)
        self.at += 8

    def text(self, text):
        """A text."""
        data = text.encode()
        size = len(data)
        if size < 32:
            self.byte(0xA0 | size)
        elif size < 256:
            self.byte(0xD9)
            self.byte(size)
        else:
            self.byte(0xDA)
            self.byte(size >> 8)
            self.byte(size & 0xFF)
        self.raw(data)

    def value(self, value):
        """Whatever MessagePack has; ValueError for the rest."""
        if value is None:
            self.byte(0xC0)
        elif isinstance(value, bool):
            self.byte(0xC3 if value else 0xC2)
        elif isinstance(value, int):
            self._int(value)
        elif isinstance(value, float):
            self.raw(struct.pack(">Bd", 0xCB, value))
        elif isinstance(value, str):
            self.text(value)
        elif isinstance(value, (bytes, bytearray)):
            self.raw(struct.pack(">BH", 0xC5, len(value)))
            self.raw(value)
        elif isinstance(value, (list, tuple)):
            self._size(0x90, 0xDC, len(value))
            for item in value:
                self.value(item)
        elif isinstance(value, dict):
            self._size(0x80, 0xDE, len(value))
            for key in value:
                self.value(key)
                self.value(value[key])
        else:
            raise ValueError("no MessagePack for " + repr(value))

    def _int(self, value):
        if -32 <= value < 0:
            self.byte(value & 0xFF)
        elif value < 0:
            self.raw(struct.pack(">Bq", 0xD3, value))
        elif value < 1 << 30:
            self.uint(value)
        else:
            self.raw(struct.pack(">BQ", 0xCF, value))

    def _size(self, short, long, size):
        if size < 16:
            self.byte(short | size)
        else:
            self.raw(struct.pack(">BH", long, size))


def head(writer, keys, boot5, seq, clock, ticks):
    """What each message on a lane begins with; ``boot5``: the boot number by boot_bytes()."""
    writer.byte(0x80 | keys)
    writer.raw(_BOOT)
    writer.raw(boot5)
    writer.raw(_SEQ)
    writer.uint(seq)
    writer.raw(_T)
    writer.time(clock, ticks)


def boot_bytes(boot):
    """A boot number as MessagePack: made once, for it may be too large for a small integer."""
    return struct.pack(">BI", 0xCE, boot)


def alarm(writer, boot5, seq, clock, ticks, kind, count, of, extra):
    """An alarm, or with ``of`` more on one. ``extra``: b"" or one key and value. No allocation."""
    keys = 5 + (kind == DURESS) + (of > 0) + (len(extra) > 0)
    head(writer, keys, boot5, seq, clock, ticks)
    writer.raw(_KIND)
    writer.raw(_KIND_TEXTS[kind])
    writer.raw(_COUNT)
    writer.uint(count)
    if kind == DURESS:
        writer.raw(_SILENT)
    if of:
        writer.raw(_OF)
        writer.uint(of)
    writer.raw(extra)


def pair(key, value):
    """One key with its value, for alarm()."""
    writer = Writer(8 + len(key) + 4 * len(value))
    writer.value(key)
    writer.value(value)
    return bytes(memoryview(writer.buf)[: writer.at])


def message(writer, keys):
    """Any other message: a status, a reply, presence."""
    writer.value(keys)


class _Reader:
    def __init__(self, data):
        self.data = data
        self.at = 0
        self.items = 0

    def take(self, count):
        """So many bytes, as a view."""
        if count > len(self.data) - self.at:
            raise ValueError("cut short")
        view = memoryview(self.data)[self.at : self.at + count]
        self.at += count
        return view

    def number(self, form):
        return struct.unpack(form, self.take(struct.calcsize(form)))[0]

    def value(self, depth):
        self.items += 1
        if self.items > MAX_ITEMS:
            raise ValueError("too many values")
        first = self.take(1)[0]
        if first < 0x80:
            return first
        if first < 0x90:
            return self.map(first & 0x0F, depth)
        if first < 0xA0:
            return self.array(first & 0x0F, depth)
        if first < 0xC0:
            return str(self.take(first & 0x1F), "utf-8")
        if first >= 0xE0:
            return first - 256
        if first in _CONSTANTS:
            return _CONSTANTS[first]
        if first in _NUMBERS:
            return self.number(_NUMBERS[first])
        if first in _SIZES:
            size = self.number(_SIZES[first])
            if first <= 0xC6:
                return bytes(self.take(size))
            if first <= 0xC9:
                self.take(size + 1)  # an extension, its type before it: nothing that we know
                return None
            if first <= 0xDB:
                return str(self.take(size), "utf-8")
            return self.array(size, depth) if first <= 0xDD else self.map(size, depth)
        if 0xD4 <= first <= 0xD8:
            self.take(1 + (1 << (first - 0xD4)))
            return None
        raise ValueError("no MessagePack")

    def array(self, size, depth):
        self.room_for(size, depth)
        return [self.value(depth - 1) for _ in range(size)]

    def map(self, size, depth):
        self.room_for(2 * size, depth)
        keys = {}
        for _ in range(size):
            key = self.value(depth - 1)
            value = self.value(depth - 1)
            if not isinstance(key, (list, dict)):  # such a key is nobody's
                keys[key] = value
        return keys

    def room_for(self, values, depth):
        if depth == 0:
            raise ValueError("nested too deeply")
        if values > len(self.data) - self.at:
            raise ValueError("cut short")


_CONSTANTS = {0xC0: None, 0xC2: False, 0xC3: True}
_NUMBERS = {
    0xCA: ">f", 0xCB: ">d", 0xCC: ">B", 0xCD: ">H", 0xCE: ">I", 0xCF: ">Q",
    0xD0: ">b", 0xD1: ">h", 0xD2: ">i", 0xD3: ">q",
}  # fmt: skip
_SIZES = {
    0xC4: ">B", 0xC5: ">H", 0xC6: ">I", 0xC7: ">B", 0xC8: ">H", 0xC9: ">I",
    0xD9: ">B", 0xDA: ">H", 0xDB: ">I", 0xDC: ">H", 0xDD: ">I", 0xDE: ">H", 0xDF: ">I",
}  # fmt: skip


def unpack(data):
    """The map that a gateway sent, as MessagePack or JSON; ValueError if it is none."""
    if bytes(data[:1]) == b"{":
        keys = json.loads(str(data, "utf-8"))
    else:
        reader = _Reader(data)
        keys = reader.value(MAX_NESTING)
        if reader.at != len(data):
            raise ValueError("bytes behind the message")
    if not isinstance(keys, dict):
        raise ValueError("no map")
    return keys


def number(value, least=0):
    """Whether that is a whole number, and no less."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def ranges(value):
    """The ranges [from, to] of a receipt's ``miss`` that make sense, as pairs."""
    found = []
    if isinstance(value, (list, tuple)):
        for each in value:
            if (
                isinstance(each, (list, tuple))
                and len(each) == 2
                and number(each[0])
                and number(each[1])
            ):
                found.append((each[0], each[1]))
    return found
