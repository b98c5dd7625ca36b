"""How a picture is shown to who asks: each sending with its times, the picture with its fate."""

from __future__ import annotations

from msgspec import Struct

from gateway.images import Inspection
from gateway.pictures import Deletion, Hold
from protocols.model import MediaReason


class Asked(Struct, frozen=True, kw_only=True):
    """The command that a picture answers: what, by whom, when (ms, the gateway's clock)."""

    cmd: str
    act: str
    by: str | None
    t: int
    device: str


class Announced(Struct, frozen=True, kw_only=True):
    """What the device has said of the bytes, before they came."""

    mime: str
    size: int
    w: int | None
    h: int | None


class SendingView(Struct, frozen=True, kw_only=True):
    """That a device has sent a picture. Times in ms; ``taken`` and ``sent`` by the device's clock.

    ``requested``: whether the gateway had sent that device a command of the id ``ref``; ``asked``
    says which and by whom. ``age_ms``: since it was taken; ``age_received_ms``: up to when it was
    complete here. Null is not known.
    """

    no: int
    device: str
    reason: MediaReason | None
    ref: str | None
    requested: bool
    asked: Asked | None
    taken: int | None
    taken_corrected: int | None
    clock_offset_ms: int | None
    sent: int | None
    began: int | None
    received: int | None
    age_ms: int | None
    age_received_ms: int | None
    announced: Announced
    state: str
    complete: bool
    received_chunks: int
    of: int


class PictureEntry(SendingView, frozen=True, kw_only=True):
    """One sending in a list, with what is known of its picture."""

    id: str
    found: Inspection | None
    thumbnail: str | None
    held: bool
    damaged: int | None
    deleted: Deletion | None


class PictureAbout(Struct, frozen=True, kw_only=True):
    """A picture: ``sha256`` of the original bytes, which is its id, all who sent it, and its fate.

    ``found``: what its bytes are, read from them. ``thumbnail``: its path, null if there is none.
    """

    id: str
    sha256: str
    state: str
    complete: bool
    size: int
    found: Inspection | None
    thumbnail: str | None
    holds: list[Hold]
    damaged: int | None
    deleted: Deletion | None
    sendings: list[SendingView]
