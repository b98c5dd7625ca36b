"""Where pictures are kept: chunks in a file of their own until whole, then one file each."""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import msgspec
from msgspec import Struct

from gateway.journal.base import Chunk
from gateway.journal.reading import open_database, transaction
from protocols.native import media

_SCHEMA = """
CREATE TABLE IF NOT EXISTS picture (
    device TEXT    NOT NULL,
    id     TEXT    NOT NULL,         -- SHA-256 of the whole, hex
    mime   TEXT    NOT NULL,
    size   INTEGER NOT NULL,
    of     INTEGER NOT NULL,         -- chunks
    state  TEXT    NOT NULL,         -- partial, complete, corrupt, aside
    about  BLOB    NOT NULL,         -- MessagePack: what chunk 0 says
    PRIMARY KEY (id, device)         -- nobody can spoil what another one sends
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS chunk (
    picture TEXT    NOT NULL,
    device  TEXT    NOT NULL,
    n       INTEGER NOT NULL,
    data    BLOB    NOT NULL,
    PRIMARY KEY (picture, device, n)
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

    def _path(self, picture_id: str) -> Path:
        return self._folder / picture_id[:2] / picture_id

    def write(self, picture: Picture, whole: bytes) -> None:
        """The file is there whole or not at all, also after a power cut."""
        path = self._path(picture.id)
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


class PictureStore(PictureReader):
    """The pictures of a journal: keeps their chunks, and what became of them."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self._writing = open_database(folder / "pictures.db")
        self._writing.executescript(_SCHEMA)
        super().__init__(folder)
        self._ending = open_database(folder / "pictures.db")

    def close(self) -> None:
        """Close the files."""
        with self._in_use:
            for connection in (self._writing, self._reading, self._ending):
                connection.close()

    def keep(self, chunks: Sequence[Chunk]) -> None:
        """Commit chunks. What is held already, or of a picture that is whole, changes nothing;
        a corrupt picture that is sent again begins anew."""
        with transaction(self._writing) as db:
            for chunk in chunks:
                about, is_first = msgspec.msgpack.encode(chunk.about), chunk.n == 0
                db.execute(
                    "INSERT INTO picture (device, id, mime, size, of, state, about)"
                    " VALUES (?, ?, ?, ?, ?, 'partial', ?) ON CONFLICT (id, device) DO UPDATE SET"
                    " about = iif(?, excluded.about, about),"
                    " state = iif(state = 'corrupt', 'partial', state)",
                    (
                        chunk.device,
                        chunk.picture,
                        chunk.mime,
                        chunk.size,
                        chunk.of,
                        about,
                        is_first,
                    ),
                )
                db.execute(
                    "INSERT OR IGNORE INTO chunk SELECT ?1, ?2, ?3, ?4 WHERE"
                    " (SELECT state FROM picture WHERE id = ?1 AND device = ?2) <> 'complete'",
                    (chunk.picture, chunk.device, chunk.n, chunk.data),
                )

    def whole(self, device: str, picture_id: str) -> Picture | None:
        """The picture, if all its chunks are here and wait to be joined."""
        picture = self.picture(device, picture_id)
        is_whole = picture.state != "aside" and picture.received_chunks >= picture.of
        return picture if is_whole else None

    def show(self, picture: Picture) -> None:
        """Its file is there: whoever asks for the picture gets it."""
        with self._in_use, transaction(self._ending) as db:
            db.execute(
                "UPDATE picture SET state = 'complete' WHERE id = ? AND device = ?",
                (picture.id, picture.device),
            )

    def end(self, picture: Picture, state: str) -> None:
        """It is complete, corrupt, or set aside. Unless it is set aside, the chunks have served:
        the file has them, or they are not worth keeping."""
        key = (picture.id, picture.device)
        with self._in_use, transaction(self._ending) as db:
            db.execute("UPDATE picture SET state = ? WHERE id = ? AND device = ?", (state, *key))
            if state != "aside":
                db.execute("DELETE FROM chunk WHERE picture = ? AND device = ?", key)

    def find(self, picture_id: str) -> Picture | None:
        """What is known of a picture, whoever sent it, with its bytes if it is whole."""
        senders = self._rows(
            "SELECT device FROM picture WHERE id = ? ORDER BY state = 'complete' DESC", picture_id
        )
        if not senders:
            return None
        picture = self.picture(senders[0][0], picture_id)
        if not picture.complete:
            return picture
        return msgspec.structs.replace(picture, data=self._path(picture_id).read_bytes())

    def unfinished(self) -> list[tuple[str, str]]:
        """Devices and ids of pictures that have not ended: to be looked at after a restart."""
        return self._rows(
            "SELECT device, id FROM picture WHERE state = 'partial' OR state = 'complete' AND"
            " EXISTS (SELECT 1 FROM chunk WHERE picture = picture.id AND device = picture.device)"
        )
