"""What survives a power cut, and where on the flash does it stand?

The flash is a ring of sectors, written one after the other, so that all wear alike. A sector
begins with a line that numbers it and carries the boot number; records follow in lines of 16
bytes, each with a checksum (record.py). Nothing is ever written over: a record is taken back by
another one, and a sector is erased when what still counts in it has been copied to the head.
A cut at any byte leaves at worst one record that its checksum betrays, or one told twice.

    SECTOR   number 4, boot 4                  begins a sector
    BOOT     boot 4                            a start
    MESSAGE  boot 4, seq 4, about 1, payload   waits for its receipt
    HELD     boot 4, seq 4                     the gateway holds that one
    RELEASE  boot 4, seq 4                     nobody need be shown that alarm any more
    COMMAND  hash 8                            was carried out
    KEPT     key 1, bytes                      the newest of its key counts: settings

Two erased sectors wait ahead of the head: one for whoever writes, so that a press never waits
for an erasure, and one for the copying that makes the next.
"""

import struct
from array import array

from micropython import const

from .record import BLANK, HEAD, LINE, MARK, crc16, lines_of, seal

MAX_BODY = const(490)

SECTOR = const(1)
BOOT = const(2)
MESSAGE = const(3)
HELD = const(4)
RELEASE = const(5)
COMMAND = const(6)
KEPT = const(7)

MAX_SLOTS = const(240)
MAX_COMMANDS = const(16)
_VIEWS = const(11)  # lines of the longest alarm

# Of a slot: unused; no receipt yet; held by the gateway, and an alarm that is still shown.
FREE = const(0)
WAITING = const(1)
SHOWN = const(2)

# What a message is (``about``): its channel, and what an alarm is to its user.
ALARM = const(0)
REPLY = const(1)
ADDITION = const(2)
SILENT = const(4)
QUIET = const(8)  # no stage of it is shown: tamper, self-test


