"""A process that works on what strangers sent: started when needed, bounded, killed when late.

What it is asked and what it answers are frames: four bytes of length, then so many bytes.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import os
import resource
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import structlog

log = structlog.get_logger()

RESTART_FIRST_S, RESTART_MAX_S = 0.1, 10.0
LENGTH_BYTES = 4
MAX_ANSWER_BYTES = 1 << 20
CPU_S = 30
"""Processor time for one request. Who is late is killed by the wall clock long before."""

_PIECE_BYTES = 64 * 1024


class ProcessFailed(Exception):
    """The process died of what it was asked, or did not answer in time."""


class Confined:
    """The gateway's end. ``close`` ends the process; it is started when it is needed.

    It gets no setting of ours by its environment, no new privilege, and ends with us.
    """

    def __init__(
        self,
        module: str,
        *arguments: str,
        time_s: float,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self._module = module
        self._arguments = arguments
        self.time_s = time_s
        self._environment = environment or {}
        self._process: asyncio.subprocess.Process | None = None
        self._restart_s = RESTART_FIRST_S
        self.deaths = 0

    @property
    def pid(self) -> int | None:
        """The process that runs now."""
        return self._process.pid if self._process is not None else None

    async def ask(self, *pieces: bytes, about: str) -> bytes:
        """Its answer to the frame that the pieces make; raise ProcessFailed."""
        why, answer = "it did not answer in time", None
        with contextlib.suppress(TimeoutError, ConnectionError):
            async with asyncio.timeout(self.time_s):
                if self._process is None:
                    self._process = await self.start()
                answer = await _exchange(self._process, pieces)
                why = "it died"
        if answer is not None:
            self._restart_s = RESTART_FIRST_S
            return answer
        await self.close()
        self.deaths += 1
        log.error("picture_process_failed", module=self._module, why=why, picture=about)
        await asyncio.sleep(self._restart_s)
        self._restart_s = min(2 * self._restart_s, RESTART_MAX_S)
        raise ProcessFailed(why)

    async def close(self) -> None:
        """Kill it: it holds nothing that a kill could harm."""
        process, self._process = self._process, None
        if process is not None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()

    async def start(self) -> asyncio.subprocess.Process:
        """Start the process."""
        ours = {k: v for k, v in os.environ.items() if not k.startswith("FIELDGATE_")}
        return await asyncio.create_subprocess_exec(
            *("setpriv", "--pdeathsig", "KILL", "--no-new-privs"),
            *(sys.executable, "-m", self._module, *self._arguments),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            start_new_session=True,
            env={**ours, **self._environment},
        )


async def _exchange(process: asyncio.subprocess.Process, pieces: tuple[bytes, ...]) -> bytes | None:
    """A frame there and a frame back; None if there is none."""
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(sum(map(len, pieces)).to_bytes(LENGTH_BYTES, "big"))
    for piece in pieces:
        for at in range(0, len(piece), _PIECE_BYTES):
            process.stdin.write(piece[at : at + _PIECE_BYTES])
            await process.stdin.drain()
    try:
        length = int.from_bytes(await process.stdout.readexactly(LENGTH_BYTES), "big")
        return await process.stdout.readexactly(length) if length <= MAX_ANSWER_BYTES else None
    except asyncio.IncompleteReadError:
        return None


# In the process --------------------------------------------------------------------------------


def confine(*, memory_bytes: int, files: int, file_bytes: int) -> None:
    """Give up what is not needed from here on: memory, files, processes, core dumps.

    ``memory_bytes`` is what may be added to what is in use. A limit of ``files`` that are all
    open already leaves no way to a file or to the network.
    """
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    os.nice(10)  # alarms first
    with contextlib.suppress(OSError):  # where there is no /proc to write: it is ended later
        Path("/proc/self/oom_score_adj").write_text("500")
    for what, wanted in (
        (resource.RLIMIT_AS, used + memory_bytes),
        (resource.RLIMIT_FSIZE, file_bytes),
        (resource.RLIMIT_NPROC, 0),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_NOFILE, files),
    ):
        _, hard = resource.getrlimit(what)
        limit = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(what, (limit, limit))


def serve(work: Callable[[bytes], bytes]) -> None:
    """Answer each frame of standard input on standard output, until the input ends."""
    source, sink = sys.stdin.buffer, sys.stdout.buffer
    while len(head := source.read(LENGTH_BYTES)) == LENGTH_BYTES:
        used_s = sum(resource.getrusage(resource.RUSAGE_SELF)[:2])
        _, hard = resource.getrlimit(resource.RLIMIT_CPU)
        resource.setrlimit(resource.RLIMIT_CPU, (math.ceil(used_s) + CPU_S, hard))
        answer = work(source.read(int.from_bytes(head, "big")))
        sink.write(len(answer).to_bytes(LENGTH_BYTES, "big"))
        sink.write(answer)
        sink.flush()
