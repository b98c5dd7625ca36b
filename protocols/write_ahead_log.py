"""SQLite's write-ahead log (sqlite.org/walformat.html): what is damaged in it, and the log mended.

SQLite takes the first frame whose checksum is wrong for the end of the log. After a
power cut that is right. But one bit that has flipped on the disk would so take away,
without a word, every commit after it, though all of them were synced and receipted.
"""

from __future__ import annotations

import struct
import sys
from array import array
from collections.abc import Iterator
from operator import mul
from typing import Literal, NamedTuple

HEADER_BYTES = 32
FRAME_HEADER_BYTES = 24
LITTLE_ENDIAN, BIG_ENDIAN = 0x377F0682, 0x377F0683  # the magic number tells how words are read
VERSION = 3007000
MASK = 0xFFFFFFFF
SHIFT = 80  # beyond what a sum over a page of 64 KiB can reach
_BOTH = struct.Struct(">II")

Sums = tuple[int, int]


class Mended(NamedTuple):
    """A log that SQLite reads to its end. ``restored``: frames in which one flipped bit was set
    right; ``damaged``: pages whose damage is larger or could be in several places, kept as they
    are for what is whole in them."""

    log: bytes
    restored: int
    damaged: tuple[int, ...]


class _Checksum:
    """The log's checksum over so many 32-bit words. It is linear: with ``e`` words behind it, a
    word counts Fibonacci(e) times in the first sum and Fibonacci(e + 1) times in the second."""

    def __init__(self, words: int, byteorder: Literal["little", "big"]) -> None:
        fibonacci = [0, 1]
        while len(fibonacci) < words + 2:
            fibonacci.append((fibonacci[-1] + fibonacci[-2]) & MASK)
        self._of_start = fibonacci[words - 1 : words + 2]
        self._weights = [(fibonacci[e], fibonacci[e + 1]) for e in reversed(range(words))]
        # Both sums at once, the second above the first: twice as fast.
        self._both = [first | second << SHIFT for first, second in self._weights]
        self._is_foreign = byteorder != sys.byteorder
        self._byteorder = byteorder

    def of(self, start: Sums, data: bytes) -> Sums:
        """The sums after the data, from those before it."""
        words = array("I", data)
        if self._is_foreign:
            words.byteswap()
        both = sum(map(mul, words, self._both))
        (a, b), (one, two, three) = start, self._of_start
        return (a * one + b * two + both) & MASK, (a * two + b * three + (both >> SHIFT)) & MASK

    def flips(self, data: bytes, computed: Sums, wanted: Sums) -> Iterator[bytes]:
        """The data with one bit flipped, for each bit that makes its sums those wanted. The high
        bits of a word are not told apart from those of words far from it."""
        first, second = wanted[0] - computed[0] & MASK, wanted[1] - computed[1] & MASK
        more, less = (first, second), (-first & MASK, -second & MASK)
        for at, (one, other) in enumerate(self._weights):
            for bit in range(32):
                change = one << bit & MASK, other << bit & MASK
                if change not in (more, less):
                    continue
                word = int.from_bytes(data[4 * at : 4 * at + 4], self._byteorder) ^ 1 << bit
                if change == (more if word >> bit & 1 else less):
                    mended = word.to_bytes(4, self._byteorder)
                    yield data[: 4 * at] + mended + data[4 * at + 4 :]


