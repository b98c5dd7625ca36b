"""What gpsd says, as values: lines of its JSON to reports, reports to positions. Pure."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import msgspec

from protocols.model import Count, Latitude, Longitude, NonNegative, Position

_DAY_MS = 86_400_000
_ROLLOVER_MS = 1024 * 7 * _DAY_MS  # the week number of the GPS signal has ten bits
_KNOWN_MS = 946_684_800_000  # 2000-01-01
_WRITTEN_MS = 1_735_689_600_000  # 2025-01-01
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SIGMAS_95_LINE = 1.96  # 95 % of one normal axis
_SIGMAS_95_CIRCLE = 1.73  # 95 % radius of a round 2D normal, in its 1-sigma (drms) radii


class _Satellite(msgspec.Struct):
    used: bool = False


class Report(msgspec.Struct):
    """What is read of a gpsd object of any class. Other classes and attributes are ignored."""

    kind: str = msgspec.field(name="class")
    # TPV: only mode is always there
    mode: int = 0
    time: str | None = None
    lat: Latitude | None = None
    lon: Longitude | None = None
    alt_hae: float | None = msgspec.field(name="altHAE", default=None)
    alt_msl: float | None = msgspec.field(name="altMSL", default=None)
    alt: float | None = None
    speed: NonNegative | None = None
    track: float | None = None
    epx: float | None = None
    epy: float | None = None
    eph: NonNegative | None = None
    # SKY
    hdop: NonNegative | None = None
    used: Count | None = msgspec.field(name="uSat", default=None)
    satellites: list[_Satellite] | None = None
    # DEVICE: a time, or 0 when the receiver is gone
    activated: str | float | None = None

    @property
    def located(self) -> bool:
        """Whether a TPV tells a place."""
        return self.mode >= 2 and self.lat is not None and self.lon is not None

    def same_epoch(self, other: Report) -> bool:
        """Two TPV of the same time; where one has none, of the same place."""
        if self.time is not None and other.time is not None:
            return self.time == other.time
        return (self.lat, self.lon) == (other.lat, other.lon)


class Sky(NamedTuple):
    """What is known of the satellites of one epoch."""

    sats: int | None = None
    hdop: float | None = None

    def updated(self, sky: Report) -> Sky:
        """With what a SKY says; what it leaves out stays."""
        used = sky.used
        if used is None and sky.satellites is not None:
            used = sum(satellite.used for satellite in sky.satellites)
        return Sky(
            sats=self.sats if used is None else used,
            hdop=self.hdop if sky.hdop is None else sky.hdop,
        )


_decoder = msgspec.json.Decoder(Report)


def decode(line: bytes) -> Report | None:
    """One line of gpsd, or None where it is broken."""
    try:
        return _decoder.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def utc_ms(reported: str | None, *, now_ms: int) -> int:
    """The time of a fix in ms UTC: as gpsd reports it, unless that is certainly wrong.

    A time that is 1024 weeks away from now is put right: the week number has rolled
    over. One before 2000 comes from a receiver that does not know the date, and the
    device's own time stands in. A device whose clock stands before this software was
    written has no clock: there any time before that is taken for a rolled-over one.
    """
    try:
        moment = datetime.fromisoformat(reported or "")
    except ValueError:
        return now_ms
    t = _millis(moment if moment.tzinfo else moment.replace(tzinfo=UTC))
    if now_ms < _WRITTEN_MS:
        return t if t >= _WRITTEN_MS else max(t + _ROLLOVER_MS, now_ms)
    for shifted in (t + _ROLLOVER_MS, t - _ROLLOVER_MS):
        if abs(shifted - now_ms) <= _DAY_MS:
            return shifted
    return t if t >= _KNOWN_MS else now_ms


def _millis(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(milliseconds=1)


def position(tpv: Report, sky: Sky, t: int) -> Position:
    """The contract's position. What gpsd does not say stays absent."""
    assert tpv.lat is not None
    assert tpv.lon is not None
    return Position(
        lat=tpv.lat,
        lon=tpv.lon,
        fix=3 if tpv.mode >= 3 else 2,
        t=t,
        alt=_altitude_m(tpv),
        spd=tpv.speed,
        hdg=None if tpv.track is None else tpv.track % 360,
        acc=_accuracy_m(tpv),
        hdop=sky.hdop,
        sats=sky.sats,
        src="gnss",
    )


def _altitude_m(tpv: Report) -> float | None:
    """Height over the WGS-84 ellipsoid, as positions are WGS-84 inside; where a gpsd
    does not know it, over the sea. A 2D fix has none: what stands there is old."""
    if tpv.mode < 3:
        return None
    for altitude_m in (tpv.alt_hae, tpv.alt_msl, tpv.alt):
        if altitude_m is not None:
            return altitude_m
    return None


def _accuracy_m(tpv: Report) -> float | None:
    """1 sigma (drms) in the plane, to the centimetre, of the 95 % figures that gpsd gives."""
    if tpv.epx is not None and tpv.epy is not None:
        return round(math.hypot(tpv.epx, tpv.epy) / _SIGMAS_95_LINE, 2)
    if tpv.eph is not None:
        return round(tpv.eph / _SIGMAS_95_CIRCLE, 2)
    return None
