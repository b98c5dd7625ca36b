"""The parts of the system under test: processes that can be killed and come back."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self, TypeVar

import msgspec
import psutil

from tests.api import Api
from tests.faults.field import Plan, State

HOUSE = Path(__file__).parents[2]
START_TIMEOUT_S = 40.0
STOP_TIMEOUT_S = 20.0

_T = TypeVar("_T")


class PartFailed(Exception):
    """A part ended, or did not answer, when it should have: the end of its log."""


async def until(
    condition: Callable[[], Awaitable[_T]], timeout_s: float, *, every_s: float = 0.05
) -> _T | None:
    """The first true value of the condition, or None if it has none in time."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(timeout_s):
            while not (value := await condition()):
                await asyncio.sleep(every_s)  # what another process does gives no event
            return value
    return None


def steady_port(host: str = "127.0.0.1") -> int:
    """A free port that stays free while its owner is dead: no connection gets it by chance."""
    while True:
        port = secrets.choice(range(12_000, 32_000))  # below Linux's range for connections
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind((host, port))
            return port


class Part:
    """A program that speaks JSON lines. It dies with us, however we end.

    ``wrap``: a command that runs it, such as ``["strace", …]``. ``env`` is added to ours.
    """

    def __init__(
        self,
        name: str,
        arguments: Sequence[str],
        *,
        logs: Path,
        wrap: Sequence[str] = (),
        env: Mapping[str, str] | None = None,
    ) -> None:
        self.name = name
        self.arguments, self.wrap = list(arguments), list(wrap)
        self.env: dict[str, str] = {**(env or {})}
        self.newest: dict[str, Any] = {}
        self._log = logs / f"{name}.log"
        self._heard = asyncio.Condition()
        self._process: asyncio.subprocess.Process | None = None
        self._reading: asyncio.Task[None]

    async def __aenter__(self) -> Self:
        try:
            await self.start()
        except BaseException:
            await self.stop()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def start(self) -> None:
        """Start it, and wait until it is of use."""
        await self.launch()

    async def launch(self) -> None:
        """Start it; it may take a while until it speaks."""
        self._log.parent.mkdir(parents=True, exist_ok=True)
        self.newest = {}
        with self._log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                "setpriv", "--pdeathsig", "KILL", *self.wrap, sys.executable, *self.arguments,
                cwd=HOUSE,
                env={**os.environ, **self.env},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                start_new_session=True,
            )  # fmt: skip
        self._reading = asyncio.create_task(self._read(), name=f"{self.name} output")

    async def until(self, key: str, timeout_s: float = START_TIMEOUT_S) -> Any:
        """The value of a key in the next line that has it; raise PartFailed."""
        try:
            async with asyncio.timeout(timeout_s), self._heard:
                await self._heard.wait_for(lambda: key in self.newest or not self.is_running)
        except TimeoutError:
            raise self.failure(f"said nothing of {key!r} in {timeout_s:g} s") from None
        if key not in self.newest:
            raise self.failure(f"ended with status {self.status}")
        return self.newest[key]

    @property
    def pid(self) -> int:
        """Its process id."""
        assert self._process is not None
        return self._process.pid

    @property
    def is_running(self) -> bool:
        """Whether it was started and has not ended."""
        return self._process is not None and self._process.returncode is None

    @property
    def status(self) -> int | None:
        """How it ended."""
        return None if self._process is None else self._process.returncode

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the program itself."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, number)

    async def kill(self) -> None:
        """kill -9, and wait until it is gone."""
        self.signal(signal.SIGKILL)
        await self.ended()

    async def stop(self) -> None:
        """Ask it to end, and wait; it is killed if it does not."""
        if not self.is_running:
            return
        self.signal(signal.SIGCONT)
        self.signal(signal.SIGTERM)
        try:
            await self.ended(STOP_TIMEOUT_S)
        except TimeoutError:
            assert self._process is not None
            self._process.kill()
            await self.kill()

    async def ended(self, timeout_s: float = STOP_TIMEOUT_S) -> None:
        """Wait until it has ended; raise TimeoutError."""
        assert self._process is not None
        async with asyncio.timeout(timeout_s):
            await self._process.wait()
        # A child of its own may hold the pipe open.
        await asyncio.wait([self._reading], timeout=1)
        self._reading.cancel()
        await asyncio.wait([self._reading])

    def tell(self, **command: Any) -> None:
        """Send a line to its standard input."""
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(command).encode() + b"\n")

    def failure(self, what: str) -> PartFailed:
        """What to say when it failed."""
        tail = self._log.read_text(errors="replace").splitlines()[-8:]
        return PartFailed("\n".join([f"{self.name} {what}", *tail]))

    async def _read(self) -> None:
        assert self._process is not None
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            with contextlib.suppress(json.JSONDecodeError):
                self.newest = json.loads(line)
                async with self._heard:
                    self._heard.notify_all()
        await self._process.wait()
        async with self._heard:
            self._heard.notify_all()


