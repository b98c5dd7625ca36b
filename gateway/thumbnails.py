"""Small pictures beside the large: decoded in a process that has no file, no network, few pixels.

``python -m gateway.thumbnails`` reads a picture for each frame and answers with a JPEG, or with
nothing if it cannot be decoded. It is told nothing but bytes, so that is all it could spoil.
"""

from __future__ import annotations

import importlib.util
import os

from gateway.confined import Confined, ProcessFailed, confine, serve
from gateway.images import MAX_PX, Inspection, inspect

SIDE_PX = 320
QUALITY = 80
TIME_S = 8.0
MEMORY_BYTES = 768 * 1024 * 1024
"""For the pixels of the largest picture, as stored and as shown, and a progressive one's parts."""

MAX_BYTES = 32 * 1024 * 1024
MAX_THUMBNAIL_BYTES = 256 * 1024

_ENVIRONMENT = {
    "OPENCV_IO_MAX_IMAGE_PIXELS": str(MAX_PX),
    "OPENCV_LOG_LEVEL": "SILENT",
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
}


def is_possible() -> bool:
    """Whether OpenCV is installed (the extra ``pictures``)."""
    return importlib.util.find_spec("cv2") is not None


class Thumbnailer:
    """The gateway's end."""

    def __init__(self, *, time_s: float = TIME_S) -> None:
        self.process = Confined("gateway.thumbnails", time_s=time_s, environment=_ENVIRONMENT)

    async def make(self, picture: bytes, found: Inspection, *, about: str) -> bytes:
        """A small JPEG; empty if it cannot be decoded. Raise ProcessFailed."""
        if found.why_not_decoded or len(picture) > MAX_BYTES:
            return b""
        thumbnail = await self.process.ask(picture, about=about)
        # The process has seen a stranger's bytes: what it says is looked at like theirs.
        made = inspect(thumbnail)
        is_ours = made.mime == "image/jpeg" and not made.problems
        if thumbnail and not (
            is_ours
            and max(made.w or 0, made.h or 0) <= SIDE_PX
            and len(thumbnail) <= MAX_THUMBNAIL_BYTES
        ):
            raise ProcessFailed("it answered with something else")
        return thumbnail

    async def close(self) -> None:
        """End the process."""
        await self.process.close()


# In the process --------------------------------------------------------------------------------


def main() -> None:
    """Answer until standard input ends."""
    import cv2  # noqa: PLC0415 - in this process alone
    import numpy as np  # noqa: PLC0415

    cv2.setNumThreads(0)

    def thumbnail(picture: bytes) -> bytes:
        found = inspect(picture)
        if found.why_not_decoded or found.w is None or found.h is None:
            return b""
        try:
            # It turns the picture as its EXIF says; a JPEG is decoded at a fraction of its size.
            flag = cv2.IMREAD_COLOR
            if found.mime == "image/jpeg":
                for times, reduced in (
                    (8, cv2.IMREAD_REDUCED_COLOR_8),
                    (4, cv2.IMREAD_REDUCED_COLOR_4),
                    (2, cv2.IMREAD_REDUCED_COLOR_2),
                ):
                    if max(found.w, found.h) >= times * SIDE_PX:
                        flag = reduced
                        break
            pixels = cv2.imdecode(np.frombuffer(picture, np.uint8), flag)
            if pixels is None:
                return b""
            height, width = pixels.shape[:2]
            scale = min(1.0, SIDE_PX / max(width, height))
            size = max(1, round(width * scale)), max(1, round(height * scale))
            small = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
            is_made, encoded = cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
        except (cv2.error, MemoryError):
            return b""
        return bytes(encoded) if is_made else b""

    with open(os.devnull, "wb") as nothing:
        os.dup2(nothing.fileno(), 2)  # what a decoder says of a picture is a stranger's text
    cv2.imdecode(np.frombuffer(b"\xff\xd8\xff\xd9", np.uint8), cv2.IMREAD_COLOR)
    # The two pipes and the nothing are all that is open: it opens no file and no connection.
    confine(memory_bytes=MEMORY_BYTES, files=3, file_bytes=0)
    serve(thumbnail)


if __name__ == "__main__":
    main()
