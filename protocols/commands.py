"""Commands: what each action takes, and where a command can go (contract sections 2 and 3.8)."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Any, TypeAlias

from msgspec import Meta, Struct

from protocols.errors import FieldInvalid
from protocols.fields import convert
from protocols.model import Latitude, Longitude, Name, Sha256, Text

Seconds: TypeAlias = Annotated[int, Meta(ge=1, le=600)]


class CommandState(StrEnum):
    """How far a command has got."""

    CREATED = "created"  # journalled
    SENT = "sent"  # handed to the broker while the device was online
    DELIVERED = "delivered"  # the device keeps it
    SHOWN = "shown"  # a person may have seen it
    ACCEPTED = "accepted"  # a person, or the device itself, has taken it on
    DONE = "done"
    REFUSED = "refused"
    FAILED = "failed"
    EXPIRED = "expired"  # its time went by, and the device has said nothing
    CANCELLED = "cancelled"


_ANSWERS = (
    CommandState.DELIVERED,
    CommandState.SHOWN,
    CommandState.ACCEPTED,
    CommandState.DONE,
    CommandState.REFUSED,
    CommandState.FAILED,
)
_ENDS = frozenset(
    {CommandState.DONE, CommandState.REFUSED, CommandState.FAILED, CommandState.CANCELLED}
)

NEXT: dict[CommandState, frozenset[CommandState]] = {
    CommandState.CREATED: frozenset(
        {CommandState.SENT, CommandState.EXPIRED, CommandState.CANCELLED, *_ANSWERS}
    ),
    CommandState.SENT: frozenset({CommandState.EXPIRED, CommandState.CANCELLED, *_ANSWERS}),
    CommandState.DELIVERED: frozenset({CommandState.SHOWN, CommandState.ACCEPTED}) | _ENDS,
    CommandState.SHOWN: frozenset({CommandState.ACCEPTED}) | _ENDS,
    CommandState.ACCEPTED: _ENDS,
    # The gateway's word for what it has not heard: what the device says later is what happened.
    CommandState.EXPIRED: frozenset(_ANSWERS),
    CommandState.CANCELLED: frozenset({CommandState.DONE, CommandState.FAILED}),
    CommandState.DONE: frozenset(),
    CommandState.REFUSED: frozenset(),
    CommandState.FAILED: frozenset(),
}
"""Where a command can go. One may be left out; an answer that leads nowhere changes nothing."""

OPEN = frozenset(CommandState) - _ENDS - {CommandState.EXPIRED}
"""The states in which a command may still be carried out."""

HELD = frozenset({CommandState.DELIVERED, CommandState.SHOWN, CommandState.ACCEPTED})
"""The states in which a device has a command and has not ended it."""


class Args(Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """What an action takes. A misspelt key is an error: an order must not lose its meaning."""


class Words(Struct, frozen=True, kw_only=True):
    """A text for a person, in Chinese and English."""

    zh: Text
    en: Text


class Checklist(Args, frozen=True):
    """The steps of handling a kind of incident, in order. ``id``: the kind, ``theft``, say."""

    id: Name
    title: Words
    steps: Annotated[tuple[Words, ...], Meta(min_length=1, max_length=32)]


class Snapshot(Args, frozen=True):
    """A picture taken after the request. It comes as ``media`` with the command's id as ``ref``."""


class Live(Args, frozen=True):
    """Pictures for a time, at most ``fps`` a second: fewer, and coarser, on a poor link."""

    seconds: Seconds = 30
    fps: Annotated[float, Meta(gt=0, le=5)] = 5.0


class Locate(Args, frozen=True):
    """A position every second for a time, whatever the report's thinning."""

    seconds: Seconds = 60


class Instruct(Args, frozen=True):
    """An incident to go to. ``caller``: the caller's telephone number."""

    incident: Annotated[Name, Meta(min_length=1)]
    kind: Annotated[Name, Meta(min_length=1)]
    address: Text = ""
    lat: Latitude | None = None
    lon: Longitude | None = None
    caller: Name | None = None
    text: Text = ""
    checklist: Checklist | None = None


class Message(Args, frozen=True):
    """Action ``text``: words for the crew."""

    text: Annotated[Text, Meta(min_length=1)]


class Identify(Args, frozen=True):
    """Beep and blink."""

    seconds: Seconds = 30


class RingBack(Args, frozen=True):
    """The alarm box sounds that somebody has its alarm."""


class Reboot(Args, frozen=True):
    """Start anew: a box does, when no alarm is open."""


class Update(Args, frozen=True):
    """A signed program for a box (docs/alarm-box.md)."""

    version: Annotated[int, Meta(ge=1)]
    size: Annotated[int, Meta(ge=1)]
    sha256: Sha256
    sig: Text
    url: Text


class Cancel(Args, frozen=True):
    """The command of that id is not to be begun, or to be left."""

    id: Text


Setting: TypeAlias = bool | int | float | str
Configure: TypeAlias = dict[str, Setting]
"""Action ``config``: settings to change, by name; which there are is the device's matter."""

ACTIONS: Mapping[str, Any] = {
    "snapshot": Snapshot,
    "live": Live,
    "locate": Locate,
    "instruct": Instruct,
    "checklist": Checklist,
    "text": Message,
    "config": Configure,
    "identify": Identify,
    "ring_back": RingBack,
    "reboot": Reboot,
    "update": Update,
    "cancel": Cancel,
}
"""Every action, and what its ``args`` are."""


def args_of(act: str, args: Mapping[str, Any]) -> Args | Configure:
    """The arguments of an action; raise FieldInvalid naming the field and the value."""
    if act not in ACTIONS:
        raise FieldInvalid("act", f"must be one of {', '.join(ACTIONS)}", act)
    if act == "config":
        return settings_of(args, "args")
    taken: Args | Configure = convert(dict(args), ACTIONS[act], within="args")
    if isinstance(taken, Instruct) and (taken.lat is None) != (taken.lon is None):
        missing, given = ("lat", "lon") if taken.lat is None else ("lon", "lat")
        raise FieldInvalid(f"args.{missing}", f"is missing: half a place, with {given} alone")
    return taken


def settings_of(settings: Mapping[str, Any], within: str) -> Configure:
    """Settings by name; raise FieldInvalid naming the one that is none."""
    kind: Any = Setting
    return {
        name: convert(value, kind, within=f"{within}.{name}") for name, value in settings.items()
    }
