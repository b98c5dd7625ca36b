"""Pictures that no camera has made, through the front door: each is kept as it came, or refused."""

from __future__ import annotations

import hashlib
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.gateway.photographs import animated_png, encoded, png_bomb, resized
from tests.gateway.studio import studio

SUFFIXES = [".jpg", ".png", ".webp"]


@st.composite
def mutants(draw: st.DrawFn) -> bytes:
    """A real picture with bytes changed, cut out, or put in."""
    picture = bytearray(encoded(draw(st.sampled_from(SUFFIXES))))
    for _ in range(draw(st.integers(1, 6))):
        at = draw(st.integers(0, len(picture)))
        cut = draw(st.integers(0, 40))
        picture[at : at + cut] = draw(st.binary(max_size=40))
    return bytes(picture) or b"\0"


liars = st.builds(
    resized, st.just(encoded(".png")), st.integers(0, 2**31 - 1), st.integers(0, 2**31 - 1)
)
parts = st.lists(st.sampled_from([encoded(each) for each in SUFFIXES]), min_size=2, max_size=3)
pictures = st.one_of(
    st.binary(min_size=1, max_size=500), mutants(), liars, parts.map(b"".join),
    st.sampled_from([png_bomb(2000, 20_000), animated_png()]),
)  # fmt: skip


@pytest.mark.slow
@settings(max_examples=6, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(pictures, min_size=1, max_size=12, unique=True))
async def test_whatever_is_sent_is_kept_bit_by_bit_and_delays_nothing(sent: list[bytes]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        async with studio(Path(folder)) as room:
            for each in sent:
                await room.send(each, "image/jpeg", w=640, h=480)
            events = await room.fed(len(sent))
            assert all(event.data["complete"] for event in events)
            assert room.darkroom.assembler.process.deaths == 0
            for each in sent:
                name = hashlib.sha256(each).hexdigest()
                await room.thumbnail_tried(name)
                async with room.request("GET", f"/api/v1/media/{name}") as response:
                    assert await response.read() == each
            good = await room.send(encoded(".jpg", 320, 240, 77), "image/jpeg", w=320, h=240)
            assert (await room.thumbnail_tried(good))["thumbnail"]
