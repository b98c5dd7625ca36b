"""Who may talk to us: devices with their MQTT passwords, people and systems with their tokens.

Kept in ``DIR/registry.db``, apart from the journal, so that the command line can add a
device while the gateway runs. Secrets are kept as hashes only and shown once.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import os
import secrets
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator
from enum import StrEnum
from pathlib import Path
from typing import Any, get_args

from msgspec import Struct, structs

from protocols.errors import FieldInvalid
from protocols.model import DeviceKind
from protocols.native.topics import check_device_id

RESERVED_PREFIX = "gateway-"
"""User names of the gateway's own accounts at the broker: no device may have one."""

# The passwords carry 192 random bits, which no iteration makes harder to guess;
# at a reload the broker computes one hash for each connected device, while all wait.
PASSWORD_ITERATIONS = 1
_PASSWORD_BYTES = 24
_TOKEN_BYTES = 32
_SALT_BYTES = 12
SESSION_MS = 12 * 3600 * 1000
"""A shift: so long a page stays signed in that is not open any more."""

SCHEMA = (
    """
    CREATE TABLE device (
        id            TEXT PRIMARY KEY,
        kind          TEXT NOT NULL,
        name          TEXT NOT NULL,
        lat           REAL,              -- of a fixed box, WGS-84 degrees
        lon           REAL,
        site          TEXT NOT NULL,
        added_ms      INTEGER NOT NULL,
        revoked       INTEGER NOT NULL,
        password_hash TEXT NOT NULL
    ) WITHOUT ROWID;
    CREATE TABLE token (
        no       INTEGER PRIMARY KEY AUTOINCREMENT,
        name     TEXT NOT NULL,
        role     TEXT NOT NULL,
        added_ms INTEGER NOT NULL,
        revoked  INTEGER NOT NULL,
        digest   BLOB NOT NULL UNIQUE    -- SHA-256 of the token
    );
    """,
    """
    CREATE TABLE configuration (         -- what is desired of a device
        device   TEXT PRIMARY KEY,
        version  INTEGER NOT NULL,
        settings TEXT NOT NULL,          -- JSON
        since_ms INTEGER NOT NULL,
        by       TEXT NOT NULL
    ) WITHOUT ROWID;
    """,
    """
    CREATE TABLE session (               -- of a page that was signed in with a token
        digest   BLOB PRIMARY KEY,       -- SHA-256 of what its cookie holds
        token    INTEGER NOT NULL,       -- token.no: revoked, it ends its sessions too
        until_ms INTEGER NOT NULL
    ) WITHOUT ROWID;
    """,
)
"""Steps of the schema, in order; ``user_version`` counts those applied. Only appended to."""


class Device(Struct, frozen=True, kw_only=True):
    """One registered device. ``lat``, ``lon``: where a fixed box stands (deg, WGS-84)."""

    id: str
    kind: str
    name: str = ""
    lat: float | None = None
    lon: float | None = None
    site: str = ""
    added_ms: int = 0
    revoked: bool = False


class Configuration(Struct, frozen=True, kw_only=True):
    """What is desired of a device, by whom, since when; ``version`` grows with each change."""

    device: str
    version: int
    settings: dict[str, Any]
    since_ms: int
    by: str


class Role(StrEnum):
    """What the bearer of a token may do; each role may do what those before it may."""

    VIEWER = "viewer"
    DISPATCHER = "dispatcher"
    ADMIN = "admin"

    def includes(self, needed: Role) -> bool:
        """Whether this role may do what the other one may."""
        order = list(Role)
        return order.index(self) >= order.index(needed)


class Token(Struct, frozen=True, kw_only=True):
    """What is known of one token; the token itself is not."""

    no: int
    name: str
    role: Role
    added_ms: int
    revoked: bool


class DeviceExists(Exception):
    """A device of that id is registered."""

    def __init__(self, device: str) -> None:
        super().__init__(f"device {device} is registered already; to give it a new password, "
                         "revoke it and add it again")  # fmt: skip
        self.device = device


class UnknownDevice(Exception):
    """No device of that id is registered."""

    def __init__(self, device: str) -> None:
        super().__init__(f"no device {device} is registered")
        self.device = device


class UnknownToken(Exception):
    """No token of that number."""

    def __init__(self, number: int) -> None:
        super().__init__(f"no token {number}")
        self.number = number


