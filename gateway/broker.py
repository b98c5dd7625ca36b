"""The private Mosquitto: its configuration, its start, its supervision.

All it needs lies in ``DIR/broker``: the generated configuration, passwords and
access list, its persistence, its log, and ``broker.json`` with its address and
the passwords of the gateway's own accounts (mode 0600).
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import getpass
import os
import resource
import secrets
import shutil
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import psutil
import structlog
from msgspec import Struct
from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.reasoncodes import ReasonCode

from gateway.registry import RESERVED_PREFIX, Registry, hash_password
from protocols.native.topics import DEFAULT_PREFIX

log = structlog.get_logger()

PRIORITY_ACCOUNT = f"{RESERVED_PREFIX}priority"
TELEMETRY_ACCOUNT = f"{RESERVED_PREFIX}telemetry"
ACCOUNTS = (PRIORITY_ACCOUNT, TELEMETRY_ACCOUNT)
"""One for each of the gateway's clients: the user name is the client id."""

_PROBE_ACCOUNT = f"{RESERVED_PREFIX}probe"  # may connect, read and write nothing

START_TIMEOUT_S = 10.0
STOP_TIMEOUT_S = 10.0
RELOAD_TIMEOUT_S = 5.0
RESTART_FIRST_S, RESTART_MAX_S = 0.1, 1.0  # an alarm waits meanwhile
PROBE_EVERY_S = 5.0
HUNG_AFTER = 3
"""So many probes in a row without an answer, and the broker is killed and started anew."""

LOG_BYTES = 8 * 1024 * 1024

_CONFIGURATION = """\
# Made by the gateway at each start: what is changed here is lost.
user {user}
pid_file {folder}/mosquitto.pid
log_dest file {folder}/mosquitto.log
log_type error
log_type warning
log_type notice
log_timestamp_format %Y-%m-%dT%H:%M:%S

# Who may connect, and what each may read and write.
allow_anonymous false
password_file {folder}/passwd
acl_file {folder}/acl

# Sessions and retained messages outlive the broker, sessions that nobody comes back to do not.
persistence true
persistence_location {folder}/
autosave_interval 30
persistent_client_expiration 14d

# An alarm leaves at once: without this it waits up to 40 ms for a delayed TCP acknowledgement.
set_tcp_nodelay true

# A message of the contract has at most 64 KiB. Larger ones still reach the gateway's
# quarantine; beyond 1 MiB they are dropped, beyond 2 MiB the connection ends.
message_size_limit 1048576
max_packet_size 2097152

# A gateway that is away for minutes misses nothing; devices keep what does not fit.
max_inflight_messages 65535
max_queued_messages 100000
max_queued_bytes 268435456

listener {port} {host}
use_username_as_clientid true
"""

_ACCESS = """\
# Made by the gateway at each start: what is changed here is lost.
{accounts}
# Each device, by its user name:
pattern write {prefix}/v1/%u/up/#
pattern read {prefix}/v1/%u/dn/#
"""

_ACCOUNT_ACCESS = """\
user {account}
topic read {prefix}/v1/+/up/#
topic write {prefix}/v1/+/dn/#
"""


class BrokerFailed(Exception):
    """The broker does not start or does not answer; says what was tried and where its log is."""


class _Private(Struct, frozen=True):
    """``broker.json``: where the broker listens, and the passwords of the gateway's accounts."""

    host: str
    port: int
    accounts: dict[str, str]


