"""What becomes of ``pictures.db`` when it is damaged: a new one, from the journal and the files.

The journal tells who sent which picture, what was deleted, and what is held. Chunks of pictures
that were under way are lost with the old file, which stays beside the new one.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
import structlog

from gateway.journal.base import Event, EventType
from gateway.journal.damage import is_damage, readable
from gateway.journal.database import open_database, transaction
from gateway.journal.pictures import bring_forward
from gateway.journal.rescue import open_sound
from gateway.journal.rows import event_of
from gateway.pictures import Deletion, worth_of
from protocols.model import MAX_CHUNK_BYTES

log = structlog.get_logger()

NAME = "pictures/pictures.db"
NUMBERS_LEFT_OUT = 1_000_000
"""Sendings that the journal has not heard of had numbers too: none of them is given again."""

_EVENTS = (
    f"SELECT cursor, id, body, crc FROM event WHERE cursor >= ? AND cursor <= ?"  # noqa: S608 - ours
    f" AND type IN ({EventType.MEDIA:d}, {EventType.MEDIA_CUSTODY:d}) ORDER BY cursor"
)


def mend(folder: Path, main: sqlite3.Connection, *, is_suspect: bool, now_ms: int) -> None:
    """See that ``pictures.db`` in that folder can be used, if it is there."""
    path = folder / "pictures.db"
    if not path.exists():
        return
    try:
        open_sound(path, is_suspect).close()
        return
    except sqlite3.DatabaseError as error:
        if not is_damage(error):
            raise
        problem = str(error)
    aside = path.with_name(f"{path.name}.damaged-{now_ms}")
    for end in ("", "-wal", "-shm"):
        part = path.with_name(path.name + end)
        if part.exists():
            part.rename(f"{aside}{end}")
    log.error("pictures_put_aside", file=aside.name, problem=problem)
    new = open_database(path)
    try:
        bring_forward(new, folder)
        with transaction(new):
            for event in _events(main):
                _tell(new, event)
            new.execute("UPDATE sqlite_sequence SET seq = seq + ?", (NUMBERS_LEFT_OUT,))
    except BaseException:
        new.close()
        path.unlink(missing_ok=True)  # begun anew at the next start
        raise
    new.close()


def _events(main: sqlite3.Connection) -> Iterator[Event]:
    for row in readable(main, _EVENTS, 0, 2**62, lambda first, last: None):
        event = event_of(main, *row)
        if event is not None:
            yield event


def _tell(db: sqlite3.Connection, event: Event) -> None:
    if event.type is EventType.MEDIA:
        _sent(db, event)
    else:
        act = _ACTS.get(event.data.get("act", ""))
        if act is not None:
            act(db, event)


def _sent(db: sqlite3.Connection, event: Event) -> None:
    data = event.data
    key = data["id"], event.device
    is_complete = data["complete"]
    state = "complete" if is_complete else "corrupt"
    chunks = data.get("of") or -(-data["size"] // MAX_CHUNK_BYTES)
    about = {name: data[name] for name in ("taken", "w", "h", "reason", "ref") if name in data}
    db.execute(
        "INSERT INTO picture (id, device, mime, size, of, state, about)"
        " VALUES (?, ?, ?, ?, ?, ?, ?)"
        " ON CONFLICT (id, device) DO UPDATE SET state = excluded.state",
        (*key, data["mime"], data["size"], chunks, state, msgspec.msgpack.encode(about)),
    )
    said = tuple(about.get(name) for name in ("reason", "ref", "taken", "w", "h"))
    times = data.get("sent"), data.get("began"), event.clock_offset_ms
    db.execute(
        "INSERT OR IGNORE INTO sending (picture, device, named, fed, reason, ref, taken, w, h,"
        " sent, began, clock_offset_ms, received) VALUES (?, ?, 1, 1, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (*key, *said, *times, event.received if is_complete else None),
    )
    if is_complete:
        db.execute(
            "INSERT INTO original (id, size, worth, since) VALUES (?, ?, ?, ?)"
            " ON CONFLICT (id) DO UPDATE SET worth = max(worth, excluded.worth),"
            " since = max(since, excluded.since), deleted = NULL, unlinked = 0",
            (data["id"], data["size"], worth_of(about.get("reason")), event.received),
        )


def _deleted(db: sqlite3.Connection, event: Event) -> None:
    data = event.data
    deletion = Deletion(t=event.t, by=data["by"], why=data["why"])
    db.execute(
        "UPDATE original SET deleted = ? WHERE id = ?",
        (msgspec.json.encode(deletion), data["media"]),
    )
    db.execute("UPDATE picture SET state = 'deleted' WHERE id = ?", (data["media"],))
    db.execute("UPDATE sending SET gone = 1 WHERE picture = ?", (data["media"],))


def _held(db: sqlite3.Connection, event: Event) -> None:
    data = event.data
    scope = "alarm" if "alarm" in data else "media"
    db.execute(
        "INSERT OR REPLACE INTO hold (scope, id, t, by, note, media, told)"
        " VALUES (?, ?, ?, ?, ?, ?, 1)",
        (
            scope,
            data[scope],
            event.t,
            data["by"],
            data.get("note"),
            json.dumps(data.get("named", [])),
        ),
    )


def _released(db: sqlite3.Connection, event: Event) -> None:
    scope = "alarm" if "alarm" in event.data else "media"
    db.execute("DELETE FROM hold WHERE scope = ? AND id = ?", (scope, event.data[scope]))


def _damaged(db: sqlite3.Connection, event: Event) -> None:
    damaged = event.t if event.data["act"] == "damaged" else None
    db.execute("UPDATE original SET damaged = ? WHERE id = ?", (damaged, event.data["media"]))


_ACTS: Mapping[str, Callable[[sqlite3.Connection, Event], Any]] = {
    "deleted": _deleted,
    "held": _held,
    "released": _released,
    "damaged": _damaged,
    "mended": _damaged,
}
