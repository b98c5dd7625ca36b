"""What is damaged in the journal's files: how it shows, what it costs, and how reading goes on."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple
from zlib import crc32

import msgspec
import structlog
import zstandard

log = structlog.get_logger()

MAX_GAPS = 1000
"""Gaps remembered; more are counted."""

UNREADABLE = (
    zstandard.ZstdError,
    msgspec.DecodeError,
    ArithmeticError,
    LookupError,
    ValueError,
    TypeError,
)
"""What unpacking bytes that are not what was packed can raise."""


class Gap(NamedTuple):
    """Cursors from ``first`` to ``last`` of a file, some or all of whose events are unreadable."""

    file: str
    first: int
    last: int
    problem: str

    def __str__(self) -> str:
        return f"{self.file}: cursors {self.first} to {self.last}: {self.problem}"


class Damage:
    """What readers have found so far. May be told from any thread; each gap is logged once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._gaps: dict[tuple[str, int], Gap] = {}
        self.found = 0

    @property
    def gaps(self) -> list[Gap]:
        """In the order of their cursors."""
        with self._lock:
            return sorted(self._gaps.values(), key=lambda gap: gap.first)

    def note(self, gap: Gap) -> None:
        """Something cannot be read."""
        with self._lock:
            known = self._gaps.get(gap[:2])
            if known is not None and known.last >= gap.last:
                return
            self.found += known is None
            if len(self._gaps) < MAX_GAPS:
                self._gaps[gap[:2]] = gap
        log.error("journal_damaged", **gap._asdict())


def is_damage(error: BaseException | None) -> bool:
    """Whether a file itself is wrong, and not the disk, its space or a permission."""
    if not isinstance(error, sqlite3.DatabaseError):
        return False
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    return code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


@contextlib.contextmanager
def suppress_damage() -> Iterator[None]:
    """Go on where a file is damaged; other errors are raised."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        if not is_damage(error):
            raise


def row_crc(body: bytes, *about: object) -> int:
    """The checksum of a row's body and of what it is found by."""
    return crc32(body, crc32(" ".join(map(str, about)).encode()))


def is_whole(crc: int | None, body: object, *about: object) -> bool:
    """Whether a row is what was written; rows of before there were checksums pass."""
    return isinstance(body, bytes) and crc in (None, row_crc(body, *about))


def readable(
    connection: sqlite3.Connection,
    query: str,
    after: int,
    upper: int,
    on_gap: Callable[[int, int], None],
) -> Iterator[tuple[Any, ...]]:
    """The rows of a query that is ordered by its first column and takes the least and the
    largest value of it (?1, ?2). Where pages cannot be read, says between which values."""
    at = after + 1
    while True:
        try:
            for row in connection.execute(query, (at, upper)):
                yield row
                at = row[0] + 1
            return
        except sqlite3.DatabaseError as error:
            if not is_damage(error):
                raise
        beyond = _beyond(connection, query, at, upper)
        on_gap(at, beyond - 1)
        if beyond > upper:
            return
        at = beyond


def _beyond(connection: sqlite3.Connection, query: str, at: int, upper: int) -> int:
    """From where rows can be read again; above ``upper`` if nowhere."""
    bad, step = at, 1
    while not _reads(connection, query, at + step, upper):
        bad, step = at + step, 2 * step
        if bad > upper:
            return upper + 1
    good = at + step
    while good - bad > 1:
        middle = (good + bad) // 2
        if _reads(connection, query, middle, upper):
            good = middle
        else:
            bad = middle
    return good


def _reads(connection: sqlite3.Connection, query: str, at: int, upper: int) -> bool:
    try:
        return connection.execute(query, (at, upper)).fetchone() is not None
    except sqlite3.DatabaseError:
        return False
