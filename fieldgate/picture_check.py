"""Are the pictures on the disk those that the journal tells of, bit by bit?"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Iterable
from pathlib import Path

from msgspec import Struct

from gateway.journal.base import Event, EventType
from gateway.journal.pictures import original_path
from gateway.journal.reading import SqliteReader

PAGE = 5000
PIECE_BYTES = 1 << 20
TYPES = frozenset({EventType.MEDIA, EventType.MEDIA_CUSTODY})


class PictureProof(Struct, frozen=True, kw_only=True):
    """``kept``: pictures that the journal tells of and no deletion of. By their ids: ``missing``
    have no file, ``changed`` another hash, ``unrecorded`` no event, ``left`` were deleted."""

    kept: int
    sound: int
    missing: list[str]
    changed: list[str]
    unrecorded: list[str]
    left: list[str]
    damage: list[str]

    @property
    def is_clean(self) -> bool:
        """Whether all is as the journal says."""
        found = self.missing, self.changed, self.unrecorded, self.left, self.damage
        return not any(found)


async def verify(data: Path) -> PictureProof:
    """Hash every picture of the gateway's folder; raise FileNotFoundError if it is none.

    The gateway may run: what does not fit is looked at again, with the journal of then.
    """
    folder = data / "journal" / "pictures"
    kept, damage = await _told(data / "journal")
    files = set(_files(folder))
    changed = [each for each in sorted(kept & files) if not _is_sound(folder, each)]
    later, damage = await _told(data / "journal")
    still = set(_files(folder))
    missing = sorted(kept & later - files - still)
    unrecorded = sorted(files & still - kept - later)
    gone = await _deleted(data / "journal", unrecorded)
    return PictureProof(
        kept=len(kept),
        sound=len(kept & files) - len(changed),
        missing=missing,
        changed=[each for each in changed if each in later & still],
        unrecorded=[each for each in unrecorded if each not in gone],
        left=[each for each in unrecorded if each in gone],
        damage=damage,
    )


async def _told(journal: Path) -> tuple[set[str], list[str]]:
    """The pictures that are whole and kept by the journal's word, and where it cannot be read."""
    kept: set[str] = set()
    async with SqliteReader(journal) as reader:
        async for event in _events(reader):
            if event.type is EventType.MEDIA and event.data["complete"]:
                kept.add(event.data["id"])
            elif event.data.get("act") == "deleted":
                kept.discard(event.data["media"])
        return kept, [str(gap) for gap in reader.damage.gaps]


async def _deleted(journal: Path, pictures: Iterable[str]) -> set[str]:
    """Those of these that the journal says were deleted."""
    asked, gone = set(pictures), set()
    if asked:
        async with SqliteReader(journal) as reader:
            async for event in _events(reader):
                if event.data.get("act") == "deleted" and event.data["media"] in asked:
                    gone.add(event.data["media"])
    return gone


async def _events(reader: SqliteReader) -> AsyncIterator[Event]:
    cursor = 0
    while True:
        page = await reader.read(cursor, PAGE, TYPES)
        for event in page.events:
            yield event
        if not page.events:
            return
        cursor = page.next


def _files(folder: Path) -> Iterable[str]:
    """The originals that lie there, by their names; not thumbnails, nor what is being written."""
    return (path.name for path in folder.glob("??/*") if "." not in path.name)


def _is_sound(folder: Path, picture: str) -> bool:
    digest = hashlib.sha256()
    try:
        with original_path(folder, picture).open("rb") as file:
            while piece := file.read(PIECE_BYTES):
                digest.update(piece)
    except OSError:  # it cannot be read, or is gone by now: the second look tells
        return False
    return digest.hexdigest() == picture
