"""Do gpsd's values become the contract's, with nothing invented?"""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from edge.sources.gpsd_json import Report, Sky, decode, position, utc_ms
from protocols.model import Position


def ms(text: str) -> int:
    return (datetime.fromisoformat(text) - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(
        milliseconds=1
    )


def tpv(**attributes: object) -> Report:
    report = decode(
        json.dumps({"class": "TPV", "mode": 3, "lat": 1, "lon": 2} | attributes).encode()
    )
    assert report is not None
    return report


NOW = "2026-11-22T03:00:00Z"


@pytest.mark.parametrize(
    ("reported", "meant"),
    [
        ("2026-11-22T02:59:59.250Z", "2026-11-22T02:59:59.250Z"),
        ("2026-11-22T02:59:59", "2026-11-22T02:59:59Z"),  # gpsd means UTC
        ("2025-01-01T00:00:00Z", "2025-01-01T00:00:00Z"),
        ("2026-11-23T02:00:00Z", "2026-11-23T02:00:00Z"),  # the device's clock may be off
        ("2007-04-08T02:59:59Z", "2026-11-22T02:59:59Z"),  # 1024 weeks early
        ("2046-07-08T02:59:59Z", "2026-11-22T02:59:59Z"),  # 1024 weeks late
        ("2011-05-14T23:59:59Z", "2011-05-14T23:59:59Z"),  # a recording keeps its dates
        ("2034-12-24T03:00:00Z", "2034-12-24T03:00:00Z"),  # odd, but not for us to judge
        ("1980-01-06T00:00:00Z", NOW),  # no date known yet
        ("1999-08-22T00:00:00Z", NOW),
        ("2026-12-31T23:59:60Z", NOW),
        ("2208-1", NOW),
        ("", NOW),
        (None, NOW),
    ],
)
def test_time_of_a_fix(reported: str | None, meant: str) -> None:
    assert utc_ms(reported, now_ms=ms(NOW)) == ms(meant)


def test_a_device_without_a_clock_believes_its_receiver() -> None:
    no_clock = ms("1970-01-01T00:00:07Z")
    assert utc_ms(NOW, now_ms=no_clock) == ms(NOW)
    assert utc_ms("2007-04-08T03:00:00Z", now_ms=no_clock) == ms(NOW)
    assert utc_ms("garbled", now_ms=no_clock) == no_clock


@given(st.text() | st.datetimes().map(datetime.isoformat))
@example("0001-01-01T00:00:00+23:59")
@example("9999-12-31T23:59:59-23:59")
def test_no_time_is_too_strange(reported: str) -> None:
    t = utc_ms(reported, now_ms=ms(NOW))
    assert t >= ms("2000-01-01T00:00:00Z")


def test_a_position_has_what_gpsd_reports_in_the_units_of_the_contract() -> None:
    report = tpv(altHAE=14.2, altMSL=18.2, speed=16.205, track=360.0, epx=19.6, epy=0.0)
    assert position(report, Sky(sats=6, hdop=1.2), 1_793_520_004_000) == Position(
        lat=1, lon=2, fix=3, t=1_793_520_004_000, alt=14.2, spd=16.205, hdg=0.0, acc=10.0,
        hdop=1.2, sats=6, src="gnss",
    )  # fmt: skip


def test_what_gpsd_does_not_say_stays_absent() -> None:
    assert position(tpv(), Sky(), 5) == Position(lat=1, lon=2, fix=3, t=5, src="gnss")


@pytest.mark.parametrize(
    ("attributes", "alt"),
    [
        ({"altHAE": -3.5, "altMSL": 8.0, "alt": 8.0}, -3.5),
        ({"altMSL": 8.0, "alt": 8.1}, 8.0),
        ({"alt": 8.1}, 8.1),
        ({"altHAE": 0.0, "altMSL": 8.0}, 0.0),
        ({"altHAE": 14.2, "mode": 2}, None),  # of the last 3D fix
    ],
)
def test_altitude_is_that_over_the_ellipsoid(
    attributes: dict[str, object], alt: float | None
) -> None:
    assert position(tpv(**attributes), Sky(), 0).alt == alt


def test_accuracy_is_one_sigma_of_both_axes() -> None:
    assert position(tpv(epx=12.468, epy=11.591, eph=22.8), Sky(), 0).acc == 8.69


def test_accuracy_comes_from_the_error_radius_where_the_axes_are_unknown() -> None:
    assert position(tpv(eph=17.3), Sky(), 0).acc == 10.0
    assert position(tpv(epx=3.0, eph=17.3), Sky(), 0).acc == 10.0


def test_satellites_are_counted_where_gpsd_does_not() -> None:
    sky = decode(b'{"class":"SKY","satellites":[{"used":true},{"used":false},{"used":true}]}')
    assert sky is not None
    assert Sky(hdop=1.1).updated(sky) == Sky(sats=2, hdop=1.1)


@pytest.mark.parametrize(
    "line",
    [
        b"", b"\r\n", b"null", b"[]", b'"TPV"', b"{}", b'{"class":"TPV"', b'{"class":7}',
        b'{"class":"TPV","mode":3,"lat":NaN,"lon":2}', b'{"class":"TPV","mode":3,"lat":91,"lon":2}',
        b'{"class":"TPV","mode":"3"}', b'{"class":"SKY","uSat":-1}', b'{"class":"SKY","uSat":1e99}',
        b"\xff\xfe{}", b'{"class":"TPV","x":' + b"[" * 30_000, b"$GPRMC,125106,V,,,,,,,,,*28",
    ],
)  # fmt: skip
def test_a_broken_line_is_none(line: bytes) -> None:
    assert decode(line) is None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
ATTRIBUTES = st.dictionaries(
    st.sampled_from(msgspec.structs.fields(Report)).map(lambda field: field.encode_name), JSON
)


@given(st.binary() | ATTRIBUTES.map(lambda a: json.dumps({"class": "TPV", **a}).encode()))
def test_any_line_gives_a_position_of_the_contract_or_none(line: bytes) -> None:
    report = decode(line)
    if report is not None and report.located:
        found = position(report, Sky().updated(report), 0)
        assert msgspec.convert(msgspec.to_builtins(found), Position) == found
