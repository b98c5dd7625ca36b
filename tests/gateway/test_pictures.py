"""Pictures from their chunks: whole and checked, in a process that a picture may kill."""

from __future__ import annotations

import asyncio
import os
import resource
import signal
import sqlite3
import struct
import zlib
from pathlib import Path

import psutil
import pytest

from gateway.images import Image, inspect
from protocols.native import media
from tests.gateway.house import NOW
from tests.gateway.studio import studio


def png(width: int, height: int) -> bytes:
    """A PNG of that size, as far as its header."""
    header = struct.pack(">4sIIBBBBB", b"IHDR", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n\0\0\0\r" + header + struct.pack(">I", zlib.crc32(header))


def jpeg(width: int, height: int) -> bytes:
    """A JPEG of that size, as far as its frame header, behind an application segment."""
    frame = struct.pack(">BBHBHHB", 0xFF, 0xC0, 8, 8, height, width, 0)
    return b"\xff\xd8\xff\xe0\x00\x04ab\xff" + frame + b"\xff\xda"


async def test_chunks_make_a_picture(tmp_path: Path) -> None:
    picture = png(64, 48) + bytes(range(256)) * 100
    async with studio(tmp_path) as room:
        picture_id = await room.send(picture, ref="x")
        (event,) = await room.fed(1)
        assert (event.data["complete"], event.flags, event.data["ref"]) == (True, (), "x")
        original = await room.darkroom.gallery.original(picture_id)
        assert await room.darkroom.gallery.read(original) == picture


async def test_chunks_that_lie_make_no_picture_and_spoil_none(tmp_path: Path) -> None:
    (chunk,) = media.cut(png(1, 1), "image/png", taken=NOW, width_px=1, height_px=1, reason="live")
    async with studio(tmp_path) as room:
        await room.send_chunk(chunk | {"data": b"!" * len(png(1, 1))})
        (lie,) = await room.fed(1)
        assert (lie.data["complete"], lie.flags) == (False, ("hash_mismatch",))
        await room.send_chunk(chunk, device="box-1")
        await room.fed(2)
        await room.send_chunk(chunk)
        assert [e.data["complete"] for e in await room.fed(3)] == [False, True, True]
        original = await room.darkroom.gallery.original(chunk["id"])
        assert await room.darkroom.gallery.read(original) == png(1, 1)


@pytest.mark.parametrize(
    ("picture", "mime"),
    [
        (jpeg(64, 48), "image/png"),
        (png(64, 47), "image/png"),
        (png(64, 48), "image/jpeg"),
    ],
)
async def test_a_picture_that_is_not_what_it_says_is_kept_and_flagged(
    tmp_path: Path, picture: bytes, mime: str
) -> None:
    async with studio(tmp_path) as room:
        await room.send(picture, mime)
        (event,) = await room.fed(1)
        assert (event.data["complete"], event.flags) == (True, ("picture_differs",))


async def test_a_picture_that_a_crash_interrupted_is_fed_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def crash(*_: object) -> None:
        raise sqlite3.OperationalError("the process ends here")

    picture = png(64, 48)
    async with studio(tmp_path, works=False) as room:
        await room.send(picture)
    async with studio(tmp_path) as room:
        monkeypatch.setattr(room.store, "end", crash)
        await room.fed(1)
        assert room.store.unfinished() == [("car-1", media.picture_id(picture))]
    async with studio(tmp_path) as room:
        async with asyncio.timeout(30):
            while room.store.unfinished():
                await asyncio.sleep(0.01)
        assert len(await room.gw.events("media")) == 1


async def test_a_process_that_is_killed_is_started_again(tmp_path: Path) -> None:
    async with studio(tmp_path) as room:
        await room.send(png(64, 48))
        await room.fed(1)
        os.kill(await room.running(), signal.SIGKILL)
        await room.send(png(64, 48) + b"another")
        assert [e.data["complete"] for e in await room.fed(2)] == [True, True]
        assert room.darkroom.assembler.process.deaths == 1


@pytest.mark.slow
async def test_a_picture_that_the_process_hangs_on_is_set_aside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with studio(tmp_path) as room:
        await room.send(png(64, 48))
        await room.fed(1)
        start = room.darkroom.assembler.process.start

        async def hung() -> asyncio.subprocess.Process:
            process = await start()
            process.send_signal(signal.SIGSTOP)
            return process

        with monkeypatch.context() as patch:
            patch.setattr(room.darkroom.assembler.process, "start", hung)
            patch.setattr(room.darkroom.assembler.process, "time_s", 0.5)
            os.kill(await room.running(), signal.SIGSTOP)
            picture_id = await room.send(png(64, 48) + b"bad")
            await room.gw.alarm(seq=1)  # nothing of it waits
            assert len(await room.gw.events("alarm.raised")) == 1
            event = (await room.fed(2))[1]
        assert (event.data["complete"], event.flags) == (False, ("set_aside",))
        await room.send(png(64, 48) + b"good")
        assert (await room.fed(3))[2].data["complete"]
        assert room.store.picture("car-1", picture_id).state == "aside"


@pytest.mark.slow
async def test_a_process_out_of_memory_dies_alone(tmp_path: Path) -> None:
    async with studio(tmp_path) as room:
        await room.send(png(64, 48))
        await room.fed(1)
        pid = await room.running()
        used = psutil.Process(pid).memory_info().vms
        resource.prlimit(pid, resource.RLIMIT_AS, (used + 1024, used + 1024))
        picture = png(64, 48) + bytes(8 * 1024 * 1024)
        await room.send(picture)
        assert (await room.fed(2))[1].data["complete"], "the next process has room for it"
        assert room.darkroom.assembler.process.deaths == 1


async def test_the_process_ends_with_the_gateway(tmp_path: Path) -> None:
    async with studio(tmp_path) as room:
        await room.send(png(64, 48))
        await room.fed(1)
        process = psutil.Process(await room.running())
    assert not process.is_running()


@pytest.mark.parametrize(
    ("data", "image"),
    [
        (png(640, 480), Image("image/png", 640, 480)),
        (jpeg(640, 480), Image("image/jpeg", 640, 480)),
        (jpeg(640, 480).replace(b"\xff\xc0", b"\xff\xff\xc2"), Image("image/jpeg", 640, 480)),
        (png(640, 480)[:20], None),
        (jpeg(640, 480)[:14], None),
        (b"\xff\xd8\xff\xda", None),
        (b"GIF89a", None),
        (b"", None),
    ],
)
def test_what_a_header_says(data: bytes, image: Image | None) -> None:
    assert inspect(data).image == image
