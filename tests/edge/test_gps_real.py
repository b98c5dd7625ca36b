"""Does the track equal what a real gpsd reports of a receiver that gpsfake plays?"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from edge.sources import gps as gps_module
from edge.sources.gps import Gps
from protocols.model import Position
from tests.edge.gpsd_parts import (
    as_due,
    moves,
    patrol_log,
    places_of,
    poll,
    real_gpsd,
    running,
    track_of,
    until,
    watch,
)

VECTORS = Path(__file__).parents[3] / "shared" / "vectors" / "gpsd"
LOGS = sorted(VECTORS.glob("*.log"))

NO_TIME_MS = 2_100_000_000_000


def as_reported(fix: Position) -> tuple[object, ...]:
    return (fix.t, fix.lat, fix.lon, fix.fix, fix.spd, fix.hdg, fix.alt)


async def replay(log: Path, folder: Path) -> tuple[list[dict[str, Any]], list[Position]]:
    """What gpsd says to the test and what the client makes of the same."""
    track: list[Position] = []
    with real_gpsd(log, folder, seconds_per_sentence=0.005) as gpsd:
        gps = Gps("127.0.0.1", gpsd.port, now_ms=lambda: NO_TIME_MS)
        async with running(gps) as fixes:
            said = await watch(gpsd.port)
            await until(lambda: gps.state == "no_device")
            while not fixes.empty():
                track.append(fixes.get_nowait())
        assert gps.skipped_lines == 0
    return said, track


def check(said: list[dict[str, Any]], track: list[Position]) -> None:
    dated = [fix for fix in track if fix.t != NO_TIME_MS]
    assert [as_reported(fix) for fix in dated] == [as_due(report) for report in track_of(said)]
    assert moves([(fix.lat, fix.lon) for fix in track]) == places_of(said)


@pytest.fixture(autouse=True)
def _machine_may_be_busy(monkeypatch: pytest.MonkeyPatch) -> None:
    """gpsfake plays faster than life: only the next epoch shall close one."""
    monkeypatch.setattr(gps_module, "QUIET_FIRST_S", 5.0)


@pytest.mark.slow
async def test_the_track_of_a_patrol_equals_what_gpsd_reports(tmp_path: Path) -> None:
    log = tmp_path / "patrol.log"
    log.write_text(patrol_log())
    said, track = await replay(log, tmp_path)
    check(said, track)
    assert len(track) == 16
    assert {(fix.sats, fix.fix) for fix in track} == {(6, 3)}
    assert all(fix.spd == pytest.approx(16.205) for fix in track)


@pytest.mark.slow
@pytest.mark.skipif(not LOGS, reason="the recorded receivers of ../shared are not here")
@pytest.mark.parametrize("log", LOGS, ids=lambda log: log.stem)
async def test_the_track_of_a_recorded_receiver_equals_what_gpsd_reports(
    log: Path, tmp_path: Path
) -> None:
    said, track = await replay(log, tmp_path)
    assert track
    check(said, track)


@pytest.mark.slow
async def test_gpsd_py3_sees_the_same_place(tmp_path: Path) -> None:
    log = tmp_path / "patrol.log"
    log.write_text(patrol_log())
    with real_gpsd(log, tmp_path, seconds_per_sentence=0.02) as gpsd:
        gps = Gps("127.0.0.1", gpsd.port, now_ms=lambda: NO_TIME_MS)
        async with running(gps) as fixes:
            track = [await asyncio.wait_for(fixes.get(), 30)]
            theirs = await asyncio.to_thread(poll, gpsd.port)
            while (theirs.lat, theirs.lon) != (track[-1].lat, track[-1].lon):
                track.append(await asyncio.wait_for(fixes.get(), 30))
    assert (theirs.mode, theirs.hspeed, theirs.track) == (3, track[-1].spd, track[-1].hdg)
