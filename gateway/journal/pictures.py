"""Where pictures are kept: chunks in a file of their own until whole, then one file each."""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import msgspec
from msgspec import Struct

from gateway.images import Inspection
from gateway.journal.base import Chunk
from gateway.journal.database import open_database, transaction
from gateway.journal.migration import migrate
from gateway.pictures import Sending, worth_of
from protocols.native import media


class Picture(Struct, frozen=True, kw_only=True):
    """A picture, whole or not. ``about``: taken (ms), w, h, reason, ref as sent."""

    id: str
    device: str
    mime: str
    size: int
    of: int
    state: str
    received_chunks: int
    about: dict[str, Any]

    @property
    def complete(self) -> bool:
        """Whether all of it is here and its hash is right."""
        return self.state == "complete"


class PictureReader:
    """Looks at pictures under one folder, and writes their files; changes no database.

    Each method blocks, and may be called from any thread.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._reading = open_database(folder / "pictures.db")
        # A thread that nobody waits for any more may still be at it when the files are closed.
        self._in_use = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._reading.close()

    def picture(self, device: str, picture_id: str) -> Picture:
        """A picture of which at least one chunk is held."""
        ((*columns, about),) = self._rows(
            "SELECT id, device, mime, size, of, state, (SELECT count(*) FROM chunk"
            " WHERE chunk.picture = picture.id AND chunk.device = picture.device), about"
            " FROM picture WHERE id = ? AND device = ?",
            picture_id,
            device,
        )
        named = dict(zip(Picture.__struct_fields__, columns, strict=False))
        return Picture(**named, about=msgspec.msgpack.decode(about))

    def join(self, picture: Picture) -> bytes:
        """The whole, from its chunks; raise MediaInvalid if they do not make it."""
        rows = self._rows(
            "SELECT n, data FROM chunk WHERE picture = ? AND device = ?", picture.id, picture.device
        )
        return media.join(picture.id, picture.size, picture.of, dict(rows))

    def _rows(self, sql: str, *values: object) -> list[Any]:
        with self._in_use:
            return self._reading.execute(sql, values).fetchall()

    def path(self, picture_id: str) -> Path:
        """Where the original lies; its thumbnail beside it, with a suffix."""
        return original_path(self._folder, picture_id)

    def write(self, picture: Picture, whole: bytes) -> None:
        """The file is there whole or not at all, also after a power cut."""
        write_file(self.path(picture.id), whole)


class PictureStore(PictureReader):
    """The pictures of a journal: keeps their chunks, and what became of them."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self._writing = open_database(folder / "pictures.db")
        bring_forward(self._writing, folder)
        super().__init__(folder)
        self._ending = open_database(folder / "pictures.db")

    def close(self) -> None:
        """Close the files."""
        with self._in_use:
            for connection in (self._writing, self._reading, self._ending):
                connection.close()

    def keep(self, chunks: Sequence[Chunk]) -> None:
        """Commit chunks. What is held already changes nothing; a corrupt picture that is sent
        again begins anew, and so does one that was deleted. Chunk 0 of a picture that is whole
        may tell of another reason to send it."""
        with transaction(self._writing) as db:
            for chunk in chunks:
                self._keep(db, chunk)

    def _keep(self, db: sqlite3.Connection, chunk: Chunk) -> None:
        key = (chunk.picture, chunk.device)
        row = db.execute("SELECT state FROM picture WHERE id = ? AND device = ?", key).fetchone()
        state = None if row is None else row[0]
        is_first, about = chunk.n == 0, msgspec.msgpack.encode(chunk.about)
        if state is None:
            db.execute(
                "INSERT INTO picture (id, device, mime, size, of, state, about)"
                " VALUES (?, ?, ?, ?, ?, 'partial', ?)",
                (*key, chunk.mime, chunk.size, chunk.of, about),
            )
        elif is_first or state in BEGIN_ANEW:
            db.execute(
                "UPDATE picture SET about = iif(?, ?, about), state = ?"
                " WHERE id = ? AND device = ?",
                (is_first, about, "partial" if state in BEGIN_ANEW else state, *key),
            )
        if state == "corrupt":
            db.execute(
                "UPDATE sending SET fed = 0, received = NULL"
                " WHERE picture = ? AND device = ? AND gone = 0",
                key,
            )
        if state in {None, "deleted"}:
            db.execute(
                "INSERT INTO sending (picture, device, named, sent, began, clock_offset_ms)"
                " VALUES (?, ?, 0, ?, ?, ?)",
                (*key, chunk.t, chunk.received, chunk.clock_offset_ms),
            )
        if is_first:
            self._name(db, chunk, is_whole=state == "complete")
        if state != "complete":
            db.execute(
                "INSERT OR IGNORE INTO chunk (picture, device, n, data, received)"
                " VALUES (?, ?, ?, ?, ?)",
                (*key, chunk.n, chunk.data, chunk.received),
            )

    def _name(self, db: sqlite3.Connection, chunk: Chunk, *, is_whole: bool) -> None:
        """Chunk 0 tells why it is sent: the sending that began is that, or it is one more."""
        key = (chunk.picture, chunk.device)
        about = tuple(chunk.about.get(name) for name in ("reason", "ref", "taken", "w", "h"))
        named = db.execute(
            "UPDATE sending SET named = 1, reason = ?, ref = ?, taken = ?, w = ?, h = ?"
            " WHERE picture = ? AND device = ? AND named = 0 AND gone = 0",
            (*about, *key),
        ).rowcount
        if named:
            return
        received = chunk.received if is_whole else None
        added = db.execute(
            "INSERT OR IGNORE INTO sending (picture, device, named, reason, ref, taken, w, h, sent,"
            " began, clock_offset_ms, received) VALUES (?, ?, 1, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (*key, *about, chunk.t, chunk.received, chunk.clock_offset_ms, received),
        ).rowcount
        if added and is_whole:
            db.execute(
                "UPDATE original SET worth = max(worth, ?), since = max(since, ?) WHERE id = ?",
                (worth_of(about[0]), chunk.received, chunk.picture),
            )

    def due(self, device: str, picture_id: str) -> Picture | None:
        """The picture, if all its chunks are here and wait to be joined, or if it is whole and
        something is to be told of it."""
        picture = self.picture(device, picture_id)
        if picture.state == "aside":
            return None
        has_all = picture.received_chunks >= picture.of
        return picture if has_all or (picture.complete and self.unfed(picture)) else None

    def show(self, picture: Picture, found: Inspection) -> None:
        """Its file is there: whoever asks for the picture gets it."""
        key = (picture.id, picture.device)
        with self._in_use, transaction(self._ending) as db:
            db.execute("UPDATE picture SET state = 'complete' WHERE id = ? AND device = ?", key)
            db.execute(
                "UPDATE sending SET received = (SELECT max(received) FROM chunk"
                " WHERE picture = ?1 AND device = ?2)"
                " WHERE picture = ?1 AND device = ?2 AND received IS NULL AND gone = 0",
                key,
            )
            rows = db.execute(
                "SELECT reason, received FROM sending"
                " WHERE picture = ? AND device = ? AND gone = 0",
                key,
            ).fetchall()
            worth = max((worth_of(reason) for reason, _ in rows), default=worth_of(None))
            since = max((received or 0 for _, received in rows), default=0)
            db.execute(
                "INSERT INTO original (id, size, found, worth, since) VALUES (?, ?, ?, ?, ?)"
                " ON CONFLICT (id) DO UPDATE SET found = excluded.found, unlinked = 0,"
                " worth = iif(deleted IS NULL, max(worth, excluded.worth), excluded.worth),"
                " since = iif(deleted IS NULL, max(since, excluded.since), excluded.since),"
                " thumbnail = iif(deleted IS NULL, thumbnail, NULL),"
                # Whoever reads it next sees that it is mended, if it was damaged, and tells.
                " damaged = iif(deleted IS NULL, damaged, NULL), deleted = NULL",
                (picture.id, picture.size, msgspec.json.encode(found), worth, since),
            )

    def found(self, picture_id: str) -> Inspection | None:
        """What the bytes of a whole picture are, if they were looked at."""
        rows = self._rows("SELECT found FROM original WHERE id = ?", picture_id)
        return msgspec.json.decode(rows[0][0], type=Inspection) if rows and rows[0][0] else None

    def unfed(self, picture: Picture) -> list[Sending]:
        """The sendings of it that nobody has been told of."""
        return sendings(
            self._rows(
                f"{SENDINGS} WHERE s.picture = ? AND s.device = ? AND s.fed = 0 AND s.gone = 0"
                " AND s.named = 1 ORDER BY s.no",
                picture.id,
                picture.device,
            )
        )

    def is_first(self, sending: Sending) -> bool:
        """Whether it is the first sending of that picture by that device."""
        ((least,),) = self._rows(
            "SELECT min(no) FROM sending WHERE picture = ? AND device = ?",
            sending.picture,
            sending.device,
        )
        return bool(least == sending.no)

    def end(self, picture: Picture, state: str, told: Sequence[Sending]) -> None:
        """It is complete, corrupt, or set aside. Unless it is set aside, the chunks have served:
        the file has them, or they are not worth keeping."""
        key = (picture.id, picture.device)
        with self._in_use, transaction(self._ending) as db:
            db.execute("UPDATE picture SET state = ? WHERE id = ? AND device = ?", (state, *key))
            if state != "aside":
                db.execute("DELETE FROM chunk WHERE picture = ? AND device = ?", key)
            db.executemany("UPDATE sending SET fed = 1 WHERE no = ?", [(s.no,) for s in told])

    def unfinished(self) -> list[tuple[str, str]]:
        """Devices and ids of pictures that have not ended: to be looked at after a restart."""
        return self._rows(
            "SELECT device, id FROM picture WHERE state = 'partial' OR state = 'complete' AND"
            " (EXISTS (SELECT 1 FROM chunk WHERE picture = picture.id AND device = picture.device)"
            " OR EXISTS (SELECT 1 FROM sending s WHERE s.picture = picture.id"
            " AND s.device = picture.device AND s.fed = 0 AND s.gone = 0))"
        )