def hash_password(password: str, salt: bytes) -> str:
    """The password as mosquitto's password file holds it: PBKDF2-SHA512, base64."""
    digest = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, PASSWORD_ITERATIONS)
    salt64, digest64 = base64.b64encode(salt).decode(), base64.b64encode(digest).decode()
    return f"$7${PASSWORD_ITERATIONS}${salt64}${digest64}"


def check(device: Device) -> None:
    """Raise FieldInvalid, naming the field, if the device cannot be registered."""
    check_device_id(device.id)
    if device.id.startswith(RESERVED_PREFIX):
        raise FieldInvalid("device", f"must not start with {RESERVED_PREFIX!r}", device.id)
    if device.kind not in get_args(DeviceKind):
        raise FieldInvalid("kind", f"must be one of {', '.join(get_args(DeviceKind))}", device.kind)
    if (device.lat is None) != (device.lon is None):
        raise FieldInvalid("lat, lon", "both or neither must be given")
    for field, value, limit in (("lat", device.lat, 90), ("lon", device.lon, 180)):
        if value is not None and not -limit <= value <= limit:
            raise FieldInvalid(field, f"must lie between -{limit} and {limit} degrees", value)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


class Registry:
    """Devices and tokens. ``with`` opens the file; calls are short and may be made anywhere."""

    def __init__(self, folder: Path, *, now_ms: Callable[[], int] = _now_ms) -> None:
        self._path = folder / "registry.db"
        self._now_ms = now_ms
        self._db: sqlite3.Connection

    def __enter__(self) -> Registry:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(self._path, os.O_CREAT | os.O_RDWR, 0o600))
        self._db = sqlite3.connect(self._path, isolation_level=None, timeout=10)
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = FULL")
        self._migrate()
        return self

    def __exit__(self, *_: object) -> None:
        self._db.close()

    def _migrate(self) -> None:
        with self._transaction():
            version: int = self._db.execute("PRAGMA user_version").fetchone()[0]
            if version > len(SCHEMA):
                raise RuntimeError(
                    f"{self._path} has schema {version}, newer than the {len(SCHEMA)} known here"
                )
            for step in SCHEMA[version:]:
                for statement in step.split(";"):
                    self._db.execute(statement)
            self._db.execute(f"PRAGMA user_version = {len(SCHEMA)}")

    def add(self, device: Device) -> str:
        """Register a device, or one that was revoked anew; gives its password, once."""
        return self.add_many([device])[device.id]

    def add_many(self, devices: Iterable[Device]) -> dict[str, str]:
        """Register all or none; gives the password of each."""
        passwords: dict[str, str] = {}
        with self._transaction():
            for device in devices:
                check(device)
                password = secrets.token_hex(_PASSWORD_BYTES)
                hashed = hash_password(password, secrets.token_bytes(_SALT_BYTES))
                new = structs.replace(device, added_ms=self._now_ms(), revoked=False)
                added = self._db.execute(
                    "INSERT INTO device VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id)"
                    " DO UPDATE SET kind = excluded.kind, name = excluded.name,"
                    " lat = excluded.lat, lon = excluded.lon, site = excluded.site,"
                    " added_ms = excluded.added_ms, revoked = 0,"
                    " password_hash = excluded.password_hash WHERE revoked",
                    (*structs.astuple(new), hashed),
                ).rowcount
                if not added:
                    raise DeviceExists(device.id)
                passwords[device.id] = password
        return passwords

    def get(self, device: str) -> Device | None:
        """The device of that id, revoked or not."""
        row = self._db.execute(_SELECT_DEVICE + " WHERE id = ?", (device,)).fetchone()
        return None if row is None else _device(row)

    def devices(self) -> list[Device]:
        """All devices, revoked ones too, by their ids."""
        return [_device(row) for row in self._db.execute(_SELECT_DEVICE)]

    def revoke(self, device: str) -> None:
        """The device may connect no more; what it has reported stays. Or UnknownDevice."""
        if not self._db.execute("UPDATE device SET revoked = 1 WHERE id = ?", (device,)).rowcount:
            raise UnknownDevice(device)

    def configurations(self) -> list[Configuration]:
        """What is desired of devices."""
        rows = self._db.execute("SELECT device, version, settings, since_ms, by FROM configuration")
        return [
            Configuration(
                device=device,
                version=version,
                settings=json.loads(settings),
                since_ms=since_ms,
                by=by,
            )
            for device, version, settings, since_ms, by in rows
        ]

    def configure(self, device: str, settings: dict[str, Any], *, by: str) -> Configuration:
        """Desire these settings of a device, under its next version."""
        now = self._now_ms()
        (version,) = self._db.execute(
            "INSERT INTO configuration VALUES (?, 1, ?, ?, ?) ON CONFLICT (device) DO UPDATE"
            " SET version = version + 1, settings = excluded.settings,"
            " since_ms = excluded.since_ms, by = excluded.by RETURNING version",
            (device, json.dumps(settings), now, by),
        ).fetchone()
        return Configuration(device=device, version=version, settings=settings, since_ms=now, by=by)

    def password_hashes(self) -> dict[str, str]:
        """User name and hash of each device that may connect."""
        return dict(self._db.execute("SELECT id, password_hash FROM device WHERE NOT revoked"))

    def generation(self) -> int:
        """Another number than before once another process has changed anything. Costs 2 µs."""
        version: int = self._db.execute("PRAGMA data_version").fetchone()[0]
        return version

    def add_token(self, role: Role, name: str = "") -> str:
        """A new bearer token, shown once."""
        # The mark: found by secret scanners, and never taken for a command's option.
        token = f"fgt_{secrets.token_urlsafe(_TOKEN_BYTES)}"
        self._db.execute(
            "INSERT INTO token (name, role, added_ms, revoked, digest) VALUES (?, ?, ?, 0, ?)",
            (name, role, self._now_ms(), _digest(token)),
        )
        return token

    def role_of(self, token: str) -> Role | None:
        """What the bearer of this token may do; None if it is unknown or revoked."""
        row = self._db.execute(
            "SELECT role FROM token WHERE digest = ? AND NOT revoked", (_digest(token),)
        ).fetchone()
        return None if row is None else Role(row[0])

    def bearer(self, token: str) -> Token | None:
        """What is known of this token; None if it is unknown or revoked."""
        row = self._db.execute(
            f"{_TOKENS} WHERE digest = ? AND NOT revoked", (_digest(token),)
        ).fetchone()
        return None if row is None else _token(row)

    def open_session(self, token: Token) -> tuple[str, int]:
        """A page's session with this token: what its cookie holds, and until when (ms)."""
        secret, now = secrets.token_urlsafe(_TOKEN_BYTES), self._now_ms()
        with self._transaction():
            self._db.execute("DELETE FROM session WHERE until_ms <= ?", (now,))
            self._db.execute(
                "INSERT INTO session VALUES (?, ?, ?)",
                (_digest(secret), token.no, now + SESSION_MS),
            )
        return secret, now + SESSION_MS

    def session(self, secret: str) -> Token | None:
        """The token that the session was opened with; None if it is over, or the token revoked."""
        row = self._db.execute(
            f"{_TOKENS} JOIN session ON session.token = token.no"
            " WHERE session.digest = ? AND until_ms > ? AND NOT revoked",
            (_digest(secret), self._now_ms()),
        ).fetchone()
        return None if row is None else _token(row)

    def renew_session(self, secret: str) -> None:
        """It holds for another shift from now."""
        self._db.execute(
            "UPDATE session SET until_ms = ? WHERE digest = ?",
            (self._now_ms() + SESSION_MS, _digest(secret)),
        )

    def close_session(self, secret: str) -> None:
        """It opens nothing any more."""
        self._db.execute("DELETE FROM session WHERE digest = ?", (_digest(secret),))

    def tokens(self) -> list[Token]:
        """All tokens ever given, oldest first."""
        return [_token(row) for row in self._db.execute(f"{_TOKENS} ORDER BY no")]

    def revoke_token(self, number: int) -> None:
        """The token of that number opens nothing any more. Or UnknownToken."""
        if not self._db.execute("UPDATE token SET revoked = 1 WHERE no = ?", (number,)).rowcount:
            raise UnknownToken(number)

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")


# In the order of Device's declaration.
_SELECT_DEVICE = "SELECT id, kind, name, lat, lon, site, added_ms, revoked FROM device"
_TOKENS = "SELECT no, name, role, added_ms, revoked FROM token"


def _token(row: tuple[Any, ...]) -> Token:
    no, name, role, added_ms, revoked = row
    return Token(no=no, name=name, role=Role(role), added_ms=added_ms, revoked=bool(revoked))


def _device(row: tuple[object, ...]) -> Device:
    fields = dict(zip(Device.__struct_fields__, row, strict=True))
    return Device(**{**fields, "revoked": bool(fields["revoked"])})  # type: ignore[arg-type]


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
