"""What a picture's own bytes say of it: its type, dimensions, and whether they are all there.

No pixel is decoded here, and no length that the bytes give is believed beyond their end.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from typing import NamedTuple

from msgspec import Struct

PNG, JPEG = b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff"
MIMES = frozenset({"image/png", "image/jpeg", "image/webp", "image/heic", "video/mp4"})
"""The types that are known, by their first bytes. All else is kept, and shown as bytes."""

DECODED = frozenset({"image/png", "image/jpeg", "image/webp"})
"""Of these a thumbnail is made; the others are kept and never decoded."""

MAX_PX = 50_000_000
"""More pixels than any camera here has: they are not decoded."""

MAX_PARTS = 100_000
"""Segments or chunks that are looked at: a picture of nothing but tiny ones takes no longer."""

_HEIC_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"mif1"}
_MP4_BRANDS = {
    b"isom", b"iso2", b"iso4", b"iso5", b"iso6", b"mp41", b"mp42", b"avc1", b"M4V ", b"dash",
}  # fmt: skip
_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]", re.DOTALL)
_MAKE, _MODEL, _ORIENTATION = 0x010F, 0x0110, 0x0112
_ASCII, _SHORT = 2, 3
MAX_EXIF_BYTES = 64 * 1024
MAX_NAME_CHARS = 32


class Image(NamedTuple):
    """A type, and dimensions in pixels as stored."""

    mime: str
    width: int
    height: int


class Inspection(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the bytes are. ``mime`` is empty if they are none of MIMES.

    ``orientation`` is EXIF's, 1 to 8; from 5 on width and height change places when it is shown.
    ``camera``: its maker and model, as EXIF says.
    ``problems``: no_dimensions, too_many_pixels, truncated, trailing_bytes, animated,
    too_many_parts.
    """

    mime: str = ""
    w: int | None = None
    h: int | None = None
    orientation: int = 1
    camera: str = ""
    problems: tuple[str, ...] = ()

    @property
    def image(self) -> Image | None:
        """Type and dimensions of a picture that may be decoded, if it tells them."""
        if self.mime not in DECODED or self.w is None or self.h is None:
            return None
        return Image(self.mime, self.w, self.h)

    @property
    def why_not_decoded(self) -> str:
        """Why no thumbnail may be made; empty if it may."""
        if self.mime not in DECODED:
            return "format"
        barred = {"no_dimensions", "too_many_pixels", "animated", "too_many_parts"}
        return next((problem for problem in self.problems if problem in barred), "")

    @property
    def why_no_picture(self) -> str:
        """Why nobody can be given it as a picture; empty if it is one, from end to end."""
        if not self.mime:
            return "format_unknown"
        broken = {"no_dimensions", "too_many_pixels", "truncated"}
        return next((problem for problem in self.problems if problem in broken), "")

    def fits(self, mime: str, width: object, height: object) -> bool:
        """Whether it is what was announced; None was not announced."""
        if self.w is None or self.h is None:
            return self.mime == mime
        sides = [(self.w, self.h)]
        if self.orientation >= 5:
            sides.append((self.h, self.w))
        return self.mime == mime and any(
            width in {None, w} and height in {None, h} for w, h in sides
        )


class _Part(NamedTuple):
    """One segment of a JPEG, or chunk of a PNG: where its body begins and what follows it."""

    kind: int | bytes
    start: int
    end: int


def inspect(data: bytes) -> Inspection:
    """All that the bytes say."""
    mime = _mime(data)
    if mime not in DECODED:
        return Inspection(mime=mime)
    look = {"image/png": _png, "image/jpeg": _jpeg, "image/webp": _webp}[mime]
    width, height, exif, problems = look(data)
    if not width or not height:
        return Inspection(mime=mime, problems=("no_dimensions", *problems))
    if width * height > MAX_PX:
        problems = ("too_many_pixels", *problems)
    orientation, camera = _exif(exif)
    return Inspection(
        mime=mime, w=width, h=height, orientation=orientation, camera=camera, problems=problems
    )


class _Seen(NamedTuple):
    width: int
    height: int
    exif: bytes
    problems: tuple[str, ...]


_NOTHING = _Seen(0, 0, b"", ())


def _mime(data: bytes) -> str:
    if data.startswith(PNG):
        return "image/png"
    if data.startswith(JPEG):
        return "image/jpeg"
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "image/webp"
    if data[4:8] == b"ftyp":
        brand = data[8:12]
        return (
            "image/heic" if brand in _HEIC_BRANDS else "video/mp4" if brand in _MP4_BRANDS else ""
        )
    return ""


def _ending(data: bytes, end: int | None) -> tuple[str, ...]:
    """What is to be said of where it ends; None: it never does."""
    if end is None or end > len(data):
        return ("truncated",)
    return ("trailing_bytes",) if end < len(data) else ()


