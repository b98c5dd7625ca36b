"""The pictures that are kept: which there are, who sent each, who holds it, what may go."""

from __future__ import annotations

import contextlib
import hashlib
import threading
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from gateway.images import Inspection
from gateway.journal.database import open_database, transaction
from gateway.journal.pictures import SENDINGS, original_path, sendings, sync_folders, write_file
from gateway.pictures import (
    WORTH,
    Abandoned,
    Deletion,
    Guarded,
    Hold,
    Holding,
    Kept,
    Original,
    Query,
    Release,
    Sending,
    Shown,
    Usage,
)
from protocols.model import MAX_CHUNK_BYTES

THUMBNAIL = ".thumb.jpg"

# Nothing of these goes: ?1 the open alarms, ?2 the pictures that they name, both JSON.
_MAY_GO = """
    NOT EXISTS (SELECT 1 FROM hold WHERE scope = 'media' AND hold.id = {id})
    AND NOT EXISTS (
        SELECT 1 FROM sending s WHERE s.picture = {id} AND s.gone = 0
        AND (s.ref IN (SELECT value FROM json_each(?1))
             OR s.ref IN (SELECT h.id FROM hold h WHERE h.scope = 'alarm')))
    AND {id} NOT IN (SELECT value FROM json_each(?2))
    AND {id} NOT IN (SELECT j.value FROM hold h, json_each(h.media) j WHERE h.scope = 'alarm')
"""

_CANDIDATES = (
    "SELECT id, size + extra, worth, since FROM original WHERE deleted IS NULL AND since < ?3"
    " AND (?4 IS NULL OR worth = ?4) AND {may_go} ORDER BY worth, since LIMIT ?5"
).replace("{may_go}", _MAY_GO.format(id="original.id"))

_ABANDONED = (
    "SELECT s.no, s.picture, s.device FROM sending s"
    " JOIN picture p ON p.id = s.picture AND p.device = s.device"
    " WHERE p.state IN ('partial', 'aside') AND s.gone = 0 AND s.began < ?3"
    " AND coalesce(s.reason, 'periodic') = ?4 AND {may_go}"
    " GROUP BY s.picture, s.device LIMIT ?5"
).replace("{may_go}", _MAY_GO.format(id="p.id"))

_DOOM = (
    "UPDATE original SET deleted = ?3 WHERE id = ?4 AND worth = ?5 AND since = ?6"
    " AND deleted IS NULL AND {may_go}"
).replace("{may_go}", _MAY_GO.format(id="original.id"))

_ORIGINAL = (
    "SELECT id, size, found, worth, since, thumbnail, damaged, deleted FROM original WHERE id = ?"
)


