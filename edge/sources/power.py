"""How the device is doing: battery, mains, network, heat, disk, clock, from Linux itself."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from pathlib import Path
from typing import Literal, TypeAlias

import psutil

Health: TypeAlias = dict[str, object]
ClockSource: TypeAlias = Literal["gnss", "ntp", "free"]
"""What sets the device's clock."""

_STA_UNSYNC = 0x0040  # adjtimex(2): nothing steers the clock
_PLAUSIBLE_CELSIUS = range(-60, 151)
_DEFAULT_ROUTE = "00000000"


def read_health(root: Path = Path("/")) -> Health:
    """Keys of Status (contract section 2); what cannot be known is absent.

    ``net`` does not tell 4G from 5G: only the modem knows, and a guess would be a lie.
    """
    readers: dict[str, Callable[[Path], object]] = {
        "batt": _battery_pct,
        "mains": _mains,
        "net": _network,
        "rssi": _wifi_dbm,
        "temp": _hottest_celsius,
        "disk": _disk_free_pct,
    }
    known = {key: read(root) for key, read in readers.items()}
    return {key: value for key, value in known.items() if value is not None}


def clock_source() -> ClockSource:
    """Whether something steers the kernel's clock by a time server (adjtimex status)."""
    timex = _Timex()
    if ctypes.CDLL(None).adjtimex(ctypes.byref(timex)) < 0:
        return "free"
    return "free" if timex.status & _STA_UNSYNC else "ntp"


class _Timex(ctypes.Structure):
    """``struct timex`` up to what is read; the rest is room for the kernel to write in."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
        ("rest", ctypes.c_byte * 256),
    )


def _battery_pct(root: Path) -> int | None:
    """The emptiest battery that feeds the device; not one of a mouse that is paired with it."""
    levels = [
        level
        for supply in _supplies(root, "Battery")
        if (level := _number(_text(supply / "capacity"))) is not None and 0 <= level <= 100
    ]
    return min(levels, default=None)


def _mains(root: Path) -> bool | None:
    lines = [
        online
        for kind in ("Mains", "USB", "Wireless")
        for supply in _supplies(root, kind)
        if (online := _number(_text(supply / "online"))) is not None
    ]
    return any(lines) if lines else None


def _supplies(root: Path, kind: str) -> list[Path]:
    return [
        supply
        for supply in sorted((root / "sys/class/power_supply").glob("*"))
        if _text(supply / "type") == kind and _text(supply / "scope") != "Device"
    ]


def _network(root: Path) -> Literal["wifi", "eth"] | None:
    """What the default route goes over."""
    interface = _default_interface(root)
    if interface is None:
        return None
    device = root / "sys/class/net" / interface
    if (device / "wireless").exists() or (device / "phy80211").exists():
        return "wifi"
    is_ethernet = _text(device / "type") == "1" and "DEVTYPE=" not in (
        _text(device / "uevent") or ""
    )
    return "eth" if is_ethernet and interface.startswith(("eth", "en")) else None


def _default_interface(root: Path) -> str | None:
    """The interface of the IPv4 default route with the least metric."""
    routes = []
    for line in (_text(root / "proc/net/route") or "").splitlines()[1:]:
        fields = line.split()
        if len(fields) >= 8 and fields[1] == fields[7] == _DEFAULT_ROUTE and fields[6].isdecimal():
            routes.append((int(fields[6]), fields[0]))
    return min(routes)[1] if routes else None


def _wifi_dbm(root: Path) -> int | None:
    """The signal level of the interface in use, where its driver gives one in dBm (below 0)."""
    interface = _default_interface(root)
    for line in (_text(root / "proc/net/wireless") or "").splitlines()[2:]:
        name, _, rest = line.partition(":")
        fields = rest.split()
        if name.strip() == interface and len(fields) >= 3:
            level_dbm = _number(fields[2].rstrip("."))
            return level_dbm if level_dbm is not None and level_dbm < 0 else None
    return None


def _hottest_celsius(root: Path) -> float | None:
    zones = (root / "sys/class/thermal").glob("thermal_zone*/temp")
    temperatures = [millis / 1000 for zone in zones if (millis := _number(_text(zone))) is not None]
    return max((t for t in temperatures if round(t) in _PLAUSIBLE_CELSIUS), default=None)


def _disk_free_pct(root: Path) -> float | None:
    try:
        return round(100 - psutil.disk_usage(str(root)).percent, 1)
    except OSError:
        return None


def _text(path: Path) -> str | None:
    """A small file of the kernel; None where there is none or its driver fails to answer."""
    try:
        return path.read_text(encoding="ascii", errors="replace").strip()
    except OSError:
        return None


def _number(text: str | None) -> int | None:
    try:
        return int(text or "")
    except ValueError:
        return None
