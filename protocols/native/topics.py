"""Topics of the contract (section 1): ``{prefix}/v1/{device}/{up|dn}/{channel}``."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Literal, NamedTuple

from protocols.errors import FieldInvalid, TopicInvalid
from protocols.model import Lane

DEFAULT_PREFIX = "field"
_DEVICE_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")


class Up(StrEnum):
    """Channels from the device."""

    PRESENCE = "presence"
    ALARM = "alarm"
    DUTY = "duty"
    REPLY = "reply"
    POS = "pos"
    STATUS = "status"
    MEDIA = "media"


class Down(StrEnum):
    """Channels to the device."""

    RECEIPT = "receipt"
    CMD = "cmd"
    CONFIG = "config"


_UP, _DOWN = frozenset(map(str, Up)), frozenset(map(str, Down))

LANES: dict[Up, Lane] = {
    Up.ALARM: Lane.PRIORITY,
    Up.DUTY: Lane.PRIORITY,
    Up.REPLY: Lane.PRIORITY,
    Up.POS: Lane.TELEMETRY,
    Up.STATUS: Lane.TELEMETRY,
    Up.MEDIA: Lane.TELEMETRY,
}
"""Which lane numbers a channel's messages; ``presence`` has none."""


class Topic(NamedTuple):
    """A topic taken apart."""

    device: str
    direction: Literal["up", "dn"]
    channel: str


def check_device_id(text: str) -> str:
    """Give the device id back, or raise FieldInvalid (contract section 1)."""
    if not _DEVICE_ID.fullmatch(text):
        raise FieldInvalid("device", "must match [A-Za-z0-9][A-Za-z0-9_-]{0,63}", text)
    return text


def up(prefix: str, device: str, channel: Up) -> str:
    """The topic on which a device reports."""
    return f"{prefix}/v1/{device}/up/{channel}"


def down(prefix: str, device: str, channel: Down) -> str:
    """The topic on which a device listens."""
    return f"{prefix}/v1/{device}/dn/{channel}"


def parse(prefix: str, topic: str) -> Topic:
    """Take a topic apart; raise TopicInvalid, naming the part that is wrong."""
    head = f"{prefix}/v1/"
    if not topic.startswith(head):
        raise TopicInvalid(f"topic {topic!r} does not start with {head!r}")
    parts = topic[len(head) :].split("/")
    if len(parts) != 3:
        raise TopicInvalid(f"topic {topic!r} is not {head}DEVICE/up|dn/CHANNEL")
    device, direction, channel = parts
    if not _DEVICE_ID.fullmatch(device):
        raise TopicInvalid(f"topic {topic!r}: {device!r} is no device id")
    if direction == "up" and channel in _UP:
        return Topic(device, "up", channel)
    if direction == "dn" and channel in _DOWN:
        return Topic(device, "dn", channel)
    raise TopicInvalid(f"topic {topic!r}: no channel {direction}/{channel} in the contract")