def _png(data: bytes) -> _Seen:
    """Chunk by chunk (PNG, second edition, 5.3)."""
    if data[12:16] != b"IHDR" or len(data) < 24:
        return _NOTHING
    width, height = struct.unpack_from(">II", data, 16)
    exif, end, extra = b"", None, set[str]()
    for count, part in enumerate(_png_chunks(data)):
        if count == MAX_PARTS:
            return _Seen(width, height, exif, ("too_many_parts",))
        if part.kind == b"acTL":
            extra.add("animated")
        elif part.kind == b"eXIf":
            exif = data[part.start : min(part.end, part.start + MAX_EXIF_BYTES)]
        elif part.kind == b"IEND":
            end = part.end
    return _Seen(width, height, exif, (*extra, *_ending(data, end)))


def _png_chunks(data: bytes) -> Iterator[_Part]:
    at = len(PNG)
    while at + 8 <= len(data):
        (length,) = struct.unpack_from(">I", data, at)
        part = _Part(data[at + 4 : at + 8], at + 8, at + 12 + length)
        yield part
        if part.kind == b"IEND":
            return
        at = part.end


def _jpeg(data: bytes) -> _Seen:
    """From segment to segment up to the end of the image (ITU-T T.81, B.2)."""
    width = height = 0
    exif, end = b"", None
    for count, part in enumerate(_jpeg_segments(data)):
        if count == MAX_PARTS:
            return _Seen(width, height, exif, ("too_many_parts",))
        marker = part.kind
        assert isinstance(marker, int)
        if marker == 0xD9:
            end = part.end
        elif marker == 0xDA and not width:  # the scan, before any frame
            return _NOTHING
        elif 0xC0 <= marker <= 0xCF and marker not in {0xC4, 0xC8, 0xCC} and not width:
            if part.start + 5 > len(data):
                return _NOTHING
            height, width = struct.unpack_from(">HH", data, part.start + 1)
        elif marker == 0xE1 and data[part.start : part.start + 6] == b"Exif\0\0":
            exif = data[part.start + 6 : part.end]
    return _Seen(width, height, exif, _ending(data, end))


def _jpeg_segments(data: bytes) -> Iterator[_Part]:
    at = 2
    while (found := _MARKER.match(data, at) or _MARKER.search(data, at)) is not None:
        marker, at = data[found.end() - 1], found.end()
        if marker == 0xD9:
            yield _Part(marker, at, at)
            return
        if marker == 0x01:  # stands alone
            continue
        if at + 2 > len(data):
            return
        (length,) = struct.unpack_from(">H", data, at)
        yield _Part(marker, at + 2, at + max(length, 2))
        at += max(length, 2)  # behind a scan's header the search finds the next marker


def _webp(data: bytes) -> _Seen:
    """The first chunk tells the dimensions (RFC 9649, 2.5 to 2.7)."""
    (size,) = struct.unpack_from("<I", data, 4)
    kind, body = data[12:16], data[20:30]
    if len(body) < 10:
        return _NOTHING
    problems = _ending(data, 8 + size + size % 2)
    if kind == b"VP8 " and body[3:6] == b"\x9d\x01\x2a":
        width, height = struct.unpack_from("<HH", body, 6)
        return _Seen(width & 0x3FFF, height & 0x3FFF, b"", problems)
    if kind == b"VP8L" and body[0] == 0x2F:
        (bits,) = struct.unpack_from("<I", body, 1)
        return _Seen((bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1, b"", problems)
    if kind == b"VP8X":
        width = int.from_bytes(body[4:7], "little") + 1
        height = int.from_bytes(body[7:10], "little") + 1
        animated = ("animated",) if body[0] & 0x02 else ()
        return _Seen(width, height, b"", (*animated, *problems))
    return _NOTHING


def _exif(exif: bytes) -> tuple[int, str]:
    """Orientation, and maker and model, by the first directory (TIFF 6.0); 1 and "" if none."""
    order = {b"II": "<", b"MM": ">"}.get(exif[:2])
    if order is None or len(exif) < 8:
        return 1, ""
    (start,) = struct.unpack_from(f"{order}I", exif, 4)
    if start + 2 > len(exif):
        return 1, ""
    orientation, names = 1, dict.fromkeys((_MAKE, _MODEL), "")
    (count,) = struct.unpack_from(f"{order}H", exif, start)
    for at in range(start + 2, min(start + 2 + 12 * count, len(exif) - 11), 12):
        tag, kind, length = struct.unpack_from(f"{order}HHI", exif, at)
        (short,) = struct.unpack_from(f"{order}H", exif, at + 8)
        (there,) = struct.unpack_from(f"{order}I", exif, at + 8)
        if (tag, kind) == (_ORIENTATION, _SHORT) and 1 <= short <= 8:
            orientation = short
        elif tag in names and kind == _ASCII:
            there = there if length > 4 else at + 8
            names[tag] = _name(exif[there : there + min(length, MAX_NAME_CHARS)])
    return orientation, " ".join(filter(None, names.values()))


def _name(raw: bytes) -> str:
    """A stranger's text: what of it can be printed."""
    text = raw.partition(b"\0")[0].decode("ascii", "replace")
    return "".join(each for each in text if each.isprintable()).strip()