BEGIN_ANEW = frozenset({"corrupt", "deleted"})
"""The states that one more chunk brings back to partial."""

SENDINGS = (
    "SELECT s.no, s.picture, s.device, s.reason, s.ref, s.taken, s.w, s.h, p.mime, p.size, p.of,"
    " iif(s.received IS NULL, (SELECT count(*) FROM chunk WHERE chunk.picture = s.picture"
    " AND chunk.device = s.device), p.of), iif(s.gone, 'deleted', p.state),"
    " s.sent, s.began, s.clock_offset_ms, s.received"
    " FROM sending s JOIN picture p ON p.id = s.picture AND p.device = s.device"
)


def sendings(rows: Sequence[Any]) -> list[Sending]:
    """The rows of SENDINGS as values."""
    names = Sending.__struct_fields__
    return [Sending(**dict(zip(names, row, strict=True))) for row in rows]


def original_path(folder: Path, picture_id: str) -> Path:
    """Where the original of a picture lies in the folder of pictures."""
    return folder / picture_id[:2] / picture_id


def write_file(path: Path, data: bytes) -> None:
    """The file is there whole or not at all, also after a power cut."""
    path.parent.mkdir(exist_ok=True)
    part = path.with_name(f"{path.name}.part")
    with part.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    part.rename(path)
    sync_folders(path.parent, path.parent.parent)


