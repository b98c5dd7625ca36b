"""What a picture's bytes say of it, however they lie."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.images import MAX_PARTS, Inspection, inspect
from tests.gateway.photographs import (
    animated_png,
    encoded,
    png_bomb,
    png_chunk,
    resized,
    turned_jpeg,
)

FORMATS = {".jpg": "image/jpeg", ".png": "image/png", ".webp": "image/webp"}


@pytest.mark.parametrize(("suffix", "mime"), FORMATS.items())
def test_a_picture_says_what_it_is(suffix: str, mime: str) -> None:
    picture = encoded(suffix)
    assert inspect(picture) == Inspection(mime=mime, w=640, h=480)
    assert inspect(picture).why_not_decoded == ""
    assert inspect(picture[:-20]).problems == ("truncated",)
    assert inspect(picture + b"<script>PK\3\4").problems == ("trailing_bytes",)


@pytest.mark.parametrize("order", ["<", ">"])
def test_a_picture_that_was_held_upright_may_be_announced_as_it_is_shown(order: str) -> None:
    found = inspect(turned_jpeg(6, order))
    assert (found.w, found.h, found.orientation) == (640, 480, 6)
    assert found.camera == "Acme X1"
    assert found.fits("image/jpeg", 480, 640)
    assert found.fits("image/jpeg", 640, None)
    assert not found.fits("image/jpeg", 640, 640)
    assert not inspect(encoded(".jpg")).fits("image/jpeg", 480, 640)


@pytest.mark.parametrize(
    ("picture", "why"),
    [
        (png_bomb(), "too_many_pixels"),
        (resized(encoded(".png"), 2**31 - 1, 2**31 - 1), "too_many_pixels"),
        (resized(encoded(".png"), 0, 7), "no_dimensions"),
        (animated_png(), "animated"),
        (encoded(".png")[:33] + png_chunk(b"tEXt", b"") * (MAX_PARTS + 1), "too_many_parts"),
        (encoded(".jpg")[:2] + b"\xff\xe0\x00\x02" * (MAX_PARTS + 1), "no_dimensions"),
        (b"\xff\xd8\xff\xda" + bytes(100), "no_dimensions"),
        (b"RIFF\x20\0\0\0WEBPVP8X\x0a\0\0\0\2\0\0\0\x0f\0\0\x0f\0\0", "animated"),
        (b"RIFF\x20\0\0\0WEBPVP8X\x0a\0\0\0\0\0\0\0\xff\xff\xff\xff\xff\xff", "too_many_pixels"),
        (b"GIF89a\x01\0\x01\0", "format"),
        (b"<svg/>", "format"),
        (b"", "format"),
        (b"\0\0\0\x18ftypheic" + bytes(40), "format"),
    ],
)
def test_what_must_not_be_decoded_is_known_by_its_header(picture: bytes, why: str) -> None:
    assert inspect(picture).why_not_decoded == why


def test_the_bomb_is_as_small_as_it_is_said() -> None:
    assert len(png_bomb()) < 389_000


@pytest.mark.parametrize(
    ("head", "mime"),
    [(b"heic", "image/heic"), (b"isom", "video/mp4"), (b"mp42", "video/mp4"), (b"qt  ", "")],
)
def test_containers_are_known_by_their_brand(head: bytes, mime: str) -> None:
    assert inspect(b"\0\0\0\x18ftyp" + head + bytes(8)).mime == mime


def test_a_length_that_lies_leads_nowhere() -> None:
    picture = bytearray(encoded(".png"))
    struct.pack_into(">I", picture, 33, 2**32 - 1)
    assert inspect(bytes(picture)).problems == ("truncated",)
    jpeg = bytearray(encoded(".jpg"))
    struct.pack_into(">H", jpeg, 4, 0)  # a segment that is shorter than its own length
    assert inspect(bytes(jpeg)).mime == "image/jpeg"


@given(st.sampled_from(sorted(FORMATS)), st.binary(max_size=300), st.data())
def test_arbitrary_bytes_are_looked_at_without_an_error(
    suffix: str, noise: bytes, data: st.DataObject
) -> None:
    inspect(noise)
    picture = encoded(suffix)
    at = data.draw(st.integers(0, len(picture)))
    inspect(picture[:at] + noise + picture[at + len(noise) :])
    inspect(picture[: data.draw(st.integers(0, 64))] + noise)


@given(st.sampled_from([b"MM\0*", b"II*\0"]), st.binary(max_size=200))
def test_exif_leads_nowhere_it_does_not_reach(order: bytes, noise: bytes) -> None:
    exif = b"Exif\0\0" + order + noise
    still = encoded(".jpg")
    segment = b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif
    found = inspect(still[:2] + segment + still[2:])
    assert 1 <= found.orientation <= 8
    assert found.camera.isprintable()
