"""Is a picture the same after its way in chunks, and every damage noticed?"""

from __future__ import annotations

import hashlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.errors import MediaInvalid
from protocols.model import MAX_CHUNK_BYTES, MediaChunk
from protocols.native import codec
from protocols.native.media import check_chunk, cut, join, picture_id

PICTURE = b"\xff\xd8\xff" + bytes(range(256)) * 80  # three chunks


def chunks_of(picture: bytes, **options: Any) -> list[MediaChunk]:
    """The picture's chunks as they arrive, over the wire."""
    keys = cut(
        picture,
        "image/jpeg",
        taken=1763780400000,
        width_px=640,
        height_px=480,
        reason="alarm",
        **options,
    )
    sent = [MediaChunk(boot=1, seq=seq, t=0, **chunk) for seq, chunk in enumerate(keys, 1)]
    return [codec.decode(codec.encode(chunk), MediaChunk) for chunk in sent]


def join_all(chunks: list[MediaChunk]) -> bytes:
    head = chunks[0]
    return join(head.id, head.size, head.of, {chunk.n: chunk.data for chunk in chunks})


@given(st.binary(min_size=1, max_size=300), st.integers(1, 64), st.randoms())
def test_a_picture_survives_any_order_and_repetition(
    picture: bytes, chunk_bytes: int, random: Any
) -> None:
    chunks = chunks_of(picture, chunk_bytes=chunk_bytes)
    for chunk in chunks:
        check_chunk(chunk)
    arrived = chunks + chunks[: len(chunks) // 2]
    random.shuffle(arrived)
    assert join_all(arrived) == picture


def test_chunks_are_cut_as_the_contract_says() -> None:
    chunks = chunks_of(PICTURE, ref="command-5")
    assert [len(chunk.data) for chunk in chunks] == [8192, 8192, len(PICTURE) - 16384]
    assert {(chunk.id, chunk.size, chunk.of) for chunk in chunks} == {
        (hashlib.sha256(PICTURE).hexdigest(), len(PICTURE), 3)
    }
    first, *others = chunks
    assert (first.taken, first.w, first.h) == (1763780400000, 640, 480)
    assert (first.reason, first.ref) == ("alarm", "command-5")
    assert {(chunk.taken, chunk.w, chunk.reason, chunk.ref) for chunk in others} == {(None,) * 4}


def test_a_picture_of_exactly_one_chunk_is_one_chunk() -> None:
    assert len(chunks_of(bytes(MAX_CHUNK_BYTES))) == 1
    assert len(chunks_of(bytes(MAX_CHUNK_BYTES + 1))) == 2


def test_missing_chunks_are_named() -> None:
    parts = {chunk.n: chunk.data for chunk in chunks_of(PICTURE)}
    del parts[1]
    with pytest.raises(MediaInvalid, match=r"chunks missing: \[1\]"):
        join(picture_id(PICTURE), len(PICTURE), 3, parts)


def test_one_changed_bit_is_noticed() -> None:
    parts = {chunk.n: chunk.data for chunk in chunks_of(PICTURE)}
    parts[1] = bytes([parts[1][0] ^ 1]) + parts[1][1:]
    with pytest.raises(MediaInvalid, match=r"^id: the bytes have the SHA-256 "):
        join(picture_id(PICTURE), len(PICTURE), 3, parts)


def test_exchanged_chunks_are_noticed() -> None:
    parts = {chunk.n: chunk.data for chunk in chunks_of(PICTURE)}
    parts[0], parts[1] = parts[1], parts[0]
    with pytest.raises(MediaInvalid, match=r"^id: "):
        join(picture_id(PICTURE), len(PICTURE), 3, parts)


def test_a_short_chunk_is_noticed() -> None:
    parts = {chunk.n: chunk.data for chunk in chunks_of(PICTURE)}
    parts[2] = parts[2][:-1]
    with pytest.raises(MediaInvalid, match=r"^size: 20483 bytes announced, 20482 received"):
        join(picture_id(PICTURE), len(PICTURE), 3, parts)


def chunk(**keys: Any) -> MediaChunk:
    whole: dict[str, Any] = {"id": "a" * 64, "mime": "image/jpeg", "size": 9, "n": 0, "of": 1}
    return MediaChunk(boot=1, seq=1, t=0, **{**whole, "data": b"x", **keys})


@pytest.mark.parametrize(
    ("keys", "problem"),
    [
        ({"n": 1, "of": 1}, "n: 1 is not below of: 1"),
        ({"size": 8193, "of": 1}, "size: 8193 bytes do not make of: 1 chunks"),
        ({"size": 2, "of": 3}, "size: 2 bytes do not make of: 3 chunks"),
    ],
)
def test_a_chunk_that_contradicts_itself_is_refused(keys: dict[str, Any], problem: str) -> None:
    with pytest.raises(MediaInvalid) as caught:
        check_chunk(chunk(**keys))
    assert str(caught.value) == problem


def test_what_chunk_0_tells_is_optional() -> None:
    check_chunk(chunk(n=0, taken=None))
