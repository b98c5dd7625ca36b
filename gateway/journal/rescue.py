"""A damaged file of the journal is put aside and a new one begun: what is saved, and how."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from functools import partial
from pathlib import Path

import structlog

from gateway.journal.base import EventType
from gateway.journal.damage import Damage, Gap, is_damage, is_whole, readable
from gateway.journal.database import open_database, transaction
from gateway.journal.rows import alarm_from_events, command_from_events, sealed
from protocols.write_ahead_log import mend

log = structlog.get_logger()

MAIN = "journal.db"
MARK = "damaged"
"""In the folder: the names of files that were found damaged while they were open."""

CHECKED_BYTES = 64 << 20
"""Files up to here are checked at each start, in tenths of a second; larger ones when marked."""

FLOOR_STEP = 100_000
"""Cursors go on so far beyond all that are known: none is given out a second time."""

NUMBERED = ("event", "alarm", "command", "quarantine", "device", "day")
NAMED = ("state", "feed", "meta", "unit")

Migrate = Callable[[sqlite3.Connection], None]


def mend_logs(folder: Path) -> None:
    """Before any database of the folder is opened: see that its log is read to its end."""
    for path in folder.glob("**/*.db-wal"):
        mended = mend(path.read_bytes())
        if mended is not None:
            path.write_bytes(mended.log)
            log.error(
                "journal_log_mended",
                file=path.name,
                restored=mended.restored,
                damaged_pages=list(mended.damaged),
            )


def mark(folder: Path, names: list[str]) -> None:
    """Remember for the next start that these are damaged."""
    with (folder / MARK).open("a") as file:
        file.writelines(f"{name}\n" for name in names)


def put_aside(folder: Path) -> list[str]:
    """The damaged files that lie beside the journal."""
    return sorted(path.name for path in folder.glob("**/*.db.damaged-*[0-9]"))


def open_main(folder: Path, migrate: Migrate, damage: Damage, now_ms: int) -> sqlite3.Connection:
    """``journal.db``; where it is damaged a new one with all that can be read of it."""
    path = folder / MAIN
    try:
        main = open_sound(path, is_marked(folder, MAIN))
        migrate(main)
    except sqlite3.DatabaseError as error:
        if not is_damage(error):
            raise
        main = _rescue(path, migrate, damage, now_ms, str(error))
    return main


def is_marked(folder: Path, name: str) -> bool:
    """Whether a file was found damaged while it was open."""
    path = folder / MARK
    return path.exists() and name in path.read_text().split()


def unmark(folder: Path) -> None:
    """All that was marked is dealt with."""
    (folder / MARK).unlink(missing_ok=True)


def open_sound(path: Path, is_suspect: bool) -> sqlite3.Connection:
    """Open a database; raise sqlite3.DatabaseError if it is found to be damaged."""
    database = open_database(path)
    try:
        if is_suspect or path.stat().st_size <= CHECKED_BYTES:
            (found,) = database.execute("PRAGMA quick_check").fetchone()
            if found != "ok":
                error = sqlite3.DatabaseError(found)
                error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
                raise error
    except BaseException:
        database.close()
        raise
    return database


def last_readable(path: Path, first: int, damage: Damage) -> int:
    """The last cursor that a damaged day still tells of; notes what lies between."""
    database = open_database(path)
    try:
        query = "SELECT first, last FROM block WHERE first >= ? AND first <= ? ORDER BY first"
        note = partial(_note_pages, damage, path.name)
        last = first - 1
        for _, last in readable(database, query, first - 1, 2**62, note):  # noqa: B007 - the last one
            pass
        return last
    except sqlite3.DatabaseError as error:
        damage.note(Gap(path.name, first, first, str(error)))
        return first - 1
    finally:
        database.close()


def _rescue(
    path: Path, migrate: Migrate, damage: Damage, now_ms: int, problem: str
) -> sqlite3.Connection:
    aside = path.with_name(f"{path.name}.damaged-{now_ms}")
    for end in ("", "-wal", "-shm"):
        part = path.with_name(path.name + end)
        if part.exists():
            part.rename(f"{aside}{end}")
    log.error("journal_put_aside", file=aside.name, problem=problem)
    new, old = open_database(path), open_database(aside)
    old.text_factory = lambda text: text.decode(errors="replace")
    try:
        migrate(new)
        with transaction(new):
            saved = {table: _copy(old, new, table, damage) for table in (*NUMBERED, *NAMED)}
            rebuilt = _make_whole(new)
            _go_on_beyond(new)
    finally:
        old.close()
    log.error("journal_rescued", rows=saved, rebuilt=rebuilt)
    return new


def _copy(old: sqlite3.Connection, new: sqlite3.Connection, table: str, damage: Damage) -> int:
    """Copy what can be read of a table; how many rows."""
    into = [name for _, name, *_ in new.execute(f"PRAGMA table_info ({table})")]
    columns = ", ".join(into)
    insert = f"INSERT OR IGNORE INTO {table} ({columns}) VALUES ({', '.join('?' * len(into))})"  # noqa: S608 - our own tables
    before = new.total_changes
    try:
        if table in NUMBERED:
            query = (
                f"SELECT rowid, {columns} FROM {table} WHERE rowid >= ? AND rowid <= ? ORDER BY 1"  # noqa: S608
            )
            note = partial(_note_pages, damage if table == "event" else Damage(), MAIN)
            for _, *row in readable(old, query, -1, 2**62, note):
                _insert(new, insert, row)
        else:
            for row in old.execute(f"SELECT {columns} FROM {table}"):  # noqa: S608
                _insert(new, insert, row)
    except sqlite3.DatabaseError as error:  # what came before it is copied
        log.error("journal_table_damaged", table=table, problem=str(error))
    return new.total_changes - before


def _insert(new: sqlite3.Connection, insert: str, row: list[object] | tuple[object, ...]) -> None:
    try:
        new.execute(insert, row)
    except (sqlite3.IntegrityError, sqlite3.InterfaceError) as error:
        log.error("journal_row_damaged", problem=str(error))


def _make_whole(new: sqlite3.Connection) -> int:
    """Raise nothing twice and lose no alarm: its event and its record tell of each other."""
    known = {row[0] for row in new.execute("SELECT id FROM alarm")}
    raised = new.execute(
        "SELECT id, cursor, device FROM event WHERE type = ?", (EventType.ALARM_RAISED,)
    ).fetchall()
    rebuilt = 0
    for alarm_id, cursor, device in raised:
        if alarm_id not in known and (record := alarm_from_events(new, alarm_id)) is not None:
            new.execute(
                "INSERT INTO alarm VALUES (?, ?, ?, ?, ?, ?)",
                (alarm_id, cursor, device, record.stage, *sealed(record, alarm_id)),
            )
            rebuilt += 1
    rebuilt += _make_commands_whole(new)
    missing = new.execute(
        "SELECT cursor, id, device, body, crc FROM alarm AS a WHERE cursor > 0"
        " AND NOT EXISTS (SELECT 1 FROM event WHERE event.id = a.id OR event.cursor = a.cursor)"
    ).fetchall()
    for cursor, alarm_id, device, body, crc in missing:
        if is_whole(crc, body, alarm_id):  # its event is told by the record when it is read
            row = (cursor, EventType.ALARM_RAISED, alarm_id, device, b"", 0)
            new.execute("INSERT INTO event VALUES (?, ?, ?, ?, ?, ?)", row)
            rebuilt += 1
    return rebuilt


def _make_commands_whole(new: sqlite3.Connection) -> int:
    """The records of commands that only their events tell of."""
    lost = new.execute(
        "SELECT substr(id, 1, length(id) - 8), cursor FROM event AS e WHERE type = ?"
        " AND id LIKE '%/created' AND NOT EXISTS"
        " (SELECT 1 FROM command WHERE command.id = substr(e.id, 1, length(e.id) - 8))",
        (EventType.COMMAND,),
    ).fetchall()
    for command_id, cursor in lost:
        record = command_from_events(new, command_id)
        if record is not None:
            about = (command_id, cursor, record.device, record.state, record.group)
            row = (*about, *sealed(record, command_id))
            new.execute("INSERT INTO command VALUES (?, ?, ?, ?, ?, ?, ?)", row)
    return len(lost)


def _go_on_beyond(new: sqlite3.Connection) -> None:
    """Set the least cursor to go on from, beyond all that anything tells of."""
    known = "SELECT max(cursor) FROM {}", ("event", "alarm", "command", "feed")
    newest = [new.execute(known[0].format(table)).fetchone()[0] or 0 for table in known[1]]
    newest += [row[0] for row in new.execute("SELECT first FROM day")]
    newest += [row[0] for row in new.execute("SELECT value FROM meta WHERE key = 'checkpoint'")]
    floor = max(newest, default=0) + FLOOR_STEP
    new.execute("INSERT OR REPLACE INTO meta VALUES ('cursor_floor', ?)", (floor,))


def _note_pages(damage: Damage, file: str, first: int, last: int) -> None:
    damage.note(Gap(file, first, last, "pages of the file"))
