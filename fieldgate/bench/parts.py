"""What is measured, as processes: the gateway as it is installed, brokers, mosquitto_sub."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import select
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self
from urllib.parse import urlsplit

import psutil

from gateway.broker import PRIORITY_ACCOUNT, TELEMETRY_ACCOUNT
from gateway.registry import Device, Registry
from protocols.native.topics import DEFAULT_PREFIX

START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 60.0
ALL_UP = f"{DEFAULT_PREFIX}/v1/+/up/#"
"""What the gateway subscribes to, and so what mosquitto_sub does."""


class PartFailed(Exception):
    """A process that is measured did not start, or ended: which, and what it said last."""


class Account(NamedTuple):
    """A user at a broker."""

    user: str
    password: str


class Process:
    """A child process. ``with`` starts it and ends it; it ends with us, however we end.

    A part that is of use only later than it runs says in ``_until_ready`` what to wait for.
    """

    def __init__(self, command: Sequence[str], log: Path, *, talks: bool = False) -> None:
        self._command = command
        self._log = log
        self._talks = talks
        self.child: subprocess.Popen[bytes]

    def __enter__(self) -> Self:
        self.launch()
        try:
            self._until_ready()
        except BaseException:
            self.stop()
            raise
        return self

    def _until_ready(self) -> None:
        """Return when it is of use, or raise."""

    def launch(self) -> None:
        """Start it."""
        setpriv = shutil.which("setpriv")
        tied = [setpriv, "--pdeathsig", "TERM"] if setpriv else []
        pipe = subprocess.PIPE if self._talks else subprocess.DEVNULL
        with self._log.open("ab") as log:
            self.child = subprocess.Popen(
                [*tied, *self._command],
                stdin=pipe,
                stdout=pipe,
                stderr=log,
                start_new_session=True,  # Ctrl-C reaches the bench alone, which ends its parts
            )

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """End it and wait until it has ended."""
        if self.child.poll() is None:
            self.child.terminate()
            try:
                self.child.wait(STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                self.kill()
        for pipe in (self.child.stdin, self.child.stdout):
            if pipe is not None:
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()

    def kill(self) -> None:
        """As kill -9 does."""
        self.child.send_signal(signal.SIGKILL)
        self.child.wait()

    @property
    def process(self) -> psutil.Process:
        """For its figures."""
        return psutil.Process(self.child.pid)

    def has_line(self, timeout_s: float) -> bool:
        """Whether it says something within that time. It says one line at a time."""
        assert self.child.stdout is not None
        return bool(select.select([self.child.stdout], [], [], timeout_s)[0])

    def line(self, timeout_s: float) -> dict[str, Any]:
        """The next line that it says, of JSON; raise PartFailed if none comes."""
        if not self.has_line(timeout_s):
            raise PartFailed(f"{self._command} has not answered within {timeout_s:g} s")
        assert self.child.stdout is not None
        line = self.child.stdout.readline()
        if not line:
            self.child.wait()
            tail = self._log.read_text(errors="replace").splitlines()[-12:]
            raise PartFailed("\n".join([f"{' '.join(self._command)} has ended:", *tail]))
        said: dict[str, Any] = json.loads(line)
        return said


class Servant(Process):
    """A module of the bench in a process of its own; it says there which orders it takes."""

    def __init__(self, module: str, folder: Path) -> None:
        command = [sys.executable, "-m", f"fieldgate.bench.{module}"]
        super().__init__(command, folder / f"{module}.log", talks=True)

    def order(self, do: str, *, within_s: float = 120.0, **fields: Any) -> dict[str, Any]:
        """Have it do something, and wait until it is done."""
        self.begin(do, **fields)
        return self.line(within_s)

    def begin(self, do: str, **fields: Any) -> None:
        """Have it do something; its answer is the next line."""
        assert self.child.stdin is not None
        self.child.stdin.write(json.dumps({"do": do, **fields}).encode() + b"\n")
        self.child.stdin.flush()


class Gateway(Process):
    """`fieldgate up` on a folder, with its private Mosquitto."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.folder = folder / "data"
        self.folder.mkdir(exist_ok=True)
        command = [sys.executable, "-m", "fieldgate", "up", "--data", str(self.folder)]
        command += ["--http", "127.0.0.1:0", "--json", *(options or ("--mqtt", "127.0.0.1:0"))]
        super().__init__(command, folder / "gateway.log", talks=True)
        self.host, self.port = "127.0.0.1", 0
        self.api: Api

    def _until_ready(self) -> None:
        ready = self.line(START_TIMEOUT_S)
        self.host, _, port = ready["mqtt"].rpartition(":")
        self.port = int(port)
        self.api = Api(ready["http"], (self.folder / "admin.token").read_text().strip())

    @property
    def broker(self) -> list[psutil.Process]:
        """Its private Mosquitto."""
        return [each for each in self.process.children() if each.name() == "mosquitto"]

    @property
    def own(self) -> list[psutil.Process]:
        """The gateway itself and whatever works for it, without the broker."""
        brokers = set(self.broker)
        children = self.process.children(recursive=True)
        return [self.process, *(each for each in children if each not in brokers)]

    def register(self, names: Sequence[str], kind: str = "vehicle_terminal") -> list[Account]:
        """Make devices known; before it starts."""
        with Registry(self.folder) as registry:
            passwords = registry.add_many(Device(id=name, kind=kind) for name in names)
        return [Account(*each) for each in passwords.items()]


