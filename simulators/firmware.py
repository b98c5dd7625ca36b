"""The alarm box's firmware as a process: MicroPython's Unix port, pressed by lines on stdin."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, Self

SOURCES = Path(__file__).parents[1] / "firmware_stubs" / "alarm_box"
HEAP_KB = 128
HEAP_TLS_KB = 256
_NOT_FOR_UNIX = ("hal_esp32.py", "manifest.py")
_START_TIMEOUT_S = 20.0


class FirmwareMissing(Exception):
    """MicroPython or its compiler is not installed, or the firmware does not compile."""


def build(folder: Path) -> Path:
    """The firmware compiled under that folder, as it is for a board; a path for MicroPython."""
    sources = sorted(path for path in SOURCES.glob("*.py") if path.name not in _NOT_FOR_UNIX)
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()[:16]
    place = folder / f"firmware-{digest}"
    package = place / SOURCES.name
    if package.exists():
        return place
    folder.mkdir(parents=True, exist_ok=True)
    making = Path(tempfile.mkdtemp(prefix=f"firmware-{digest}.", dir=folder)) / SOURCES.name
    making.mkdir()
    for path in sources:
        command = [_program("mpy-cross"), "-O3", "-s", path.name, str(path)]
        target = making / path.with_suffix(".mpy").name
        done = subprocess.run(
            [*command, "-o", str(target)], capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise FirmwareMissing(f"{path.name}: {done.stderr or done.stdout}")
    try:
        making.parent.rename(place)
    except OSError:  # somebody else has made it meanwhile
        shutil.rmtree(making.parent)
    return place


def command(folder: Path, *, heap_kb: int = HEAP_KB, sectors: int = 16) -> list[str]:
    """How to run a box on that folder; where the firmware is, MICROPYPATH says."""
    micropython = _program("micropython")
    return [micropython, "-X", f"heapsize={heap_kb}k", "-m", "alarm_box", str(folder), str(sectors)]


def available() -> bool:
    """Whether MicroPython and its compiler are installed: there are none for every machine."""
    try:
        _program("micropython")
        _program("mpy-cross")
    except FirmwareMissing:
        return False
    return True


def _program(name: str) -> str:
    beside = Path(sys.executable).with_name(name)
    found = str(beside) if beside.exists() else shutil.which(name)
    if found is None:
        raise FirmwareMissing(f"{name} is not installed: pip install 'fieldgate[sim]'")
    return found


class FirmwareBox:
    """One box: its process, what it shows, and all that it has told. ``async with`` runs it.

    Killed and started again it has the same folder, which is its flash.
    """

    def __init__(
        self,
        folder: Path,
        built: Path,
        *,
        heap_kb: int = HEAP_KB,
        sectors: int = 16,
        on_line: Callable[[dict[str, Any]], None] = lambda line: None,
    ) -> None:
        self.folder = folder
        self.lines: list[dict[str, Any]] = []
        self.light = "dark"
        self._command = command(folder, heap_kb=heap_kb, sectors=sectors)
        self._env = {**os.environ, "MICROPYPATH": f"{built}:.frozen"}
        self._on_line = on_line
        self._said = asyncio.Condition()
        self._process: asyncio.subprocess.Process | None = None
        self._reader: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.kill()

    def provision(self, **settings: Any) -> None:
        """Write what a box is set up with."""
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / "box.json"
        path.touch(mode=0o600)
        path.write_text(json.dumps(settings))

    @property
    def pid(self) -> int:
        """Its process id."""
        assert self._process is not None
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether its process has not ended."""
        return self._process is not None and self._process.returncode is None

    async def start(self) -> None:
        """Start it; it may not be connected yet."""
        self._process = await asyncio.create_subprocess_exec(
            *self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=self._env
        )
        self._reader = asyncio.create_task(self._read(self._process), name="box")

    async def kill(self) -> None:
        """Cut its power."""
        process, self._process = self._process, None
        if process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
        assert self._reader is not None
        await self._reader
        if process.stdin is not None:
            process.stdin.close()
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                await process.stdin.wait_closed()

    async def press(self, contact: str = "press") -> None:
        """Press and let go, both long enough to count."""
        since = len(self.lines)
        self.do(f"{contact} 60")
        await self.told("let_go", since)

    def do(self, line: str) -> None:
        """Close a contact, break a part: see hal_unix.py."""
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.write(line.encode() + b"\n")

    async def told(
        self, what: str, since: int = 0, within_s: float = _START_TIMEOUT_S, **keys: Any
    ) -> dict[str, Any]:
        """The first line after so many that says this, once it does."""
        async with self._patience(within_s), self._said:
            at = since
            while True:
                for line in self.lines[at:]:
                    if line["what"] == what and keys.items() <= line.items():
                        return line
                at = len(self.lines)
                await self._said.wait()

    async def shows(self, look: str, within_s: float = _START_TIMEOUT_S) -> None:
        """Return when that is what it shows."""
        async with self._patience(within_s), self._said:
            await self._said.wait_for(lambda: self.light == look)

    @contextlib.asynccontextmanager
    async def _patience(self, seconds: float) -> AsyncIterator[None]:
        """So long, and then what it has told last."""
        try:
            async with asyncio.timeout(seconds):
                yield
        except TimeoutError:
            raise TimeoutError(f"shows {self.light}, told last: {self.lines[-8:]}") from None

    async def report(self) -> dict[str, Any]:
        """What it knows of itself."""
        since = len(self.lines)
        self.do("report")
        return await self.told("report", since)

    def looks(self, since: int = 0) -> list[str]:
        """All that it has shown, one after the other."""
        return [line["look"] for line in self.lines[since:] if line["what"] == "light"]

    def tunes(self, since: int = 0) -> list[str]:
        """All that it has played."""
        return [line["tune"] for line in self.lines[since:] if line["what"] == "sound"]

    async def _read(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None
        async for text in process.stdout:
            line = _parsed(text)
            async with self._said:
                self.lines.append(line)
                if line["what"] == "light":
                    self.light = line["look"]
                self._on_line(line)
                self._said.notify_all()
        async with self._said:
            self.light = "dark"
            self._said.notify_all()


def _parsed(text: bytes) -> dict[str, Any]:
    try:
        line: dict[str, Any] = json.loads(text)
    except ValueError:  # a traceback of MicroPython's own
        return {"what": "noise", "text": text.decode(errors="replace").rstrip()}
    return line


@contextlib.asynccontextmanager
async def running(box: FirmwareBox, **settings: Any) -> AsyncIterator[FirmwareBox]:
    """A box that is set up so, until the end of the block."""
    box.provision(**settings)
    async with box:
        yield box
