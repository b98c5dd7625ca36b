"""What does one record on the flash look like, and how is a torn one known?

It takes whole lines of 16 bytes, so that a torn one harms no other:

    kind 1 | 0xA5 | length of the body 2 | CRC-16 of these and the body 2 | body … | 0xFF …
"""

from array import array

from micropython import const

LINE = const(16)
HEAD = const(6)
MARK = const(0xA5)
BLANK = b"\xff" * 16


def crc16(buf, start, end, crc=0xFFFF):
    """CRC-16/CCITT-FALSE by nibbles: its numbers stay small integers."""
    table = _CRC_TABLE
    for at in range(start, end):
        byte = buf[at]
        crc = table[(crc >> 12) ^ (byte >> 4)] ^ ((crc << 4) & 0xFFFF)
        crc = table[(crc >> 12) ^ (byte & 0x0F)] ^ ((crc << 4) & 0xFFFF)
    return crc


def _make_table():
    table = array("H")
    for n in range(16):
        crc = n << 12
        for _ in range(4):
            crc = (crc << 1) ^ 0x1021 if crc & 0x8000 else crc << 1
        table.append(crc & 0xFFFF)
    return table


_CRC_TABLE = _make_table()


def seal(buf, kind, size):
    """Write the head of the record whose body stands in the buffer; blank what follows it."""
    buf[0] = kind  # one by one: four at a time would make a tuple
    buf[1] = MARK
    buf[2] = size >> 8
    buf[3] = size & 0xFF
    crc = crc16(buf, HEAD, HEAD + size, crc16(buf, 0, 4))
    buf[4] = crc >> 8
    buf[5] = crc & 0xFF
    for n in range(HEAD + size, lines_of(size) * LINE):
        buf[n] = 0xFF


def lines_of(size):
    """How many lines a record takes whose body has so many bytes."""
    return (HEAD + size + LINE - 1) // LINE