class Broker:
    """The broker as a child process, restarted when it dies. ``async with`` starts and stops it.

    ``port`` 0 picks a free one; once started ``host`` and ``port`` say where it listens.
    """

    def __init__(
        self, data: Path, registry: Registry, *, host: str, port: int, prefix: str = DEFAULT_PREFIX
    ) -> None:
        self._folder = data.resolve() / "broker"
        self._registry = registry
        self._prefix = prefix
        self.host = host
        self.port = port
        self.passwords: dict[str, str] = {}
        self.restarts = 0
        self._process: asyncio.subprocess.Process
        self._supervision: asyncio.Task[None]

    @property
    def is_up(self) -> bool:
        """Whether the process runs."""
        return self._process.returncode is None

    def save(self) -> None:
        """Write down now who subscribes to what, not at the next autosave.

        A broker that dies before it has done so comes back without the gateway's sessions,
        and drops what devices send it until the gateway has subscribed again.
        """
        if self.is_up:
            self._process.send_signal(signal.SIGUSR1)

    async def __aenter__(self) -> Broker:
        await asyncio.to_thread(_end_stale, self._folder)
        self.port = _free_port(self.host, self.port)
        self.passwords = self._configure()
        await self._start()
        self._supervision = asyncio.create_task(self._supervise(), name="broker")
        return self

    async def __aexit__(self, *_: object) -> None:
        self._supervision.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._supervision
        await self._stop()

    def _configure(self) -> dict[str, str]:
        """Write all the files; gives the passwords of the gateway's accounts."""
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        is_known = (self._folder / "broker.json").exists()
        known = _read_private(self._folder).accounts if is_known else {}
        passwords = {a: known.get(a) or secrets.token_urlsafe(24) for a in ACCOUNTS}
        configuration = _CONFIGURATION.format(
            user=getpass.getuser(), folder=self._folder, host=self.host, port=self.port
        )
        access = _ACCESS.format(
            prefix=self._prefix,
            accounts="".join(
                _ACCOUNT_ACCESS.format(account=account, prefix=self._prefix) for account in ACCOUNTS
            ),
        )
        with _locked(self._folder):
            _write(self._folder / "mosquitto.conf", configuration)
            _write(self._folder / "acl", access)
            private = _Private(self.host, self.port, passwords)
            _write_passwords(self._folder, self._registry, private)
        return passwords

    async def _start(self) -> None:
        """Start the process and wait until it lets us in."""
        _keep_log_small(self._folder)
        program = shutil.which("mosquitto", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
        if program is None:
            raise BrokerFailed("mosquitto is not installed: apt-get install mosquitto")
        # --pdeathsig: the broker ends with us, however we end. A session of its own:
        # Ctrl-C reaches the gateway alone, which stops the broker last.
        # A file for each device: all that it may open, where the shell gives it 1,024.
        _, files = resource.getrlimit(resource.RLIMIT_NOFILE)
        limited = ["prlimit", f"--nofile={files}:{files}"]
        command = ["setpriv", "--pdeathsig", "TERM", *limited, program, "-c"]
        with (self._folder / "mosquitto.log").open("ab") as early_errors:
            self._process = await asyncio.create_subprocess_exec(
                *command,
                str(self._folder / "mosquitto.conf"),
                stdin=asyncio.subprocess.DEVNULL,
                stderr=early_errors,
                start_new_session=True,
            )
        deadline = time.monotonic() + START_TIMEOUT_S
        while self._process.returncode is None and time.monotonic() < deadline:
            if await asyncio.to_thread(_lets_in, self._folder):
                log.info("broker_started", host=self.host, port=self.port, pid=self._process.pid)
                return
            await asyncio.sleep(0.02)  # nothing tells when a process listens
        await self._stop()
        raise BrokerFailed(
            f"mosquitto ended with status {self._process.returncode} instead of listening on"
            f" {self.host}:{self.port}; see {self._folder}/mosquitto.log"
        )

    async def _stop(self) -> None:
        if self._process.returncode is None:
            self._process.terminate()
            try:
                await asyncio.wait_for(self._process.wait(), STOP_TIMEOUT_S)
            except TimeoutError:
                log.warning("broker_killed", after_s=STOP_TIMEOUT_S)
                self._process.kill()
                await self._process.wait()

    async def _supervise(self) -> None:
        delay_s, unanswered = RESTART_FIRST_S, 0
        while True:
            try:
                status = await asyncio.wait_for(self._process.wait(), PROBE_EVERY_S)
            except TimeoutError:
                if _keep_log_small(self._folder):
                    self._process.send_signal(signal.SIGHUP)  # opens its log anew
                if await asyncio.to_thread(_lets_in, self._folder):
                    delay_s, unanswered = RESTART_FIRST_S, 0
                    continue
                unanswered += 1
                if unanswered >= HUNG_AFTER:
                    log.error("broker_hung", unanswered=unanswered)
                    self._process.kill()
                    unanswered = 0
                continue
            self.restarts += 1
            log.error("broker_died", status=status, restart_in_s=delay_s)
            await asyncio.sleep(delay_s)
            delay_s = min(2 * delay_s, RESTART_MAX_S)
            try:
                await self._start()
            except BrokerFailed as error:
                log.error("broker_failed", error=str(error))


def reload(data: Path) -> bool:
    """Have a running broker learn who may connect now: whoever may not is dropped.

    Works from any process. Gives False where no broker of this DIR runs (it reads
    the registry when it starts), and raises BrokerFailed if it does not take up the change.
    """
    folder = data.resolve() / "broker"
    if not (folder / "broker.json").exists():
        return False
    with _locked(folder), Registry(data) as registry:
        known = _read_private(folder)
        _write_passwords(folder, registry, known)
        running = _running(folder)
        if running is None:
            return False
        running.send_signal(signal.SIGHUP)
        deadline = time.monotonic() + RELOAD_TIMEOUT_S
        while not _lets_in(folder):
            if time.monotonic() > deadline:
                raise BrokerFailed(
                    f"the broker on {known.host}:{known.port} has not read its new passwords"
                    f" within {RELOAD_TIMEOUT_S:g} s; see {folder}/mosquitto.log"
                )
            time.sleep(0.01)  # nothing tells when it has read them
        return True


def _write_passwords(folder: Path, registry: Registry, known: _Private) -> None:
    """Write who may connect, with a new password for the probe: whoever is let in with it
    speaks to a broker that has read this file."""
    accounts = {**known.accounts, _PROBE_ACCOUNT: secrets.token_urlsafe(24)}
    hashes = {name: hash_password(word, secrets.token_bytes(12)) for name, word in accounts.items()}
    lines = (f"{user}:{hashed}\n" for user, hashed in (hashes | registry.password_hashes()).items())
    _write(folder / "passwd", "".join(lines))
    private = msgspec.structs.replace(known, accounts=accounts)
    _write(folder / "broker.json", msgspec.json.encode(private).decode())


def _lets_in(folder: Path) -> bool:
    """Whether the broker is there and knows the newest password of the probe."""
    private = _read_private(folder)
    answers: list[ReasonCode] = []
    client = paho.Client(CallbackAPIVersion.VERSION2, _PROBE_ACCOUNT, reconnect_on_failure=False)
    client.username_pw_set(_PROBE_ACCOUNT, private.accounts[_PROBE_ACCOUNT])
    client.on_connect = lambda _client, _data, _flags, reason, _properties: answers.append(reason)
    try:
        client.connect(private.host, private.port)  # a wildcard leads to this machine
        for _ in range(3):
            if answers or client.loop(timeout=1) != paho.MQTT_ERR_SUCCESS:
                break
        client.disconnect()
    except OSError:
        return False
    return bool(answers) and not answers[0].is_failure


def _running(folder: Path) -> psutil.Process | None:
    """The broker of this folder, if one runs: the process id may by now be another's."""
    try:
        process = psutil.Process(int((folder / "mosquitto.pid").read_text()))
        return process if str(folder / "mosquitto.conf") in process.cmdline() else None
    except (FileNotFoundError, ValueError, psutil.NoSuchProcess):
        return None


def _end_stale(folder: Path) -> None:
    """End a broker that a gateway killed just now has left: it may still be writing its files."""
    stale = _running(folder)
    if stale is None:
        return
    log.warning("stale_broker_ended", pid=stale.pid)
    with contextlib.suppress(psutil.NoSuchProcess):
        stale.terminate()
        try:
            stale.wait(STOP_TIMEOUT_S)
        except psutil.TimeoutExpired:
            stale.kill()
            stale.wait(STOP_TIMEOUT_S)


def _keep_log_small(folder: Path) -> bool:
    """Put a log that has grown large aside, in place of the one before it."""
    path = folder / "mosquitto.log"
    if not path.exists() or path.stat().st_size < LOG_BYTES:
        return False
    path.replace(folder / "mosquitto.log.1")
    return True


def _read_private(folder: Path) -> _Private:
    return msgspec.json.decode((folder / "broker.json").read_bytes(), type=_Private)


def _write(path: Path, text: str) -> None:
    """Replace a file as a whole, also if the power fails; only its owner may read it."""
    new = path.with_name(path.name + ".new")
    new.unlink(missing_ok=True)
    with os.fdopen(os.open(new, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """One process at a time writes the broker's files."""
    with (folder / "lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _free_port(host: str, port: int) -> int:
    """The port, or any free one for 0; raise BrokerFailed if it cannot be had."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise BrokerFailed(f"cannot listen on {host}:{port}: {error.strerror}") from error
        free: int = probe.getsockname()[1]
        return free
