"""Real pictures for tests, and ones that lie."""

from __future__ import annotations

import struct
import zlib
from functools import cache
from typing import Any

import cv2
import numpy as np

PNG = b"\x89PNG\r\n\x1a\n"


@cache
def encoded(suffix: str, width: int = 640, height: int = 480, shade: int = 0) -> bytes:
    """A picture that can be decoded: left half red, with a grey of its own."""
    pixels = np.full((height, width, 3), shade, np.uint8)
    pixels[:, : width // 2] = (0, 0, 255)
    is_made, data = cv2.imencode(suffix, pixels)
    assert is_made
    return bytes(data)


def decoded(data: bytes) -> Any:
    """Its pixels, rows by columns by blue, green, red."""
    return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)


def png_chunk(kind: bytes, body: bytes) -> bytes:
    """One chunk of a PNG."""
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png_bomb(width: int = 20_000, height: int = 20_000) -> bytes:
    """A valid PNG of one colour: 400 million pixels take a few hundred kilobytes."""
    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    packer = zlib.compressobj(9)
    row = bytes(1 + -(-width // 8))
    rows = b"".join(packer.compress(row * 100) for _ in range(height // 100)) + packer.flush()
    return PNG + png_chunk(b"IHDR", header) + png_chunk(b"IDAT", rows) + png_chunk(b"IEND", b"")


def resized(png: bytes, width: int, height: int) -> bytes:
    """A PNG whose header lies about its size, with a checksum that is right."""
    header = struct.pack(">II", width, height) + png[24:29]
    return PNG + png_chunk(b"IHDR", header) + png[33:]


def animated_png() -> bytes:
    """A PNG that says it moves."""
    still = encoded(".png")
    return still[:33] + png_chunk(b"acTL", struct.pack(">II", 9, 0)) + still[33:]


def turned_jpeg(orientation: int, order: str = ">") -> bytes:
    """A JPEG whose EXIF says how to hold it, and what took it."""
    mark = b"MM" if order == ">" else b"II"
    tags = struct.pack(f"{order}HHIHH", 0x0112, 3, 1, orientation, 0)
    tags += struct.pack(f"{order}HHII", 0x010F, 2, 8, 8 + 2 + 36 + 4)  # behind the directory
    tags += struct.pack(f"{order}HHI4s", 0x0110, 2, 3, b"X1\0\0")
    exif = b"Exif\0\0" + mark + struct.pack(f"{order}HIH", 42, 8, 3) + tags + bytes(4)
    exif += b"Ac\x1bme\0\0\0"
    still = encoded(".jpg")
    return still[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + still[2:]