class _Log:
    """The log being mended: header and frames are set right in ``log`` as they are read."""

    def __init__(self, log: bytearray) -> None:
        self.log = log
        magic: int
        page_bytes: int
        magic, _, page_bytes = struct.unpack_from(">III", log)
        byteorder: Literal["little", "big"] = "little" if magic == LITTLE_ENDIAN else "big"
        self.frame_bytes = FRAME_HEADER_BYTES + page_bytes
        self.frames = (len(log) - HEADER_BYTES) // self.frame_bytes
        self.salts = bytes(log[16:24])
        self.checksum = _Checksum((8 + page_bytes) // 4, byteorder)

    def start(self, frame: int) -> int:
        """Where a frame begins."""
        return HEADER_BYTES + frame * self.frame_bytes

    def content(self, frame: int) -> bytes:
        """What the checksum of a frame covers: page number, size after a commit, the page."""
        at = self.start(frame)
        return bytes(self.log[at : at + 8] + self.log[at + 24 : at + self.frame_bytes])

    def page(self, frame: int) -> int:
        """The number of the page that is in a frame."""
        at = self.start(frame)
        return int.from_bytes(self.log[at : at + 4], "big")

    def is_of_this_log(self, frame: int) -> bool:
        """Its salts are the header's: it was not left over from the log before."""
        at = self.start(frame)
        return self.log[at + 8 : at + 16] == self.salts

    def kept_sums(self, frame: int) -> Sums:
        """The checksum that a frame has."""
        first, second = _BOTH.unpack_from(self.log, self.start(frame) + 16)
        return first, second

    def is_whole(self, frame: int, before: Sums) -> bool:
        """Whether SQLite would read on."""
        return self.is_of_this_log(frame) and (
            self.checksum.of(before, self.content(frame)) == self.kept_sums(frame)
        )

    def put(self, frame: int, content: bytes, sums: Sums) -> None:
        """Write a frame of this log anew."""
        at = self.start(frame)
        self.log[at : at + 24] = content[:8] + self.salts + _BOTH.pack(*sums)
        self.log[at + 24 : at + self.frame_bytes] = content[8:]

    def mend(self, frame: int, before: Sums) -> bool | None:
        """Set right what is wrong with a frame if that is one flipped bit. True: it is whole.
        False: it is such a bit, but which one cannot be said. None: it is something else."""
        content, kept = self.content(frame), self.kept_sums(frame)
        computed = self.checksum.of(before, content)
        at = self.start(frame) + 8
        if salts_differ := _bits_between(bytes(self.log[at : at + 8]), self.salts):
            contents = [content] if computed == kept and salts_differ == 1 else []
        elif (
            _bits_between(_BOTH.pack(*computed), _BOTH.pack(*kept)) == 1
            and not self.is_confirmed(frame)  # a flip in the page's last word looks the same
        ):
            contents, kept = [content], computed
        else:
            contents = list(self.checksum.flips(content, computed, kept))
        if len(contents) == 1:
            self.put(frame, contents[0], kept)
            return True
        return False if contents else None

    def is_confirmed(self, frame: int) -> bool:
        """Whether the next frame goes on from the checksum that this one has."""
        return frame + 1 < self.frames and self.is_whole(frame + 1, self.kept_sums(frame))

    def was_synced(self, frame: int) -> bool:
        """Whether a whole frame follows the commit that this frame belongs to: it was begun
        only when that commit had been synced, so no power cut has torn this frame."""
        committed = False
        for after in range(frame + 1, self.frames):
            if self.is_whole(after, self.kept_sums(after - 1)):
                if committed:
                    return True
                at = self.start(after)
                committed = any(self.log[at + 4 : at + 8])  # the size of the database then
        return False


def mend(log: bytes) -> Mended | None:
    """The log with its damage mended; None if SQLite reads it as it is."""
    header = _header(log)
    if header is None:
        return None
    mending = _Log(bytearray(header + log[HEADER_BYTES:]))
    restored, damaged = int(header != log[:HEADER_BYTES]), list[int]()
    before: Sums = _BOTH.unpack_from(header, 24)
    is_chained = True  # the sums on disk follow from the ones before
    for frame in range(mending.frames):
        if not (is_chained and mending.is_whole(frame, before)):
            if not is_chained:
                if not mending.is_of_this_log(frame):
                    break
            elif is_whole := mending.mend(frame, before):
                restored += 1
            elif is_whole is False or mending.was_synced(frame):
                damaged.append(mending.page(frame))
                is_chained = False
            else:
                break  # torn by a power cut before it was synced: nobody was told of it
            if not is_chained:
                content = mending.content(frame)
                mending.put(frame, content, mending.checksum.of(before, content))
        before = mending.kept_sums(frame)
    if not restored and not damaged:
        return None
    return Mended(bytes(mending.log), restored, tuple(damaged))


def _header(log: bytes) -> bytes | None:
    """The log's header, one flipped bit in it set right; None if that does not make it whole."""
    if len(log) < HEADER_BYTES + FRAME_HEADER_BYTES:
        return None
    header, salts = log[:HEADER_BYTES], log[HEADER_BYTES + 8 : HEADER_BYTES + 16]
    if _is_header(header):
        return header
    flips = (int.from_bytes(header, "big") ^ 1 << bit for bit in range(8 * HEADER_BYTES))
    candidates = (flip.to_bytes(HEADER_BYTES, "big") for flip in flips)
    return next((each for each in candidates if _is_header(each) and each[16:24] == salts), None)


def _is_header(header: bytes) -> bool:
    magic, version, page_bytes = struct.unpack_from(">III", header)
    if magic not in (LITTLE_ENDIAN, BIG_ENDIAN) or version != VERSION or page_bytes < 512:
        return False
    checksum = _Checksum(6, "little" if magic == LITTLE_ENDIAN else "big")
    return checksum.of((0, 0), header[:24]) == _BOTH.unpack_from(header, 24)


def _bits_between(one: bytes, other: bytes) -> int:
    return (int.from_bytes(one, "big") ^ int.from_bytes(other, "big")).bit_count()
