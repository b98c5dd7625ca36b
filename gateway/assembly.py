"""The process that makes pictures whole, and the gateway's end of it.

What strangers sent is joined, hashed and read in a process of its own, which a picture may kill by
its size or keep busy for ever without an alarm noticing. It only reads the database and writes the
picture's file: it holds no lock that the gateway waits for.

``python -m gateway.assembly FOLDER`` reads a frame for each picture, ``["DEVICE", "ID"]``, and
answers each with a Made.
"""

from __future__ import annotations

import sys
from pathlib import Path

import msgspec
from msgspec import Struct

from gateway.confined import Confined, confine, serve
from gateway.images import Inspection, inspect
from gateway.journal.pictures import Picture, PictureReader
from protocols.errors import MediaInvalid

MEMORY_BYTES = 448 * 1024 * 1024
"""Beside what it starts with: a picture of the largest size, 64 MiB, is in it about three times."""

FILES = 32
FILE_BYTES = 80 * 1024 * 1024
TIME_S = 10.0


class Made(Struct, frozen=True):
    """What became of a picture: complete or corrupt. ``problem``: why it could not be tried.

    ``found``: what its bytes are.
    """

    state: str
    found: Inspection = Inspection()
    problem: str = ""


class Assembler:
    """The gateway's end."""

    def __init__(self, folder: Path, *, time_s: float = TIME_S) -> None:
        self.process = Confined("gateway.assembly", str(folder), time_s=time_s)

    async def make(self, device: str, picture_id: str) -> Made:
        """Have the picture made, once all of its chunks are here; raise ProcessFailed."""
        request = msgspec.json.encode((device, picture_id))
        answer = await self.process.ask(request, about=picture_id)
        return msgspec.json.decode(answer, type=Made)

    async def close(self) -> None:
        """End the process."""
        await self.process.close()


# In the process --------------------------------------------------------------------------------


def make(store: PictureReader, picture: Picture) -> Made:
    """Join the chunks, check the whole, write its file."""
    try:
        whole = store.join(picture)
    except MediaInvalid:
        return Made("corrupt")
    store.write(picture, whole)
    return Made("complete", inspect(whole))


def main() -> None:
    """Answer until standard input ends."""
    with PictureReader(Path(sys.argv[1])) as store:

        def answer(request: bytes) -> bytes:
            device, picture_id = msgspec.json.decode(request, type=tuple[str, str])
            try:
                made = make(store, store.picture(device, picture_id))
            except OSError as error:
                made = Made("partial", problem=str(error.strerror))
            return msgspec.json.encode(made)

        confine(memory_bytes=MEMORY_BYTES, files=FILES, file_bytes=FILE_BYTES)
        serve(answer)


if __name__ == "__main__":
    main()