class Api:
    """The gateway's HTTP side, on one connection."""

    def __init__(self, url: str, token: str) -> None:
        self.address = urlsplit(url).netloc
        self._headers = {"Authorization": f"Bearer {token}"}
        self._connection = http.client.HTTPConnection(self.address, timeout=60)

    def get(self, path: str) -> bytes:
        """The body of the answer; raise PartFailed where it is none of 200."""
        self._connection.request("GET", path, headers=self._headers)
        answer = self._connection.getresponse()
        body = answer.read()
        if answer.status != 200:
            raise PartFailed(f"GET {path}: {answer.status} {body[:200]!r}")
        return body

    def json(self, path: str) -> Any:
        """The answer, read."""
        return json.loads(self.get(path))

    def metric(self, name: str) -> float:
        """A metric, summed over its labels; 0 where there is none yet."""
        found = re.findall(rf"^{name}(?:{{[^}}]*}})? (\S+)$", self.get("/metrics").decode(), re.M)
        return sum(map(float, found))

    @property
    def authorization(self) -> str:
        """The header that a client of its own has to send."""
        return self._headers["Authorization"]


class Broker(Process):
    """A Mosquitto with the gateway's configuration, passwords and access list."""

    def __init__(self, gateway: Gateway, folder: Path) -> None:
        theirs, ours = gateway.folder.resolve() / "broker", folder.resolve() / "broker"
        ours.mkdir()
        for name in ("passwd", "acl"):
            shutil.copy(theirs / name, ours / name)
        self.host, self.port = "127.0.0.1", free_port()
        text = (theirs / "mosquitto.conf").read_text().replace(str(theirs), str(ours))
        text, changed = re.subn(r"^listener \d+", f"listener {self.port}", text, flags=re.M)
        assert changed == 1, "the gateway's broker has one listener"
        (ours / "mosquitto.conf").write_text(text)
        accounts = json.loads((theirs / "broker.json").read_text())["accounts"]
        self.telemetry = Account(TELEMETRY_ACCOUNT, accounts[TELEMETRY_ACCOUNT])
        self.priority = Account(PRIORITY_ACCOUNT, accounts[PRIORITY_ACCOUNT])
        super().__init__([mosquitto(), "-c", str(ours / "mosquitto.conf")], folder / "broker.log")

    def _until_ready(self) -> None:
        wait_listening(self.port, self.child)


class PlainBroker(Process):
    """A Mosquitto that lets everyone in: an outside broker, as a site may have one."""

    def __init__(self, folder: Path) -> None:
        self.host, self.port = "127.0.0.1", free_port()
        configuration = folder / "outside.conf"
        configuration.write_text(
            f"listener {self.port} {self.host}\nallow_anonymous true\nset_tcp_nodelay true\n"
            "max_inflight_messages 65535\nmax_queued_messages 100000\n"
        )
        super().__init__([mosquitto(), "-c", str(configuration)], folder / "outside.log")

    def _until_ready(self) -> None:
        wait_listening(self.port, self.child)


class MosquittoSub:
    """`mosquitto_sub` that takes so many messages and throws them away; see ``command``.

    It counts no retained ones (`-R`): the devices' presence is not what was sent.
    """

    def __init__(self, broker: Broker, *, qos: int, count: int) -> None:
        user, password = broker.telemetry
        self.command = [
            "mosquitto_sub", "-h", broker.host, "-p", str(broker.port),
            "-i", user, "-u", user, "-P", password,
            "-q", str(qos), "-t", ALL_UP, "-R", "-C", str(count),
        ]  # fmt: skip
        self._child: subprocess.Popen[bytes]

    def __enter__(self) -> Self:
        self._child = subprocess.Popen(
            self.command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL
        )
        return self

    def __exit__(self, *_: object) -> None:
        if self._child.returncode is None:
            self._child.kill()
            self._child.wait()

    @property
    def process(self) -> psutil.Process:
        """For its figures."""
        return psutil.Process(self._child.pid)

    def finish(self, timeout_s: float) -> float:
        """Wait until it has had all its messages; the CPU seconds that it used, to the µs."""
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            pid, status, usage = os.wait4(self._child.pid, os.WNOHANG)
            if pid:
                self._child.returncode = os.waitstatus_to_exitcode(status)
                if self._child.returncode:
                    raise PartFailed(f"mosquitto_sub ended with {self._child.returncode}")
                return usage.ru_utime + usage.ru_stime
            time.sleep(0.02)  # wait4 has no timeout
        raise PartFailed(f"mosquitto_sub has not received all within {timeout_s:g} s")


def mosquitto() -> str:
    """Where the broker's program is."""
    program = shutil.which("mosquitto", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if program is None:
        raise PartFailed("mosquitto is not installed: apt-get install mosquitto")
    return program


def free_port() -> int:
    """A TCP port of the loopback interface that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wait_listening(port: int, child: subprocess.Popen[bytes]) -> None:
    """Return when something listens there; PartFailed if the process ends first."""
    deadline = time.monotonic() + START_TIMEOUT_S
    while child.poll() is None and time.monotonic() < deadline:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.02)  # nothing tells when a foreign process listens
    raise PartFailed(f"{child.args!r} does not listen on port {port}")


@contextlib.contextmanager
def subscribed(sub: MosquittoSub, broker: Broker) -> Iterator[MosquittoSub]:
    """mosquitto_sub, running, once the broker has taken its subscription."""
    with sub:
        # Its connection is seen at once; the subscription follows within the same round trip.
        deadline = time.monotonic() + START_TIMEOUT_S
        while not _connected(sub.process, broker.port):
            if time.monotonic() > deadline:
                raise PartFailed("mosquitto_sub does not connect")
            time.sleep(0.02)
        time.sleep(0.2)
        yield sub


def _connected(process: psutil.Process, port: int) -> bool:
    try:
        links = process.net_connections("tcp")
    except psutil.NoSuchProcess:
        raise PartFailed("mosquitto_sub has ended at once") from None
    return any(link.raddr and link.raddr.port == port for link in links)