class Gateway(Part, Api):
    """`fieldgate up` on one folder. Killed and started again, it has the same ports."""

    def __init__(
        self,
        folder: Path,
        *,
        mqtt_port: int,
        http_port: int,
        logs: Path,
        settings: Path,
        host: str = "127.0.0.1",
        token: str = "",
        **keys: Any,
    ) -> None:
        self.folder, self.host, self._token = folder, host, token
        self.mqtt_port, self.http_port = mqtt_port, http_port
        self.started_ms = 0
        arguments = [
            "up", "--json", "--data", str(folder), "--config", str(settings),
            "--mqtt", f"{host}:{mqtt_port}", "--http", f"{host}:{http_port}",
        ]  # fmt: skip
        super().__init__("gateway", ["-m", "fieldgate", *arguments], logs=logs, **keys)

    @property
    def url(self) -> str:
        """Where its API answers."""
        return f"http://{self.host}:{self.http_port}"

    @property
    def token(self) -> str:
        """An administrator's."""
        return self._token

    @property
    def pid(self) -> int:
        """The gateway's own process id, also under a wrapper."""
        return int(self.newest["pid"]) if "pid" in self.newest else super().pid

    async def broker(self, *, other_than: int = 0, timeout_s: float = 20.0) -> int:
        """The process id of its broker, once it runs; raise PartFailed."""

        async def pid() -> int | None:
            with contextlib.suppress(psutil.NoSuchProcess):
                for child in psutil.Process(self.pid).children():
                    if child.name() == "mosquitto" and child.pid != other_than:
                        return int(child.pid)
            return None

        found = await until(pid, timeout_s)
        if found is None:
            raise self.failure(f"has no broker for {timeout_s:g} s")
        return found

    def with_seam(self, seam: str) -> None:
        """Start it from now on through the launcher, with one of its seams."""
        self.without_seam()
        self.arguments[:2] = ["-m", "tests.faults.launcher", seam]

    def without_seam(self) -> None:
        """Start it from now on as it is."""
        at = self.arguments.index("up")
        self.arguments[:at] = ["-m", "fieldgate"]

    async def start(self) -> None:
        """Start it and wait until it is ready for the first alarm."""
        await self.launch()
        await self.until("ready")


class Core(Part):
    """`fieldgate sim core`: the dispatch core, which takes the webhook."""

    def __init__(
        self,
        *options: str,
        gateway_url: str,
        listen: str,
        folder: Path,
        ledger: Path,
        logs: Path,
        **keys: Any,
    ) -> None:
        self.ledger, self.port = ledger, int(listen.rpartition(":")[2])
        arguments = [
            "sim", "core", "--json", "--gateway", gateway_url, "--listen", listen,
            "--data", str(folder), "--ledger", str(ledger), *options,
        ]  # fmt: skip
        super().__init__("core", ["-m", "fieldgate", *arguments], logs=logs, **keys)

    def with_seam(self, seam: str) -> None:
        """Start it from now on through the launcher."""
        self.arguments[:2] = ["-m", "tests.faults.launcher", seam]

    def without_seam(self) -> None:
        """Start it from now on as it is."""
        self.arguments[: self.arguments.index("sim")] = ["-m", "fieldgate"]

    async def start(self) -> None:
        """Start it and wait until it listens."""
        await self.launch()
        await self.until("ready")


class FieldPart(Part):
    """The devices of an experiment (tests/faults/field.py), with their ledger."""

    def __init__(self, plan: Plan, *, folder: Path, logs: Path, **keys: Any) -> None:
        self.ledger = Path(plan.ledger)
        self.plan = plan
        self._plan_file = folder / "field.json"
        self._plan_file.write_bytes(msgspec.json.encode(plan))
        self._newest_state: State | None = None
        self._presses: asyncio.Lock = asyncio.Lock()
        self._pressed: asyncio.Queue[str] = asyncio.Queue()
        super().__init__(
            "field", ["-m", "tests.faults.field", str(self._plan_file)], logs=logs, **keys
        )

    async def start(self) -> None:
        """Start it and wait until every device has its link."""
        await self.launch()
        await self.wait(lambda state: state.online == state.devices, START_TIMEOUT_S)

    @property
    def state(self) -> State:
        """The newest it has told."""
        if self._newest_state is None:
            raise self.failure("has not said how it is")
        return self._newest_state

    async def wait(self, condition: Callable[[State], bool], timeout_s: float) -> bool:
        """Wait for a state; whether it came in time. Raise PartFailed if the field ends."""

        def is_so() -> bool:
            return not self.is_running or (
                self._newest_state is not None and condition(self._newest_state)
            )

        try:
            async with asyncio.timeout(timeout_s), self._heard:
                await self._heard.wait_for(is_so)
        except TimeoutError:
            return False
        if not self.is_running:
            raise self.failure(f"ended with status {self.status}")
        return True

    async def receipts_go_on(self, timeout_s: float) -> bool:
        """Whether an alarm is receipted from now on in time."""
        so_far = self.state.receipted
        return await self.wait(lambda state: state.receipted > so_far, timeout_s)

    async def press(self, device: str) -> str:
        """Press a button; the message id, once the ledger has it."""
        async with self._presses:
            self.tell(do="press", device=device)
            async with asyncio.timeout(10):
                return await self._pressed.get()

    def pace(self, *, alarms_per_s: float, positions_per_s: float) -> None:
        """So many alarms and positions a second from now on."""
        self.tell(do="pace", alarms_per_s=alarms_per_s, positions_per_s=positions_per_s)

    async def end(self) -> None:
        """Have it write its account, and end."""
        self.tell(do="end")
        await self.ended()

    async def _read(self) -> None:
        assert self._process is not None
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            said = msgspec.json.decode(line)
            if "pressed" in said and "devices" not in said:
                self._pressed.put_nowait(said["pressed"])
                continue
            self._newest_state = msgspec.convert(said, State)
            async with self._heard:
                self._heard.notify_all()
        await self._process.wait()
        async with self._heard:
            self._heard.notify_all()
