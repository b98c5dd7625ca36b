"""The messages of the contract as values (section 2), with units and ranges.

Every key has the contract's name. ``None`` stands for a key that was not sent.
Times are int64 milliseconds since 1970 UTC by the device's clock; 0 = unknown.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal, TypeAlias

from msgspec import Meta, Struct

DeviceId: TypeAlias = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}\Z")]
Boot: TypeAlias = Annotated[int, Meta(ge=0, le=2**32 - 1)]
Seq: TypeAlias = Annotated[
    int, Meta(ge=1)
]  # at most MAX_SEQ: msgspec cannot say so, the codec does
Millis: TypeAlias = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
Text: TypeAlias = Annotated[str, Meta(max_length=1000)]
Name: TypeAlias = Annotated[str, Meta(max_length=64)]
Latitude: TypeAlias = Annotated[float, Meta(ge=-90, le=90)]
Longitude: TypeAlias = Annotated[float, Meta(ge=-180, le=180)]
NonNegative: TypeAlias = Annotated[float, Meta(ge=0)]
Degrees: TypeAlias = Annotated[float, Meta(ge=0, le=360)]
Percent: TypeAlias = Annotated[float, Meta(ge=0, le=100)]
Count: TypeAlias = Annotated[int, Meta(ge=0, le=2**32 - 1)]
Sha256: TypeAlias = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}\Z")]

MAX_SEQ = 2**64 - 1
MAX_MESSAGE_BYTES = 64 * 1024
MAX_NESTING = 8
MAX_TEXT_CHARS = 1000
MAX_FIXES = 200
MAX_CHUNK_BYTES = 8 * 1024

DeviceKind: TypeAlias = Literal["vehicle_terminal", "body_camera", "alarm_box", "phone"]
FixKind: TypeAlias = Literal[0, 2, 3]
PositionSource: TypeAlias = Literal["gnss", "fixed", "cell"]
AlarmKind: TypeAlias = Literal[
    "panic", "duress", "hold_up", "fire", "medical", "tamper", "man_down", "test",
    "unreadable",  # the gateway's word for an alarm that it cannot read
]  # fmt: skip
DutyAct: TypeAlias = Literal[
    "on_duty",
    "off_duty",
    "vehicle_patrol",
    "foot_patrol",
    "parked",
    "en_route",
    "on_scene",
    "clear",
    "break",
]
CameraHealth: TypeAlias = Literal[
    "ok", "covered", "dark", "blurred", "frozen", "moved", "lost", "none"
]
Network: TypeAlias = Literal["5g", "4g", "wifi", "eth", "nbiot"]
GnssHealth: TypeAlias = Literal["ok", "no_fix", "no_device"]
ClockSource: TypeAlias = Literal["gnss", "ntp", "free"]
MediaReason: TypeAlias = Literal["command", "alarm", "pre_alarm", "live", "periodic"]
ReplyState: TypeAlias = Literal[
    "delivered", "shown", "accepted", "refused", "step", "done", "failed"
]


class Lane(StrEnum):
    """The two numbering lanes of a device: an alarm never waits behind telemetry."""

    PRIORITY = "p"
    TELEMETRY = "t"


class Stage(StrEnum):
    """How far an alarm has got, in this order."""

    STORED = "stored"
    ACCEPTED = "accepted"
    ACKNOWLEDGED = "acknowledged"
    CLOSED = "closed"


class Message(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What every message on a lane has: ``boot`` and ``seq`` name it, ``t`` says when."""

    boot: Boot
    seq: Seq
    t: Millis


