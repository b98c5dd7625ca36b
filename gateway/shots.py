"""Pictures that somebody waits for: joined from their chunks as these are committed.

The process that makes pictures whole takes its time, one picture after the other, and writes
each to the disk. Who waits needs no file: the chunks are held durably, and they are here.
"""

from __future__ import annotations

import contextlib
from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import Any

from msgspec import Struct

from gateway.images import Image, inspect
from gateway.journal.base import Chunk
from protocols.errors import MediaInvalid
from protocols.native.media import Joining

MAX_BYTES = 8 * 1024 * 1024
"""Of one device at a time: what is waited for and no larger. The oldest beyond that is left."""

ASKED_FOR = frozenset({"command", "live"})
"""The reasons of pictures that answer a command."""


class Shot(Struct, frozen=True, kw_only=True):
    """A picture that answers the command ``ref``; ``about``: what chunk 0 says of it.

    ``image``: what its own header says, if that can be read. ``received``: when the last of it
    was held (ms). ``problem``: why it is no picture.
    """

    device: str
    id: str
    ref: str
    about: dict[str, Any]
    received: int
    image: Image | None = None
    data: bytes = b""
    problem: str = ""


class _Partial:
    """A picture that is coming. The same bytes may answer two commands."""

    def __init__(self, chunk: Chunk) -> None:
        self.joining = Joining(chunk.picture, chunk.size, chunk.of)
        self.abouts: list[dict[str, Any]] = []


class Shots:
    """Joins what the devices send that somebody waits for."""

    def __init__(
        self, *, now_ms: Callable[[], int], on_left: Callable[[], None] = lambda: None
    ) -> None:
        self._now_ms = now_ms
        self._on_left = on_left  # a picture was too large to wait for
        self._takers: defaultdict[str, list[Callable[[Shot], None]]] = defaultdict(list)
        self._partial: dict[str, dict[str, _Partial]] = {}  # by device and picture

    @contextlib.contextmanager
    def expected(self, device: str, take: Callable[[Shot], None]) -> Iterator[None]:
        """Meanwhile ``take`` is given every picture by which the device answers a command."""
        takers = self._takers[device]
        takers.append(take)
        try:
            yield
        finally:
            takers.remove(take)
            if not takers:
                del self._takers[device]
                self._partial.pop(device, None)

    def chunk_held(self, chunk: Chunk) -> None:
        """A chunk is committed."""
        if chunk.device not in self._takers:
            return
        coming = self._partial.setdefault(chunk.device, {})
        partial = coming.get(chunk.picture)
        if partial is None:
            partial = coming[chunk.picture] = _Partial(chunk)
        partial.joining.add(chunk.n, chunk.data)
        if chunk.n == 0:
            partial.abouts.append(chunk.about)
        if partial.joining.is_full and partial.abouts:
            del coming[chunk.picture]
            self._hand_over(chunk, partial)
        while sum(each.joining.bytes for each in coming.values()) > MAX_BYTES:
            del coming[next(iter(coming))]
            self._on_left()

    def _hand_over(self, chunk: Chunk, partial: _Partial) -> None:
        data, image = b"", None
        try:
            data = partial.joining.whole()
            found = inspect(data)
            image, problem = found.image, found.why_no_picture
        except MediaInvalid as error:
            problem = str(error)
        for about in partial.abouts:
            ref = about.get("ref")
            if about.get("reason") not in ASKED_FOR or ref is None:
                continue
            shot = Shot(
                device=chunk.device,
                id=chunk.picture,
                ref=ref,
                about=about,
                received=self._now_ms(),
                image=image,
                data=data,
                problem=problem,
            )
            for take in list(self._takers[chunk.device]):
                take(shot)
