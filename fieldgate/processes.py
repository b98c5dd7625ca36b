"""Our own commands as child processes: started, read line by line, stopped in order."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

STOP_TIMEOUT_S = 20.0
READY_TIMEOUT_S = 30.0


class ChildFailed(Exception):
    """A child ended when it should not have: which one, and the end of its log."""


class Child:
    """One `fieldgate …` command that speaks JSON lines. ``async with`` starts and stops it.

    It has a session of its own, so that Ctrl-C reaches only its parent, and it ends
    when its parent does, however that ends.
    """

    def __init__(
        self, name: str, *arguments: str, logs: Path, env: Mapping[str, str] | None = None
    ) -> None:
        self.name = name
        self.newest: dict[str, Any] = {}
        self.exited = asyncio.Event()
        self._arguments = arguments
        self._log = logs / f"{name}.log"
        self._env = {**os.environ, **(env or {})}
        self._spoke = asyncio.Event()
        self._process: asyncio.subprocess.Process
        self._reading: asyncio.Task[None]

    async def __aenter__(self) -> Self:
        self._log.parent.mkdir(parents=True, exist_ok=True)
        setpriv = shutil.which("setpriv")
        tied = [setpriv, "--pdeathsig", "TERM"] if setpriv else []
        with self._log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *tied,
                sys.executable,
                "-m",
                "fieldgate",
                *self._arguments,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
                env=self._env,
                start_new_session=True,
            )
        self._reading = asyncio.create_task(self._read(), name=f"{self.name} output")
        return self

    async def __aexit__(self, *_: object) -> None:
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGTERM)
        try:
            await asyncio.wait_for(self._process.wait(), STOP_TIMEOUT_S)
        except TimeoutError:
            self._process.kill()
            await self._process.wait()
        await self._reading

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    async def ready(self) -> dict[str, Any]:
        """Its first line; raise ChildFailed if it ends before."""
        exited = asyncio.create_task(self.exited.wait())
        spoke = asyncio.create_task(self._spoke.wait())
        await asyncio.wait(
            [exited, spoke], timeout=READY_TIMEOUT_S, return_when=asyncio.FIRST_COMPLETED
        )
        exited.cancel()
        spoke.cancel()
        if not self._spoke.is_set():
            raise self.failure()
        return self.newest

    def stop_soon(self) -> None:
        """Ask it to end; it may take its time."""
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGTERM)

    def failure(self) -> ChildFailed:
        """What to say of its untimely end."""
        tail = self._log.read_text(errors="replace").splitlines()[-8:]
        status = self._process.returncode
        return ChildFailed("\n".join([f"{self.name} ended with status {status}:", *tail]))

    async def _read(self) -> None:
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            with contextlib.suppress(json.JSONDecodeError):
                self.newest = json.loads(line)
                self._spoke.set()
        await self._process.wait()
        self.exited.set()
