"""What a device is told about itself: agent.toml, parsed once."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Annotated, Literal

from msgspec import Meta, Struct

from protocols.errors import FieldInvalid
from protocols.fields import convert
from protocols.model import DeviceId, DeviceKind, Latitude, Longitude
from protocols.native.topics import DEFAULT_PREFIX

Port = Annotated[int, Meta(ge=1, le=65535)]
Seconds = Annotated[float, Meta(gt=0)]
Host = Annotated[str, Meta(min_length=1)]
Prefix = Annotated[str, Meta(pattern=r"^[^/+#]+(/[^/+#]+)*\Z")]


class Settings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A table of agent.toml: a misspelt key is an error."""


class Tls(Settings, frozen=True):
    """Certificates to check the broker with, and to show it."""

    ca_file: str | None = None
    cert_file: str | None = None
    key_file: str | None = None


class Broker(Settings, frozen=True):
    """Where the gateway's broker is. ``user`` is the device id unless it says otherwise."""

    host: Host
    port: Port = 1883
    user: str | None = None
    password: str | None = None
    password_file: str | None = None
    tls: Tls | None = None

    @property
    def address(self) -> str:
        """For logs."""
        return f"{self.host}:{self.port}"

    def secret(self) -> str | None:
        """The password; raise OSError if its file cannot be read."""
        if self.password_file is not None:
            return Path(self.password_file).read_text().strip()
        return self.password


class SpoolSettings(Settings, frozen=True):
    """Where messages wait, and how much of them."""

    folder: str
    max_bytes: Annotated[int, Meta(ge=64 * 1024)] = 64 * 1024 * 1024


class Control(Settings, frozen=True):
    """The Unix socket of panels and buttons."""

    socket: str


class PanelSettings(Settings, frozen=True):
    """The touch panel, a page on the loopback interface. ``lang``: until its user chooses."""

    port: Port = 8111
    lang: Literal["zh", "en"] = "zh"


class GpsSettings(Settings, frozen=True):
    """A gpsd."""

    host: Host = "127.0.0.1"
    port: Port = 2947


class Place(Settings, frozen=True):
    """The registered position of a device that does not move."""

    lat: Latitude
    lon: Longitude


class CameraSettings(Settings, frozen=True):
    """A camera for OpenCV: a device, a file or a stream. Without a period it is for alarms,
    without a width its pictures are as large as they come. ``lag_ms``: how old they arrive.

    The last ``before_s`` are kept in memory, ``per_s`` pictures of each second and at most
    ``before_bytes``: an alarm sends ``alarm_pictures`` of them first. 0 s: none are kept.
    ``fixed``: whether it stands; if nothing is said it does where the device does.
    """

    source: Annotated[str, Meta(min_length=1)]
    period_s: Seconds | None = None
    width_px: Annotated[int, Meta(ge=16)] | None = None
    lag_ms: Annotated[int, Meta(ge=0, le=10_000)] = 0
    per_s: Annotated[float, Meta(ge=1, le=5)] = 1.0
    before_s: Annotated[float, Meta(ge=0, le=120)] = 30.0
    before_bytes: Annotated[int, Meta(ge=64 * 1024)] = 16 * 1024 * 1024
    alarm_pictures: Annotated[int, Meta(ge=0, le=32)] = 8
    fixed: bool | None = None


class ReportSettings(Settings, frozen=True):
    """How far from the last report a device must be to report again; at 0 s every fix is."""

    distance_m: Annotated[float, Meta(gt=0)] = 10.0
    turn_deg: Annotated[float, Meta(gt=0, le=180)] = 20.0
    interval_s: Annotated[float, Meta(ge=0)] = 30.0


class StatusSettings(Settings, frozen=True):
    """How often a device tells its health."""

    period_s: Seconds = 60.0


class Config(Settings, frozen=True):
    """All of agent.toml."""

    device: DeviceId
    kind: DeviceKind
    broker: Broker
    spool: SpoolSettings
    prefix: Prefix = DEFAULT_PREFIX
    control: Control | None = None
    panel: bool | PanelSettings = False
    gps: GpsSettings | None = None
    position: Place | None = None
    camera: CameraSettings | None = None
    report: ReportSettings = ReportSettings()
    status: StatusSettings = StatusSettings()

    @property
    def panel_settings(self) -> PanelSettings | None:
        """Those of the panel, if it is switched on: ``panel = true`` is a table without a key."""
        if isinstance(self.panel, bool):
            return PanelSettings() if self.panel else None
        return self.panel


def load(path: Path) -> Config:
    """Read agent.toml; raise OSError, or FieldInvalid that names the field and the value."""
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise FieldInvalid(str(path), f"not TOML: {error}") from None
    config = convert(values, Config)
    if config.gps is not None and config.position is not None:
        raise FieldInvalid("position", "a device has gps or a registered position, not both")
    if config.broker.password is not None and config.broker.password_file is not None:
        raise FieldInvalid("broker.password_file", "give password or password_file, not both")
    return config
