"""Pictures in chunks: cut for sending, joined and checked on arrival."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from typing import Any

from protocols.errors import MediaInvalid
from protocols.model import MAX_CHUNK_BYTES, MediaChunk, MediaReason


def picture_id(picture: bytes) -> str:
    """The id of a picture: the SHA-256 of the whole, in hex."""
    return hashlib.sha256(picture).hexdigest()


def cut(
    picture: bytes,
    mime: str,
    *,
    taken: int,
    width_px: int,
    height_px: int,
    reason: MediaReason,
    ref: str | None = None,
    chunk_bytes: int = MAX_CHUNK_BYTES,
    **more: Any,
) -> Iterator[dict[str, Any]]:
    """The keys of each chunk in order, without boot, seq and t, which the spool gives.

    ``more``: further keys of chunk 0.
    """
    count = -(-len(picture) // chunk_bytes)
    whole = {"id": picture_id(picture), "mime": mime, "size": len(picture), "of": count}
    about: dict[str, Any] = {"taken": taken, "w": width_px, "h": height_px, "reason": reason}
    about |= more
    if ref is not None:
        about["ref"] = ref
    for n in range(count):
        data = picture[n * chunk_bytes : (n + 1) * chunk_bytes]
        yield {**whole, "n": n, "data": data, **(about if n == 0 else {})}


def check_chunk(chunk: MediaChunk) -> None:
    """Raise MediaInvalid if the chunk contradicts itself."""
    if chunk.n >= chunk.of:
        raise MediaInvalid(f"n: {chunk.n} is not below of: {chunk.of}")
    if not chunk.of <= chunk.size <= chunk.of * MAX_CHUNK_BYTES:
        raise MediaInvalid(f"size: {chunk.size} bytes do not make of: {chunk.of} chunks")


def join(identity: str, size: int, count: int, parts: Mapping[int, bytes]) -> bytes:
    """The whole picture from its parts by index; raise MediaInvalid if it is not the one named."""
    missing = [n for n in range(count) if n not in parts]
    if missing:
        raise MediaInvalid(f"chunks missing: {missing[:10]}")
    picture = b"".join(parts[n] for n in range(count))
    if len(picture) != size:
        raise MediaInvalid(f"size: {size} bytes announced, {len(picture)} received")
    if picture_id(picture) != identity:
        raise MediaInvalid(f"id: the bytes have the SHA-256 {picture_id(picture)}")
    return picture


class Joining:
    """A picture whose chunks come one by one, hashed as far as they have come without a gap."""

    def __init__(self, identity: str, size: int, count: int) -> None:
        self._identity, self._size, self._count = identity, size, count
        self._parts: dict[int, bytes] = {}
        self._digest = hashlib.sha256()
        self._hashed = 0  # chunks
        self.bytes = 0

    def add(self, n: int, data: bytes) -> None:
        """Take chunk ``n``; one that is here changes nothing."""
        if n in self._parts or n >= self._count:
            return
        self._parts[n] = data
        self.bytes += len(data)
        while (part := self._parts.get(self._hashed)) is not None:
            self._digest.update(part)
            self._hashed += 1

    @property
    def is_full(self) -> bool:
        """Whether all chunks are here."""
        return self._hashed == self._count

    def whole(self) -> bytes:
        """The picture, when it is full; raise MediaInvalid if it is not the one named."""
        if self.bytes != self._size:
            raise MediaInvalid(f"size: {self._size} bytes announced, {self.bytes} received")
        found = self._digest.hexdigest()
        if found != self._identity:
            raise MediaInvalid(f"id: the bytes have the SHA-256 {found}")
        return b"".join(self._parts[n] for n in range(self._count))