def sync_folders(*folders: Path) -> None:
    """The names in them survive a power cut."""
    for folder in folders:
        handle = os.open(folder, os.O_RDONLY)
        os.fsync(handle)
        os.close(handle)


def bring_forward(db: sqlite3.Connection, folder: Path) -> None:
    """The newest schema. Pictures of before it are whole or under way as they were."""
    migrate(db, "pictures-")
    with transaction(db):
        (is_filled,) = db.execute("SELECT EXISTS (SELECT 1 FROM sending)").fetchone()
        rows = db.execute("SELECT id, device, size, state, about FROM picture").fetchall()
        for picture, device, size, state, packed in [] if is_filled else rows:
            about = msgspec.msgpack.decode(packed)
            said = tuple(about.get(name) for name in ("reason", "ref", "taken", "w", "h"))
            db.execute(
                "INSERT INTO sending (picture, device, named, reason, ref, taken, w, h, fed)"
                " VALUES (?, ?, 1, ?, ?, ?, ?, ?, ?)",
                (picture, device, *said, state != "partial"),
            )
            file = original_path(folder, picture)
            if state == "complete" and file.exists():
                since = int(file.stat().st_mtime * 1000)  # nobody has noted when it came
                db.execute(
                    "INSERT OR IGNORE INTO original (id, size, worth, since) VALUES (?, ?, ?, ?)",
                    (picture, size, worth_of(about.get("reason")), since),
                )