class Shelf:
    """The originals and their thumbnails. Each method blocks, and may be called from any thread."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._db = open_database(folder / "pictures.db")
        self._in_use = threading.Lock()

    def close(self) -> None:
        """Close the file."""
        with self._in_use:
            self._db.close()

    def _rows(self, sql: str, *values: object) -> list[Any]:
        with self._in_use:
            return self._db.execute(sql, values).fetchall()

    @contextlib.contextmanager
    def _changing(self) -> Any:
        with self._in_use, transaction(self._db) as db:
            yield db

    # what there is -----------------------------------------------------------------------

    def original(self, picture: str) -> Original | None:
        """What is known of a picture that is or was whole."""
        rows = self._rows(_ORIGINAL, picture)
        return _original(rows[0]) if rows else None

    def sendings(self, picture: str) -> list[Sending]:
        """All who have sent it, the first one first."""
        return sendings(self._rows(f"{SENDINGS} WHERE s.picture = ? ORDER BY s.no", picture))

    def page(self, query: Query, before: int, limit: int) -> list[Sending]:
        """Sendings, newest first, below a number."""
        asked: list[tuple[str, object]] = [("s.no < ?", before)]
        asked += [
            (f"s.{name} = ?", value)
            for name, value in (
                ("device", query.device),
                ("ref", query.ref),
                ("reason", query.reason),
            )
            if value is not None
        ]
        if query.since_ms is not None:
            asked.append(("s.began >= ?", query.since_ms))
        if query.until_ms is not None:
            asked.append(("s.began < ?", query.until_ms))
        where = " AND ".join(text for text, _ in asked)
        values = [value for _, value in asked]
        return sendings(
            self._rows(f"{SENDINGS} WHERE {where} ORDER BY s.no DESC LIMIT ?", *values, limit)
        )

    def shown(self, query: Query, before: int, limit: int) -> list[Shown]:
        """The same, each with its original, if there is one, and whether it is held."""
        return [
            Shown(each, self.original(each.picture), bool(self.holds(each.picture)))
            for each in self.page(query, before, limit)
        ]

    def usage(self) -> Usage:
        """How much is kept now. Chunks of pictures under way count as full ones."""
        ((count, size),) = self._rows(
            "SELECT count(*), coalesce(sum(size + extra), 0) FROM original WHERE deleted IS NULL"
        )
        ((chunks,),) = self._rows(
            "SELECT count(*) FROM chunk c JOIN picture p ON p.id = c.picture"
            " AND p.device = c.device WHERE p.state <> 'complete'"
        )
        ((held,),) = self._rows("SELECT count(*) FROM hold")
        return Usage(count, size + chunks * MAX_CHUNK_BYTES, held)

    # bytes -------------------------------------------------------------------------------

    def path(self, picture: str) -> Path:
        """Where the original lies; its thumbnail beside it, with a suffix."""
        return original_path(self.folder, picture)

    def read(self, picture: str) -> tuple[bytes, str]:
        """The original's bytes, and what is wrong with them: they may not be shown then."""
        return _checked(self.path(picture), picture)

    def read_thumbnail(self, original: Original) -> tuple[bytes, str]:
        """The same of its thumbnail."""
        assert original.thumbnail
        return _checked(self._thumbnail(original.id), original.thumbnail)

    def _thumbnail(self, picture: str) -> Path:
        path = self.path(picture)
        return path.with_name(path.name + THUMBNAIL)

    def without_thumbnail(self, limit: int) -> list[Original]:
        """Pictures of which none was tried yet, and that are more than live."""
        where = "deleted IS NULL AND thumbnail IS NULL AND worth > ? LIMIT ?"
        rows = self._rows(_ORIGINAL.replace("id = ?", where), WORTH["live"], limit)
        return [_original(row) for row in rows]

    def keep_thumbnail(self, picture: str, found: Inspection, data: bytes) -> None:
        """Put a thumbnail beside its original; none if there are no bytes of it."""
        if data:
            write_file(self._thumbnail(picture), data)
        name = hashlib.sha256(data).hexdigest() if data else ""
        with self._changing() as db:
            db.execute(
                "UPDATE original SET thumbnail = ?, extra = ?, found = ?"
                " WHERE id = ? AND deleted IS NULL",
                (name, len(data), msgspec.json.encode(found), picture),
            )

    def note_damage(self, picture: str, damaged: int | None) -> bool:
        """It is damaged since then, or sound again; whether that is news."""
        with self._changing() as db:
            return bool(
                db.execute(
                    "UPDATE original SET damaged = ?1 WHERE id = ?2"
                    " AND (damaged IS NULL) <> (?1 IS NULL)",
                    (damaged, picture),
                ).rowcount
            )

    # holds -------------------------------------------------------------------------------

    def holds(self, picture: str | None = None) -> list[Holding]:
        """All holds, or those that keep one picture."""
        rows = self._rows("SELECT scope, id, t, by, note, told, released, media FROM hold")
        if picture is not None:
            refs = {each.ref for each in self.sendings(picture)}
            rows = [
                row
                for row in rows
                if (row[0] == "media" and row[1] == picture)
                or (
                    row[0] == "alarm" and (row[1] in refs or picture in msgspec.json.decode(row[7]))
                )
            ]
        return [
            Holding(
                Hold(scope=scope, id=each, t=t, by=by, note=note),
                msgspec.json.decode(media, type=list[str]),
                bool(told),
                None if released is None else msgspec.json.decode(released, type=Release),
            )
            for scope, each, t, by, note, told, released, media in rows
        ]

    def hold(self, hold: Hold, media: Sequence[str] = ()) -> bool:
        """Hold it from now on; False if it is held already."""
        with self._changing() as db:
            return bool(
                db.execute(
                    "INSERT OR IGNORE INTO hold (scope, id, t, by, note, media)"
                    " VALUES (?, ?, ?, ?, ?, ?)",
                    (hold.scope, hold.id, hold.t, hold.by, hold.note, _json(media)),
                ).rowcount
            )

    def hold_told(self, hold: Hold) -> None:
        """The journal has the hold."""
        with self._changing() as db:
            db.execute("UPDATE hold SET told = 1 WHERE scope = ? AND id = ?", (hold.scope, hold.id))

    def release(self, hold: Hold, release: Release) -> None:
        """It is to end: it holds until the journal has that."""
        with self._changing() as db:
            db.execute(
                "UPDATE hold SET released = ? WHERE scope = ? AND id = ? AND released IS NULL",
                (msgspec.json.encode(release), hold.scope, hold.id),
            )

    def unhold(self, hold: Hold) -> None:
        """The journal has the release."""
        with self._changing() as db:
            db.execute("DELETE FROM hold WHERE scope = ? AND id = ?", (hold.scope, hold.id))

    # what may go -------------------------------------------------------------------------

    def may_go(
        self, guarded: Guarded, *, worth: int | None, until_ms: int, limit: int
    ) -> list[Kept]:
        """Pictures of that worth, or of any, that came before then: the least worth goes first."""
        rows = self._rows(_CANDIDATES, *_as_json(guarded), until_ms, worth, limit)
        return [Kept(*row) for row in rows]

    def abandoned(
        self, guarded: Guarded, *, reason: str, until_ms: int, limit: int
    ) -> list[Abandoned]:
        """Sendings for that reason that began before then and never became whole."""
        rows = self._rows(_ABANDONED, *_as_json(guarded), until_ms, reason, limit)
        return [Abandoned(*row) for row in rows]

    def doom(self, some: Sequence[Kept], deletion: Deletion, guarded: Guarded) -> list[Kept]:
        """From now on they are gone for who asks; but for those that must stay after all, since
        they were held, or sent again, after they were looked at. Gives what is gone."""
        doomed, reason, spared = [], msgspec.json.encode(deletion), _as_json(guarded)
        with self._changing() as db:
            for each in some:
                facts = reason, each.id, each.worth, each.since
                if not db.execute(_DOOM, (*spared, *facts)).rowcount:
                    continue
                doomed.append(each)
                db.execute(
                    "UPDATE sending SET gone = 1 WHERE picture = ?1 AND device IN"
                    " (SELECT device FROM picture WHERE id = ?1 AND state = 'complete')",
                    (each.id,),
                )
                db.execute(
                    "UPDATE picture SET state = 'deleted' WHERE id = ? AND state = 'complete'",
                    (each.id,),
                )
        return doomed

    def doomed(self) -> list[Original]:
        """What is deleted for who asks, and whose files may still be there."""
        rows = self._rows(_ORIGINAL.replace("id = ?", "deleted IS NOT NULL AND unlinked = 0"))
        return [_original(row) for row in rows]

    def unlink(self, pictures: Iterable[str]) -> None:
        """The files go, originals and thumbnails."""
        pictures = list(pictures)
        for picture in pictures:
            for path in (self._thumbnail(picture), self.path(picture)):
                path.unlink(missing_ok=True)
        folders = {self.path(picture).parent for picture in pictures}
        sync_folders(*(folder for folder in folders if folder.exists()))
        with self._changing() as db:
            db.executemany(
                "UPDATE original SET unlinked = 1 WHERE id = ?", [(each,) for each in pictures]
            )

    def drop_chunks(self, abandoned: Sequence[Abandoned]) -> None:
        """What has come of pictures that never became whole goes."""
        with self._changing() as db:
            for each in abandoned:
                key = (each.picture, each.device)
                still = db.execute(
                    "UPDATE picture SET state = 'deleted' WHERE id = ? AND device = ?"
                    " AND state <> 'complete'",
                    key,
                ).rowcount
                if still:
                    db.execute("DELETE FROM chunk WHERE picture = ? AND device = ?", key)
                    db.execute("UPDATE sending SET gone = 1 WHERE picture = ? AND device = ?", key)


def _original(row: Sequence[Any]) -> Original:
    picture, size, found, worth, since, thumbnail, damaged, deleted = row
    return Original(
        id=picture,
        size=size,
        found=None if found is None else msgspec.json.decode(found, type=Inspection),
        worth=worth,
        since=since,
        thumbnail=thumbnail,
        damaged=damaged,
        deleted=None if deleted is None else msgspec.json.decode(deleted, type=Deletion),
    )


def _checked(path: Path, expected: str) -> tuple[bytes, str]:
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return b"", "its file is not there"
    except OSError as error:
        return b"", f"its file cannot be read: {error.strerror}"
    seen = hashlib.sha256(data).hexdigest()
    return (data, "") if seen == expected else (b"", f"its bytes have the SHA-256 {seen}")


def _as_json(guarded: Guarded) -> tuple[str, str]:
    return _json(guarded.alarms), _json(guarded.media)


def _json(values: Sequence[str]) -> str:
    return msgspec.json.encode(list(values)).decode()