class Position(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A place in WGS-84: degrees, metres, m/s, degrees true, 1 sigma metres."""

    lat: Latitude
    lon: Longitude
    fix: FixKind
    t: Millis | None = None
    alt: float | None = None
    spd: NonNegative | None = None
    hdg: Degrees | None = None
    acc: NonNegative | None = None
    hdop: NonNegative | None = None
    sats: Count | None = None
    src: PositionSource | None = None


class Fix(Message, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """Channel ``pos``: one position report, units as in Position."""

    lat: Latitude
    lon: Longitude
    fix: FixKind
    alt: float | None = None
    spd: NonNegative | None = None
    hdg: Degrees | None = None
    acc: NonNegative | None = None
    hdop: NonNegative | None = None
    sats: Count | None = None
    src: PositionSource | None = None


class Alarm(Message, frozen=True, kw_only=True, omit_defaults=True):
    """Channel ``alarm``: a press, a duress, a tamper, a self-test; or, with ``of``, more on one."""

    kind: AlarmKind
    count: Count | None = None
    silent: bool | None = None
    zone: Text | None = None
    pos: Position | None = None
    media: list[Sha256] | None = None
    text: Text | None = None
    of: Seq | None = None


class DutyReport(Message, frozen=True, kw_only=True, omit_defaults=True):
    """Channel ``duty``: a one-key duty report."""

    act: DutyAct
    ref: Text | None = None
    pos: Position | None = None
    crew: Annotated[list[Name], Meta(max_length=32)] | None = None


class Reply(Message, frozen=True, kw_only=True, omit_defaults=True):
    """Channel ``reply``: the state of a command, by the device that carries it out."""

    cmd: Text
    state: ReplyState
    step: Count | None = None
    detail: Text | None = None


class LostRange(Struct, frozen=True, array_like=True):
    """Telemetry ``[boot, from, to]`` that a device had to give up: not to be asked for again."""

    boot: Boot
    first: Seq
    last: Seq


class Status(Message, frozen=True, kw_only=True, omit_defaults=True):
    """Channel ``status``: the health of a device."""

    batt: Percent | None = None
    mains: bool | None = None
    net: Network | None = None
    rssi: float | None = None
    temp: float | None = None
    disk: Percent | None = None
    gnss: GnssHealth | None = None
    cam: CameraHealth | None = None
    clock: ClockSource | None = None
    spool: Count | None = None
    cfg: int | str | None = None
    fw: Text | None = None
    # Ours, beyond contract v1 (docs/contract.md): what the bounded spool has dropped.
    lost: Annotated[tuple[LostRange, ...], Meta(max_length=64)] | None = None


class MediaChunk(Message, frozen=True, kw_only=True, omit_defaults=True):
    """Channel ``media``: chunk ``n`` of ``of``; chunk 0 also tells about the picture.

    ``fps``, ``quality``, ``limited`` (ours, beyond contract v1): how a live picture was made.
    """

    id: Sha256
    mime: Name
    size: Annotated[int, Meta(ge=1, le=64 * 1024 * 1024)]
    n: Count
    of: Annotated[int, Meta(ge=1, le=65536)]
    data: Annotated[bytes, Meta(min_length=1, max_length=MAX_CHUNK_BYTES)]
    taken: Millis | None = None
    w: Count | None = None
    h: Count | None = None
    reason: MediaReason | None = None
    ref: Text | None = None
    fps: Annotated[float, Meta(gt=0, le=60)] | None = None
    quality: Annotated[int, Meta(ge=1, le=100)] | None = None
    limited: Literal["start", "link", "camera"] | None = None


class Presence(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Channel ``presence``: no lane, no seq. The last will is one with ``online`` false."""

    online: bool
    boot: Boot
    kind: DeviceKind | None = None
    fw: Text | None = None
    caps: Annotated[list[Name], Meta(max_length=64)] | None = None
    t: Millis | None = None


class AlarmStage(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One alarm's stage in a receipt."""

    seq: Seq
    stage: Stage
    t: Millis
    by: str | None = None


class Receipt(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Channel ``receipt`` (down): each lane of ``boot`` is held without a gap up to ``p``, ``t``.

    ``miss`` lists, by lane, the ranges [from, to] to send again. ``high`` (ours,
    beyond contract v1) is the number up to which ``miss`` is complete: what is
    at most ``high`` and in no missing range is held too, so that a backlog sent
    newest first can be forgotten as it arrives.
    """

    boot: Boot
    p: Annotated[int, Meta(ge=0)]
    t: Annotated[int, Meta(ge=0)]
    miss: dict[Lane, list[tuple[int, int]]] = {}
    high: dict[Lane, int] = {}
    alarms: list[AlarmStage] = []


class Command(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Channel ``cmd`` (down): past ``exp`` (ms, the gateway's clock) the device refuses.

    ``t``: when it was ordered. ``sent`` (ours, beyond contract v1): when it was handed to the
    broker, by which a device whose clock is not set can tell how late it is.
    """

    id: Text
    act: Name
    t: Millis
    exp: Millis
    args: dict[str, object] = {}
    sent: Millis | None = None


LaneMessage: TypeAlias = Fix | Alarm | DutyReport | Reply | Status | MediaChunk


def message_id(device: str, boot: int, lane: Lane, seq: int) -> str:
    """The id of a message everywhere, and the CloudEvents id: ``{device}:{boot}:{p|t}:{seq}``."""
    return f"{device}:{boot}:{lane}:{seq}"
