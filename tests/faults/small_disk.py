"""A small file system in memory: how is it filled, and how does it become free again?"""

from __future__ import annotations

import asyncio
import os
import subprocess
from pathlib import Path

MIB = 1 << 20


class SmallDisk:
    """tmpfs of so many bytes and files, mounted on entering. Needs root and a mount namespace."""

    def __init__(self, folder: Path, *, size_mib: int, files: int = 0) -> None:
        self.folder = folder
        self._ballast = folder / "ballast"
        self._options = f"size={size_mib}m" + (f",nr_inodes={files}" if files else "")

    async def __aenter__(self) -> SmallDisk:
        self.folder.mkdir(parents=True)
        await _run("mount", "-t", "tmpfs", "-o", self._options, "tmpfs", str(self.folder))
        self._ballast.mkdir()
        return self

    async def __aexit__(self, *_: object) -> None:
        await _run("umount", "--lazy", str(self.folder))

    @property
    def free_bytes(self) -> int:
        """Room that is left."""
        seen = os.statvfs(self.folder)
        return seen.f_bavail * seen.f_frsize

    def fill(self, *, leave_bytes: int = 0) -> None:
        """Take all room but so much."""
        with (self._ballast / f"bytes-{len(os.listdir(self._ballast))}").open("wb") as file:
            size = 0
            while (more := min(MIB, self.free_bytes - leave_bytes)) >= 4096:
                try:
                    os.posix_fallocate(file.fileno(), size, more)
                except OSError:  # somebody was quicker
                    return
                size += more

    def use_up_files(self) -> None:
        """Make files until there are no more to be had."""
        number = 0
        while True:
            try:
                (self._ballast / f"file-{number}").touch()
            except OSError:
                return
            number += 1

    def free(self) -> None:
        """Give back all that was taken."""
        for path in self._ballast.iterdir():
            path.unlink()


async def _run(*command: str) -> None:
    process = await asyncio.create_subprocess_exec(*command, stderr=subprocess.PIPE)
    _, errors = await process.communicate()
    if process.returncode != 0:
        raise OSError(f"{' '.join(command)}: {errors.decode().strip()}")
