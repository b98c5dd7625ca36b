"""Where pictures are kept: chunks in a file of their own until whole, then one file each."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from gateway.journal.base import Chunk
from gateway.journal.reading import open_database
from protocols.errors import MediaInvalid
from protocols.native import media

_SCHEMA = """
CREATE TABLE IF NOT EXISTS picture (
    id     TEXT    PRIMARY KEY,      -- SHA-256 of the whole, hex
    device TEXT    NOT NULL,         -- who sent it first
    mime   TEXT    NOT NULL,
    size   INTEGER NOT NULL,
    of     INTEGER NOT NULL,         -- chunks
    state  TEXT    NOT NULL,         -- partial, complete, corrupt
    about  BLOB    NOT NULL          -- MessagePack: what chunk 0 says
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS chunk (
    picture TEXT    NOT NULL,
    n       INTEGER NOT NULL,
    data    BLOB    NOT NULL,
    PRIMARY KEY (picture, n)
);
"""


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
    data: bytes | None = None

    @property
    def complete(self) -> bool:
        """Whether all of it is here and its hash is right."""
        return self.state == "complete"


class PictureStore:
    """Pictures under one folder. Each method blocks, and may be called from any thread."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._writing = open_database(folder / "pictures.db")
        self._writing.executescript(_SCHEMA)
        self._assembling = open_database(folder / "pictures.db")

    def close(self) -> None:
        """Close the files."""
        self._writing.close()
        self._assembling.close()

    def keep(self, chunks: Sequence[Chunk]) -> None:
        """Commit chunks. What is held already, or of a picture that is whole, changes nothing."""
        db = self._writing
        db.execute("BEGIN IMMEDIATE")
        for chunk in chunks:
            about, is_first = msgspec.msgpack.encode(chunk.about), chunk.n == 0
            db.execute(
                "INSERT INTO picture VALUES (?, ?, ?, ?, ?, 'partial', ?)"
                " ON CONFLICT (id) DO UPDATE SET about = excluded.about WHERE ?",
                (
                    chunk.picture,
                    chunk.device,
                    chunk.mime,
                    chunk.size,
                    chunk.of,
                    about,
                    is_first,
                ),
            )
            db.execute(
                "INSERT OR IGNORE INTO chunk SELECT ?1, ?2, ?3"
                " WHERE (SELECT state FROM picture WHERE id = ?1) <> 'complete'",
                (chunk.picture, chunk.n, chunk.data),
            )
        db.execute("COMMIT")

    def assemble(self, picture_id: str) -> Picture | None:
        """Join the chunks if all are here: the picture, complete or corrupt; None if not yet."""
        row = self._row(picture_id)
        if row is None or row.state != "partial" or row.received_chunks < row.of:
            return None
        parts = dict(
            self._assembling.execute("SELECT n, data FROM chunk WHERE picture = ?", (picture_id,))
        )
        try:
            whole = media.join(picture_id, row.size, row.of, parts)
        except MediaInvalid:
            self._set_state(picture_id, "corrupt")
            return msgspec.structs.replace(row, state="corrupt")
        self._write(self._path(picture_id), whole)
        self._set_state(picture_id, "complete")
        return msgspec.structs.replace(row, state="complete", data=whole)

    def find(self, picture_id: str) -> Picture | None:
        """What is known of a picture, with its bytes if it is whole."""
        row = self._row(picture_id)
        if row is None or not row.complete:
            return row
        return msgspec.structs.replace(row, data=self._path(picture_id).read_bytes())

    def unfinished(self) -> list[str]:
        """Pictures that are not whole: to be looked at after a restart."""
        rows = self._assembling.execute("SELECT id FROM picture WHERE state = 'partial'")
        return [picture_id for (picture_id,) in rows]

    def _row(self, picture_id: str) -> Picture | None:
        row = self._assembling.execute(
            "SELECT id, device, mime, size, of, state,"
            " (SELECT count(*) FROM chunk WHERE picture = id), about FROM picture WHERE id = ?",
            (picture_id,),
        ).fetchone()
        if row is None:
            return None
        *columns, about = row
        named = dict(zip(Picture.__struct_fields__, columns, strict=False))
        return Picture(**named, about=msgspec.msgpack.decode(about))

    def _set_state(self, picture_id: str, state: str) -> None:
        db = self._assembling
        db.execute("BEGIN IMMEDIATE")
        db.execute("UPDATE picture SET state = ? WHERE id = ?", (state, picture_id))
        if state == "complete":
            db.execute("DELETE FROM chunk WHERE picture = ?", (picture_id,))
        db.execute("COMMIT")

    def _path(self, picture_id: str) -> Path:
        return self._folder / picture_id[:2] / picture_id

    def _write(self, path: Path, whole: bytes) -> None:
        """The file is there whole or not at all, also after a power cut."""
        path.parent.mkdir(exist_ok=True)
        part = path.with_suffix(".part")
        with part.open("wb") as file:
            file.write(whole)
            file.flush()
            os.fsync(file.fileno())
        part.rename(path)
        for folder in (path.parent, self._folder):
            handle = os.open(folder, os.O_RDONLY)
            os.fsync(handle)
            os.close(handle)
