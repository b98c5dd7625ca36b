"""The fixes that the bench's devices report: drives and walks through the simulated city.

A fix is kept as the MessagePack of all its keys but `boot`, `seq` and `t`, which
change with each sending: so a message is made by joining bytes, faster than any
gateway could take it.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

import msgpack

from protocols.model import Fix, Position
from simulators import fleet, town_plan
from simulators.city import City
from simulators.gnss import Receiver

BOOT = 1
SEED = 110
_KEYS = [name for name in Fix.__struct_fields__ if name not in {"boot", "seq", "t"}]
_BOOT = b"\xa4boot" + msgpack.packb(BOOT)


def drives(devices: int, seconds: int) -> list[list[bytes]]:
    """For each device its fixes, one a second, without boot, seq and t: two in three drive."""
    city, rng = town_plan.draw(SEED), random.Random(SEED)
    return [_drive(city, n, seconds, random.Random(rng.random())) for n in range(devices)]


def _drive(city: City, number: int, seconds: int, rng: random.Random) -> list[bytes]:
    grid = number % len(city.grids)
    make = fleet.officer if number % 3 == 2 else fleet.patrol_car
    unit, receiver = make(city, grid, rng), Receiver(rng)
    fixes: list[bytes] = []
    while len(fixes) < seconds:
        position = receiver.observe(unit.step(1.0), 1.0)
        if position is not None:  # else it is in a tunnel: it has nothing to report
            fixes.append(_tail(position))
    return fixes


def _tail(position: Position) -> bytes:
    known = {key: value for key in _KEYS if (value := getattr(position, key)) is not None}
    packed: bytes = msgpack.packb(known)
    assert packed[0] >> 4 == 8, "a map of at most 15 keys"
    return bytes([packed[0] + 3]) + packed[1:]  # three more keys are to come


def message(tail: bytes, seq: int, t: int) -> bytes:
    """One fix as the device sends it."""
    packed_seq: bytes = msgpack.packb(seq)
    return b"%b%b\xa3seq%b\xa1t\xcf%b%b" % (tail[:1], _BOOT, packed_seq, t.to_bytes(8), tail[1:])


def backlog(messages: Sequence[bytes]) -> bytes:
    """Several fixes in one message, as from a spool."""
    if len(messages) < 16:
        return bytes([0x90 | len(messages)]) + b"".join(messages)
    return b"\xdc" + len(messages).to_bytes(2) + b"".join(messages)
