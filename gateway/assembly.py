"""The process that makes pictures whole, and the gateway's end of it.

What strangers sent is joined, hashed and read in a process of its own, which a picture may kill by
its size or keep busy for ever without an alarm noticing. It only reads the database and writes the
picture's file: it holds no lock that the gateway waits for.

``python -m gateway.assembly FOLDER`` reads a line for each picture from standard input,
``["DEVICE", "ID"]``, and answers each with a line, a Made.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
import sys
from pathlib import Path

import msgspec
import structlog
from msgspec import Struct

from gateway.images import MIMES, read_header
from gateway.journal.pictures import Picture, PictureReader
from protocols.errors import MediaInvalid

log = structlog.get_logger()

MEMORY_BYTES = 512 * 1024 * 1024
"""Address space: a picture of the largest size, 64 MiB, is in it about three times."""

TIME_S = 10.0
RESTART_FIRST_S, RESTART_MAX_S = 0.1, 10.0


class Made(Struct, frozen=True):
    """What became of a picture: complete or corrupt. ``problem``: why it could not be tried.

    ``differs``: its bytes are not of the type or the dimensions that were announced.
    """

    state: str
    differs: bool = False
    problem: str = ""


class AssemblyFailed(Exception):
    """The process died of a picture, or did not answer in time."""


class Assembler:
    """The gateway's end. ``close`` ends the process; it is started when it is needed."""

    def __init__(self, folder: Path, *, time_s: float = TIME_S) -> None:
        self._folder = folder
        self._time_s = time_s
        self._process: asyncio.subprocess.Process | None = None
        self._restart_s = RESTART_FIRST_S
        self.deaths = 0

    @property
    def pid(self) -> int | None:
        """The process that runs now."""
        return self._process.pid if self._process is not None else None

    async def make(self, device: str, picture_id: str) -> Made:
        """Have the picture made, once all of its chunks are here; raise AssemblyFailed."""
        if self._process is None:
            self._process = await self._start()
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        why = "it did not answer in time"
        answer = b""
        with contextlib.suppress(TimeoutError, ConnectionError):
            async with asyncio.timeout(self._time_s):
                self._process.stdin.write(msgspec.json.encode((device, picture_id)) + b"\n")
                await self._process.stdin.drain()
                answer = await self._process.stdout.readline()
                why = "it died"
        if answer:
            self._restart_s = RESTART_FIRST_S
            return msgspec.json.decode(answer, type=Made)
        await self.close()
        self.deaths += 1
        log.error("picture_process_failed", why=why, device=device, picture=picture_id)
        await asyncio.sleep(self._restart_s)
        self._restart_s = min(2 * self._restart_s, RESTART_MAX_S)
        raise AssemblyFailed(why)

    async def close(self) -> None:
        """Kill it: it holds nothing that a kill could harm."""
        process, self._process = self._process, None
        if process is not None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()

    async def _start(self) -> asyncio.subprocess.Process:
        # --pdeathsig: it ends with us, however we end.
        return await asyncio.create_subprocess_exec(
            *("setpriv", "--pdeathsig", "KILL", sys.executable, "-m", "gateway.assembly"),
            str(self._folder),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            start_new_session=True,
        )


def make(store: PictureReader, picture: Picture) -> Made:
    """Join the chunks, check the whole, write its file."""
    try:
        whole = store.join(picture)
    except MediaInvalid:
        return Made("corrupt")
    store.write(picture, whole)
    return Made("complete", differs=_differs(picture, whole))


def _differs(picture: Picture, whole: bytes) -> bool:
    if picture.mime not in MIMES:
        return False
    image = read_header(whole)
    if image is None or image.mime != picture.mime:
        return True
    announced = picture.about.get("w"), picture.about.get("h")
    return any(said not in {None, is_} for said, is_ in zip(announced, image[1:], strict=True))


def main() -> None:
    """Answer until standard input ends."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    os.nice(10)  # alarms first
    with PictureReader(Path(sys.argv[1])) as store:
        for line in sys.stdin.buffer:
            device, picture_id = msgspec.json.decode(line, type=tuple[str, str])
            try:
                made = make(store, store.picture(device, picture_id))
            except OSError as error:
                made = Made("partial", problem=str(error.strerror))
            sys.stdout.buffer.write(msgspec.json.encode(made) + b"\n")
            sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
