"""How a group of telemetry becomes bytes on disk, and events again.

A block is one zstd frame of one MessagePack array, an entry per message:
``[type, device number, received - stored, clock offset, flags, fields]``.
``fields`` are the message's values in the order of its type's declaration, so a
type of ``protocols.model`` may only grow at its end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import msgspec
import zstandard
from msgspec.structs import astuple

from gateway.journal.base import Event, EventType, Telemetry, UsedUp
from protocols.model import Fix, Lane, MediaChunk, Status, message_id

TELEMETRY_FIELDS: dict[int, tuple[str, ...]] = {
    EventType.POSITION: Fix.__struct_fields__,
    EventType.STATUS: Status.__struct_fields__,
    EventType.CHUNK: MediaChunk.__struct_fields__,
    EventType.REFUSED: ("boot", "seq"),
}

_TYPES = {
    Fix: EventType.POSITION,
    Status: EventType.STATUS,
    MediaChunk: EventType.CHUNK,
    UsedUp: EventType.REFUSED,
}

_encoder = msgspec.msgpack.Encoder()
_block_decoder = msgspec.msgpack.Decoder(
    tuple[int, list[tuple[int, int, int, int | None, tuple[str, ...], list[Any]]]]
)


class BlockCodec:
    """Packs and unpacks blocks. Not for use by two threads at once."""

    def __init__(self) -> None:
        self._compressor = zstandard.ZstdCompressor(level=1)
        self._decompressor = zstandard.ZstdDecompressor()

    def pack(
        self, entries: Sequence[Telemetry], stored: int, number: Callable[[str], int]
    ) -> bytes:
        """The entries as one blob; ``number`` gives a device's short number."""
        rows = [
            (
                _TYPES[type(e.message)],
                number(e.device),
                e.received - stored,
                e.clock_offset_ms,
                e.flags,
                e.message if isinstance(e.message, UsedUp) else astuple(e.message),
            )
            for e in entries
        ]
        return self._compressor.compress(_encoder.encode((stored, rows)))

    def unpack(
        self, blob: bytes, first: int, name: Callable[[int], str], types: frozenset[EventType]
    ) -> Iterator[Event]:
        """The events of a block whose types are asked for; the first entry has cursor ``first``."""
        stored, rows = _block_decoder.decode(self._decompressor.decompress(blob))
        for at, (kind, device_no, delay, offset, flags, values) in enumerate(rows):
            if kind not in types:
                continue
            fields = TELEMETRY_FIELDS[kind]
            data = {f: v for f, v in zip(fields, values, strict=False) if v is not None}
            device = name(device_no)
            yield Event(
                type=EventType(kind),
                id=message_id(device, data["boot"], Lane.TELEMETRY, data["seq"]),
                device=device,
                t=data.get("t", 0),
                received=stored + delay,
                clock_offset_ms=offset,
                flags=flags,
                data=data,
                cursor=first + at,
                stored=stored,
            )
