"""The gateway's settings: defaults, TOML file, environment, command line, in that order."""

from __future__ import annotations

import hashlib
import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

import msgspec
from msgspec import Meta, Struct

from gateway.grids import Grid
from gateway.shifts import shifts_of, zone_of

ENVIRONMENT_PREFIX = "FIELDGATE_"
SCALARS = (
    "data",
    "mqtt",
    "http",
    "broker",
    "prefix",
    "stale_after_s",
    "reserve_mb",
    "pictures_budget_mb",
    "checklists",
    "shifts",
    "timezone",
)


class ConfigError(Exception):
    """A setting is wrong: which, and why."""


class HostPort(NamedTuple):
    """Where to listen or connect; port 0 picks a free one."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


class WebhookSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One receiver of the feed by push. ``secret``: ``whsec_…`` as in Standard Webhooks.

    ``name`` is that of its cursor: it must be its own. Without one its URL stands for it.
    """

    url: Annotated[str, Meta(pattern=r"^https?://")]
    secret: Annotated[str, Meta(pattern=r"^whsec_")]
    name: Annotated[str, Meta(pattern=r"^[a-z0-9-]{1,32}\Z")] | None = None
    types: list[str] | None = None

    @property
    def cursor_name(self) -> str:
        """What its cursor is kept under."""
        return self.name or hashlib.sha256(self.url.encode()).hexdigest()[:12]


Days = Annotated[int, Meta(ge=1, le=36_500)]


class RetentionSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """For how many days a picture is kept, by the reason that it was sent for."""

    alarm: Days = 730
    command: Days = 365
    pre_alarm: Days = 180
    periodic: Days = 30
    live: Days = 7


class MapSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The map. ``tiles``: URL of the operator's own, with ``{z}``, ``{x}``, ``{y}``."""

    tiles: Annotated[str, Meta(pattern=r"^(https?:/)?/[^\s\"';,]+\Z")] | None = None
    crs: Literal["wgs84", "gcj02"] = "wgs84"
    attribution: str = ""


class Settings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All settings. ``broker``: URL of an outside broker, ``mqtt://USER:PASSWORD@HOST:PORT``.
    ``checklists``: a folder of the operator's own."""

    data: str = "data"
    mqtt: str = "127.0.0.1:1883"
    http: str = "127.0.0.1:8110"
    broker: str | None = None
    prefix: Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-]{1,32}\Z")] = "field"
    stale_after_s: Annotated[float, Meta(gt=0)] = 60.0
    reserve_mb: Annotated[int, Meta(ge=1)] = 64
    checklists: str | None = None
    pictures_budget_mb: Annotated[int, Meta(ge=1)] = 20_480
    retention: RetentionSettings = RetentionSettings()
    shifts: str = "08:00,20:00"
    timezone: str = ""
    webhooks: list[WebhookSettings] = []
    grids: list[Grid] = []
    map: MapSettings = MapSettings()

    @property
    def folder(self) -> Path:
        """Where all state is."""
        return Path(self.data)


def load(
    path: Path | None,
    command_line: Mapping[str, Any],
    environment: Mapping[str, str] = os.environ,
) -> Settings:
    """The settings in force; raise ConfigError naming the key and what is wrong with it."""
    values: dict[str, Any] = {}
    if path is not None:
        try:
            values = tomllib.loads(path.read_text())
        except OSError as error:
            raise ConfigError(f"{path}: {error.strerror}") from error
        except tomllib.TOMLDecodeError as error:
            raise ConfigError(f"{path}: {error}") from error
    for name in SCALARS:
        if ENVIRONMENT_PREFIX + name.upper() in environment:
            values[name] = environment[ENVIRONMENT_PREFIX + name.upper()]
    values.update({key: value for key, value in command_line.items() if value is not None})
    try:
        settings = msgspec.convert(values, Settings, strict=False)
    except msgspec.ValidationError as error:
        raise ConfigError(str(error).replace("`$.", "`")) from error
    _check_apart([hook.cursor_name for hook in settings.webhooks], "webhooks", "name or URL of")
    _check_apart([grid.name for grid in settings.grids], "grids", "name")
    for key, read in (("shifts", shifts_of), ("timezone", zone_of)):
        try:
            read(getattr(settings, key))
        except ValueError as error:
            raise ConfigError(f"{key}: {error}, got {getattr(settings, key)!r}") from error
    host_port("mqtt", settings.mqtt)
    host_port("http", settings.http)
    return settings


def _check_apart(names: list[str], key: str, what: str) -> None:
    for name in names:
        if names.count(name) > 1:
            raise ConfigError(f"{key}: {names.count(name)} have the {what} {name!r}")


def host_port(key: str, text: str) -> HostPort:
    """``HOST:PORT`` taken apart; raise ConfigError."""
    host, colon, port = text.rpartition(":")
    if not colon or not host or not port.isdigit() or int(port) > 65535:
        raise ConfigError(f"{key}: expected HOST:PORT, got {text!r}")
    return HostPort(host.strip("[]"), int(port))
