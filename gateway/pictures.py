"""What is known of a picture: its original, who sent it and why, who holds it, what became of it.

Times in ms since 1970 UTC. ``taken`` and ``sent`` are the device's, all others the gateway's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple, TypeAlias

from msgspec import Struct

from gateway.images import Inspection
from protocols.model import MediaReason

WORTH: Mapping[MediaReason, int] = {
    "alarm": 5,
    "command": 4,
    "pre_alarm": 3,
    "periodic": 2,
    "live": 1,
}
"""What gives way first has the least. One sent for several reasons has the worth of the best."""


def worth_of(reason: str | None) -> int:
    """A picture that gives no reason is worth as much as a periodic one."""
    return WORTH.get(reason or "periodic", WORTH["periodic"])  # type: ignore[call-overload,no-any-return]


class Sending(Struct, frozen=True, kw_only=True):
    """That a device has sent a picture: once for each reason, reference and time.

    ``state``: partial, complete, corrupt (all has come, and does not make the picture), aside
    (nothing could be made of it), deleted. ``sent``: the ``t`` of the chunk that came first,
    ``began``: when it came; ``received``: when the last one had. None: not known.
    """

    no: int
    picture: str
    device: str
    reason: MediaReason | None
    ref: str | None
    taken: int | None
    w: int | None
    h: int | None
    mime: str
    size: int
    of: int
    received_chunks: int
    state: str
    sent: int | None
    began: int | None
    clock_offset_ms: int | None
    received: int | None

    @property
    def taken_corrected(self) -> int | None:
        """When it was taken by the gateway's clock, as far as the device's is known."""
        return corrected(self.taken, self.clock_offset_ms)


def corrected(taken: int | None, clock_offset_ms: int | None) -> int | None:
    """A device's time by the gateway's clock; None if the device does not know it."""
    return None if not taken or taken < 0 else taken + (clock_offset_ms or 0)


class Deletion(Struct, frozen=True, kw_only=True):
    """When a picture was deleted, by what, and why."""

    t: int
    by: str
    why: str


Scope: TypeAlias = Literal["media", "alarm"]
"""What can be held."""


class Hold(Struct, frozen=True, kw_only=True):
    """That nothing is deleted of a picture (scope ``media``), or of an alarm (``alarm``)."""

    scope: Scope
    id: str
    t: int
    by: str
    note: str | None = None


class Original(Struct, frozen=True, kw_only=True):
    """A whole picture, kept once however many have sent it. ``since``: newest arrival.

    ``thumbnail``: its SHA-256; empty if none can be made, None if none was tried yet.
    """

    id: str
    size: int
    found: Inspection | None
    worth: int
    since: int
    thumbnail: str | None
    damaged: int | None
    deleted: Deletion | None


class Shown(NamedTuple):
    """A sending in a list, with what is known of its picture."""

    sending: Sending
    original: Original | None
    is_held: bool


class Query(NamedTuple):
    """Which sendings are asked for; None is any. Times are those of the first chunk's arrival."""

    device: str | None = None
    ref: str | None = None
    reason: str | None = None
    since_ms: int | None = None
    until_ms: int | None = None


class Kept(NamedTuple):
    """A picture that may go: what it was when it was looked at, and the room that it takes."""

    id: str
    size: int
    worth: int
    since: int


class Abandoned(NamedTuple):
    """A picture that never became whole, by its sending."""

    no: int
    picture: str
    device: str


class Usage(NamedTuple):
    """How many pictures are kept, in how many bytes with all that is theirs, and the holds."""

    pictures: int
    bytes: int
    held: int


class Guarded(NamedTuple):
    """What is not to go: open alarms, and pictures that they name."""

    alarms: Sequence[str] = ()
    media: Sequence[str] = ()


class Release(Struct, frozen=True):
    """When a hold ends, and by whom: it goes once the journal has that."""

    t: int
    by: str
    note: str | None = None


class Holding(NamedTuple):
    """A hold, the pictures that its alarm names, and what of it the journal may not have yet."""

    hold: Hold
    media: Sequence[str]
    is_told: bool
    release: Release | None


class PictureUnknown(Exception):
    """No chunk of it has ever come."""


class PictureIncomplete(Exception):
    """It is not whole: ``sending`` tells how much of it is here."""

    def __init__(self, sending: Sending) -> None:
        super().__init__(sending.picture)
        self.sending = sending


class PictureDeleted(Exception):
    """It was kept, and is not any more: ``deletion`` tells why, ``original`` what it was."""

    def __init__(self, original: Original, deletion: Deletion) -> None:
        super().__init__(original.id)
        self.original, self.deletion = original, deletion


class PictureDamaged(Exception):
    """What lies on the disk has another hash, or is not there: ``problem`` says which."""

    def __init__(self, picture: str, problem: str) -> None:
        super().__init__(f"{picture}: {problem}")
        self.picture, self.problem = picture, problem


class ThumbnailMissing(Exception):
    """There is no thumbnail, and why."""
