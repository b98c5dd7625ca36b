"""What leaves the device, as bytes: MessagePack written with `msgpack`.

The gateway reads with `msgspec`: two independent codecs check each other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgpack

from protocols.model import MAX_FIXES, DeviceKind, Position

_packer = msgpack.Packer(use_bin_type=True)


def message(boot: int, seq: int, t: int, keys: Mapping[str, Any]) -> bytes:
    """A message on a lane."""
    packed: bytes = _packer.pack({"boot": boot, "seq": seq, "t": t, **keys})
    return packed


def batch(bodies: Sequence[bytes]) -> bytes:
    """An array of fixes out of their spooled bodies, which are not encoded again."""
    assert len(bodies) <= MAX_FIXES
    head: bytes = _packer.pack_array_header(len(bodies))
    return head + b"".join(bodies)


def online(
    boot: int, t: int, kind: DeviceKind, firmware: str, capabilities: Sequence[str]
) -> bytes:
    """The presence of a device that is connected."""
    packed: bytes = _packer.pack(
        {
            "online": True,
            "boot": boot,
            "kind": kind,
            "fw": firmware,
            "caps": list(capabilities),
            "t": t,
        }
    )
    return packed


def offline(boot: int) -> bytes:
    """The presence of a device that is gone, and its last will: it names the boot it ends."""
    packed: bytes = _packer.pack({"online": False, "boot": boot})
    return packed


def position_keys(position: Position) -> dict[str, Any]:
    """The keys of a position that are known."""
    return {
        name: value
        for name in position.__struct_fields__
        if (value := getattr(position, name)) is not None
    }
