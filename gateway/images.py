"""What a picture's own header says of it: its type, width and height."""

from __future__ import annotations

import struct
from typing import NamedTuple

PNG, JPEG = b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff"
MIMES = frozenset({"image/png", "image/jpeg"})
"""The types that are known here."""


class Image(NamedTuple):
    """A type, and dimensions in pixels."""

    mime: str
    width: int
    height: int


def read_header(data: bytes) -> Image | None:
    """What the bytes are, if they are a PNG or JPEG with dimensions."""
    try:
        if data.startswith(PNG) and data[12:16] == b"IHDR":
            return Image("image/png", *struct.unpack_from(">II", data, 16))
        if data.startswith(JPEG):
            return _jpeg(data)
    except (IndexError, struct.error):  # it ends before it has said so
        pass
    return None


def _jpeg(data: bytes) -> Image | None:
    """Step from segment to segment up to the frame header (ITU-T T.81, B.2.2)."""
    at = 2
    while data[at] == 0xFF:
        marker = data[at + 1]
        if marker == 0xFF:  # fill
            at += 1
            continue
        if marker in (0xDA, 0xD9):  # the scan, or the end, before any frame
            return None
        (length,) = struct.unpack_from(">H", data, at + 2)
        if 0xC0 <= marker <= 0xCF and marker not in {0xC4, 0xC8, 0xCC}:
            height, width = struct.unpack_from(">HH", data, at + 5)
            return Image("image/jpeg", width, height)
        at += 2 + length
    return None
