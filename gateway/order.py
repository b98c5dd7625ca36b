"""What is ordered of a device: until when it holds, and which field of it is wrong."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, NamedTuple

import msgspec
from msgspec import Meta, Struct

from protocols.commands import CommandState
from protocols.errors import FieldInvalid
from protocols.model import Latitude, Longitude

HOUR_S, DAY_S = 3600, 24 * 3600

EXPIRES_S: Mapping[str, int] = {
    "snapshot": 30,
    "live": 60,
    "locate": 60,
    "identify": 60,
    "ring_back": 120,
    "instruct": HOUR_S,
    "checklist": HOUR_S,
    "text": HOUR_S,
    "reboot": HOUR_S,
    "update": DAY_S,
    "cancel": DAY_S,
    "config": 7 * DAY_S,
}
"""How long a command holds where nobody says: an order to look now is worth nothing later."""

LONGEST_S = 30 * DAY_S

MOST_DEVICES = 1000
"""One order goes to so many at most."""

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,63}")


class UnknownCommand(Exception):
    """There is no command of that id."""

    def __init__(self, command_id: str) -> None:
        super().__init__(f"there is no command {command_id}")
        self.command_id = command_id


class CommandExists(Exception):
    """The id was given to a command that was asked for in other words."""

    def __init__(self, command_id: str) -> None:
        super().__init__(f"{command_id} is the id of another request")
        self.command_id = command_id


class Ended(Exception):
    """The command has ended: it cannot be cancelled."""

    def __init__(self, command_id: str, state: CommandState) -> None:
        super().__init__(f"command {command_id} has ended: {state}")
        self.state = state


class TooManyWaiting(Exception):
    """The device has not taken what was ordered before."""

    def __init__(self, device: str, most: int) -> None:
        super().__init__(f"{most} commands wait for {device}: cancel some, or wait")
        self.device = device


class Near(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All units around a place."""

    lat: Latitude
    lon: Longitude
    radius_m: Annotated[float, Meta(gt=0, le=100_000)]


class Target(Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """Who an order is for; exactly one of them."""

    device: str | None = None
    unit: str | None = None
    grid: str | None = None
    near: Near | None = None


class Addressed(NamedTuple):
    """Whom a target is: devices, and who could not be addressed, with why."""

    devices: Sequence[str]
    left_out: Sequence[dict[str, str]] = ()


class Order(Struct, frozen=True, kw_only=True):
    """What is asked for. ``exp_ms``: until when it holds, since 1970; by the action if None."""

    act: str
    args: Mapping[str, Any] = {}
    by: str | None = None
    exp_ms: int | None = None
    expires_s: float | None = None

    def digest(self, to: object) -> str:
        """What tells this request from another one under the same id."""
        keys = msgspec.json.encode([msgspec.structs.astuple(self), to], order="deterministic")
        return hashlib.sha256(keys).hexdigest()[:32]


def expiry(order: Order, now: int) -> int:
    """Until when it holds, ms since 1970; raise FieldInvalid."""
    if order.exp_ms is not None and order.expires_s is not None:
        raise FieldInvalid("expires_s", "cannot be given together with exp", order.expires_s)
    longest = now + LONGEST_S * 1000
    if order.exp_ms is not None:
        if not now < order.exp_ms <= longest:
            raise FieldInvalid("exp", f"must lie between {now} and {longest}", order.exp_ms)
        return order.exp_ms
    expires_s = EXPIRES_S[order.act] if order.expires_s is None else order.expires_s
    if not 1 <= expires_s <= LONGEST_S:
        raise FieldInvalid("expires_s", f"must lie between 1 and {LONGEST_S}", expires_s)
    return now + int(expires_s * 1000)


def check_target(target: Target) -> None:
    """Raise FieldInvalid unless it says one thing."""
    given = msgspec.to_builtins(target)
    if len(given) != 1:
        raise FieldInvalid("to", "must have one of device, unit, grid, near", given)


def checked_id(command_id: str) -> str:
    """Give a chosen id back, or raise FieldInvalid."""
    if command_id.endswith(":cancel"):
        raise FieldInvalid("id", "must not end with ':cancel'", command_id)
    if not _ID.fullmatch(command_id):
        raise FieldInvalid("id", f"must match {_ID.pattern}", command_id)
    return command_id
