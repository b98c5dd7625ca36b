"""What each key of the contract means, and in which unit (contract section 2)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from msgspec import Struct

from protocols.model import (
    Alarm,
    AlarmStage,
    Command,
    DutyReport,
    Fix,
    LostRange,
    MediaChunk,
    Position,
    Presence,
    Receipt,
    Reply,
    Status,
)


class Key(NamedTuple):
    """One key. ``unit`` is empty where there is none."""

    meaning: str
    unit: str = ""


MS = "ms"
"""Milliseconds since 1970 UTC: the contract has no others."""

_NUMBERED = {
    "boot": Key("Grows each time the device's counters restart"),
    "seq": Key("Number of the message: per device, boot and lane, from 1, without gaps"),
    "t": Key("When it happened, by the device's clock; 0: the device does not know", MS),
}

_PLACE = {
    "lat": Key("Latitude, WGS-84", "deg"),
    "lon": Key("Longitude, WGS-84", "deg"),
    "fix": Key("Fix mode: 0 none, 2 without height, 3 with height"),
    "alt": Key("Altitude", "m"),
    "spd": Key("Speed over ground", "m/s"),
    "hdg": Key("Heading", "deg true"),
    "acc": Key("Horizontal accuracy, 1 sigma", "m"),
    "hdop": Key("Horizontal dilution of precision"),
    "sats": Key("Satellites used"),
    "src": Key("Where the position comes from: receiver, registered place, or cell"),
}

MEANINGS: Mapping[type[Struct], Mapping[str, Key]] = {
    Position: {**_PLACE, "t": Key("When the fix was taken, by the device's clock", MS)},
    Fix: {**_NUMBERED, **_PLACE},
    Alarm: {
        **_NUMBERED,
        "kind": Key("What kind of alarm; `unreadable` is the gateway's own word"),
        "count": Key("Presses so far"),
        "silent": Key("Whether the place must stay silent"),
        "zone": Key("Which button or room"),
        "pos": Key("Where"),
        "media": Key("Ids of pictures that belong to it"),
        "text": Key("What else there is to tell"),
        "of": Key("The seq of the alarm of this boot that this adds to; it raises no new one"),
    },
    DutyReport: {
        **_NUMBERED,
        "act": Key("What the unit does from now on"),
        "ref": Key("The incident"),
        "pos": Key("Where"),
        "crew": Key("Who"),
    },
    Status: {
        **_NUMBERED,
        "batt": Key("Battery", "%"),
        "mains": Key("Whether mains power is there"),
        "net": Key("Network in use"),
        "rssi": Key("Signal strength", "dBm"),
        "temp": Key("Temperature", "°C"),
        "disk": Key("Free disk", "%"),
        "gnss": Key("State of the position receiver"),
        "cam": Key("State of the camera"),
        "clock": Key("What steers the device's clock"),
        "spool": Key("Messages waiting to be sent"),
        "cfg": Key("Version of the configuration in force"),
        "fw": Key("Firmware"),
        "lost": Key("Telemetry [boot, from, to] that the device gave up: not asked for again"),
    },
    MediaChunk: {
        **_NUMBERED,
        "id": Key("SHA-256 of the whole picture, hex"),
        "mime": Key("Content type of the picture"),
        "size": Key("Size of the whole picture", "bytes"),
        "n": Key("Index of this chunk, from 0"),
        "of": Key("How many chunks there are"),
        "data": Key("The chunk; base64 in JSON", "bytes"),
        "taken": Key("When the picture was taken, by the device's clock", MS),
        "w": Key("Width", "px"),
        "h": Key("Height", "px"),
        "reason": Key("Why it was taken"),
        "ref": Key("Id of the alarm or command that it answers"),
        "fps": Key("Live pictures as often as this now", "1/s"),
        "quality": Key("Quality of the JPEG, 1 to 100"),
        "limited": Key("What makes live pictures fewer or coarser than asked for"),
    },
    Reply: {
        **_NUMBERED,
        "cmd": Key("Id of the command"),
        "state": Key("How far the command has got"),
        "step": Key("Index of the step that was done"),
        "detail": Key("What else there is to tell"),
    },
    Presence: {
        "online": Key("Whether the device is connected; the last will says false"),
        "boot": Key("The boot of the session; a will of an older boot is ignored"),
        "kind": Key("Kind of device"),
        "fw": Key("Firmware"),
        "caps": Key("What the device can do"),
        "t": Key("When it connected, by the device's clock", MS),
    },
    LostRange: {
        "boot": Key("The boot that the numbers belong to"),
        "first": Key("First number given up"),
        "last": Key("Last number given up"),
    },
    AlarmStage: {
        "seq": Key("Number of the alarm on the priority lane"),
        "stage": Key("How far the alarm has got"),
        "t": Key("When it got there, by the gateway's clock", MS),
        "by": Key("Who answered"),
    },
    Receipt: {
        "boot": Key("The boot that the numbers belong to"),
        "p": Key("The priority lane is held without a gap up to here"),
        "t": Key("The telemetry lane is held without a gap up to here"),
        "miss": Key("Ranges [from, to] to send again, by lane"),
        "high": Key("By lane: all up to here that is in no missing range is held too"),
        "alarms": Key("Stages of alarms of this boot"),
    },
    Command: {
        "id": Key("Id of the command; a device runs it once"),
        "act": Key("What to do"),
        "t": Key("When it was given, by the gateway's clock", MS),
        "exp": Key("Past this time the device refuses it", MS),
        "sent": Key("Handed to the broker, by the clock of the gateway", MS),
        "args": Key("Arguments of the act"),
    },
}
