"""A disk whose power can be cut: ext4 in a file, shut down by the kernel without its log.

Needs root and a mount namespace of its own: the mount and its loop device end with it.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import shutil
import sqlite3
import struct
import subprocess
import tempfile
from pathlib import Path

import psutil

from tests.faults.parts import PartFailed, until

EXT4_IOC_SHUTDOWN = 0x8004587D
NO_LOG_FLUSH = 2  # what was not synced is gone, as in a power cut
SIZE_MIB = 256
UNMOUNT_WITHIN_S = 15.0


class Disk:
    """Made and mounted on entering; ``folder`` is where. ``options`` of mount(8)."""

    def __init__(self, folder: Path, *, options: str = "") -> None:
        self.folder = folder
        self._image = folder.with_suffix(".img")
        self._options = ["-o", f"loop,{options}" if options else "loop"]

    async def __aenter__(self) -> Disk:
        self.folder.mkdir(parents=True)
        with self._image.open("wb") as image:
            image.truncate(SIZE_MIB << 20)
        await _run("mkfs.ext4", "-q", "-F", str(self._image))
        await self.mount()
        return self

    async def __aexit__(self, *_: object) -> None:
        await asyncio.to_thread(self._kill_users)
        await _run("umount", "--lazy", str(self.folder), check=False)

    async def mount(self) -> None:
        """Mount it; ext4 replays its log."""
        await _run("mount", *self._options, str(self._image), str(self.folder))

    def cut(self) -> None:
        """Cut the power: nothing reaches the disk from now on. Its users get EIO."""
        fd = os.open(self.folder, os.O_RDONLY)
        try:
            fcntl.ioctl(fd, EXT4_IOC_SHUTDOWN, struct.pack("I", NO_LOG_FLUSH))
        finally:
            os.close(fd)

    async def make_read_only(self) -> None:
        """As ext4 does it by itself when its own log cannot be written, files open or not."""
        await _run("mount", "-o", "remount,abort", str(self.folder))

    async def come_back(self) -> None:
        """Kill whoever still has it open, and mount it again as after a power cut."""
        await asyncio.to_thread(self._kill_users)

        async def unmounted() -> bool:
            return await _run("umount", str(self.folder), check=False) == 0

        if not await until(unmounted, UNMOUNT_WITHIN_S):
            raise PartFailed(f"{self.folder} is still in use")
        await self.mount()

    def databases(self) -> list[Path]:
        """Every SQLite database on it, by its first bytes."""
        return [path for path in sorted(self.folder.rglob("*")) if _is_database(path)]

    async def damaged(self) -> list[str]:
        """What `PRAGMA integrity_check` has to say of each database. Looks at copies."""
        return await asyncio.to_thread(self._damaged)

    def _damaged(self) -> list[str]:
        found = []
        with tempfile.TemporaryDirectory() as copies:
            for path in self.databases():
                for each in path.parent.glob(f"{path.name}*"):
                    shutil.copy(each, copies)
                try:
                    with contextlib.closing(sqlite3.connect(Path(copies) / path.name)) as db:
                        said = [row[0] for row in db.execute("PRAGMA integrity_check")]
                except sqlite3.DatabaseError as error:
                    said = [str(error)]
                if said != ["ok"]:
                    found.append(f"{path.name}: {said[0]}")
        return found

    def _kill_users(self) -> None:
        """Kill the processes of ours that have a file of it open, or work in it."""
        for process in psutil.Process().children(recursive=True):
            with contextlib.suppress(psutil.Error):
                opened = [file.path for file in process.open_files()]
                if any(path.startswith(f"{self.folder}/") for path in opened):
                    process.kill()


def _is_database(path: Path) -> bool:
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(16) == b"SQLite format 3\0"


async def _run(*command: str, check: bool = True) -> int:
    process = await asyncio.create_subprocess_exec(
        *command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    _, errors = await process.communicate()
    if check and process.returncode != 0:
        raise PartFailed(f"{' '.join(command)}: {errors.decode().strip()}")
    return process.returncode or 0
