"""What may a device or a gateway say? Every key of the contract within its range."""

from __future__ import annotations

import base64
import json
from typing import Any, get_args

import msgpack
from hypothesis import strategies as st

from protocols.model import (
    Alarm,
    CameraHealth,
    Command,
    DutyReport,
    Fix,
    MediaChunk,
    Presence,
    Receipt,
    Reply,
    Status,
)

Keys = dict[str, Any]

uint32 = st.integers(0, 2**32 - 1)
uint64 = st.integers(0, 2**64 - 1)
seq = st.integers(1, 2**64 - 1)
millis = st.integers(-(2**63), 2**63 - 1)
number = st.floats(allow_nan=False, allow_infinity=False)
positive = st.floats(0, allow_infinity=False)
percent = st.floats(0, 100)
text = st.text(st.characters(exclude_categories=["Cs"]), max_size=40) | st.just("站" * 1000)
name = st.text(st.characters(exclude_categories=["Cs"]), max_size=64)
sha256 = st.text("0123456789abcdef", min_size=64, max_size=64)
lane = st.sampled_from(["p", "t"])

_place: Keys = {
    "lat": st.floats(-90, 90),
    "lon": st.floats(-180, 180),
    "fix": st.sampled_from([0, 2, 3]),
}
_motion: Keys = {
    "alt": number,
    "spd": positive,
    "hdg": st.floats(0, 360),
    "acc": positive,
    "hdop": positive,
    "sats": uint32,
    "src": st.sampled_from(["gnss", "fixed", "cell"]),
}
_position = st.fixed_dictionaries(_place, optional={"t": millis, **_motion})
_named: Keys = {"boot": uint32, "seq": seq, "t": millis}
_ranges = st.lists(st.tuples(seq, seq).map(list), max_size=3)
_json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | number | text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(name, inner, max_size=3),
    max_leaves=6,
)

KEYS: dict[type[Any], tuple[Keys, Keys]] = {
    Fix: ({**_named, **_place}, _motion),
    Alarm: (
        {
            **_named,
            "kind": st.sampled_from(
                ["panic", "duress", "hold_up", "fire", "medical", "tamper", "man_down", "test"]
            ),
        },
        {
            "count": uint32,
            "silent": st.booleans(),
            "zone": text,
            "pos": _position,
            "media": st.lists(sha256, max_size=3),
            "text": text,
            "of": seq,
        },
    ),
    DutyReport: (
        {**_named, "act": st.sampled_from(["on_duty", "foot_patrol", "on_scene", "break"])},
        {"ref": text, "pos": _position, "crew": st.lists(name, max_size=32)},
    ),
    Reply: (
        {**_named, "cmd": text, "state": st.sampled_from(["delivered", "step", "done", "failed"])},
        {"step": uint32, "detail": text},
    ),
    Status: (
        _named,
        {
            "batt": percent,
            "mains": st.booleans(),
            "net": st.sampled_from(["5g", "4g", "wifi", "eth", "nbiot"]),
            "rssi": number,
            "temp": number,
            "disk": percent,
            "gnss": st.sampled_from(["ok", "no_fix", "no_device"]),
            "cam": st.sampled_from(get_args(CameraHealth)),
            "clock": st.sampled_from(["gnss", "ntp", "free"]),
            "spool": uint32,
            "cfg": st.integers(-(2**63), 2**64 - 1) | text,
            "fw": text,
            "lost": st.lists(st.tuples(uint32, seq, seq).map(list), max_size=3),
        },
    ),
    MediaChunk: (
        {
            **_named,
            "id": sha256,
            "mime": name,
            "size": st.integers(1, 2**26),
            "n": uint32,
            "of": st.integers(1, 65536),
            "data": st.binary(min_size=1, max_size=100) | st.just(bytes(8192)),
        },
        {
            "taken": millis,
            "w": uint32,
            "h": uint32,
            "reason": st.sampled_from(["command", "alarm", "pre_alarm", "live", "periodic"]),
            "ref": text,
            "fps": st.floats(0, 60, exclude_min=True),
            "quality": st.integers(1, 100),
            "limited": st.sampled_from(["start", "link", "camera"]),
        },
    ),
    Presence: (
        {"online": st.booleans(), "boot": uint32},
        {
            "kind": st.sampled_from(["vehicle_terminal", "body_camera", "alarm_box", "phone"]),
            "fw": text,
            "caps": st.lists(name, max_size=5),
            "t": millis,
        },
    ),
    Receipt: (
        {"boot": uint32, "p": uint64, "t": uint64},
        {
            "miss": st.dictionaries(lane, _ranges, min_size=1),
            "high": st.dictionaries(lane, uint64, min_size=1),
            "alarms": st.lists(
                st.fixed_dictionaries(
                    {
                        "seq": seq,
                        "stage": st.sampled_from(["stored", "accepted", "acknowledged", "closed"]),
                        "t": millis,
                    },
                    optional={"by": text},
                ),
                min_size=1,
                max_size=3,
            ),
        },
    ),
    Command: (
        {"id": text, "act": name, "t": millis, "exp": millis},
        {"args": st.dictionaries(name, _json_values, min_size=1, max_size=3), "sent": millis},
    ),
}
"""By type of message: the keys that are required, and those that are not."""


def keys_of(kind: type[Any]) -> st.SearchStrategy[Keys]:
    """The keys of one message of that type."""
    required, optional = KEYS[kind]
    return st.fixed_dictionaries(required, optional=optional)


def to_msgpack(value: Any) -> bytes:
    """MessagePack as a codec of other authors writes it."""
    payload: bytes = msgpack.packb(value)
    return payload


def to_json(value: Any) -> bytes:
    """JSON as a codec of other authors writes it; bytes in base64."""
    return json.dumps(value, default=lambda data: base64.b64encode(data).decode()).encode()


def from_msgpack(payload: bytes) -> Any:
    """What a codec of other authors reads."""
    return msgpack.unpackb(payload)


def from_json(payload: bytes) -> Any:
    """What a codec of other authors reads, with ``data`` out of its base64."""
    keys = json.loads(payload)
    if "data" in keys:
        keys["data"] = base64.b64decode(keys["data"], validate=True)
    return keys