class Journal:
    """The records that count, as slots in memory, over a flash that may fail.

    ``flash`` has ``sectors``, ``sector_size``, ``read(at, buf)``, ``write(at, buf)`` and
    ``erase(sector)``, which raise OSError. Nothing here raises it: what could not be written
    is said so, and ``worn`` is set. ``load()`` comes first.
    """

    def __init__(self, flash):
        self.worn = False
        self.boot = 0  # the highest that the flash knows
        self.kept = {}  # bytes by key
        self.commands = []  # digests, oldest first
        self.state = bytearray(MAX_SLOTS)
        self.about = bytearray(MAX_SLOTS)
        self.boots = array("I", [0] * MAX_SLOTS)
        self.seqs = array("I", [0] * MAX_SLOTS)
        self._places = array("I", [0] * MAX_SLOTS)
        self._sizes = array("H", [0] * MAX_SLOTS)
        self._flash = flash
        self._lines = flash.sector_size // LINE
        self._numbers = [0] * flash.sectors  # 0: erased, or to be
        self._head = -1  # the sector that is written
        self._line = self._lines  # the next line in it
        self._place = 0  # of the record written last
        self._size = 0  # of the body read last
        self._command_places = []
        self._kept_places = {}
        size = LINE * ((HEAD + MAX_BODY + LINE - 1) // LINE)
        self._out, self._in = bytearray(size), bytearray(size)
        self._first = bytearray(LINE)  # of a sector
        # Slicing allocates: a view of each length that an alarm has is made now.
        self._outs = [memoryview(self._out)[: LINE * n] for n in range(1, _VIEWS + 1)]
        self._ins = [memoryview(self._in)[: LINE * n] for n in range(1, _VIEWS + 1)]
        self._outs.append(memoryview(self._out))
        self._ins.append(memoryview(self._in))

    # -- what is written ---------------------------------------------------

    def begin(self, boot):
        """Number this start; whether the flash has it."""
        self.boot = boot
        struct.pack_into(">I", self._out, HEAD, boot)
        return self._append(BOOT, 4, False)

    def keep(self, boot, seq, about, payload, size):
        """A message that waits for its receipt: its slot, or -1 if the flash has it not.

        It is in the way of a press and does not allocate.
        """
        slot = self._free_slot()
        if slot < 0 or size > MAX_BODY - 9 or self._live() + lines_of(9 + size) > self._limit():
            return -1
        out = self._out
        struct.pack_into(">II", out, HEAD, boot, seq)
        out[HEAD + 8] = about
        at = HEAD + 9
        for n in range(size):
            out[at + n] = payload[n]
        if not self._append(MESSAGE, 9 + size, False):
            return -1
        self._fill(slot, boot, seq, about, 9 + size)
        return slot

    def held(self, slot):
        """The gateway holds it. A loud alarm stays, for its light, until it is released."""
        self._note(HELD, slot, False)
        self._take_held(slot)

    def release(self, slot):
        """Nobody need be shown it any more."""
        self._note(RELEASE, slot, False)
        self.state[slot] = FREE

    def carried_out(self, digest):
        """A command of these eight bytes was: it never is again. Whether the flash has it."""
        self._out[HEAD : HEAD + 8] = digest
        written = self._append(COMMAND, 8, False)
        self._take_command(digest, self._place if written else -1)
        return written

    def keep_value(self, key, data):
        """The newest bytes of a key, 0 to 255; whether the flash has them."""
        if len(data) > MAX_BODY - 1:
            return False
        self._out[HEAD] = key
        self._out[HEAD + 1 : HEAD + 1 + len(data)] = data
        written = self._append(KEPT, 1 + len(data), False)
        self.kept[key] = bytes(data)
        self._kept_places[key] = self._place if written else -1
        return written

    # -- what is read ------------------------------------------------------

    def payload(self, slot):
        """The bytes of a message, valid until the next call; None if the flash has lost them."""
        size = self._sizes[slot]
        if self._parse(self._places[slot]) != MESSAGE or self._size != size:
            return None
        return memoryview(self._in)[HEAD + 9 : HEAD + size]

    def find(self, boot, seq):
        """The slot of that message, or -1."""
        for slot in range(MAX_SLOTS):
            if self.state[slot] != FREE and self.seqs[slot] == seq and self.boots[slot] == boot:
                return slot
        return -1

    def waiting(self):
        """How many messages have no receipt."""
        count = 0
        for slot in range(MAX_SLOTS):
            if self.state[slot] == WAITING:
                count += 1
        return count

    def is_full(self):
        """Whether there is no room for one more alarm."""
        return self._free_slot() < 0 or self._live() + 8 > self._limit()

    # -- the ring ----------------------------------------------------------

    def tidy(self):
        """Make the next erased sector, if one is due. May take as long as an erasure."""
        if self._head < 0 or self._erased_ahead() >= 2:
            return False
        tail = self._head
        for _ in range(self._flash.sectors):
            tail = self._after(tail)
            if self._numbers[tail]:
                break
        if not self._copy_from(tail):
            return False
        return self._erase(tail)

    def _erased_ahead(self):
        count, sector = 0, self._after(self._head)
        while self._numbers[sector] == 0:
            count += 1
            sector = self._after(sector)
        return count

    def _after(self, sector):
        return (sector + 1) % self._flash.sectors

    def _limit(self):
        """Lines that may count: they fit three sectors less than there are, ends left blank."""
        return (self._flash.sectors - 3) * (self._lines - 1 - _VIEWS)

    def _live(self):
        """Lines that count now."""
        lines = len(self.commands)
        for key in self.kept:
            lines += lines_of(1 + len(self.kept[key]))
        for slot in range(MAX_SLOTS):
            if self.state[slot] != FREE:
                lines += lines_of(self._sizes[slot]) + 1
        return lines

    def _copy_from(self, tail):
        """What counts in that sector goes to the head; whether the flash took it all."""
        start = tail * self._flash.sector_size
        end = start + self._flash.sector_size
        for slot in range(MAX_SLOTS):
            place = self._places[slot]
            if self.state[slot] != FREE and start <= place < end:
                if not self._copy(place):
                    return False
                self._places[slot] = self._place
                if self.state[slot] == SHOWN and not self._note(HELD, slot, True):
                    return False
        for n in range(len(self._command_places)):
            if start <= self._command_places[n] < end:
                if not self._copy(self._command_places[n]):
                    return False
                self._command_places[n] = self._place
        for key in self._kept_places:
            if start <= self._kept_places[key] < end:
                if not self._copy(self._kept_places[key]):
                    return False
                self._kept_places[key] = self._place
        return True

    def _copy(self, place):
        kind = self._parse(place)
        if kind == 0:
            return True  # worn away since: nothing is left to save
        for n in range(self._size):
            self._out[HEAD + n] = self._in[HEAD + n]
        return self._append(kind, self._size, True)

    def _erase(self, sector):
        try:
            if self._numbers[sector]:
                # An erasure that is cut could leave records without those that took them back:
                # without its first line none of the sector counts.
                for n in range(LINE):
                    self._out[n] = 0
                self._flash.write(sector * self._flash.sector_size, self._outs[0])
                self._numbers[sector] = 0
            self._flash.erase(sector)
        except OSError:
            self.worn = True
            return False
        return True

    def _note(self, kind, slot, copying):
        struct.pack_into(">II", self._out, HEAD, self.boots[slot], self.seqs[slot])
        return self._append(kind, 8, copying)

    def _append(self, kind, size, copying):
        """Write the record whose body stands in _out, and read it back; whether it is there.

        What comes back wrong is passed over, and written once more behind it.
        """
        lines = lines_of(size)
        seal(self._out, kind, size)
        for _ in range(2):
            if self._line + lines > self._lines and not self._open_sector(copying):
                return False
            place = self._head * self._flash.sector_size + self._line * LINE
            self._line += lines
            if self._write(place, _view(self._outs, lines), _view(self._ins, lines)):
                self._place = place
                return True
        self.worn = True
        return False

    def _open_sector(self, copying):
        """Begin the next sector; the last erased one is for copying alone."""
        sector, number = 0, 1
        if self._head >= 0:
            if self._erased_ahead() < (1 if copying else 2):
                return False
            sector, number = self._after(self._head), self._numbers[self._head] + 1
        struct.pack_into(">II", self._first, HEAD, number, self.boot)
        seal(self._first, SECTOR, 8)
        if not self._write(sector * self._flash.sector_size, self._first, self._ins[0]):
            self.worn = True
            return False
        self._numbers[sector] = number
        self._head, self._line = sector, 1
        return True

    def _write(self, place, out, back):
        """Whether these lines can be read back."""
        try:
            self._flash.write(place, out)
            self._flash.read(place, back)
        except OSError:
            return False
        return out == back

    # -- what was found ----------------------------------------------------

    def load(self):
        """Read what the flash holds. What is torn is passed over."""
        order = []
        for sector in range(self._flash.sectors):
            if self._parse(sector * self._flash.sector_size) == SECTOR and self._size == 8:
                number, boot = struct.unpack_from(">II", self._in, HEAD)
                self._numbers[sector] = number
                self.boot = max(self.boot, boot)
                order.append((number, sector))
        order.sort()
        for _, sector in order:
            self._load_sector(sector)
            self._head = sector
        for sector in range(self._flash.sectors):
            if not self._numbers[sector] and not self._is_blank(sector):
                self._erase(sector)
        for _ in order:
            self.tidy()

    def _load_sector(self, sector):
        start = sector * self._flash.sector_size
        line = self._line = 1
        while line < self._lines:
            kind = self._parse(start + line * LINE)
            if kind:
                self._load_record(kind, start + line * LINE)
                line += lines_of(self._size)
                self._line = line
            else:
                if self._in[:LINE] != BLANK:
                    self._line = line + 1
                line += 1

    def _load_record(self, kind, place):
        body, size = self._in, self._size
        if kind == KEPT and size:
            key = body[HEAD]
            self.kept[key] = bytes(body[HEAD + 1 : HEAD + size])
            self._kept_places[key] = place
        elif kind == COMMAND and size == 8:
            self._take_command(bytes(body[HEAD : HEAD + 8]), place)
        elif kind == BOOT and size == 4:
            self.boot = max(self.boot, struct.unpack_from(">I", body, HEAD)[0])
        elif kind in (MESSAGE, HELD, RELEASE) and size >= 8:
            boot, seq = struct.unpack_from(">II", body, HEAD)
            slot = self.find(boot, seq)
            if kind == MESSAGE and size > 9:
                self._place = place
                if slot >= 0:  # copied, and then the power went
                    self._places[slot] = place
                else:
                    slot = self._free_slot()
                    if slot >= 0:
                        self._fill(slot, boot, seq, body[HEAD + 8], size)
            elif slot >= 0 and kind == HELD:
                self._take_held(slot)
            elif slot >= 0:
                self.state[slot] = FREE

    def _parse(self, place):
        """The kind of the record there, 0 if it is none; its head and body are in _in then."""
        self._size = 0
        sector_end = (place // self._flash.sector_size + 1) * self._flash.sector_size
        head = self._in
        try:
            self._flash.read(place, self._ins[0])
            size = head[2] << 8 | head[3]
            lines = lines_of(size)
            if head[1] != MARK or size > MAX_BODY or place + lines * LINE > sector_end:
                return 0
            if lines > 1:
                self._flash.read(place, _view(self._ins, lines))
        except OSError:
            return 0
        if head[4] << 8 | head[5] != crc16(head, HEAD, HEAD + size, crc16(head, 0, 4)):
            return 0
        self._size = size
        return head[0]

    def _is_blank(self, sector):
        place = sector * self._flash.sector_size
        for at in range(place, place + self._flash.sector_size, LINE):
            try:
                self._flash.read(at, self._ins[0])
            except OSError:
                return False
            if self._in[:LINE] != BLANK:
                return False
        return True

    # -- slots -------------------------------------------------------------

    def _free_slot(self):
        for slot in range(MAX_SLOTS):
            if self.state[slot] == FREE:
                return slot
        return -1

    def _fill(self, slot, boot, seq, about, size):
        self.state[slot] = WAITING
        self.about[slot] = about
        self.boots[slot] = boot
        self.seqs[slot] = seq
        self._places[slot] = self._place
        self._sizes[slot] = size

    def _take_held(self, slot):
        is_shown = self.about[slot] & (REPLY | ADDITION | QUIET) == 0
        self.state[slot] = SHOWN if is_shown else FREE

    def _take_command(self, digest, place):
        if digest in self.commands:
            self._command_places[self.commands.index(digest)] = place
            return
        self.commands.append(digest)
        self._command_places.append(place)
        if len(self.commands) > MAX_COMMANDS:
            self.commands.pop(0)
            self._command_places.pop(0)


def _view(views, lines):
    """The first so many lines of a buffer, of which the longest view is that of the whole."""
    if lines <= _VIEWS:
        return views[lines - 1]
    return views[-1][: lines * LINE]
